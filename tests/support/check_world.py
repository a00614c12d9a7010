"""A world for remote-runnable checks in no real time: a clock, an agent that plays a story, answers that get lost.

Everything happens on the loopback server, between two requests or during them. Nothing here sleeps.
"""

from __future__ import annotations

import copy
import json
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from git_clearml.agent.check import CheckOrder, RunnableCheck
from git_clearml.agent.model import Check
from git_clearml.base import signals
from git_clearml.base.console import Console, Progress
from git_clearml.clearml import lease
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.config import Server
from git_clearml.clearml.lease import Lease
from git_clearml.git.repository import Repository
from git_clearml.settings.policy import Runnable
from tests.support.clearml_common import Json, now, stamp
from tests.support.clearml_events import add_all, scalar
from tests.support.clearml_http import CALLS
from tests.support.clearml_server import ClearMLServer

BIRTH = 1_800_000_000.0
"""The world's time of day at its beginning, in seconds since 1970."""

WORKER = "w1"
GOOD = {"meta": {"result_code": 200, "result_subcode": 0, "result_msg": "OK"}, "data": {}}
AWAY = {
    "reset": (0, GOOD),
    "502": (502, {}),
    "500": (500, {"meta": {**GOOD["meta"], "result_code": 500, "result_msg": "General data error"}, "data": {}}),
    "empty": (200, GOOD),
    "bare": (200, {}),
    "wrong": (200, {**GOOD, "data": {"tasks": [{"id": ""}], "id": "", "updated": "no", "queued": None}}),
    "401": (401, {"meta": {**GOOD["meta"], "result_code": 401, "result_subcode": 30}, "data": {}}),
}
"""What a server may answer (status and body) without having done anything; status 0 hangs up."""

Step = tuple[float, str]
"""Something that happens to the check's task so many seconds after what happened before it."""


@dataclass(frozen=True)
class Away:
    """A time in which every answer is one of AWAY. In seconds of the world."""

    start: float
    end: float
    how: str = "reset"


@dataclass(frozen=True)
class Blow:
    """A signal at the n-th sleep, or during the n-th request, of a check; so many times at once."""

    where: str  # "sleep" | "request"
    number: int
    status: int = 130
    times: int = 1


@dataclass
class World:
    """One server, and all that happens around it. `story` is what becomes of the check's task once it is queued."""

    story: Sequence[Step] = ()
    away: Sequence[Away] = ()
    lost: Mapping[str, str] = field(default_factory=dict)  # call -> "reset" or "502": done, but the answer is lost
    instead: Mapping[str, str] = field(default_factory=dict)  # call -> a key of AWAY: once, and nothing is done
    blows: Sequence[Blow] = ()
    abort_after: float | None = 3.0  # seconds until the agent sees that it is to stop; None: never
    worker: str = WORKER
    said: str = "Process failed, exit code 1"  # the message of a task that fails
    on_launch: Callable[[World, str], None] = lambda world, task: None

    def __post_init__(self) -> None:
        self.now = 0.0
        self.ended = 0.0  # when the check was over
        self.naps = self.asked = 0
        self.landed: list[tuple[float, int]] = []  # when a blow was dealt, and its status
        self._striking = threading.Lock()
        self.server = LossyServer(self)
        self._planted: dict[str, Json] = {}
        self._unlost, self._uninstead = dict(self.lost), dict(self.instead)
        self.again()

    def again(self) -> None:
        """Tells the story once more, of the next task; those that are there now are others'."""
        self._left = list(self.story)
        self._last: float | None = None
        self._stopping: float | None = None
        self._launched = ""
        for task in self.server.tasks:
            self.foreign(task)

    def __enter__(self) -> World:
        self.server.start()
        self.server.add_worker(self.worker)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    # --- time -------------------------------------------------------------------------------------------------------

    def clock(self) -> float:
        return self.now

    def wall(self) -> float:
        return BIRTH + self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.naps += 1
        self.now += seconds
        self._strike("sleep", self.naps)

    def _strike(self, where: str, number: int) -> None:
        for blow in self.blows:
            if (blow.where, blow.number) == (where, number):
                with self._striking:
                    for _ in range(blow.times):
                        self.landed.append((self.now, blow.status))
                        signal.pthread_kill(threading.main_thread().ident or 0, blow.status - 128)
                    time.sleep(0.02)  # real: until the program, which waits for this answer, has been struck

    # --- the check --------------------------------------------------------------------------------------------------

    def check(self, repository: Repository, order: CheckOrder, progress: Progress | None = None) -> Check:
        """Runs a check of this order here and now."""
        server = Server(self.server.url, self.server.url, self.server.access_key, self.server.secret_key)
        environment: dict[str, str] = {}
        api = ClearML(server, 30.0, environment=environment, sleep=self.sleep, clock=self.clock)
        talk = progress or Progress(Console(environment, quiet=True), clock=self.clock)
        checking = RunnableCheck(repository, api, order, talk, sleep=self.sleep, clock=self.clock, now=self.wall)
        with signals.heeded(self.clock) as hold:  # as the command line has it
            try:
                with hold.released():
                    return checking.run()
            finally:
                self.ended = self.now
                with self._striking:  # whoever strikes finds somebody who heeds it
                    pass

    @property
    def counted(self) -> list[int]:
        """The statuses of the blows that count: one of the same kind within two seconds is the first one again."""
        before: dict[int, float] = {}
        statuses = []
        for moment, status in self.landed:
            if moment - before.get(status, -signals.AGAIN) >= signals.AGAIN:
                before[status] = moment
                statuses.append(status)
        return statuses

    @property
    def mine(self) -> list[Json]:
        """The tasks that checks have launched here."""
        return [task for name, task in self.server.tasks.items() if name not in self._planted and _is_check(task)]

    @property
    def task(self) -> Json:
        """The only one."""
        (task,) = self.mine
        return task

    def plant(self, **fields: Any) -> str:
        """A task of somebody else, which nobody may touch."""
        task = self.server.add_task(**fields)
        return self.foreign(task)

    def foreign(self, task: str) -> str:
        self._planted[task] = copy.deepcopy(self.server.tasks[task])
        return task

    def untouched(self) -> None:
        """Whatever belongs to others is as it was."""
        for name, before in self._planted.items():
            now = {**self.server.tasks[name], "parent": before.get("parent")}  # goes when the parent is deleted
            assert now == {"parent": None, **before}

    def goes_on(self, seconds: float) -> None:
        """So much later, with nobody looking."""
        with self.server.store.lock:
            end = self.now + seconds
            while self.now < end:
                self.now = min(end, self.now + 1.0)
                self.advance()

    # --- the server -------------------------------------------------------------------------------------------------

    def answered(self, call: str, do: Callable[[], tuple[int, Json]]) -> tuple[int, Json]:
        """What goes back for a call; `do` is what the server would say."""
        self.asked += 1
        self._strike("request", self.asked)
        self.now += 0.01
        for each in self.away:
            if each.start <= self.now < each.end:
                return AWAY[each.how]
        if how := self._uninstead.pop(call, ""):
            return AWAY[how]
        answer = do()
        if how := self._unlost.pop(call, ""):
            return AWAY[how]
        return answer

    def advance(self) -> None:
        """Lets everything happen that is due by now. The store is locked."""
        task = next(iter(self.mine), None)
        if task is None and not self._launched:
            return
        if self._last is None and task and task["status"] == "queued":
            self._last, self._launched = self.now, task["id"]
            self.on_launch(self, task["id"])
        if self._last is None:
            return
        while self._left and self._last + self._left[0][0] <= self.now:
            delay, what = self._left.pop(0)
            self._last += delay
            if not _ACTIONS[what](self, self.server.tasks.get(self._launched)):
                self._left.clear()
        self._agent(self.server.tasks.get(self._launched))

    def _agent(self, task: Json | None) -> None:
        """The agent at work: it looks now and then whether it is to stop."""
        worker = self.server.store.workers.get(self.worker)
        if not task or not worker or worker.get("task") != task["id"]:
            return
        if task["status"] != "in_progress":
            worker.pop("task")
        elif task["status_message"] != "stopping":
            self._stopping = None
        elif self.abort_after is not None:
            self._stopping = self.now if self._stopping is None else self._stopping
            if self.now - self._stopping >= self.abort_after:
                CALLS["tasks.stopped"](
                    self.server.store, {"task": task["id"], "status_message": "Changed by clearml-agent"}
                )


def _is_check(task: Json) -> bool:
    return lease.TAG in task["tags"] and lease.CHECK in task["hyperparams"].get("properties", {})


class LossyServer(ClearMLServer):
    """The loopback server with a world around it."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._own, self._world = self._backend.answer, world
        self._backend.answer = self._answer  # type: ignore[method-assign]
        self.hook = lambda call, body: world.advance()

    def _answer(self, path: str, authorization: str | None, body: bytes | Json, lines: bool) -> tuple[int, Json]:
        call = path.rpartition("/")[2]
        return self._world.answered(call, lambda: self._own(path, authorization, body, lines))


# --- what may happen to a task ----------------------------------------------------------------------------------------
# Each gets the task, None when it is gone, and says whether the story goes on.


def _pull(world: World, task: Json | None) -> bool:
    return _pop(world, task) and _start(world, task)


def _pop(world: World, task: Json | None) -> bool:
    """An agent takes it from its queue, and has not said so yet."""
    if not task or task["status"] != "queued":
        return False
    return bool(world.server.store.take_off_queues(task["id"]))


def _start(world: World, task: Json | None) -> bool:
    """... and says so, whatever has become of it meanwhile (the agent's `force`)."""
    if not task:
        return False
    CALLS["tasks.started"](world.server.store, {"task": task["id"], "force": True, "status_message": "launch by agent"})
    worker = world.server.store.workers.get(world.worker)
    if worker:
        worker["task"] = task["id"]
    task["last_worker"] = world.worker
    return True


def _start_unseen(world: World, task: Json | None) -> bool:
    """The first of these: the server does not know yet which worker it is."""
    if not task:
        return False
    CALLS["tasks.started"](world.server.store, {"task": task["id"], "force": True, "status_message": "pulled by agent"})
    return True


def _running(task: Json | None) -> bool:
    return bool(task) and task["status"] == "in_progress" and task["status_message"] != "stopping"  # type: ignore[index]


def _reports(*events: Mapping[str, Any]) -> Callable[[World, Json | None], bool]:
    def act(world: World, task: Json | None) -> bool:
        if not _running(task):
            return False
        assert task is not None
        for event in events:  # each a batch of its own
            add_all(world.server.store, [{**scalar(task["id"], "", "", 0.0), **event}])
        return True

    return act


def _call(name: str, **body: Any) -> Callable[[World, Json | None], bool]:
    def act(world: World, task: Json | None) -> bool:
        if not task:
            return False
        CALLS[name](world.server.store, {"task": task["id"], **body})
        return True

    return act


def _end(name: str, **body: Any) -> Callable[[World, Json | None], bool]:
    def act(world: World, task: Json | None) -> bool:
        return _running(task) and _call(name, **body)(world, task)

    return act


def _fail(world: World, task: Json | None) -> bool:
    return _end("tasks.failed", status_message=world.said)(world, task)


def _dies(world: World, _: Json | None) -> bool:
    """Killed, or its machine is down: the server remembers it for 600 s [30], here since five minutes ago."""
    silent = stamp(now() - timedelta(seconds=300))
    world.server.store.workers[world.worker].update(last_activity_time=silent, last_report_time=silent)
    world.abort_after = None
    return True


def _move(world: World, task: Json | None) -> bool:
    if not task or task["status"] != "queued":
        return False
    with world.server.store.lock:
        other = world.server.add_queue("elsewhere")
    CALLS["tasks.enqueue"](world.server.store, {"task": task["id"], "queue": other})
    return True


_MOVING = "moving to k8s pending queue"


def _into_kubernetes(world: World, task: Json | None) -> bool:
    """ClearML's Kubernetes glue takes a task from its queue, and, with an older server, stops it."""
    if not _pop(world, task):
        return False
    assert task is not None
    task.update(status="stopped", status_reason=_MOVING, status_message="Stopped by glue", status_changed=stamp())
    return True


def _waits_in_kubernetes(world: World, task: Json | None) -> bool:
    """... then it puts the task, whatever has become of it, on a queue of its own, where it waits for its pod."""
    if not task or task["status"] != "stopped":
        return False
    with world.server.store.lock:
        other = world.server.add_queue("k8s_scheduler")
    reason = "k8s pending scheduler"
    CALLS["tasks.enqueue"](world.server.store, {"task": task["id"], "queue": other, "status_reason": reason})
    return True


def _workers_gone(world: World, task: Json | None) -> bool:
    world.server.store.workers.pop(world.worker, None)
    return True


def _put(**fields: Any) -> Callable[[World, Json | None], bool]:
    def act(world: World, task: Json | None) -> bool:
        if task:
            task.update(fields, status_changed=stamp())
        return bool(task)

    return act


PLOT = {"type": "plot", "metric": "confusion", "variant": "matrix", "plot_str": "{}", "value": None}
LOG = {"type": "log", "msg": "loading\n", "value": None}
_ACTIONS: dict[str, Callable[[World, Json | None], bool]] = {
    "pull": _pull,
    "pop": _pop,
    "start": _start,
    "start unseen": _start_unseen,
    "log": _reports(LOG),
    "scalar": _reports({"metric": "loss", "variant": "train", "value": 0.5, "iter": 0}),
    "single value": _reports({"metric": "Summary", "variant": "accuracy", "value": 0.5, "iter": -(2**31)}),
    "plot": _reports(PLOT),
    "plot, then log": _reports(PLOT, LOG),
    "image": _reports({"type": "training_debug_image", "metric": "samples", "variant": "1", "value": None}),
    "iteration": _reports({"type": "log", "msg": "step\n", "iter": 7, "value": None}),
    "monitor": _reports({"metric": ":monitor:gpu", "variant": "gpu_0_utilization", "value": 3.0, "iter": 180}, LOG),
    "complete": _end("tasks.completed"),
    "fail": _fail,
    "stop by other": _end("tasks.stopped", status_message="Changed by somebody"),
    "abort by other": _call("tasks.stop"),
    "reset": _call("tasks.reset"),
    "delete": _call("tasks.delete", force=True),
    "publish": _call("tasks.publish", force=True),
    "close": _end("tasks.close", force=True),
    "dequeue": _call("tasks.dequeue"),
    "move": _move,
    "k8s take": _into_kubernetes,
    "k8s wait": _waits_in_kubernetes,
    "workers gone": _workers_gone,
    "agent dies": _dies,
    "unheard of": _put(status="publishing"),
}
ACTIONS = frozenset(_ACTIONS)


def owner(**changes: Any) -> Lease:
    """Of a check on another host that is alive for another hour."""
    values: dict[str, Any] = {
        "host": "elsewhere/boot/pid:[1]",
        "pid": 7,
        "pid_started": "boot/1",
        "nonce": "0123456789abcdef",
        "deadline": BIRTH + 3600.0,
        "tree": "4" * 40,
        "what": "a" * 16,
    }
    return Lease(**{**values, **changes})


def owned(server: ClearMLServer, whose: Lease, *, names_itself: bool = True, **fields: Any) -> str:
    """A check's task with this owner on it, running unless `fields` say otherwise."""
    values = {"name": "cicd_test_task", "project": "Github CICD", "status": "in_progress", "commit": "c" * 40}
    task = server.add_task(**{**values, "tags": [lease.TAG], **fields})
    named = Lease(**{**vars(whose), "task": task}) if names_itself else whose
    server.tasks[task]["hyperparams"] = {"properties": {lease.CHECK: lease.to_property(named, lease.CHECK)}}
    return task


def order(repository: Repository, rev: str = "HEAD", **changes: Any) -> CheckOrder:
    """A check of a commit; `changes` are fields of the CheckOrder, or of its rules."""
    [resolved] = repository.resolve([rev])
    ours = {key: changes.pop(key) for key in list(changes) if key in CheckOrder.__dataclass_fields__}
    rules = Runnable(**{"queue_timeout": 120.0, "execution_timeout": 60.0, **changes})
    return CheckOrder(**{"commit": resolved.commit, "rules": rules, **ours})


def owner_of(task: Json) -> Json:
    """What is written on a task about who launched it."""
    document = json.loads(task["hyperparams"]["properties"][lease.CHECK]["value"])
    assert isinstance(document, dict)
    return document
