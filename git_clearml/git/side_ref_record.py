"""The records of side refs: a small file each in `<common git dir>/clearml/side-refs/`; which refs nobody needs."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from git_clearml.base import process as processes
from git_clearml.base.files import private_directory, read_object, write_whole
from git_clearml.base.ids import SIDE_REFS, is_clearml_id, is_hash, side_ref_commit
from git_clearml.errors import CannotDecide
from git_clearml.git.repository import Repository

LONG_AGO = 86400.0
"""Seconds after which a process that cannot be told from another counts as gone."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MOST = 20_000  # bytes of a record
_ADDED = {"deadline": 0.0, "server": ""}  # what records of earlier versions lack, and what that means


@dataclass(frozen=True)
class SideRef:
    """A side ref, and whose it is.

    `remote` is the remote's name, or its URL where it has none, and `url` where it was pushed to; both without
    credentials. `task` is the id of the task that needs it, on the ClearML `server` of that API URL; "" while only the
    process does that made it, and that until the `deadline` (0 for none). `host` is `processes.here()`; times are in
    seconds since 1970. `arriving`: git has not come to its end, and the ref may not be there yet.
    """

    ref: str
    remote: str
    url: str
    commit: str
    task: str = ""
    pid: int = 0
    pid_started: str = ""
    host: str = ""
    created: float = 0.0
    deadline: float = 0.0
    server: str = ""
    arriving: bool = field(default=False, compare=False)


_KEPT = tuple(item.name for item in fields(SideRef) if item.compare)


def recorded(repository: Repository) -> list[SideRef]:
    """The side refs that this clone has pushed and not deleted, the oldest first. What is no record of ours is not."""
    directory = _directory(repository)
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    leaves = [name.removesuffix(".json") for name in names if name.endswith(".json")]
    records = [_read(os.path.join(directory, f"{leaf}.json"), leaf) for leaf in leaves if side_ref_commit(leaf)]
    return sorted((record for record in records if record), key=lambda record: (record.created, record.ref))


def leaf_of(ref: str, commit: str) -> str:
    """The last part of a side ref's name. Raises CannotDecide for a ref that is none, or not of this commit."""
    leaf = ref.removeprefix(SIDE_REFS)
    digits = side_ref_commit(leaf)
    if not ref.startswith(SIDE_REFS) or not digits or not is_hash(commit) or not commit.startswith(digits):
        raise CannotDecide(f"{ref[:200]!r} is no side ref of commit {commit[:64]!r}", "it is left alone")
    return leaf


def _directory(repository: Repository) -> str:
    return os.path.join(repository.common_dir, "clearml", "side-refs")


def write(repository: Repository, side_ref: SideRef) -> None:
    """Writes the record whole, under another name, and renames it. Raises CannotDecide where it cannot be kept."""
    directory = _directory(repository)
    path = os.path.join(directory, f"{leaf_of(side_ref.ref, side_ref.commit)}.json")
    document = {key: value for key, value in asdict(side_ref).items() if key in _KEPT}
    try:
        private_directory(directory)
        write_whole(path, json.dumps(document).encode("ascii"), durable=True)
    except OSError as error:
        raise CannotDecide(
            f"the record of a side ref cannot be written to {directory}: {error.strerror}",
            "fix that, or push the branch: without its record the side ref would never be deleted",
        ) from None


def forget(repository: Repository, side_ref: SideRef) -> None:
    """Removes the record. Where that fails, the next sweep finds the ref gone and tries again."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(_directory(repository), f"{leaf_of(side_ref.ref, side_ref.commit)}.json"))


def _read(path: str, leaf: str) -> SideRef | None:
    """The record in a file; None for one that is damaged, or does not belong where it lies."""
    document = {**_ADDED, **read_object(path, _MOST)}
    try:
        record = SideRef(**{name: document[name] for name in _KEPT})
        texts = [getattr(record, name) for name in _KEPT if name not in ("pid", "created", "deadline")]
        sound = (
            all(isinstance(text, str) and not _CONTROL.search(text) for text in texts)
            and type(record.pid) is int
            and all(map(_is_time, (record.created, record.deadline)))
            and leaf_of(record.ref, record.commit) == leaf
            and (not record.task or is_clearml_id(record.task))
        )
    except (KeyError, CannotDecide):
        return None
    return record if sound else None


def _is_time(value: Any) -> bool:
    return type(value) is float and math.isfinite(value)


def abandoned(repository: Repository, *, host: str, now: float) -> list[SideRef]:
    """The recorded side refs that no task needs: past their deadline, or of a process of this host that has ended.

    `host` is `processes.here()`; a process of another host, or of this one before a restart, is not to be seen.
    """
    return [
        record
        for record in recorded(repository)
        if not record.task and (0 < record.deadline < now or (record.host == host and not is_alive(record, now)))
    ]


def is_alive(side_ref: SideRef, now: float) -> bool:
    """Does the process that made the side ref still run?"""
    started = processes.started(side_ref.pid)
    if side_ref.pid_started:
        return started == side_ref.pid_started
    return bool(started) and now - side_ref.created < LONG_AGO  # its start could not be read
