"""What a server has of offline sessions: tasks that imports have finished, or left unfinished.

Numbers in brackets are points of the README of tests/contract/recordings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from git_clearml.clearml import query, response, tasks
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.properties import IMPORT, PROPERTY
from git_clearml.run import record as run_records
from git_clearml.run import staging

_AT_ONCE = 500  # sessions of one question: a pattern has 32,000 characters at most [6]
_PROPERTIES = "hyperparams.properties."
FIELDS = (
    *("id", "name", "status", "created", "started", "parent", "last_update"),
    *(f"{_PROPERTIES}{IMPORT}.value", _PROPERTIES + PROPERTY),  # not the first whole, too: paths that collide
)


def existing(api: ClearML, sessions: Sequence[str], since: datetime | None) -> list[query.Document]:
    """What the server has of these sessions: tasks that were made of them, unfinished ones, and clones of both.

    Of those that changed since a day before. One request for 500. Raises the errors of ClearML.call.
    """
    bound = {} if since is None else query.updated(since - timedelta(days=1))
    fields = ["name", f"{_PROPERTIES}{IMPORT}.value"]
    documents: list[query.Document] = []
    for first in range(0, len(sessions), _AT_ONCE):
        names = "|".join(sessions[first : first + _AT_ONCE])
        pattern = f"^({staging.unfinished_name('')})?({names})$"
        documents += query.every(api, {"_any_": {"fields": fields, "pattern": pattern}, **bound}, FIELDS)
    return documents


def age(document: query.Document) -> tuple[str, str]:
    """An order of tasks: by when the server made them, then by their ids."""
    return response.text(document, "created"), response.identity(document)


def is_unfinished(document: query.Document, session: str) -> bool:
    """Is this what an import of the session has left? Not a clone of it, which has a parent [29]."""
    return response.text(document, "name") == staging.unfinished_name(session) and not document.get("parent")


def is_import(document: query.Document, session: str) -> bool:
    """Is this the task that the session became? A clone bears the record of that one."""
    if response.user_property(document, IMPORT) != session or is_unfinished(document, session):
        return False
    record = run_records.run_of(document).get("run")
    return record is not None and record.task is not None and record.task.id == response.identity(document)


def delete_unfinished(api: ClearML, documents: Iterable[query.Document], session: str) -> None:
    """Deletes what broken imports of the session have left. Raises the errors of ClearML.call."""
    for document in documents:
        if is_unfinished(document, session):
            tasks.delete(api, response.identity(document))
