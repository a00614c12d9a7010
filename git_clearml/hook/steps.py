"""The steps by which a hook gets to its place and away again. A step prints as what it will do.

Killed between any two of them, git finds the old hook or the new one, never none and never half.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from git_clearml.base.files import umask, write_whole
from git_clearml.hook import shipped


@dataclass(frozen=True)
class Keep:
    """A stranger's hook under another name; it stays in place until ours replaces it, so that one of them runs."""

    source: Path
    target: Path

    def __str__(self) -> str:
        return f"keep {self.source} as {self.target.name}"


@dataclass(frozen=True)
class Restore:
    """A kept hook back in its place, over ours."""

    source: Path
    target: Path

    def __str__(self) -> str:
        return f"put {self.source.name} back as {self.target}"


@dataclass(frozen=True)
class Write:
    """Our hook, written whole or not at all: the pre-push hook, or `content`, which all may read and run."""

    path: Path
    content: bytes = b""

    def __str__(self) -> str:
        return f"write {self.path}"


@dataclass(frozen=True)
class Remove:
    """Our hook, taken away."""

    path: Path

    def __str__(self) -> str:
        return f"remove {self.path}"


Step = Keep | Restore | Write | Remove


def apply(steps: Sequence[Step]) -> None:
    """Carries the steps out, in their order. Raises OSError."""
    for step in steps:
        if isinstance(step, Keep):
            _keep(step.source, step.target)
        elif isinstance(step, Restore):
            os.rename(step.source, step.target)
        elif isinstance(step, Remove):
            os.unlink(step.path)
        elif step.content:
            _write_for_all(step.path, step.content)
        else:
            _write(step.path)


def same_file(first: Path, second: Path) -> bool:
    """Are these two names of one file (or of one link)?"""
    try:
        return os.path.samestat(os.lstat(first), os.lstat(second))
    except OSError:
        return False


def _keep(source: Path, target: Path) -> None:
    """A second name for the file (or the link itself); where the file system has no hard links, a rename."""
    if same_file(source, target):
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        os.rename(source, target)


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, shipped.text(), mode=0o777 & ~umask(), prefix=".git-clearml-")


def _write_for_all(path: Path, content: bytes) -> None:
    """Whoever installs a git server's hook need not be who runs it, and git goes on without one that it may not run."""
    for directory in [each for each in (path.parent.parent, path.parent) if not each.exists()]:
        directory.mkdir()
        directory.chmod(0o755)
    write_whole(path, content, mode=0o755, prefix=".git-clearml-")
