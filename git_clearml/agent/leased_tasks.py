"""Finds the tasks that this tool has launched, by the owner that is written on them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from git_clearml.base import process as processes
from git_clearml.base.ids import is_hash
from git_clearml.clearml import lease as owners
from git_clearml.clearml import query
from git_clearml.clearml import response as answers
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.lease import Owner
from git_clearml.errors import BadAnswer

_FIELDS = ("id", "status", "parent", "tags", "system_tags", "script.repository", "script.version_num")


@dataclass(frozen=True)
class Owned:
    """A task of ours as it is now, and its owner."""

    task: str
    status: str
    repository: str
    commit: str
    owner: Owner
    archived: bool = False
    done: bool = False  # nobody is to touch it any more

    @property
    def ended(self) -> bool:
        """Has it ended, for all that is known?"""
        return self.status in owners.ENDED


def abandoned(api: ClearML, *, here: str, now: float) -> list[Owned]:
    """The tasks of checks that nobody watches any more: they may be swept. One request for 500 of them.

    An archived one too, if it still runs: an agent can take a task from its queue while that is swept. Ended ones too,
    whose side ref may have been left; none that is marked as done, whatever has become of it since.
    """
    tags = ["__$all", owners.TAG, "__$not", owners.DONE]
    found = _asked(api, owners.CHECK, {"tags": tags, "order_by": ["last_update"]}, (*owners.ACTIVE, *owners.ENDED))
    left = [one for one in found if not one.done and not (one.archived and one.status == "created")]
    return [one for one in left if owners.abandoned(one.owner, host=here, alive=lives(one.owner), now=now)]


def of_commit(api: ClearML, name: str, commit: str) -> list[Owned]:
    """Our tasks of this commit that have not ended, newest first; `name` is the owner's property. One request."""
    if not is_hash(commit):
        raise BadAnswer("only full hashes are asked for")
    found = _asked(api, name, query.of_commits(f"^{commit}$"))
    return [one for one in found if one.commit == commit]


def bears(api: ClearML, name: str, task: str, owner: Owner) -> bool:
    """Does the task of this id carry this very owner's nonce? One request. An id may be that of another task."""
    document = query.task(api, task, ["id", property_of(name)])
    bearer = owner_in(document, name) if document else None
    return bearer is not None and bearer.nonce == owner.nonce


def named(api: ClearML, name: str, commit: str, owner: Owner) -> str:
    """The id of the task that bears this very owner's nonce, "" when there is none: for an answer that was lost."""
    return next((one.task for one in of_commit(api, name, commit) if one.owner.nonce == owner.nonce), "")


def _asked(api: ClearML, name: str, filters: Mapping[str, Any], statuses: Sequence[str] = owners.ACTIVE) -> list[Owned]:
    body = {"status": list(statuses), "order_by": ["-last_update"], **filters}
    read = (_owned(document, name) for document in query.every(api, body, [*_FIELDS, property_of(name)]))
    return [one for one in read if one is not None and one.status in statuses]


def property_of(name: str) -> str:
    """The field in which a task's document has this property."""
    return f"hyperparams.properties.{name}"


def _owned(document: Mapping[str, Any], name: str) -> Owned | None:
    """The task, if it is one of ours."""
    identity, status = answers.identity(document), answers.text(document, "status")
    owner = owner_in(document, name)
    if owner is None or not owners.is_of(owner, identity, status, str(document.get("parent") or "")):
        return None
    script, done = answers.part(document, "script"), owners.DONE in answers.texts(document, "tags")
    url, commit = answers.text(script, "repository"), answers.text(script, "version_num")
    return Owned(identity, status, url, commit, owner, "archived" in answers.texts(document, "system_tags"), done)


def owner_in(document: Mapping[str, Any], name: str) -> Owner | None:
    """The owner that a task's document carries under this property."""
    properties = answers.part(answers.part(document, "hyperparams"), "properties")
    return owners.from_property(answers.part(properties, name).get("value"))


def lives(owner: Owner) -> bool:
    """Does the owner's process still run, on this very host? Where that cannot be told, it does."""
    if not owner.pid_started:
        return True
    started = processes.started(owner.pid)
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
