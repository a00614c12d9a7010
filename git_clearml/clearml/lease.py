"""Whose a launched task is: what is written on the tasks that we put on queues, and which may be swept. Pure.

The lease is a user property of the task (ClearML's section `properties`). It names the task itself, so that a clone of
the task, which carries the same property, is not taken for one of ours.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from git_clearml.base import jsonvalue
from git_clearml.clearml.properties import CHECK as CHECK
from git_clearml.clearml.properties import CHECK_TAG, LAUNCH, item
from git_clearml.settings.policy import Runnable

TAG = CHECK_TAG

DONE = "git-clearml-ended"
"""The tag of such a task that has ended and that no check will touch again: whoever starts it again wants it to run."""

RUN = LAUNCH
"""The same of a task that `run --queue` has launched."""

ACTIVE = ("created", "queued", "in_progress")
ENDED = ("completed", "failed", "stopped", "closed", "published")
_PASSED = "git-clearml-runnable-"
_MOST = 8000  # characters of a property
_TEXTS = ("host", "pid_started", "nonce", "tree", "what", "side_ref", "task")


@dataclass(frozen=True)
class Lease:
    """Who launched a check's task, so that nobody else sweeps it while it is alive. Times are seconds since 1970."""

    host: str
    pid: int
    pid_started: str
    nonce: str
    deadline: float
    tree: str = ""
    what: str = ""  # a digest of what was run on the tree
    side_ref: str = ""
    task: str = ""


def passed_tag(tree: str) -> str:
    """The tag by which a check's task says that this tree is runnable."""
    return _PASSED + tree


def digest(rules: Runnable, *more: str) -> str:
    """A short name for what a check runs and where: a pass is none for another script, queue or image."""
    what = [rules.queue, rules.entry_point, rules.folder, list(rules.args), rules.requirements, rules.docker, *more]
    return hashlib.sha256(json.dumps(what).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def to_property(lease: Lease, name: str) -> dict[str, str]:
    """The lease as an item of a task's hyperparameters; `name` is CHECK or RUN."""
    return item(name, json.dumps({"schema": 1, **vars(lease)}, sort_keys=True))


def from_property(value: Any) -> Lease | None:
    """The lease that a property's value holds, None for anything that is not one of ours."""
    if not isinstance(value, str) or len(value) > _MOST:
        return None
    try:
        document = jsonvalue.parse_object(value)
        texts = {key: jsonvalue.text(document.get(key), key) for key in _TEXTS}
        pid = jsonvalue.integer(document.get("pid"), "pid")
        deadline = jsonvalue.number(document.get("deadline"), "deadline")
    except jsonvalue.Malformed:
        return None
    return Lease(pid=pid, deadline=deadline, **texts) if document.get("schema") == 1 else None


def is_of(lease: Lease, task: str, status: str, parent: str) -> bool:
    """Is this the very task that the lease is of? A draft may not name itself yet, but a clone has a parent."""
    return lease.task == task or (not lease.task and status == "created" and not parent)


def expired(lease: Lease, *, host: str, alive: bool, now: float) -> bool:
    """May the task be swept: is its deadline past, or has its process on this very host ended?"""
    return now > lease.deadline or (bool(host) and lease.host == host and not alive)
