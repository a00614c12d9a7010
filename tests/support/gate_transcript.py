"""What a command says in all of its outcomes, as one text that a person can read through."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

from tests.support.program import Gate

_ID = re.compile(r"\b[0-9a-f]{32}\b")
_PORT = re.compile(r"127\.0\.0\.1:\d+")


class Transcript:
    """Calls of a command, each below a heading. UPDATE_SNAPSHOTS=1 writes the file anew, to be read before a commit."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._parts: list[str] = []
        self._names: dict[str, str] = {}

    def call(self, heading: str, *words: str, **options: Any) -> None:
        """Runs `git clearml <words>`, and writes down what came out of it."""
        result = self._gate.call(*words, **options)
        lines = [f"## {heading}", "", f"$ git clearml {shlex.join(words)}", *result.out.splitlines()]
        lines += [f"stderr: {line}" for line in result.err.splitlines()]
        self._parts.append("\n".join([*lines, f"exit status {result.status}", "", ""]))

    def same_as(self, path: Path) -> None:
        """Compares with the file."""
        text = "\n".join(self._parts).rstrip("\n") + "\n"
        text = text.replace(self._gate.server.url, "https://clearml.example.com")
        text = _PORT.sub("127.0.0.1:PORT", _ID.sub(self._name, text)).replace(str(self._gate.repo.path), "REPOSITORY")
        if os.environ.get("UPDATE_SNAPSHOTS") == "1":
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    def _name(self, match: re.Match[str]) -> str:
        """`id-1`, `id-2` in the order in which they appear: a server draws its ids by lot."""
        return self._names.setdefault(match[0], f"id-{len(self._names) + 1}")
