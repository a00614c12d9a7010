"""Follows a launched task: polls it, lets the caller decide, waits a little longer each time, polls again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from git_clearml.agent.model import Limits
from git_clearml.agent.watch import Watch, after_poll
from git_clearml.base import patience
from git_clearml.clearml import response, tasks
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.model import TaskState
from git_clearml.errors import CannotDecide

End = TypeVar("End")
_MOST = 400  # events of the console log in one request
_SHORTEST, _LONGEST_QUEUED, _LONGEST_RUNNING = 1.0, 30.0, 10.0  # seconds between two polls


def follow(
    api: ClearML,
    watches: Mapping[str, Watch],
    decide: Callable[[Watch], End | None],
    *,
    tick: Callable[[Mapping[str, Watch]], None],
    limits: Limits,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[dict[str, Watch], dict[str, End]]:
    """Follows the tasks, what is known of each by its id, until some have ended: what was seen last, and those ends.

    They are what `decide` returns. `tick` is called after every poll that ended nothing. A server that does not answer
    is asked again, and `decide` is told since when. Raises Unauthorized and Forbidden: waiting would not help.
    """
    now = dict(watches)
    while True:
        now = {task: look(api, task, watch, clock) for task, watch in now.items()}
        if ends := {task: end for task, watch in now.items() if (end := decide(watch)) is not None}:
            return now, ends
        tick(now)
        sleep(min(pause(watch, limits) for watch in now.values()) * random.uniform(0.8, 1.2))  # noqa: S311  no secret


def begun(now: float) -> Watch:
    """What is known of a task that was just put on its queue."""
    return Watch(now, TaskState("queued"))


def look(api: ClearML, task: str, before: Watch, clock: Callable[[], float]) -> Watch:
    """Polls the task once. Raises as `follow` does."""
    state: TaskState | None
    try:
        api.renew()
        state = tasks.poll_task(api, task)
    except CannotDecide as error:
        if not patience.may_pass(error.code):
            raise
        state = None
    return after_poll(before, state, clock())


def pause(watch: Watch, limits: Limits) -> float:
    """Seconds until the next poll: a fifth of what has passed, but never far beyond a limit. Pure."""
    spent, limit, longest = (
        (watch.queued, limits.queued, _LONGEST_QUEUED)
        if watch.waiting
        else (watch.running, limits.running, _LONGEST_RUNNING)
    )
    return min(longest, max(_SHORTEST, spent / 5), max(_SHORTEST / 2, limit - spent))


class Tail:
    """The console log as it grows, without the configuration that an agent prints before it begins: it names a key."""

    def __init__(self, api: ClearML, task: str) -> None:
        self._api, self._task = api, task
        self._since = 0
        self._seen: list[str] = []  # of the last moment, which may still grow
        self._in_configuration = False

    def lines(self) -> list[str]:
        """What is new since the last call. Raises the errors of ClearML.call."""
        new: list[str] = []
        while True:
            events = _events_after(self._api, self._task, self._since)
            fresh = [(moment, text) for moment, text in events if moment > self._since or text not in self._seen]
            if not fresh:
                return [line for text in new for line in text.rstrip("\n").split("\n") if self._is_shown(line)]
            new += [text for _, text in fresh]
            last = fresh[-1][0]
            kept = self._seen if last == self._since else []
            self._since, self._seen = last, [*kept, *(text for moment, text in fresh if moment == last)]

    def _is_shown(self, line: str) -> bool:
        if line.startswith("Current configuration (clearml_agent"):
            self._in_configuration = True
        elif line.startswith("Executing task id ["):
            self._in_configuration = False
        return not self._in_configuration


def _events_after(api: ClearML, task: str, since: int) -> list[tuple[int, str]]:
    """Events of the console log from a moment on (milliseconds since 1970), oldest first, with their moments.

    One request. The server leaves out the very moment that it is given: the one before it is requested.
    """
    body = {"task": task, "batch_size": _MOST, "navigate_earlier": False}
    body |= {"from_timestamp": since - 1} if since else {}
    events = response.objects(api.call("events.get_task_log", body), "events")
    moments = [(event.get("timestamp"), str(event.get("msg") or "")) for event in events]
    return sorted((moment, text) for moment, text in moments if isinstance(moment, int) and moment >= since)
