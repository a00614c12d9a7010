"""The tree that a task ran: its commit with the diff that ClearML recorded on top, made in a temporary index.

The SDK records what `git diff HEAD` says, whatever the user's settings make of it, as the text that it is (clearml 1.9
to 2.1, backend_interface/task/repo/detectors.py). It comes from a server, so anybody may have written it: nothing of it
touches a working tree here, and git's index takes no path that is absolute, has `..` or `.git` in it, or leads through
a symbolic link.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from git_clearml.git import recorded_submodules
from git_clearml.git.changes import LFS, Change
from git_clearml.git.index import TemporaryIndex, temporary_index
from git_clearml.git.repository import Repository

_PLAIN = (
    "core.autocrlf=false",
    "core.safecrlf=false",
    "core.sparseCheckout=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
)
_APPLY = ("apply", "--cached", "--unidiff-zero", "--whitespace=nowarn", "--no-ignore-whitespace")
PATCH_FAILED = "patch failed: "
"""How git's reason begins where it understands a diff, and the files are other ones."""
_ANSI = r"\x1b\[[0-9;]*[mK]"
_FILES = r"(?m)^diff --(?:git|cc|combined) "
_NAMES = r"(?m)^diff --git (.+)$"
_RESULT = r"(?m)^index ([0-9a-f]+)\.\.(?!\1(?: |$))([0-9a-f]{4,64})(?: [0-7]{6})?$"
_CUT = r"(?m)^# git-clearml: cut here, [0-9]+ bytes in all\n\Z"
_BINARY = r"(?m)^index ([0-9a-f]{4,64})\.\.([0-9a-f]{4,64})((?: [0-7]{6})?\nBinary files )"
_POINTED_AT = r"(?m)^\+oid sha256:[0-9a-f]{64}\r?$"
_NO_DIFF = (
    ("# git-clearml: ", "only untracked files were recorded, by their names"),
    ("# WARNING! git diff too large", "it was too large for ClearML to store"),
    ("# Repository modified, but no git diff", "ClearML could not extract it"),
)


class Applied(NamedTuple):
    """The tree of the commit with the diff, "" where it cannot be made, and then why; and how it differs.

    `notes` say what of a run is not in the tree, because no diff can record it.
    """

    tree: str
    changes: tuple[Change, ...] = ()
    problem: str = ""
    notes: tuple[str, ...] = ()


def apply(repository: Repository, commit: str, text: str) -> Applied:
    """The commit's tree with the recorded diff: a few git processes. Objects are all that is written.

    A tree counts only where each file in it is what the diff says that it came to. Raises CannotDecide.
    """
    if not text.strip():
        return Applied(repository.trees([commit]).get(commit, ""))
    if problem := next((why for marker, why in _NO_DIFF if text.startswith(marker)), ""):
        return Applied("", problem=problem)
    if re.search(_CUT, text):
        return Applied("", problem="it was too long for ClearML to take, and was cut")
    text = re.sub(_ANSI, "", text) if text.startswith("\x1b") else text
    submodules = recorded_submodules.split(text)
    is_diff = re.search(_FILES, submodules.text)
    if not is_diff and not (submodules.moved or submodules.notes):
        return Applied("", problem="it is no diff")
    with temporary_index(repository, commit, directory=repository.top or repository.git_dir, settings=_PLAIN) as index:
        if is_diff and (problem := _put(repository, index, commit, submodules.text)):
            return Applied("", problem=problem)
        notes = recorded_submodules.move(repository, index, commit, submodules)
        applied = _checked(repository, index, commit, submodules.text)
    return applied._replace(notes=(*submodules.notes, *notes, *_pointers(repository, applied.changes, text)))


def _pointers(repository: Repository, changes: Sequence[Change], text: str) -> list[str]:
    """That of a file in git-lfs a diff has no more than the pointer. A git process where one seems to be there."""
    if not re.search(_POINTED_AT, text):
        return []
    contents = repository.blobs([each.name for each in changes if not each.submodule and each.name.strip("0")])
    paths = [each.path for each in changes if contents.get(each.name, b"").startswith(LFS)]
    return [f"of {path}, which is in git-lfs, the diff has the pointer and not the content" for path in paths]


def _put(repository: Repository, index: TemporaryIndex, commit: str, text: str) -> str:
    """Applies the diff to the index. Why that fails, "" where it does not."""
    content = _with_whole_names(repository, commit, text).encode("utf-8", "surrogateescape")
    content += b"" if content.endswith(b"\n") else b"\n"
    reasons = []
    for level in ("-p0", "-p1") if is_without_prefixes(text) else ("-p1",):
        result = index.run(*_APPLY, level, "-", stdin=content)
        if not result.status:
            return ""
        reasons.append(result.reason)
    return next((reason for reason in reasons if reason.startswith(PATCH_FAILED)), reasons[-1])


def is_without_prefixes(text: str) -> bool:
    """Has a file of the diff one name twice, as with `diff.noprefix`? By halves: to try each blank of a line for the
    one between the names would take hours for a line of a megabyte."""
    lines = (match[1].removesuffix("\r") for match in re.finditer(_NAMES, text))
    return any(line == f"{line[: len(line) // 2]} {line[: len(line) // 2]}" for line in lines)


def _with_whole_names(repository: Repository, commit: str, text: str) -> str:
    """The diff with the objects of binary files named in full, where they are here: git then takes them from there.

    A deleted file's always is, a new content only if it was committed since.
    """
    short = dict.fromkeys(name for match in re.finditer(_BINARY, text) for name in match.group(1, 2))
    if not short:
        return text
    size = len(commit)
    wanted = [name for name in short if name.strip("0")]
    whole = dict(zip(wanted, repository.names_of(wanted), strict=True))

    def named(match: re.Match[str]) -> str:
        old, new = (whole.get(name, "0" * size) or name for name in match.group(1, 2))
        return f"index {old}..{new}{match[3]}"

    return re.sub(_BINARY, named, text)


def _checked(repository: Repository, index: TemporaryIndex, commit: str, text: str) -> Applied:
    """The tree in the index, where it holds each object that the diff's `index` lines name as a result."""
    tree = index.write_tree()
    pair = (repository.trees([commit])[commit], tree)
    changes = tuple(repository.changes([pair])[pair])
    names = [change.name for change in changes]
    wanted = [name for _, name in re.findall(_RESULT, text) if name.strip("0")]
    if any(not any(each.startswith(name) for each in names) for name in wanted):
        return Applied("", problem="it applies, but gives other files than it says that ran")
    return Applied(tree, changes)
