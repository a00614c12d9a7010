"""The file in the git directory that names the task of a `run --queue`, until its end has been reported.

A run that is killed in between finds its task again when it is called again, however the task has ended by then. A
small file for each kind of launch, written under another name and renamed; what cannot be read is not there.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from pathlib import Path

from git_clearml.base.files import private_directory, read_object, write_whole
from git_clearml.base.ids import is_clearml_id, is_hex
from git_clearml.errors import CannotDecide

_MOST = 4096  # bytes


class OpenLaunches:
    """The open launches of this clone, by a digest of what was launched."""

    def __init__(self, common_dir: str) -> None:
        self._directory = Path(common_dir, "clearml", "launches")

    def task(self, digest: str) -> str:
        """The task of an open launch, "" when there is none."""
        task = read_object(self._directory / _checked(digest), _MOST).get("task")
        return task if isinstance(task, str) and is_clearml_id(task) else ""

    def open(self, digest: str, task: str) -> None:
        """Writes the launch down. Raises CannotDecide when that cannot be: a kill could make a second task then."""
        try:
            private_directory(self._directory)
            write_whole(self._directory / _checked(digest), json.dumps({"schema": 1, "task": task}).encode("ascii"))
        except OSError as error:
            message = f"the launch cannot be written down in {self._directory}: {error.strerror}"
            raise CannotDecide(message, shlex.join(["df", "-h", str(self._directory.parent)])) from None

    def close(self, digest: str) -> None:
        """Forgets the launch: how it ended has been reported."""
        with contextlib.suppress(OSError):
            (self._directory / _checked(digest)).unlink()


def _checked(digest: str) -> str:
    if not is_hex(digest, 16, 64):
        raise ValueError(f"not a digest: {digest!r}")
    return digest
