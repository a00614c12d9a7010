"""Waits for the next of several tasks on queues that ends."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping

from git_clearml.agent import poll, watch
from git_clearml.agent.model import Limits
from git_clearml.agent.queue_wait import Waited, is_over
from git_clearml.agent.watch import Watch
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.model import TaskState


def next_ended(
    api: ClearML, watches: Mapping[str, Watch], timeout: float, *, tick: Callable[[Mapping[str, Watch]], None]
) -> tuple[dict[str, Watch], dict[str, Waited]]:
    """Follows the tasks, what is known of each by its id, until some have ended, or were waited for so many seconds.

    What is known of them now, and the ends. `tick` is called after each look that ended none. Raises Unauthorized and
    Forbidden.
    """
    now = dict(watches)
    while True:
        now = {task: poll.look(api, task, each, time.monotonic) for task, each in now.items()}
        ends = {task: watch.run_end(each, timeout) for task, each in now.items()}
        if over := {task: Waited(end, is_over(now[task], end)) for task, end in ends.items() if end is not None}:
            return now, over
        tick(now)
        limits = Limits(timeout, timeout)
        time.sleep(min(poll.pause(each, limits) for each in now.values()) * random.uniform(0.8, 1.2))  # noqa: S311


def begun() -> Watch:
    """What is known of a task that was just put on its queue."""
    return Watch(time.monotonic(), TaskState("queued"))
