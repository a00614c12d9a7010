"""What the polls of a launched task add up to: has it reported something, has it ended, is its time up? Pure.

Runnable means that the task has reported something of its own, or completed (design 8a). Time in the queue and time in
execution are counted apart: what passes between two polls belongs to the state that the former saw.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from git_clearml.agent.model import CheckOutcome, Limits
from git_clearml.base import patience
from git_clearml.clearml.model import TaskState

_WAITING = ("queued", "created")
# ClearML's Kubernetes glue takes a task from its queue and puts it on one of its own, where it waits for its pod. With
# an older server it stops the task in between (clearml-agent 3.0, glue/k8s.py, run_one_task).
_PENDING_QUEUE, _STOPPED_IN_BETWEEN = "k8s_scheduler", "moving to k8s pending queue"


@dataclass(frozen=True)
class Ending:
    """Why the watching is over. `cause` is the machine's word, "" where the console log has to tell."""

    outcome: CheckOutcome
    sentence: str
    cause: str = ""


@dataclass(frozen=True)
class Watch:
    """What is known so far. Times are seconds of one clock; `unavailable_since` is set while no answer comes."""

    now: float
    seen: TaskState
    queued: float = 0.0
    running: float = 0.0
    unavailable_since: float | None = None

    @property
    def waiting(self) -> bool:
        """Is it in the queue, as far as we know?"""
        return self.seen.status in _WAITING or _between_queues(self.seen)


def after_poll(watch: Watch, seen: TaskState | None, now: float) -> Watch:
    """The watch after one more poll; None for one that the server did not answer."""
    passed = max(0.0, now - watch.now)
    queued = watch.queued + (passed if watch.waiting else 0.0)
    running = watch.running + (0.0 if watch.waiting else passed)
    if seen is None:
        since = patience.away_since(watch.unavailable_since, False, watch.now)
        return replace(watch, now=now, queued=queued, running=running, unavailable_since=since)
    return Watch(now, seen, queued, running)


def check_end(watch: Watch, limits: Limits, queue: str = "") -> Ending | None:
    """The end of a check, None as long as one has to wait. `queue` is the id of the queue that it was put on."""
    if watch.unavailable_since is not None:
        if not patience.is_over(watch.unavailable_since, watch.now):
            return None
        words = patience.sentence(watch.unavailable_since, watch.now)
        return Ending(CheckOutcome.UNDECIDED, words, "server-away")
    over = _moved(watch.seen, queue) or _ended(watch.seen)
    if over is not None:
        return over
    return _late(watch, limits)


def _late(watch: Watch, limits: Limits) -> Ending | None:
    """Whether the time of what the task is at is up. It may have been taken from the queue at the last moment."""
    if watch.seen.status == "in_progress":
        words = f"reported nothing within {_seconds(limits.running)} of execution"
        late = watch.running >= limits.running
        return Ending(CheckOutcome.TIMEOUT, words, "execution-timeout") if late else None
    if watch.waiting:
        words = f"no agent started it within {_seconds(limits.queued)}"
        return Ending(CheckOutcome.TIMEOUT, words, "queue-timeout") if watch.queued >= limits.queued else None
    if watch.queued + watch.running >= limits.queued + limits.running:
        words = f"the task's status is {watch.seen.status!r}, which git-clearml does not know"
        return Ending(CheckOutcome.UNDECIDED, words, "unknown-status")
    return None


def _moved(seen: TaskState, queue: str) -> Ending | None:
    """What runs on another queue's agent says nothing of ours."""
    if queue in ("", seen.queue) or not seen.queue or seen.queue_name == _PENDING_QUEUE:
        return None
    where = f" {seen.queue_name!r}" if seen.queue_name else ""
    return Ending(CheckOutcome.UNDECIDED, f"the task was moved to another queue{where}", "moved")


def _between_queues(seen: TaskState) -> bool:
    return seen.status == "stopped" and seen.reason == _STOPPED_IN_BETWEEN


def _ended(seen: TaskState) -> Ending | None:
    """What the task's own state decides. A failure beats a report; an abort by somebody does not."""
    if seen.status == "":
        return Ending(CheckOutcome.UNDECIDED, "the task was deleted while we were watching it", "deleted")
    if seen.status == "failed":
        return Ending(CheckOutcome.FAILED, "the task failed")
    if seen.status == "completed":
        return Ending(CheckOutcome.RUNNABLE, "the task completed")
    if seen.alive and seen.status in ("in_progress", "stopped", "closed", "published", "publishing"):
        return Ending(CheckOutcome.RUNNABLE, "the task reported its first values")
    if seen.status == "stopped" and not _between_queues(seen):
        return Ending(CheckOutcome.FAILED, "the task was aborted before it reported anything", "aborted")
    if seen.status in ("closed", "published"):
        words = f"the task was {seen.status} before it reported anything"
        return Ending(CheckOutcome.UNDECIDED, words, seen.status)
    if seen.status == "created":
        return Ending(CheckOutcome.UNDECIDED, "the task was reset or taken off its queue", "reset")
    return None


@dataclass(frozen=True)
class RunEnd:
    """What a training that was waited for comes to: an exit status, and a sentence. Only a completed one is 0.

    `over`: the task itself has ended, not only the waiting for it.
    """

    status: int
    sentence: str
    over: bool = True


def run_end(watch: Watch, timeout: float) -> RunEnd | None:
    """The end of the waiting for a training, None as long as one has to wait."""
    if watch.unavailable_since is not None and patience.is_over(watch.unavailable_since, watch.now):
        return RunEnd(3, patience.sentence(watch.unavailable_since, watch.now), over=False)
    status = watch.seen.status
    if watch.unavailable_since is None and status in _RUN_ENDS:
        return _RUN_ENDS[status]
    if watch.queued + watch.running >= timeout:
        return RunEnd(4, f"still {status} after {_seconds(timeout)} of waiting", over=False)
    return None


_RUN_ENDS = {
    "completed": RunEnd(0, "the task completed"),
    "failed": RunEnd(1, "the task failed"),
    "stopped": RunEnd(1, "the task was aborted"),
    "closed": RunEnd(3, "the task was closed: whether it succeeded is not on record"),
    "published": RunEnd(3, "the task was published: whether it succeeded is not on record"),
    "created": RunEnd(3, "the task was reset or taken off its queue"),
    "": RunEnd(3, "the task was deleted"),
}


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s"
