"""Finds the tasks that this tool has launched, by the lease that is written on them, and which leases have expired."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from git_clearml.base import process
from git_clearml.clearml import lease, query, response
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.lease import Lease
from git_clearml.errors import CannotDecide
from git_clearml.git.side_ref import SideRef

_FIELDS = ("id", "status", "parent", "tags", "system_tags", "script.repository", "script.version_num", "last_update")


@dataclass(frozen=True)
class LeasedTask:
    """A task of ours as it is now, and its lease."""

    task: str
    status: str
    repository: str
    commit: str
    owner: Lease
    archived: bool = False
    done: bool = False  # nobody is to touch it any more

    @property
    def ended(self) -> bool:
        """Has it ended, for all that is known?"""
        return self.status in lease.ENDED


def expired(api: ClearML, *, host: str, now: float) -> list[LeasedTask]:
    """The tasks of checks that nobody watches any more: they may be swept. One request for 500 of them.

    An archived one too, if it still runs: an agent can take a task from its queue while that is swept. Ended ones too,
    whose side ref may have been left; none that is marked as done, whatever has become of it since.
    """
    tags = ["__$all", lease.TAG, "__$not", lease.DONE]
    checks = reversed(_query(api, lease.CHECK, {"tags": tags}, (*lease.ACTIVE, *lease.ENDED)))
    left = [task for task in checks if not task.done and not (task.archived and task.status == "created")]
    return [task for task in left if lease.expired(task.owner, host=host, alive=lives(task.owner), now=now)]


_A_DAY = 1  # by which clocks may differ: what is looked for has just been made


def of_commit(api: ClearML, name: str, commit: str, days: int) -> list[LeasedTask]:
    """Our tasks of this commit that have not ended and were touched in these last days, newest first. One request.

    `name` is the owner's property.
    """
    since = datetime.now(timezone.utc) - timedelta(days=days)
    tasks = _query(api, name, query.of_commits(*query.patterns([commit])) | query.updated(since))
    return [task for task in tasks if task.commit == commit]


def bears(api: ClearML, name: str, task: str, owner: Lease) -> bool:
    """Does the task of this id carry this very owner's nonce? One request. An id may be that of another task."""
    document = query.task(api, task, ["id", property_of(name)])
    bearer = owner_in(document, name) if document else None
    return bearer is not None and bearer.nonce == owner.nonce


def named(api: ClearML, name: str, commit: str, owner: Lease) -> str:
    """The id of the task that bears this very owner's nonce, "" when there is none: for an answer that was lost."""
    return next((task.task for task in of_commit(api, name, commit, _A_DAY) if task.owner.nonce == owner.nonce), "")


def created(api: ClearML, name: str, commit: str, owner: Lease, create: Callable[[], str]) -> str:
    """The id of the task that `create` makes: of one whose answer was lost, too. Raises as `create` does."""
    try:
        return create()
    except CannotDecide:
        api.renew()
        if task := named(api, name, commit, owner):
            return task
        raise


def _query(
    api: ClearML, name: str, filters: Mapping[str, Any], statuses: Sequence[str] = lease.ACTIVE
) -> list[LeasedTask]:
    documents = query.every(api, {"status": list(statuses), **filters}, [*_FIELDS, property_of(name)])
    tasks = [_leased(document, name) for document in query.newest_first(documents)]
    return [task for task in tasks if task is not None and task.status in statuses]


def property_of(name: str) -> str:
    """The field in which a task's document has this property."""
    return f"hyperparams.properties.{name}"


def _leased(document: Mapping[str, Any], name: str) -> LeasedTask | None:
    """The task, if it is one of ours."""
    identity, status = response.identity(document), response.text(document, "status")
    owner = owner_in(document, name)
    if owner is None or not lease.is_of(owner, identity, status, str(document.get("parent") or "")):
        return None
    script, done = response.part(document, "script"), lease.DONE in response.texts(document, "tags")
    url, commit = response.text(script, "repository"), response.text(script, "version_num")
    return LeasedTask(identity, status, url, commit, owner, "archived" in response.texts(document, "system_tags"), done)


def owner_in(document: Mapping[str, Any], name: str) -> Lease | None:
    """The owner that a task's document carries under this property."""
    return lease.from_property(response.user_property(document, name))


def new_lease(deadline: float, tree: str, what: str, side_ref: SideRef | None) -> Lease:
    """A lease of this very process, for a task that is about to be made; the deadline in seconds since 1970."""
    pid, nonce = os.getpid(), secrets.token_hex(8)
    ref = side_ref.ref if side_ref else ""
    return Lease(process.here(), pid, process.started(pid), nonce, deadline, tree, what, ref)


def lives(owner: Lease) -> bool:
    """Does the owner's process still run, on this very host? Where that cannot be told, it does."""
    if not owner.pid_started:
        return True
    started = process.started(owner.pid)
    return started == owner.pid_started if started else owner.pid > 0 and _is_hidden(owner.pid)


def _is_hidden(pid: int) -> bool:
    """Is there a process of somebody else, which /proc does not show us (its mount option `hidepid`)?"""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return False  # it is ours, and has ended
