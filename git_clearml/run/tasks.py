"""The tasks that a run made on a ClearML server: found by the run's marker, and given its record.

A user property is how ClearML lets people write on a task (Task.set_user_properties in clearml 2.1:
tasks.edit_hyper_params, section `properties`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from git_clearml.base.ids import is_hash
from git_clearml.clearml import response as answers
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.properties import PROPERTY
from git_clearml.errors import BadAnswer, Refused
from git_clearml.model import RunRecord, Session
from git_clearml.run import record as run_records
from git_clearml.settings.table import MARKER

_PAGE = 500  # what the server gives at most
_SETTLING = 10.0  # seconds for a task to reach its end: the SDK reports it before its process ends
_AT_WORK = ("in_progress", "queued", "created")
_ENVIRONMENT = ("hyperparams", "Environment")  # where the SDK logs variables (binding/environ_bind.py)
_FIELDS = ("id", "name", "status", "project.name", "script.version_num", "script.repository", "script.entry_point")
_OWN = (*_FIELDS, "script.working_dir", ".".join((*_ENVIRONMENT, MARKER)))


def find(
    api: ClearML,
    record: RunRecord,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> list[tuple[Session, str]]:
    """The tasks of the run with their statuses; asked again for up to 10 s while one has not ended.

    Raises the errors of ClearML.call.
    """
    deadline = clock() + _SETTLING
    while True:
        found = [_described(document) for document in _of_commit(api, record) if _marker(document) == record.id]
        if clock() >= deadline or not any(status in _AT_WORK for _, status in found):
            return found
        sleep(1.0)


def attach(api: ClearML, task: str, record: RunRecord) -> None:
    """Puts the record onto the task as a user property. Raises the errors of ClearML.call."""
    item = {"section": "properties", "name": PROPERTY, "value": run_records.to_property(record)}
    item |= {"type": "str", "description": "written by git clearml run"}
    try:
        api.call("tasks.edit_hyper_params", {"task": task, "hyperparams": [item]})
    except Refused:  # a server from before API 2.9
        answer = api.call("tasks.get_all_ex", {"id": [task], "only_fields": ["id", "hyperparams"]})
        documents = [one for one in _documents(answer) if one.get("id") == task]
        if not documents:
            raise
        sections = {**_part(documents[0], "hyperparams")}
        sections["properties"] = {**_part(sections, "properties"), PROPERTY: item}
        api.call("tasks.edit", {"task": task, "force": True, "hyperparams": sections})


def _of_commit(api: ClearML, record: RunRecord) -> Iterator[Mapping[str, Any]]:
    """Every task of the record's commit that changed since a day before the run: clocks differ."""
    if not is_hash(record.commit):
        raise BadAnswer("only full hashes are asked for")
    since = datetime.fromisoformat(record.started) - timedelta(days=1)
    body = {
        "_all_": {"fields": ["script.version_num"], "pattern": f"^{record.commit}$"},
        "last_update": [f">={since.replace(tzinfo=None).isoformat(timespec='seconds')}"],
        "order_by": ["-last_update", "id"],
        "page_size": _PAGE,
    }
    fields, page = list(_OWN), 0
    while True:
        asked = {**body, "page": page}
        try:
            answer = api.call("tasks.get_all_ex", {**asked, "only_fields": fields})
        except Refused as refusal:
            if (refusal.result_code, refusal.subcode) != (400, 14) or "hyperparams" in fields:
                raise
            fields = [*fields[:-1], "hyperparams"]  # a server that knows no single entries of a map
            continue
        documents = _documents(answer)
        yield from (one for one in documents if _part(one, "script").get("version_num") == record.commit)
        if len(documents) < _PAGE:
            return
        page += 1


def _documents(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    tasks = answer.get("tasks")
    sound = isinstance(tasks, list) and all(isinstance(one, dict) and isinstance(one.get("id"), str) for one in tasks)
    if not isinstance(tasks, list) or not sound:
        raise BadAnswer("the server answered without a list of tasks", "is it a ClearML API server?")
    return tasks


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _marker(document: Mapping[str, Any]) -> str:
    value = _part(_part(_part(document, _ENVIRONMENT[0]), _ENVIRONMENT[1]), MARKER).get("value")
    return value if isinstance(value, str) else ""


def _described(document: Mapping[str, Any]) -> tuple[Session, str]:
    script = _part(document, "script")

    def text(part: Mapping[str, Any], name: str) -> str:
        value = part.get(name)
        return value if isinstance(value, str) else ""

    session = Session(
        id=text(document, "id"),
        name=text(document, "name"),
        project=text(_part(document, "project"), "name"),
        commit=text(script, "version_num"),
        repository=text(script, "repository"),
        entry_point=text(script, "entry_point"),
        working_dir=text(script, "working_dir"),
        run=_marker(document),
    )
    return session, text(document, "status")


def run_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The run record that `git clearml run` put on the task, if any; one that cannot be read is damage."""
    properties = answers.part(answers.part(document, "hyperparams"), "properties")
    entry = answers.part(properties, PROPERTY)
    text = entry.get("value")
    if not text:
        return {}
    record = run_records.from_property(str(text))
    if isinstance(record, run_records.Damaged):
        return {"damage": f"its run record cannot be read: {record.why}"}
    return {"run": record}
