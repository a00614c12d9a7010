"""Where run records lie: `<common git dir>/clearml/runs/<commit>/<run id>.json`, one file per run.

The common git directory is shared by all worktrees. A record is written to a temporary file and moved into place, so
that a reader sees the old one, the new one or none; a process that is killed leaves nothing that trips the next.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable

from git_clearml.base import process as processes
from git_clearml.base.files import private_directory, read_limited, write_whole
from git_clearml.base.ids import is_hash
from git_clearml.model import RunRecord
from git_clearml.run import record as run_records
from git_clearml.run.record import Damaged

MAX_BYTES = 10_000_000


class RunStore:
    """The run records of one repository. Nothing is created before the first `write`."""

    def __init__(self, common_dir: str) -> None:
        self._root = os.path.join(common_dir, "clearml", "runs")

    def write(self, record: RunRecord) -> None:
        """Writes or replaces the record, atomically and for good (fsync). Raises OSError."""
        directory = os.path.join(self._root, record.commit)
        private_directory(directory, levels=3)
        content = json.dumps(run_records.to_json(record), indent=1).encode("ascii")
        write_whole(os.path.join(directory, f"{record.id}.json"), content, durable=True, prefix=f".{record.id}.")

    def of_commits(self, commits: Iterable[str]) -> list[RunRecord | Damaged]:
        """Every record of these commits, by full hash, in no order that means anything."""
        return [self._read(place) for commit in dict.fromkeys(commits) for place in self._files(commit)]

    def sound_of(self, commits: Iterable[str]) -> list[RunRecord]:
        """Those of them that can be read."""
        return [record for record in self.of_commits(commits) if isinstance(record, RunRecord)]

    def recent(self, limit: int) -> list[RunRecord | Damaged]:
        """The records written last, whatever their commit: the newest first, at most `limit`."""
        files = [place for commit in _names(self._root) for place in self._files(commit)]
        return [self._read(place) for place in sorted(files, key=_written, reverse=True)[:limit]]

    def _files(self, commit: str) -> list[str]:
        """The record files of a commit; temporary ones of writers that were killed do not count."""
        if not is_hash(commit):
            return []
        directory = os.path.join(self._root, commit)
        names = (name for name in _names(directory) if name.endswith(".json") and not name.startswith("."))
        return [os.path.join(directory, name) for name in names]

    def _read(self, path: str) -> RunRecord | Damaged:
        """The record in a file. It must be the one that its place says; its process is looked for."""
        where = os.path.relpath(path, self._root)
        commit, name = os.path.split(where)
        content = read_limited(path, MAX_BYTES)
        if isinstance(content, str):
            return Damaged(where, content, commit)
        record = run_records.parse(content, where)
        if isinstance(record, Damaged):
            return record._replace(commit=commit)
        if record.commit != commit or record.id != name.removesuffix(".json"):
            return Damaged(where, "it is the record of another run, moved here", commit)
        return record._replace(alive=not record.ended and _lives(record))


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _written(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return 0.0


def _lives(record: RunRecord) -> bool:
    """Does the process that wrote an open record still run, on this host and not under a number used again?"""
    return (
        record.host == socket.gethostname()
        and bool(record.pid_started)
        and (processes.started(record.pid) == record.pid_started)
    )
