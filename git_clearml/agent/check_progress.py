"""The progress of a check on the screen: its place in the queue, then how far the agent is."""

from __future__ import annotations

import contextlib

from git_clearml.agent import task_log
from git_clearml.agent.model import Limits
from git_clearml.agent.watch import Watch
from git_clearml.base.console import Progress
from git_clearml.base.ids import is_clearml_id
from git_clearml.clearml import response, tasks
from git_clearml.clearml.client import ClearML
from git_clearml.errors import CannotDecide

_PLACE_EVERY = 90.0  # seconds between two polls of the queue: each is a request
_LINES = 100  # of the console log, to see the phase


class CheckProgress:
    """Shows the state of a task after each poll. Details cost requests; those of the queue are only for a terminal."""

    def __init__(self, api: ClearML, progress: Progress, task: str, queue: str, limits: Limits) -> None:
        self._api, self._progress = api, progress
        self._task, self._queue, self._limits = task, queue, limits
        self._phase: task_log.Phase | None = None
        self._place, self._placed = "", -_PLACE_EVERY

    def update(self, watch: Watch) -> None:
        """One poll more. Raises nothing: what cannot be learned is left out."""
        if watch.unavailable_since is not None:
            self._progress.state("the server does not answer", f"{watch.now - watch.unavailable_since:.0f} s")
        elif watch.waiting:
            detail = f"{watch.queued:.0f} of {self._limits.queued:.0f} s"
            self._progress.state(f"queued in {self._queue!r}", detail + self._in_queue(watch))
        else:
            phase = self._reached() or "starting"
            detail = f"{watch.running:.0f} of {self._limits.running:.0f} s on {watch.seen.worker or 'a worker'}"
            self._progress.state(phase, detail)

    def _in_queue(self, watch: Watch) -> str:
        if self._progress.live and watch.queued - self._placed >= _PLACE_EVERY:
            self._placed = watch.queued
            with contextlib.suppress(CannotDecide):
                place, length = position(self._api, watch.seen.queue, self._task)
                self._place = f", {place} of {length}" if place else ""
        return self._place

    def _reached(self) -> str:
        with contextlib.suppress(CannotDecide):
            self._phase = task_log.phase(tasks.console(self._api, self._task, _LINES)) or self._phase
        return self._phase.value if self._phase else ""


def position(api: ClearML, queue: str, task: str) -> tuple[int, int]:
    """The task's place in the queue (by its id), and the queue's length; place 0 when it is not in it. One request."""
    if not is_clearml_id(queue):
        return 0, 0
    entries = response.part(api.call("queues.get_by_id", {"queue": queue}), "queue").get("entries")
    waiting = [entry.get("task") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    ids = [task.get("id") if isinstance(task, dict) else task for task in waiting]
    return (ids.index(task) + 1 if task in ids else 0), len(ids)
