"""Code that an untracked symbolic link leads to: a run imports it through the link, and git names the link alone."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator

from git_clearml.base import globs
from git_clearml.errors import CannotDecide
from git_clearml.git.ignored import ALL_ENTRIES, ENVIRONMENTS, INSTALLED
from git_clearml.settings.code_paths import NEVER_OK


def code_behind(top: str, path: str) -> Iterator[tuple[str, str]]:
    """The code below the directory that a link leads to, by its paths through the link, with where each lies.

    Every directory once. Nothing for what is no link, and for one to nowhere. What has the name of code only where the
    link leads is shown as `link -> file`. Not in virtual environments, nor in directories of installed packages. Raises
    CannotDecide where the link leads to millions of files.
    """
    place = os.path.join(top, path)
    if not os.path.islink(place):
        return
    if not os.path.isdir(place):
        yield from _file(top, path)
        return
    left, directories, seen = ALL_ENTRIES, deque([path]), set[tuple[int, int]]()
    while directories:
        directory = directories.popleft()
        try:
            status = os.stat(os.path.join(top, directory))
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(os.path.join(top, directory)) as listing:
                entries = [(entry.name, entry.is_dir(), entry.is_symlink()) for entry in listing]
        except OSError:  # what we may not read Python does not either
            continue
        left -= len(entries)
        if left < 0:
            raise CannotDecide(f"{path} leads to more files than are looked at", "link to a smaller directory")
        if any(name in ENVIRONMENTS for name, *_ in entries):
            continue
        for name, is_directory, is_link in sorted(entries):
            below = f"{directory}/{name}"
            if is_directory:
                directories.extend([] if name in INSTALLED else [below])
            elif _is_code(name):
                yield below, os.path.join(top, below)
            elif is_link:
                yield from _file(top, below)


def _file(top: str, path: str) -> Iterator[tuple[str, str]]:
    target = os.path.realpath(os.path.join(top, path))
    if _is_code(target) and not _is_code(path) and os.path.isfile(target):
        yield f"{path} -> {os.path.relpath(target, os.path.realpath(top))}", target


def _is_code(path: str) -> bool:
    return globs.matches(NEVER_OK, path.rpartition("/")[2])
