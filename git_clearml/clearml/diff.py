"""Reads the diff that ClearML recorded with a task: clean, ClearML's own doing, or uncommitted work. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from git_clearml.model import Diff, DiffKind

MARKER = "# git-clearml: "
"""How a line starts that `git clearml run` itself puts into a diff (so that a dirty run never looks clean)."""

UNTRACKED = "files that git does not track: "
"""How it goes on where only such files differ from the commit."""

# What Task.create and clearml-task add to a clean checkout, to the letter (clearml 1.0 to 2.1,
# backend_interface/task/populate.py, CreateAndPopulate.create_task).
_REQUIREMENTS = (
    r"diff --git a/requirements\.txt b/requirements\.txt\n--- a/requirements\.txt\n"
    r"\+\+\+ b/requirements\.txt\n@@ -0,0 \+1,1 @@\n\+clearml(?:\n|\Z)"
)
_TASK_INIT = (
    r"diff --git a(?P<script>/[^\n]+\.[pP][yY]) b(?P=script)\n--- a(?P=script)\n\+\+\+ b(?P=script)\n"
    r"@@ -(?P<after>[0-9]{1,9}),0 \+(?P<at>[0-9]{1,9}),4 @@\n"
    r"\+try: from allegroai import Task\n\+except ImportError: from clearml import Task\n"
    r"\+\(__name__ != \"__main__\"\) or Task\.init\(\)\n\+(?:\n|\Z)"
)
# Compiled when used: on its way to a verdict most of what the gate reads is an empty diff.
_OWN = rf"\n*(?:{_REQUIREMENTS})?(?:{_TASK_INIT})?\n*"
OWN = rf"^(?:{_OWN})$"
"""A pattern, for a server too, of diffs that count as clean: empty, or ClearML's own doing."""

_ANSI = r"\x1b\[[0-9;]*[mK]"
_FILE = r"diff --(?:git (?P<names>.+)|(?:cc|combined) (?P<merged>.+))"
_SUBMODULE = r"Submodule (?P<path>.+?) (?:[0-9a-f]{7,}\.\.|contains )"
_NEW_NAME = r"(?:rename|copy) to (?P<path>.+)"
_ESCAPE = rb"(?s)\\([0-7]{3}|.)"
_LETTERS = dict(zip(b"abtnvfr", b"\a\b\t\n\v\f\r", strict=True))
_TOO_LARGE = "# WARNING! git diff too large to store"
_NOT_EXTRACTED = "# Repository modified, but no git diff"
_SHOWN_FILES = 3
UNLISTED = (
    "a diff too large for ClearML to store",
    "changes that ClearML could not extract",
    "a whole script instead of a diff: ClearML found no git repository",
)
"""The summaries that name no files."""


class ChangedFile(NamedTuple):
    """A file that a diff changes: lines added and deleted, and, where it says more, what kind of change it is:
    `binary`, `mode`, `renamed` or `submodule`."""

    path: str
    added: int
    deleted: int
    kind: str = ""

    @property
    def change(self) -> str:
        """`+added -deleted`, or the kind of a change without lines."""
        counted = self.added or self.deleted or not self.kind
        return f"+{self.added} -{self.deleted}" if counted else self.kind


def classify(text: str | None) -> Diff:
    """What `script.diff` says: `None` is an absent field, "" and white space are a clean tree."""
    if text is None:
        return Diff(DiffKind.ABSENT)
    if not text.strip():
        return Diff(DiffKind.CLEAN)
    own = re.fullmatch(_OWN, text)
    if own and (not own["script"] or int(own["at"]) == int(own["after"]) + 1):
        return Diff(DiffKind.OWN, "only ClearML's own Task.init and requirements lines")
    return Diff(DiffKind.DIRTY, _summary(text))


def _summary(text: str) -> str:
    """Which files a dirty diff touches, by how much; or what stands there instead of a diff."""
    text = re.sub(_ANSI, "", text)
    if text.startswith(MARKER):
        return text.splitlines()[0].removeprefix(MARKER).rstrip(".").removeprefix("uncommitted changes in ")
    if text.startswith(_TOO_LARGE):
        return UNLISTED[0]
    if text.startswith(_NOT_EXTRACTED):
        return UNLISTED[1]
    changed = files(text)
    if not changed:
        return UNLISTED[2]
    shown = [f"{file.path} ({file.change})" for file in changed[:_SHOWN_FILES]]
    rest = len(changed) - len(shown)
    more = f" and {rest} more file{'s' if rest > 1 else ''}" if rest else ""
    return ", ".join(shown) + more


def files(text: str) -> tuple[ChangedFile, ...]:
    """What a recorded diff changes, in its order; () for what is no diff."""
    counts: dict[str, list[int]] = {}
    words: dict[str, str] = {}
    path = ""
    in_hunk = False
    for line in re.sub(_ANSI, "", text).split("\n"):
        if header := re.match(_FILE, line):
            path, in_hunk = _path(header), False
            counts.setdefault(path, [0, 0])
        elif submodule := re.match(_SUBMODULE, line):
            path, in_hunk = submodule["path"], False
            counts.setdefault(path, [0, 0])
            words[path] = "submodule"
        elif not path:
            continue
        elif not in_hunk and (renamed := re.match(_NEW_NAME, line)):  # says plainly what the header says in riddles
            before, path = path, _unquoted(renamed["path"])
            words[path] = words.pop(before, "renamed")
            counts.setdefault(path, counts.pop(before))
        elif line.startswith("@@"):
            in_hunk = True
        elif line.startswith(("Binary files ", "GIT binary patch")):
            words[path] = "binary"
        elif line.startswith(("old mode ", "new mode ")):
            words.setdefault(path, "mode")
        elif in_hunk and line[:1] in "+-" and line:
            counts[path][line[0] == "-"] += 1
    return tuple(ChangedFile(path, count[0], count[1], words.get(path, "")) for path, count in counts.items())


def _path(header: re.Match[str]) -> str:
    """The path a file header names: `a/x b/x`, quoted where git quotes, or without prefixes or with others."""
    if header["merged"]:
        return _unquoted(header["merged"])
    names = header["names"]
    quoted = names.endswith('"') and ' "' in names
    middle = names.rindex(' "') if quoted else len(names) // 2  # one name but for the prefix; it may hold spaces
    old, new = _unquoted(names[:middle]), _unquoted(names[middle + 1 :])
    if old == new:
        return new
    if old[1:2] == "/" and old[1:] == new[1:]:
        return new[2:]
    if quoted:
        return new.removeprefix("b/")
    return names.rpartition(" b/")[2] if " b/" in names else names.rpartition(" ")[2]


def _unquoted(name: str) -> str:
    """`"a/\\303\\244.py"` as the name that git means (core.quotePath)."""
    if len(name) < 2 or name[0] != '"' or name[-1] != '"':
        return name
    raw = name[1:-1].encode("utf-8", "surrogatepass")
    return re.sub(_ESCAPE, _unescaped, raw).decode("utf-8", "replace")


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return bytes([int(code, 8) & 255 if len(code) == 3 else _LETTERS.get(code[0], code[0])])
