"""The tasks that a run made on a ClearML server: found by the run's marker or its worker's name, and given its record.

A user property is how ClearML lets people write on a task (Task.set_user_properties in clearml 2.1:
tasks.edit_hyper_params, section `properties`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from git_clearml.clearml import query, response, worker
from git_clearml.clearml import tasks as clearml_tasks
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.properties import PROPERTY, SECTION, TREE, item
from git_clearml.errors import Refused
from git_clearml.model import RecordedTask, RunRecord, Session
from git_clearml.run import ownership
from git_clearml.run import record as run_records
from git_clearml.settings.table import MARKER

_SETTLING = 10.0  # seconds for a task to reach its end: the SDK reports it before its process ends
_SKEW, _GRAIN = timedelta(minutes=10), timedelta(seconds=2)  # of clocks, and of what the SDK writes of ours
_SEARCHABLE = 2.0  # seconds until a search finds an event (Elasticsearch refreshes its index every second)
_COMMENT = "Auto-generated at "
_ENVIRONMENT = ("hyperparams", "Environment")  # where the SDK logs variables (binding/environ_bind.py)
_FIELDS = ("id", "name", "status", "started", "last_update", "comment", "project.name", "script.version_num")
_OWN = (*_FIELDS, "script.repository", "script.entry_point", "script.working_dir", ".".join((*_ENVIRONMENT, MARKER)))


class MadeTask(NamedTuple):
    """A task that a run has made, its status, and when it started: ISO 8601 as the server has it, "" for not yet."""

    session: Session
    status: str
    started: str


def find(
    api: ClearML,
    record: RunRecord,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> list[MadeTask]:
    """The tasks of the run; asked again for up to 10 s while one has not ended. Where it has none of its commit, those
    of another or of none, which verify nothing.

    The marker tells those that are the first of their process. Of the commit's other tasks that were touched since the
    run began the console log is asked for its worker.

    Raises the errors of ClearML.call.
    """
    deadline, asked_again = clock() + _SETTLING, False
    others: dict[str, bool] = {}
    while True:
        documents = [document for document in _of_commit(api, record) if _is_of_run(api, document, record, others)]
        tasks = [_described(document) for document in documents]
        if clock() < deadline and any(task.status in ownership.AT_WORK for task in tasks):
            sleep(1.0)
            continue
        if asked_again or all(others.values()):
            return tasks or _of_another_commit(api, record)
        asked_again, others = True, {task: True for task, is_ours in others.items() if is_ours}
        sleep(_SEARCHABLE)


def attach(api: ClearML, own_task: MadeTask, record: RunRecord) -> None:
    """Puts the record onto the task as a user property, and the tree by which other clones find it as another.

    Raises the errors of ClearML.call.
    """
    task = own_task.session.id
    own = ownership.for_task(record, RecordedTask(task, own_task.status, own_task.started))
    texts = {PROPERTY: run_records.to_property(own)} | ({TREE: record.tree} if record.tree else {})
    items = {name: item(name, text, "git clearml run") for name, text in texts.items()}
    try:
        api.call("tasks.edit_hyper_params", {"task": task, "hyperparams": list(items.values())})
    except Refused:  # a server from before API 2.9
        document = query.task(api, task, ["id", "hyperparams"])
        if document is None:
            raise
        sections = {**response.part(document, "hyperparams")}
        sections[SECTION] = {**response.part(sections, SECTION), **items}
        api.call("tasks.edit", {"task": task, "force": True, "hyperparams": sections})


def _of_commit(api: ClearML, record: RunRecord) -> list[query.Document]:
    """Every task of the record's commit that changed since a day before the run, newest first: clocks differ."""
    since = datetime.fromisoformat(record.started) - timedelta(days=1)
    body = {**query.of_commits(*query.patterns([record.commit])), **query.updated(since)}
    return query.newest_first(query.every(api, body, _OWN))


def _of_another_commit(api: ClearML, record: RunRecord) -> list[MadeTask]:
    """The run's tasks that name another commit, or none: the SDK finds none for `python -c` and a script on stdin."""
    since = datetime.fromisoformat(record.started) - timedelta(days=1)
    marked = {f"{'.'.join(_ENVIRONMENT)}.{MARKER}.value": [record.id]}
    return [_described(document) for document in query.every(api, {**marked, **query.updated(since)}, _OWN)]


def _is_of_run(api: ClearML, document: query.Document, record: RunRecord, others: dict[str, bool]) -> bool:
    """Has the run made this task? `others` remembers what was found out about those without a marker."""
    task, marker = response.identity(document), _marker(document)
    if marker or not _may_be_of_run(document, record):
        return marker == record.id
    ended = response.text(document, "status") not in ownership.AT_WORK
    if not others.get(task) and not (task in others and ended):
        api.renew()  # a sweep has hundreds of them
        try:
            others[task] = any(worker.run_of(name) == record.id for name in clearml_tasks.workers(api, task))
        except Refused:  # it has been deleted meanwhile
            others[task] = False
    return others[task]


def _may_be_of_run(document: query.Document, record: RunRecord) -> bool:
    """Was the task touched since the run began? The server's clock may be wrong; the SDK wrote ours into the comment.

    (clearml 2.1, backend_interface/task/task.py: "Auto-generated at <time> UTC by <user>@<host>".)
    """
    began, comment = datetime.fromisoformat(record.started).replace(tzinfo=None), response.text(document, "comment")
    created = comment.removeprefix(_COMMENT)[:19].replace(" ", "T") if comment.startswith(_COMMENT) else ""
    return created >= _seconds(began - _GRAIN) or response.text(document, "last_update") >= _seconds(began - _SKEW)


def _seconds(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _marker(document: Mapping[str, Any]) -> str:
    section, name = _ENVIRONMENT
    entry = response.part(response.part(response.part(document, section), name), MARKER)
    return response.text(entry, "value")


def _described(document: Mapping[str, Any]) -> MadeTask:
    script = response.part(document, "script")
    session = Session(
        id=response.identity(document),
        name=response.text(document, "name"),
        project=response.text(response.part(document, "project"), "name"),
        commit=response.text(script, "version_num"),
        repository=response.text(script, "repository"),
        entry_point=response.text(script, "entry_point"),
        working_dir=response.text(script, "working_dir"),
        run=_marker(document),
    )
    return MadeTask(session, response.text(document, "status"), response.text(document, "started"))
