"""Finds the tasks that this tool has launched, by the owner that is written on them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from git_clearml import owners, processes
from git_clearml.clearml_api import ClearML
from git_clearml.errors import BadAnswer, Refused
from git_clearml.evidence import answers
from git_clearml.launches import Owner
from git_clearml.repository import is_hash

_PAGE = 500
_UNKNOWN_FIELD = (400, 14)  # result code and subcode, see point 13 of the README of tests/contract/recordings
_FIELDS = ("id", "status", "parent", "system_tags", "script.repository", "script.version_num")


@dataclass(frozen=True)
class Owned:
    """A task of ours as it is now, and its owner."""

    task: str
    status: str
    repository: str
    commit: str
    owner: Owner
    archived: bool = False


def abandoned(api: ClearML, *, here: str, now: float) -> list[Owned]:
    """The tasks of checks that nobody watches any more: they may be swept. One request.

    An archived one too, if it still runs: an agent can take a task from its queue while that is swept.
    """
    found = _asked(api, owners.CHECK, {"tags": [owners.TAG], "order_by": ["last_update"]})
    active = [one for one in found if not (one.archived and one.status == "created")]
    return [one for one in active if owners.abandoned(one.owner, host=here, alive=_lives(one.owner), now=now)]


def of_commit(api: ClearML, name: str, commit: str) -> list[Owned]:
    """Our tasks of this commit that have not ended, newest first; `name` is the owner's property. One request."""
    if not is_hash(commit):
        raise BadAnswer("only full hashes are asked for")
    found = _asked(api, name, {"_all_": {"fields": ["script.version_num"], "pattern": f"^{commit}$"}})
    return [one for one in found if one.commit == commit]


def bears(api: ClearML, name: str, task: str, owner: Owner) -> bool:
    """Does the task of this id carry this very owner's nonce? One request. An id may be that of another task."""
    asked = {"id": [task], "page": 0, "page_size": 1}
    found = [one for one in documents(api, asked, ["id", property_of(name)]) if answers.identity(one) == task]
    return any(one.nonce == owner.nonce for document in found if (one := owner_in(document, name)))


def named(api: ClearML, name: str, commit: str, owner: Owner) -> str:
    """The id of the task that bears this very owner's nonce, "" when there is none: for an answer that was lost."""
    return next((one.task for one in of_commit(api, name, commit) if one.owner.nonce == owner.nonce), "")


def _asked(api: ClearML, name: str, query: Mapping[str, Any]) -> list[Owned]:
    body: dict[str, Any] = {
        "status": list(owners.ACTIVE),
        "order_by": ["-last_update"],
        **query,
        "page": 0,
        "page_size": _PAGE,
    }
    read = (_owned(document, name) for document in documents(api, body, [*_FIELDS, property_of(name)]))
    return [one for one in read if one is not None and one.status in owners.ACTIVE]


def documents(api: ClearML, body: Mapping[str, Any], fields: Sequence[str]) -> list[Mapping[str, Any]]:
    """These fields of the tasks that a query finds. One request.

    A server that knows no single properties is asked once more, for all of them. Raises the errors of ClearML.call.
    """
    try:
        return answers.documents(api.call("tasks.get_all_ex", {**body, "only_fields": list(fields)}))
    except Refused as refusal:
        if (refusal.result_code, refusal.subcode) != _UNKNOWN_FIELD:
            raise
    whole = ["hyperparams" if one.startswith("hyperparams.") else one for one in fields]
    return answers.documents(api.call("tasks.get_all_ex", {**body, "only_fields": whole}))


def property_of(name: str) -> str:
    """The field in which a task's document has this property."""
    return f"hyperparams.properties.{name}"


def _owned(document: Mapping[str, Any], name: str) -> Owned | None:
    """The task, if it is one of ours."""
    identity, status = answers.identity(document), answers.text(document, "status")
    owner = owner_in(document, name)
    if owner is None or not owners.is_of(owner, identity, status, str(document.get("parent") or "")):
        return None
    script, archived = answers.part(document, "script"), "archived" in answers.texts(document, "system_tags")
    url, commit = answers.text(script, "repository"), answers.text(script, "version_num")
    return Owned(identity, status, url, commit, owner, archived)


def owner_in(document: Mapping[str, Any], name: str) -> Owner | None:
    """The owner that a task's document carries under this property."""
    properties = answers.part(answers.part(document, "hyperparams"), "properties")
    return owners.from_property(answers.part(properties, name).get("value"))


def _lives(owner: Owner) -> bool:
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
