"""queues.* and workers.* (points 25 to 27 and 30)."""

from __future__ import annotations

import copy
import fnmatch
from typing import Any

from tests.support.clearml_common import (
    COMPANY_ID,
    COMPANY_NAME,
    KEY_NAME,
    USER_ID,
    ApiError,
    Json,
    checked_name,
    now,
    parse_time,
    required_text,
    stamp,
)
from tests.support.clearml_fields import project, requested_fields
from tests.support.clearml_query import QUEUES, matching, page
from tests.support.clearml_store import Store

REGISTER_TIMEOUT = 600  # seconds [19-1]


def create_queue(store: Store, body: Json) -> Json:
    name = checked_name(body)
    if store.queue_named(name):
        title = "Value combination already exists (unique field already contains this value)"
        raise ApiError(400, 801, title, name=name, company=COMPANY_ID)
    return {"id": store.new_queue(name)["id"]}


def get_queues(store: Store, body: Json) -> Json:
    fields = requested_fields(body, QUEUES.name)
    queues, scroll = page(matching(list(store.queues.values()), body, QUEUES), body, store)
    return {"queues": [project(queue, fields) for queue in queues], **scroll}


def get_queues_ex(store: Store, body: Json) -> Json:
    """Whole queues, whatever `only_fields` says, with their live listeners [19-6]."""
    queues, scroll = page(matching(list(store.queues.values()), body, QUEUES), body, store)
    return {
        "queues": [
            {**copy.deepcopy(queue), "company": {"id": COMPANY_ID}, "workers": _listeners(store, queue["id"])}
            for queue in queues
        ],
        **scroll,
    }


def _listeners(store: Store, queue_id: str) -> list[Json]:
    return [
        {"name": worker["id"], "ip": worker["ip"], "key": worker["key"], "task": worker.get("task")}
        for worker in _live(store)
        if queue_id in worker["queues"]
    ]


def get_queue(store: Store, body: Json) -> Json:
    return {"queue": copy.deepcopy(store.queue(required_text(body, "queue")))}


def get_default_queue(store: Store, body: Json) -> Json:
    queue = store.queue_named("default") or store.new_queue("default")
    return {"id": queue["id"], "name": queue["name"]}


def get_next_task(store: Store, body: Json) -> Json:
    """Takes the first entry off; the task stays queued until somebody starts it [15-63]."""
    queue = store.queue(required_text(body, "queue"))
    if not queue["entries"]:
        return {}
    queue["last_update"] = stamp()
    return {"entry": queue["entries"].pop(0)}


def remove_task(store: Store, body: Json) -> Json:
    """Takes a task off a queue and leaves its status `queued` [15-65]."""
    queue, task_id = store.queue(required_text(body, "queue")), required_text(body, "task")
    left = [entry for entry in queue["entries"] if entry["task"] != task_id]
    removed = len(queue["entries"]) - len(left)
    queue["entries"] = left
    return {"removed": removed}


def delete_queue(store: Store, body: Json) -> Json:
    queue = store.queue(required_text(body, "queue"))
    if queue["entries"] and not body.get("force"):
        raise ApiError(400, 702, "Queue is not empty (use force=true to delete)", id=queue["id"])
    del store.queues[queue["id"]]
    return {"deleted": 1}


def register(store: Store, body: Json) -> Json:
    _register(store, body)
    return {}


def _register(store: Store, body: Json) -> Json:
    name = required_text(body, "worker")
    moment = now().isoformat(timespec="microseconds")
    worker: Json = {
        "id": name,
        "ip": "127.0.0.1",
        "key": f"worker_{COMPANY_ID}_{USER_ID}_{name}",
        "queues": list(body.get("queues") or []),
        "register_time": moment,
        "register_timeout": body.get("timeout") or REGISTER_TIMEOUT,
        "last_activity_time": moment,
        "system_tags": [],
        "tags": list(body.get("tags") or []),
    }
    store.workers[name] = worker
    return worker


def unregister(store: Store, body: Json) -> Json:
    """Anybody may, of unknown workers too [19-13, 19-14]."""
    store.workers.pop(required_text(body, "worker"), None)
    return {}


def status_report(store: Store, body: Json) -> Json:
    """A worker is alive; the task that it names remembers it as `last_worker` [16-24]."""
    worker = store.workers.get(required_text(body, "worker")) or _register(store, body)
    moment = now().isoformat(timespec="microseconds")
    worker.update(last_activity_time=moment, last_report_time=moment)
    worker["queues"] = list(body.get("queues") or worker["queues"])
    for name in ("task", "queue"):
        worker.pop(name, None)
        if body.get(name):
            worker[name] = body[name]
    task = store.tasks.get(body.get("task") or "")
    if task:
        task.update(last_worker=worker["id"], last_worker_report=stamp(), last_update=stamp())
    return {}


def get_workers(store: Store, body: Json) -> Json:
    return {"workers": [_worker(store, each) for each in _asked(store, body)]}


def count_workers(store: Store, body: Json) -> Json:
    return {"count": len(_asked(store, body))}


def _asked(store: Store, body: Json) -> list[Json]:
    """Those active in the last `last_seen` seconds, with a name like `worker_pattern` (point 30)."""
    seen = body.get("last_seen")
    pattern = body.get("worker_pattern") or "*"
    return [
        worker
        for worker in _live(store)
        if (not seen or _age(worker) <= seen) and fnmatch.fnmatchcase(worker["id"], pattern)
    ]


def _age(worker: Json) -> float:
    return (now() - parse_time(worker["last_activity_time"])).total_seconds()


def _live(store: Store) -> list[Json]:
    return [worker for worker in store.workers.values() if _age(worker) <= worker["register_timeout"]]


def _worker(store: Store, worker: Json) -> Json:
    """A worker as workers.get_all shows it, idle or with its task [19-1, 19-8]."""
    answer: dict[str, Any] = {
        **copy.deepcopy(worker),
        "company": {"id": COMPANY_ID, "name": COMPANY_NAME},
        "user": {"id": USER_ID, "name": KEY_NAME},
        "queues": [_short_queue(store, queue_id) for queue_id in worker["queues"]],
    }
    if worker.get("queue"):
        answer["queue"] = _short_queue(store, worker["queue"])
    task = store.tasks.get(worker.get("task") or "")
    if task:
        names = {"id": task["id"], "name": task["name"]}
        answer["task"] = {
            **names,
            "last_iteration": task["last_iteration"],
            "running_time": task.get("active_duration", 0),
        }
        home = store.projects.get(task.get("project") or "")
        if home:
            answer["project"] = {"id": home["id"], "name": home["name"]}
    return answer


def _short_queue(store: Store, queue_id: str) -> Json:
    queue = store.queues.get(queue_id)
    name, waiting = (queue["name"], len(queue["entries"])) if queue else ("", 0)
    return {"id": queue_id, "name": name, "num_tasks": waiting}


def runs_task(store: Store, task_id: str) -> bool:
    return any(worker.get("task") == task_id for worker in _live(store))


def is_watched(store: Store, queue_id: str) -> bool:
    return any(queue_id in worker["queues"] for worker in _live(store))


CALLS = {
    "queues.create": create_queue,
    "queues.get_all": get_queues,
    "queues.get_all_ex": get_queues_ex,
    "queues.get_by_id": get_queue,
    "queues.get_default": get_default_queue,
    "queues.get_next_task": get_next_task,
    "queues.remove_task": remove_task,
    "queues.delete": delete_queue,
    "workers.register": register,
    "workers.unregister": unregister,
    "workers.status_report": status_report,
    "workers.get_all": get_workers,
    "workers.get_count": count_workers,
}
