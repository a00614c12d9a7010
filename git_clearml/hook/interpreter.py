"""Which Python has installed the hook: it runs git-clearml where that is not on PATH, as in a graphical client."""

from __future__ import annotations

import os
import sys

from git_clearml.base.files import private_directory, read_limited, write_whole

_MOST = 4096  # bytes of a path


def remember(common_dir: str) -> None:
    """Writes down this Python for hooks/pre-push, which reads it. Raises OSError."""
    private_directory(os.path.dirname(_path(common_dir)))
    write_whole(_path(common_dir), os.fsencode(sys.executable) + b"\n")


def remembered(common_dir: str) -> str:
    """The Python that has installed the hook, "" where none is written down, or it is gone."""
    content = read_limited(_path(common_dir), _MOST)
    python = "" if isinstance(content, str) else os.fsdecode(content.rstrip(b"\n"))
    return python if python and os.access(python, os.X_OK) else ""


def _path(common_dir: str) -> str:
    return os.path.join(common_dir, "clearml", "python")
