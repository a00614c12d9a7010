"""Looks files up in submodules: at the commits that a tree pins, as far as they are in this clone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from git_clearml.git import changes
from git_clearml.git.objects import ObjectStore
from git_clearml.git.repository import Repository
from git_clearml.git.runner import GitStream

_DEPTH = 5  # submodules in submodules
_MOST = 8  # submodules looked into at each depth


class Pinned(NamedTuple):
    """A submodule of a tree: its path, and the commit that the tree pins."""

    path: str
    commit: str


class _Clone(NamedTuple):
    """A repository, where its working tree is ("" for none), and where the git directories of its submodules are."""

    objects: ObjectStore
    top: str
    modules: str


class _Submodule(ObjectStore):
    """The repository of a submodule, whatever repository the environment names (git does for its hooks)."""

    def __init__(self, git_dir: str) -> None:
        # Its own setting names a working tree, which may be gone.
        self._options = (f"--git-dir={git_dir}", "--work-tree=.")
        self._own: dict[str, str] = {}
        if "GIT_OBJECT_DIRECTORY" in os.environ:  # what is in quarantine on a git server is not the submodule's
            objects = os.path.join(git_dir, "objects")
            self._own = {"GIT_OBJECT_DIRECTORY": objects, "GIT_ALTERNATE_OBJECT_DIRECTORIES": ""}
        super().__init__(os.path.dirname(git_dir), self._options, self._own)

    @contextlib.contextmanager
    def stream(self, *arguments: str, **options: Any) -> Iterator[GitStream]:
        """As for any repository."""
        options["env"] = {**(options.get("env") or {}), **self._own}
        with super().stream(*self._options, *arguments, **options) as stream:
            yield stream


def pinned(objects: ObjectStore, trees: Sequence[str]) -> dict[str, list[Pinned]]:
    """Tree -> its submodules. One git process for all trees. Raises CannotDecide."""
    submodules: dict[str, list[Pinned]] = {tree: [] for tree in trees}
    for number, change in changes.files(objects, trees):
        if change.submodule:
            submodules[trees[number]].append(Pinned(change.path, change.name))
    return submodules


def existing_files(
    repository: Repository, submodules: Mapping[str, Sequence[Pinned]], places: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """For those (tree, path) that lie in a submodule: "" where that has the file, else why it is not known to have it.

    `submodules` are those of each tree. One git process for a submodule, and more for those that it has itself. Raises
    CannotDecide.
    """
    clone = _Clone(repository, repository.top, os.path.join(repository.common_dir, "modules"))
    return _existing(clone, submodules, places, _DEPTH)


def _existing(
    clone: _Clone, submodules: Mapping[str, Sequence[Pinned]], places: Sequence[tuple[str, str]], depth: int
) -> dict[tuple[str, str], str]:
    below: dict[str, dict[tuple[str, str], tuple[str, str]]] = {}
    for tree, path in places:
        for submodule in submodules.get(tree, ()):
            if path.startswith(submodule.path + "/"):
                rest = path[len(submodule.path) + 1 :]
                below.setdefault(submodule.path, {})[tree, path] = submodule.commit, rest
    answers: dict[tuple[str, str], str] = {}
    for name, wanted in list(below.items())[:_MOST]:
        inside = _opened(clone, name)
        answers |= {place: _missing(name, commit) for place, (commit, _) in wanted.items()}
        if inside is None:
            continue
        commits = inside.objects.trees(commit for commit, _ in wanted.values())
        there = {place: (commits[commit], path) for place, (commit, path) in wanted.items() if commit in commits}
        modules = [(tree, ".gitmodules") for tree in commits.values()]
        files = inside.objects.existing_files([*there.values(), *modules])
        left = [place for place in there.values() if place not in files and (place[0], ".gitmodules") in files]
        deeper: dict[tuple[str, str], str] = {}
        if left and depth:
            deeper = _existing(inside, pinned(inside.objects, list(commits.values())), left, depth - 1)
        for place, inner in there.items():
            answers[place] = "" if inner in files else deeper.get(inner, f"the submodule {name} does not have it")
    return answers


def _opened(clone: _Clone, path: str) -> _Clone | None:
    """The repository of a submodule, in the working tree or beside the superproject's objects; None for neither."""
    top, modules = os.path.join(clone.top, path) if clone.top else "", os.path.join(clone.modules, path)
    for place in ([os.path.join(top, ".git")] if top else []) + [modules]:
        if os.path.exists(place):
            return _Clone(_Submodule(place), top, os.path.join(modules, "modules"))
    return None


def _missing(path: str, commit: str) -> str:
    return f"the submodule {path} is not here at {commit[:12]} (git submodule update --init --recursive)"
