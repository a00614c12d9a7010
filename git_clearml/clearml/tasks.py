"""Tasks on a ClearML server: makes them, puts them on queues, looks at them, ends them.

Every id that a server sends is checked before it is used again: an empty one would mean some other task. Numbers in
brackets are points of the README of tests/contract/recordings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from git_clearml.base.ids import FIND_THE_ID, is_clearml_id, page_at
from git_clearml.clearml import activity, query, response
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.lease import Lease, to_property
from git_clearml.clearml.model import Launch, TaskState
from git_clearml.clearml.properties import SECTION
from git_clearml.errors import BadAnswer, CannotDecide, Refused, UsageError

STOPPING = "stopping"  # the status's message by which an agent learns that it is to abort the task [28]
_FIELDS = (
    "id",
    "status",
    "status_reason",
    "status_message",
    "execution.queue.name",
    "last_worker",
    "started",
    "last_iteration",
    "last_metrics",
    "metric_stats",
)
_WITH_PLOTS = ("in_progress", "stopped", "closed", "published", "publishing")
_FEW = 10  # events of it, of which one tells who sends them
_MOST_LINES = 400  # events of the console log, each of which may hold several lines


def body(launch: Launch, project_id: str, properties: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """What makes the task, and nothing is injected: the code that runs is the commit's (and the diff's). Pure."""
    script: dict[str, Any] = {
        "binary": "python3",
        "repository": launch.repository,
        "version_num": launch.commit,
        "branch": launch.branch,
        "entry_point": launch.entry_point,
        "working_dir": launch.working_dir,
        "diff": launch.diff,
    }
    if launch.requirements is not None:
        script["requirements"] = {"pip": launch.requirements}
    sections: dict[str, dict[str, Any]] = {}
    arguments = [{"section": "Args", "name": name, "value": value} for name, value in launch.arguments]
    for item in [*arguments, *properties]:
        sections.setdefault(str(item["section"]), {})[str(item["name"])] = dict(item)
    document: dict[str, Any] = {"name": launch.name, "type": launch.kind, "script": script}
    document |= {"project": project_id} if project_id else {}
    document |= {"tags": list(launch.tags), "hyperparams": sections}
    if launch.docker:
        document["container"] = {"image": launch.docker, "arguments": launch.docker_arguments}
    return document


def create(api: ClearML, document: Mapping[str, Any]) -> str:
    """Makes the task, a draft as yet, and returns its id. Asked once: a second asking might make a second task."""
    api.close()  # a connection that has idled may be dead, and that would be found out only by asking
    return response.identity(api.call("tasks.create", document, repeat=False))


def clone(api: ClearML, template: str, tag: str, name: str, project_id: str) -> str:
    """A draft made from a task, with nothing but this tag; its id. Asked once. Raises UsageError for no such task."""
    request = {"task": _checked(template), "new_task_tags": [tag]}
    request |= {"new_task_name": name} if name else {}
    request |= {"new_task_project": project_id} if project_id else {}
    try:
        return response.identity(api.call("tasks.clone", request, repeat=False))
    except Refused as refusal:
        if not refusal.unknown_task:
            raise
        raise UsageError(
            f"there is no task {template} to use as a template",
            FIND_THE_ID,
        ) from None


def draft_with(api: ClearML, tag: str) -> str:
    """The id of the draft that bears this tag, "" for none. One request."""
    drafts = query.every(api, {"tags": [tag], "status": ["created"]}, ["id"])
    return next((response.identity(draft) for draft in drafts), "")


def edit(api: ClearML, task: str, changes: Mapping[str, Any]) -> None:
    """Edits a draft: fields of its script are merged, lists and sections replaced [13]."""
    _done(api.call("tasks.edit", {"task": _checked(task), **changes}), "updated")


def sign(api: ClearML, task: str, document: Mapping[str, Any], owner: Lease, name: str) -> None:
    """Lets the lease of a draft that was made from this document name it; `name` is lease.CHECK or lease.RUN.

    Through tasks.edit, which every server knows: a draft may be edited [13].
    """
    item, sections = to_property(replace(owner, task=task), name), {**document.get("hyperparams", {})}
    sections[SECTION] = {**sections.get(SECTION, {}), name: item}
    edit(api, task, {"hyperparams": sections})


def enqueue(api: ClearML, task: str, queue_id: str) -> None:
    """Puts a draft on the queue. A task that is queued already is left alone: twice would harm it [26].

    Raises the errors of ClearML.call; where the answer was lost, or somebody else was quicker, only if the task is not
    on its way.
    """
    request = {"task": _checked(task), "queue": _checked(queue_id), "verify_watched_queue": True}
    try:
        _done(api.call("tasks.enqueue", request, repeat=False), "queued")
    except CannotDecide as error:
        status = _status_after(api, task)
        if status == "" or (status == "created" and isinstance(error, Refused)):
            raise
        if status == "created":  # it never got there
            _done(api.call("tasks.enqueue", request, repeat=False), "queued")


def _status_after(api: ClearML, task: str) -> str:
    """The task's status after a call that went wrong; "" where the server is away, or has no such task."""
    try:
        api.renew()
        return poll_task(api, task).status
    except CannotDecide:
        return ""


def poll_task(api: ClearML, task: str) -> TaskState:
    """The task as it is now. One request or two; status "" when there is no such task any more."""
    document = document_of(api, task, _FIELDS)
    if document is None:
        return TaskState("")
    status, iteration = response.text(document, "status"), document.get("last_iteration")
    alive = activity.has_reported(document) or (status in _WITH_PLOTS and _has_plots(api, task))
    where = response.part(document, "execution").get("queue")
    queue = where if isinstance(where, dict) else {"id": where}
    return TaskState(
        status=status,
        queue=response.text(queue, "id"),
        queue_name=response.text(queue, "name"),
        worker=response.text(document, "last_worker"),
        message=response.text(document, "status_message"),
        reason=response.text(document, "status_reason"),
        started=response.text(document, "started"),
        metrics=response.metrics(document),
        iteration=iteration if isinstance(iteration, int) else None,
        alive=alive,
    )


def document_of(api: ClearML, task: str, fields: Sequence[str]) -> Mapping[str, Any] | None:
    """These fields of a task, None when the server has no such task. One request."""
    return query.task(api, _checked(task), fields)


def _has_plots(api: ClearML, task: str) -> bool:
    """Has the task's own code reported a plot? The task's document does not tell for long. One request."""
    try:
        plots = response.objects(api.call("events.get_task_plots", {"task": task, "iters": 1}), "plots")
    except BadAnswer:  # a server that cannot tell of plots
        return False
    return any(activity.is_own(str(plot.get("metric") or "")) for plot in plots)


def console(api: ClearML, task: str, most: int = _MOST_LINES) -> list[str]:
    """The last lines of the task's console log, oldest first. One request."""
    request = {"task": _checked(task), "batch_size": most, "navigate_earlier": True}
    events = response.objects(api.call("events.get_task_log", request), "events")
    return [line for event in reversed(events) for line in str(event.get("msg") or "").split("\n")]


def workers(api: ClearML, task: str) -> set[str]:
    """The names of the workers that the task's first and last console events tell. Two requests at most."""
    names: set[str] = set()
    for earlier in (False, True):
        request = {"task": _checked(task), "batch_size": _FEW, "navigate_earlier": earlier}
        events = response.objects(api.call("events.get_task_log", request), "events")
        names |= {str(event.get("worker") or "") for event in events}
        if len(events) < _FEW:
            break
    return names


def stop(api: ClearML, task: str) -> None:
    """Aborts the task: at once in a queue, by its agent while it runs [28]. One that has ended is left alone."""
    try:
        request = {"task": _checked(task), "status_reason": "aborted by git clearml"}
        _done(api.call("tasks.stop", request), "updated")
    except Refused as refusal:
        if poll_task(api, task).status in ("queued", "in_progress"):
            raise refusal


def archive(api: ClearML, task: str, *, stopping: bool = False) -> None:
    """Archives the task; what is archived stays so, and one that is gone is fine.

    `stopping`: its agent may not have seen yet that it is to abort it. That stands in the status's message, which an
    archive call replaces (clearml-server, bll/task/task_operations.py, archive_task).
    """
    request: dict[str, Any] = {"tasks": [_checked(task)], "status_reason": "archived by git clearml"}
    request |= {"status_message": STOPPING} if stopping else {}
    try:
        _done(api.call("tasks.archive", request), "archived")
    except Refused as refusal:
        if not refusal.unknown_task:
            raise


def end(api: ClearML, task: str, status: str, reason: str) -> None:
    """Gives a task of ours the status that its run came to, `completed`, `failed` or `stopped`, whatever it has now."""
    _done(api.call(f"tasks.{status}", {"task": _checked(task), "force": True, "status_reason": reason}), "updated")


def delete(api: ClearML, task: str) -> None:
    """Deletes a task of ours, whatever its status; one that is gone is fine [29]."""
    try:
        _done(api.call("tasks.delete", {"task": _checked(task), "force": True}), "deleted")
    except Refused as refusal:
        if not refusal.unknown_task:
            raise


def add_tags(api: ClearML, tasks: Sequence[str], tags: Sequence[str]) -> None:
    """Adds tags to these tasks, atomically: other tags stay. One unknown task refuses the whole call [21]."""
    request = {"ids": [_checked(task) for task in tasks], "add_tags": list(tags)}
    _done(api.call("tasks.update_tags", request), "updated")


def page_of(api: ClearML, task: str) -> str:
    """The task's page, of whatever project. Raises BadAnswer for what is no id."""
    return page_at(api.server.web, _checked(task))


def _checked(identity: str) -> str:
    """The id, if it is one. Raises BadAnswer: an empty id means every task, or none that we know."""
    if not is_clearml_id(identity):
        raise BadAnswer("not a valid id to ask the server about", response.WHICH)
    return identity


def _done(data: Mapping[str, Any], key: str) -> None:
    """Raises BadAnswer where the server did not confirm what it was asked to do [13, 15, 16, 17]."""
    if not isinstance(data.get(key), int):
        raise BadAnswer("the server did not confirm what it was asked to do", response.WHICH)
