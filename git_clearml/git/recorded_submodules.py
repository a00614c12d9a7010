"""What a recorded diff says of submodules, which no `git apply` can make of it.

With git 2.41 and newer the SDK gets the form of `git diff --submodule=diff`, which names a moved submodule by shortened
hashes and appends the difference inside of it; with an older one git's own form, in which a submodule with uncommitted
changes is at a commit that ends in `-dirty` (clearml 2.1, backend_interface/task/repo/detectors.py). Neither brings
uncommitted changes back.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from git_clearml.git.index import TemporaryIndex
from git_clearml.git.output import entries
from git_clearml.git.repository import Repository

_MOVED = re.compile(r"Submodule (?P<path>.+) [0-9a-f]{4,64}\.{2,3}(?P<new>[0-9a-f]{4,64})(?:[: ].*)?")
_CONTAINS = re.compile(r"Submodule (?P<path>.+) contains (?P<what>modified|untracked) content")
_DIRTY = r"(?m)^\+Subproject commit [0-9a-f]{40,64}-dirty$"


class Submodules(NamedTuple):
    """The diff without what is about submodules; path and shortened commit of those that were moved (zeros: removed);
    what the diff cannot bring back."""

    text: str
    moved: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def split(text: str) -> Submodules:
    """Takes the parts about submodules out of a recorded diff. Pure. No line of a hunk begins as theirs do."""
    notes = ["a submodule had uncommitted changes, which are not on record"] if re.search(_DIRTY, text) else []
    if not re.search(r"(?m)^Submodule ", text):
        return Submodules(text, notes=tuple(notes))
    kept, moved, inside = list[str](), dict[str, str](), ""
    for line in text.split("\n"):
        if match := _MOVED.fullmatch(line):
            inside = match["path"]
            moved[inside] = match["new"]
        elif match := _CONTAINS.fullmatch(line):
            inside = match["path"]
            notes.append(f"the submodule {inside} had {match['what']} content, which is not brought back")
        elif line.startswith("diff --"):
            inside = inside if _is_inside(line, inside) else ""
        if not inside:
            kept.append(line)
    return Submodules("\n".join(kept), tuple(moved.items()), tuple(notes))


def _is_inside(header: str, path: str) -> bool:
    """Is this file of a diff one in the submodule at the path?"""
    names = header.partition(" ")[2].partition(" ")[2]
    return bool(path) and names.startswith((f"a/{path}/", f'"a/{path}/', f"{path}/", f'"{path}/'))


def move(repository: Repository, index: TemporaryIndex, commit: str, submodules: Submodules) -> tuple[str, ...]:
    """Puts the moved submodules into an index of the commit. What could not be: sentences.

    A shortened commit is looked up in the submodule's own repository, where this clone has one.
    """
    notes = []
    for path, short in submodules.moved:
        listed = index.run("--literal-pathspecs", "ls-tree", "-z", commit, "--", path)
        if not any(entry.startswith("160000 ") for entry in entries(listed.stdout)):
            notes.append(f"the submodule {path} is not in the commit")
        elif not short.strip("0"):
            index.read("update-index", "--force-remove", "--", path)
        elif whole := _whole(repository, path, short):
            index.read("update-index", "--cacheinfo", f"160000,{whole},{path}")
        else:
            notes.append(f"the submodule {path} was at {short}, a commit that is not here")
    return tuple(notes)


def _whole(repository: Repository, path: str, short: str) -> str:
    """The full hash of a commit of a submodule, "" where it is not here."""
    places = [os.path.join(repository.common_dir, "modules", path)]
    places += [os.path.join(repository.top, path, ".git")] if repository.top else []
    for place in places:
        if os.path.exists(place):
            result = repository.run("rev-parse", "--verify", "--quiet", f"{short}^{{commit}}", env={"GIT_DIR": place})
            if not result.status:
                return result.text
    return ""
