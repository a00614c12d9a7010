"""What a command says, all of its outcomes in one file that a person can read through: tests/integration/snapshots.

UPDATE_SNAPSHOTS=1 rewrites the file; the difference is to be read like code.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from tests.support.program import ROOT, Result

SNAPSHOTS = ROOT / "tests" / "integration" / "snapshots"
_CHANGING = (
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://server"),
    (re.compile(r"\b\d+ ms\b|\b\d+\.\d s\b"), "N ms"),
    (re.compile(r"git version \d[\w.-]*|(?<=ok    git: )git \d[\w.-]*"), "git 2.N"),
    (re.compile(r"(?<=<!-- git-clearml history: )\S+"), "..."),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<task>"),
    (re.compile(r"\b\d+ (second|minute|hour|day)s? ago|\bjust now"), "just now"),
)


class Transcript:
    """The outcomes of one command, in the order in which they were added. `places` are shown by their names."""

    def __init__(self, command: str, places: Mapping[str, Path | str]) -> None:
        self._command, self._places = command, places
        self._blocks: list[str] = []

    def add(self, title: str, words: tuple[str, ...], result: Result) -> Result:
        """One outcome: what it is about, the words after `git clearml`, and what came out."""
        lines = [f"# {title}", f"$ git clearml {shlex.join(words)}", *result.out.splitlines()]
        lines += [f"! {line}" for line in result.err.splitlines()]  # stderr
        if result.status:
            lines.append(f"exit status {result.status}")
        self._blocks.append(self._steady("\n".join(lines)))
        return result

    def compare(self) -> None:
        """With the file: every outcome, to the letter."""
        path, text = SNAPSHOTS / f"{self._command}.txt", "\n\n".join(self._blocks) + "\n"
        if os.environ.get("UPDATE_SNAPSHOTS") == "1":
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"UPDATE_SNAPSHOTS=1 rewrites {path}"

    def _steady(self, text: str) -> str:
        for name, place in sorted(self._places.items(), key=lambda item: -len(str(item[1]))):
            text = text.replace(str(place), name)
        for pattern, replacement in _CHANGING:
            text = pattern.sub(replacement, text)
        return text
