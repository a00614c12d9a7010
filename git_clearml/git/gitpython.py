"""GitPython's `git.cmd.Git` alone: what it takes to run git, and nothing of GitPython's object layer.

Importing `git.cmd` the usual way first runs `git/__init__.py`, which imports all of GitPython and gitdb and starts
`git version` twice: half of what the gate's own imports take together. So its modules are loaded below packages whose
own code has not run. They are ours alone: whoever imports `git` later gets all of it.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from git.cmd import Git

_PACKAGES = ("git", "gitdb")


class GitPython(NamedTuple):
    """What runs git, and what it raises where there is none."""

    git: type[Git]
    not_found: type[Exception]


@functools.cache
def load() -> GitPython:
    """Loads it at the first call, so that `--help` and a skipped hook do without. Raises ImportError."""
    if not sys.modules.keys() & set(_PACKAGES):
        try:
            return _alone()
        except (ImportError, AttributeError):
            pass  # a GitPython whose modules need what its packages do
    return _whole()


def _alone() -> GitPython:
    from importlib import util

    before = set(sys.modules)
    try:
        for name in _PACKAGES:
            spec = util.find_spec(name)
            if spec is None:
                raise ImportError(name)
            sys.modules[name] = util.module_from_spec(spec)
        return _classes()
    finally:
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in _PACKAGES:
                del sys.modules[name]


def _whole() -> GitPython:
    name = "GIT_PYTHON_REFRESH"
    before = os.environ.get(name)
    os.environ.setdefault(name, "quiet")  # a missing git is our error to report, not an ImportError
    try:
        return _classes()
    finally:
        if before is None:
            del os.environ[name]  # the commands that we run have no use for it


def _classes() -> GitPython:
    from git.cmd import Git
    from git.exc import GitCommandNotFound

    return GitPython(Git, GitCommandNotFound)
