"""An agent's part in the loopback server, without an agent: a task goes one step further at each look at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support import clearml_states
from tests.support.clearml_common import Json
from tests.support.clearml_events import add_all, scalar
from tests.support.clearml_server import ClearMLServer

Step = str | Callable[[Json], None]
WORKER = "robot:gpu:0"


class Robot:
    """Moves every launched task through `steps`, one at each of our looks; the last one done, it stays as it is.

    A step is one of wait, take, report, complete, fail, stop, reset, delete, publish, close, or a function that is
    given the task's document. A task that is asked to stop stops, as an agent would make it.
    """

    def __init__(self, server: ClearMLServer, *steps: Step, queue: str = "gpu") -> None:
        self.server, self.steps = server, list(steps)
        self.looked: dict[str, int] = {}
        server.add_worker(WORKER, [queue])
        server.hook = self

    def __call__(self, call: str, body: Json) -> None:
        ids = body.get("id")
        if call != "tasks.get_all_ex" or not isinstance(ids, list) or len(ids) != 1:
            return
        task = self.server.tasks.get(ids[0])
        if task is None or task["status"] not in ("queued", "in_progress"):
            return
        if task.get("status_message") == "stopping":
            self._do("stop", task)
            return
        number = self.looked.get(task["id"], 0)
        self.looked[task["id"]] = number + 1
        if number < len(self.steps):
            self._do(self.steps[number], task)

    def _do(self, step: Step, task: Json) -> None:
        store, body = self.server.store, {"task": task["id"]}
        if callable(step):
            step(task)
        elif step == "take":
            store.take_off_queues(task["id"])
            task["last_worker"] = WORKER
            task["runtime"] = {**task.get("runtime", {}), "_exec_agent_hostname": "robot"}
            clearml_states.started(store, body)
            self.server.add_worker(WORKER, ["gpu"], task["id"])
        elif step == "report":
            add_all(store, [scalar(task["id"], "loss", "train", 0.25, 0)])
        elif step == "delete":
            store.take_off_queues(task["id"])
            del store.tasks[task["id"]]
        elif step != "wait":
            getattr(clearml_states, _CALLS[step])(store, {**body, "force": True})
            self.server.add_worker(WORKER, ["gpu"])


_CALLS = {
    "complete": "completed",
    "fail": "failed",
    "stop": "stopped",
    "reset": "reset",
    "publish": "publish",
    "close": "close",
}


def log(server: ClearMLServer, task: str, *lines: str, start: int = 1_700_000_000_000) -> None:
    """Lines of the task's console log, one event each."""
    events: list[dict[str, Any]] = [
        {"type": "log", "task": task, "worker": WORKER, "msg": line, "timestamp": start + number}
        for number, line in enumerate(lines)
    ]
    with server.store.lock:
        add_all(server.store, events)
