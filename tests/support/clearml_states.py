"""tasks.*: the life of a task (points 24 to 29)."""

from __future__ import annotations

import copy
from typing import Any

from tests.support.clearml_common import (
    KEY_NAME,
    USER_ID,
    ApiError,
    Json,
    for_each,
    required_list,
    required_text,
    stamp,
)
from tests.support.clearml_fields import put
from tests.support.clearml_queues import is_watched, runs_task
from tests.support.clearml_store import Store

# Recorded in 14, 15, 16 and 17, the rest by analogy; force goes past the table.
ALLOWED: dict[str, frozenset[str]] = {
    "created": frozenset({"queued", "in_progress"}),
    "queued": frozenset({"created", "queued", "in_progress", "stopped"}),
    "in_progress": frozenset({"in_progress", "completed", "failed", "stopped", "created"}),
    "completed": frozenset({"completed", "in_progress", "published"}),
    "failed": frozenset({"failed", "queued", "in_progress", "stopped", "published", "closed"}),
    "stopped": frozenset({"stopped", "queued", "in_progress", "failed", "completed", "published", "closed"}),
    "closed": frozenset({"published", "stopped"}),
    "published": frozenset(),
}
# What a reset takes away (point 29).
OF_A_RUN = [
    "started",
    "completed",
    "published",
    "active_duration",
    "enqueue_status",
    "last_worker",
    "last_worker_report",
]


def _change(task: Json, status: str, body: Json, *, force: bool = False, **extra: Any) -> Json:
    """Gives a task another status; the `fields` of the answer are what was set, None removes a field."""
    current = task["status"]
    if not force and status not in ALLOWED[current]:
        title = "Invalid task status (Invalid status change)"
        raise ApiError(400, 110, title, current_status=current, new_status=status)
    moment = stamp()
    fields: Json = {
        "status": status,
        "status_reason": body.get("status_reason") or "",
        "status_message": body.get("status_message") or "",
        "status_changed": moment,
        "last_update": moment,
        "last_change": moment,
        "last_changed_by": USER_ID,
        **extra,
    }
    for name, value in fields.items():
        if value is None:
            task.pop(name, None)
        else:
            put(task, name, copy.deepcopy(value))
    return {"fields": fields, "updated": 1}


def _subject(store: Store, body: Json) -> Json:
    return store.task(required_text(body, "task"))


def started(store: Store, body: Json) -> Json:
    """Also of completed tasks, and with force of published ones; the first `started` time stays [14-14, 14-19]."""
    task = _subject(store, body)
    extra = {} if "started" in task else {"started": stamp()}
    return {**_change(task, "in_progress", body, force=bool(body.get("force")), **extra), "started": 1}


def completed(store: Store, body: Json) -> Json:
    task = _subject(store, body)
    answer = _change(task, "completed", body, force=bool(body.get("force")), completed=stamp())
    publishing = bool(body.get("publish"))
    if publishing:
        _change(task, "published", body, published=stamp())
    return {**answer, "published": int(publishing)}


def failed(store: Store, body: Json) -> Json:
    """Sets a `completed` time on servers since 2.3 (point 24)."""
    extra = {"completed": stamp()} if store.sets_completed_on_failure else {}
    return _change(_subject(store, body), "failed", body, force=bool(body.get("force")), **extra)


def stopped(store: Store, body: Json) -> Json:
    return _change(_subject(store, body), "stopped", body, force=bool(body.get("force")), completed=stamp())


def close(store: Store, body: Json) -> Json:
    return _change(_subject(store, body), "closed", body, force=bool(body.get("force")))


def publish(store: Store, body: Json) -> Json:
    """Completed, failed and stopped tasks; what they were is forgotten (point 24)."""
    task = _subject(store, body)
    answer = _change(task, "published", body, force=bool(body.get("force")), published=stamp())
    answer["fields"]["output"] = copy.deepcopy(task["output"])
    return answer


def stop(store: Store, body: Json) -> Json:
    """Stops at once, or asks a live worker to do it by the message "stopping" (point 28)."""
    task = _subject(store, body)
    by_server = {"status_reason": body.get("status_reason")}
    if task["status"] == "in_progress" and _is_run_by_worker(store, task):
        return _change(task, "in_progress", {**by_server, "status_message": "stopping"})
    was_queued = task["status"] == "queued"
    message = {**by_server, "status_message": f"Stopped by {KEY_NAME}"}
    answer = _change(task, "stopped", message, force=bool(body.get("force")))
    if was_queued:
        store.take_off_queues(task["id"])
    return answer


def _is_run_by_worker(store: Store, task: Json) -> bool:
    return "development" not in task["system_tags"] and runs_task(store, task["id"])


def stop_many(store: Store, body: Json) -> Json:
    return for_each(required_list(body, "ids"), lambda each: stop(store, {**body, "task": each}))


def reset(store: Store, body: Json) -> Json:
    """Back to created, without metrics and times; only a published task needs force (point 29)."""
    task = _subject(store, body)
    if task["status"] == "published" and not body.get("force"):
        raise ApiError(400, 110, "Invalid task status", task_id=task["id"], status="published")
    removed = store.take_off_queues(task["id"])
    for name in OF_A_RUN:
        task.pop(name, None)
    task["execution"].pop("queue", None)
    task["execution"]["artifacts"] = []
    task.update(last_iteration=0, last_metrics={}, metric_stats={}, runtime={})
    store.events.pop(task["id"], None)
    by_server = {"status_reason": "reset", "status_message": "reset"}
    return {
        **_change(task, "created", by_server, force=True),
        "deleted_models": 0,
        "dequeued": {"removed": removed} if removed else {},
        "events": {},
        "urls": {},
    }


def enqueue(store: Store, body: Json) -> Json:
    """Puts a task into a queue, with the traps of points 25 and 26."""
    task = _subject(store, body)
    before = task["status"]
    answer = _change(task, "queued", body, force=bool(body.get("force")), enqueue_status=before)
    try:
        queue = _target_queue(store, body)
        if any(entry["task"] == task["id"] for entry in queue["entries"]):
            title = "Failed adding task to queue since task is already queued"
            raise ApiError(400, 706, title, task=task["id"])
    except ApiError:
        _change(task, before, {"status_reason": "failed enqueueing"}, force=True, enqueue_status=None)
        raise
    store.take_off_queues(task["id"])
    queue["entries"].append({"task": task["id"], "added": stamp()})
    queue["last_update"] = stamp()
    task["execution"]["queue"] = queue["id"]
    task["system_tags"] = [tag for tag in task["system_tags"] if tag != "development"]  # [35-18]
    answer["fields"]["execution.queue"] = queue["id"]
    if body.get("verify_watched_queue"):
        answer["queue_watched"] = is_watched(store, queue["id"])
    return {**answer, "queued": 1}


def _target_queue(store: Store, body: Json) -> Json:
    """The queue by id; by name, where an unknown one is created; else `default` (point 25)."""
    if body.get("queue"):
        return store.queue(body["queue"])
    name = body.get("queue_name") or "default"
    return store.queue_named(name) or store.new_queue(name)


def enqueue_many(store: Store, body: Json) -> Json:
    return for_each(
        required_list(body, "ids"),
        lambda each: {**enqueue(store, {**body, "task": each}), "queued": True},
    )


def dequeue(store: Store, body: Json) -> Json:
    """Back to the status before; of anything else a success that changes nothing (point 27).

    A running task changes as well: so an agent takes the task that it has just started [40-21].
    """
    task = store.tasks.get(required_text(body, "task"))
    if task is None or task["status"] not in ("queued", "in_progress"):
        return {"dequeued": 1, "fields": {}, "updated": 0}
    return {"dequeued": 1, **_off_queue(store, task, body)}


def _off_queue(store: Store, task: Json, body: Json) -> Json:
    store.take_off_queues(task["id"])
    status = body.get("new_status") or task.get("enqueue_status") or "created"
    return _change(task, status, body, force=True, enqueue_status=None)


def archive(store: Store, body: Json) -> Json:
    tasks = store.all_tasks(required_list(body, "tasks"))
    for task in tasks:
        _archive(store, task, body)
    return {"archived": len(tasks)}


def _archive(store: Store, task: Json, body: Json) -> None:
    if task["status"] == "queued":
        _off_queue(store, task, body)
    task["system_tags"] = sorted({*task["system_tags"], "archived"})
    _mark(task, body)


def _mark(task: Json, body: Json) -> None:
    for name in ("status_reason", "status_message"):
        if body.get(name):
            task[name] = body[name]
    task["last_change"] = stamp()
    task["last_changed_by"] = USER_ID


def archive_many(store: Store, body: Json) -> Json:
    def one(task_id: str) -> Json:
        _archive(store, store.task(task_id), body)
        return {"archived": True}

    return for_each(required_list(body, "ids"), one)


def unarchive_many(store: Store, body: Json) -> Json:
    def one(task_id: str) -> Json:
        task = store.task(task_id)
        task["system_tags"] = [tag for tag in task["system_tags"] if tag != "archived"]
        _mark(task, body)
        return {"unarchived": True}

    return for_each(required_list(body, "ids"), one)


CALLS = {
    "tasks.started": started,
    "tasks.completed": completed,
    "tasks.failed": failed,
    "tasks.stopped": stopped,
    "tasks.close": close,
    "tasks.publish": publish,
    "tasks.stop": stop,
    "tasks.stop_many": stop_many,
    "tasks.reset": reset,
    "tasks.enqueue": enqueue,
    "tasks.enqueue_many": enqueue_many,
    "tasks.dequeue": dequeue,
    "tasks.archive": archive,
    "tasks.archive_many": archive_many,
    "tasks.unarchive_many": unarchive_many,
}
