"""Whose a launched task is: what is written on the tasks that we put on queues, and which may be swept. Pure.

The owner is a user property of the task (ClearML's section `properties`). It names the task itself, so that a clone of
the task, which carries the same property, is not taken for one of ours.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from git_clearml.base import jsonvalue
from git_clearml.clearml.properties import LAUNCH
from git_clearml.settings.policy import Runnable

TAG = "git-clearml-check"
"""The tag of every task that `check-runnable` launches."""

DONE = "git-clearml-ended"
"""The tag of such a task that has ended and that no check will touch again: whoever starts it again wants it to run."""

CHECK = "git_clearml_check"
"""The user property under which a check's task carries its owner."""

RUN = LAUNCH
"""The same of a task that `run --queue` has launched."""

ACTIVE = ("created", "queued", "in_progress")
ENDED = ("completed", "failed", "stopped", "closed", "published")
_PASSED = "git-clearml-runnable-"
_MOST = 8000  # characters of a property


def passed_tag(tree: str) -> str:
    """The tag by which a check's task says that this tree is runnable."""
    return _PASSED + tree


def digest(rules: Runnable, *more: str) -> str:
    """A short name for what a check runs and where: a pass is none for another script, queue or image."""
    what = [rules.queue, rules.entry_point, rules.folder, list(rules.args), rules.requirements, rules.docker, *more]
    return hashlib.sha256(json.dumps(what).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def to_property(owner: Owner, name: str) -> dict[str, Any]:
    """The owner as an item of a task's hyperparameters; `name` is CHECK or RUN."""
    value = json.dumps({"schema": 1, **vars(owner)}, sort_keys=True)
    return {
        "section": "properties",
        "name": name,
        "type": "str",
        "value": value,
        "description": "written by git clearml",
    }


def from_property(value: Any) -> Owner | None:
    """The owner that a property's value names, None for anything that is not one of ours."""
    if not isinstance(value, str) or len(value) > _MOST:
        return None
    try:
        document = jsonvalue.parse_object(value)
        if document.get("schema") != 1:
            return None
        texts = {key: jsonvalue.text(document.get(key), key) for key in _TEXTS}
        deadline = jsonvalue.number(document.get("deadline"), "deadline")
        return Owner(pid=jsonvalue.integer(document.get("pid"), "pid"), deadline=deadline, **texts)
    except jsonvalue.Malformed:
        return None


_TEXTS = ("host", "pid_started", "nonce", "tree", "what", "side_ref", "task")


def is_of(owner: Owner, task: str, status: str, parent: str) -> bool:
    """Is this the very task that the owner launched? A draft may not name itself yet, but a clone has a parent."""
    return owner.task == task or (not owner.task and status == "created" and not parent)


def abandoned(owner: Owner, *, host: str, alive: bool, now: float) -> bool:
    """May the task be swept: is its deadline past, or has its process on this very host ended?"""
    return now > owner.deadline or (bool(host) and owner.host == host and not alive)


@dataclass(frozen=True)
class Owner:
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
