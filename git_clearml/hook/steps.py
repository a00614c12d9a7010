"""The steps by which a hook gets to its place and away again. A step prints as what it will do.

Killed between any two of them, git finds the old hook or the new one, never none and never half.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from git_clearml.base.files import umask, write_whole
from git_clearml.hook import script


@dataclass(frozen=True)
class Keep:
    """A stranger's hook under another name; it stays in place until ours replaces it, so that one of them runs."""

    source: Path
    target: Path

    def __str__(self) -> str:
        return f"keep {self.source} as {self.target.name}"

    def apply(self) -> None:
        """A second name for the file (or the link itself); where the file system has no hard links, a rename."""
        if same_file(self.source, self.target):
            return
        try:
            os.link(self.source, self.target, follow_symlinks=False)
        except (OSError, NotImplementedError):
            os.rename(self.source, self.target)


@dataclass(frozen=True)
class Restore:
    """A kept hook back in its place, over ours."""

    source: Path
    target: Path

    def __str__(self) -> str:
        return f"put {self.source.name} back as {self.target}"

    def apply(self) -> None:
        os.rename(self.source, self.target)


@dataclass(frozen=True)
class Write:
    """Our hook, written whole or not at all: the pre-push hook, or `content`, which all may read and run."""

    path: Path
    content: bytes = b""

    def __str__(self) -> str:
        return f"write {self.path}"

    def apply(self) -> None:
        """Whoever installs a git server's hook need not be who runs it, and git goes on without one that it may not
        run."""
        if not self.content:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, script.text(), mode=0o777 & ~umask(), prefix=".git-clearml-")
            return
        for directory in [each for each in (self.path.parent.parent, self.path.parent) if not each.exists()]:
            directory.mkdir()
            directory.chmod(0o755)
        write_whole(self.path, self.content, mode=0o755, prefix=".git-clearml-")


@dataclass(frozen=True)
class Remove:
    """Our hook, taken away."""

    path: Path

    def __str__(self) -> str:
        return f"remove {self.path}"

    def apply(self) -> None:
        os.unlink(self.path)


Step = Keep | Restore | Write | Remove


def apply(steps: Sequence[Step]) -> None:
    """Carries the steps out, in their order. Raises OSError."""
    for step in steps:
        step.apply()


def same_file(first: Path, second: Path) -> bool:
    """Are these two names of one file (or of one link)?"""
    try:
        return os.path.samestat(os.lstat(first), os.lstat(second))
    except OSError:
        return False
