"""Code in the working tree that .gitignore hides from git: a run imports it, and no diff shows it.

git lists what it ignores without looking into ignored directories; those are walked here, within a budget of entries,
because they may hold a million files of data.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator

from git_clearml.errors import CannotDecide
from git_clearml.git.output import entries
from git_clearml.git.repository import Repository
from git_clearml.settings.code_paths import NEVER_OK, is_untracked_code, untracked_ok
from git_clearml.settings.policy import Policy

INCOMPLETE = "(there are more ignored files than were looked at)"
"""Stands in the list in place of what was not looked at."""

_ENTRIES = 30_000  # of directories, looked at: a tenth of a second or two
ALL_ENTRIES = 3_000_000  # where the policy refuses ignored code, and so has to know
_MOST = 1000  # paths
_ENDINGS = tuple(pattern.removeprefix("*") for pattern in NEVER_OK)
# Installed packages, and copies that nothing imports.
INSTALLED = ("site-packages", "dist-packages", "node_modules", ".eggs", "__pycache__", ".ipynb_checkpoints", ".git")
ENVIRONMENTS = ("pyvenv.cfg", "conda-meta")  # what every virtual environment has: venv, virtualenv, uv, conda


def code(repository: Repository, submodules: Iterable[str], policy: Policy) -> tuple[str, ...]:
    """The ignored files that are code, by their path from the root, with INCOMPLETE at the end where not all was seen.

    Not in virtual environments, nor in directories of installed packages. A link to a directory outside of the tree is
    followed: Python does so too. At most 1000. Never raises: what git cannot list is incomplete.
    """
    budget = _Budget(ALL_ENTRIES if policy.ignored_code == "refuse" else _ENTRIES)
    paths = []
    try:
        for folder in ("", *submodules):
            for path in _code_in(repository, folder, policy, budget):
                paths.append(path)
                if len(paths) >= _MOST:
                    return (*sorted(paths), INCOMPLETE)
    except (CannotDecide, OSError):
        return (*sorted(paths), INCOMPLETE)
    return (*sorted(paths), INCOMPLETE) if budget.left < 0 else tuple(sorted(paths))


class _Budget:
    """How many entries of directories may yet be looked at."""

    def __init__(self, left: int) -> None:
        self.left = left


def _code_in(repository: Repository, folder: str, policy: Policy, budget: _Budget) -> Iterator[str]:
    top = os.path.join(repository.top, folder)
    listing = repository.run(
        *("-C", top, "-c", "core.fsmonitor=false"),
        *("ls-files", "-o", "-i", "--exclude-standard", "--directory", "--no-empty-directory", "-z"),
        env={"GIT_DIR": os.path.join(top, ".git"), "GIT_WORK_TREE": top} if folder else {},
    )
    if listing.status:
        raise CannotDecide(f"git ls-files cannot read {top}: {listing.reason}")
    directories = deque[str]()
    for entry in entries(listing.stdout):
        path = os.path.join(folder, entry)
        if entry.endswith("/") or _leads_out(repository.top, path):
            directories.append(path.rstrip("/"))
        elif _counts(repository.top, path, policy):
            yield path
    yield from _below(repository.top, directories, policy, budget)


def _leads_out(top: str, path: str) -> bool:
    """Is this a link to a directory that is not in the working tree, nor around it?"""
    place = os.path.join(top, path)
    if not os.path.islink(place) or not os.path.isdir(place):
        return False
    target, root = os.path.realpath(place), os.path.realpath(top)
    return os.path.commonpath((target, root)) not in (target, root)


def _below(top: str, directories: deque[str], policy: Policy, budget: _Budget) -> Iterator[str]:
    """The code below the directories, nearest to the root first."""
    linked = set[str]()  # links may lead round in circles
    while directories and budget.left >= 0:
        directory = directories.popleft()
        if os.path.basename(directory) in INSTALLED:
            continue
        names, below = list[str](), list[str]()
        if os.path.islink(os.path.join(top, directory)):
            target = os.path.realpath(os.path.join(top, directory))
            if target in linked:
                continue
            linked.add(target)
        with os.scandir(os.path.join(top, directory)) as listing:
            for entry in listing:
                budget.left -= 1
                if budget.left < 0:
                    break
                is_directory = entry.is_dir(follow_symlinks=False) or (
                    entry.is_symlink() and _leads_out(top, f"{directory}/{entry.name}")
                )
                (below if is_directory else names).append(entry.name)
        if any(mark in names or mark in below for mark in ENVIRONMENTS):
            continue
        directories.extend(f"{directory}/{name}" for name in sorted(below))
        yield from (path for name in names if _counts(top, path := f"{directory}/{name}", policy))


def _counts(top: str, path: str, policy: Policy) -> bool:
    if path.endswith(".pyc"):  # Python imports it where there is no source, but not from where it keeps its own
        source = os.path.join(top, path[:-1])
        return "__pycache__" not in path.split("/") and not os.path.lexists(source) and not untracked_ok(path, policy)
    if not policy.code_paths and not path.endswith(_ENDINGS):  # most files, at a hundredth of the cost
        return False
    return is_untracked_code(path, policy) and not untracked_ok(path, policy)
