"""What the looks at a launched task add up to: has it shown life, has it ended, is its time up? Pure.

Runnable means that the task has reported something of its own, or completed (design 8a). Time in the queue and time in
execution are counted apart: what passes between two looks belongs to the state that the former saw.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from git_clearml.agent.model import CheckOutcome, Limits
from git_clearml.clearml.model import Seen

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
    """What is known so far. Times are seconds of one clock; `away_since` is set while the server does not answer."""

    now: float
    seen: Seen
    queued: float = 0.0
    running: float = 0.0
    away_since: float | None = None

    @property
    def waiting(self) -> bool:
        """Is it in the queue, as far as we know?"""
        return self.seen.status in _WAITING or _between_queues(self.seen)


def after(watch: Watch, seen: Seen | None, now: float) -> Watch:
    """The watch after one more look; None for a look that the server did not answer."""
    passed = max(0.0, now - watch.now)
    queued = watch.queued + (passed if watch.waiting else 0.0)
    running = watch.running + (0.0 if watch.waiting else passed)
    if seen is None:
        since = watch.now if watch.away_since is None else watch.away_since
        return replace(watch, now=now, queued=queued, running=running, away_since=since)
    return Watch(now, seen, queued, running)


def ending(watch: Watch, limits: Limits, queue: str = "") -> Ending | None:
    """The end of a check, None as long as one has to wait. `queue` is the id of the queue that it was put on."""
    if watch.away_since is not None:
        gone = watch.now - watch.away_since
        if gone < limits.away:
            return None
        return Ending(CheckOutcome.UNDECIDED, f"the server has been away for {_seconds(gone)}", "server-away")
    over = _moved(watch.seen, queue) or _ended(watch.seen)
    if over is not None:
        return over
    return _late(watch, limits)


def _late(watch: Watch, limits: Limits) -> Ending | None:
    """Whether the time of what the task is at is up. It may have been taken from the queue at the last moment."""
    if watch.seen.status == "in_progress":
        words = f"no sign of life within {_seconds(limits.running)} of execution"
        late = watch.running >= limits.running
        return Ending(CheckOutcome.TIMEOUT, words, "execution-timeout") if late else None
    if watch.waiting:
        words = f"no agent took it within {_seconds(limits.queued)}"
        return Ending(CheckOutcome.TIMEOUT, words, "queue-timeout") if watch.queued >= limits.queued else None
    if watch.queued + watch.running >= limits.queued + limits.running:
        words = f"the server says {watch.seen.status!r}, which no waiting ends"
        return Ending(CheckOutcome.UNDECIDED, words, "unknown-status")
    return None


def _moved(seen: Seen, queue: str) -> Ending | None:
    """What runs on another queue's agent says nothing of ours."""
    if queue in ("", seen.queue) or not seen.queue or seen.queue_name == _PENDING_QUEUE:
        return None
    where = f" {seen.queue_name!r}" if seen.queue_name else ""
    return Ending(CheckOutcome.UNDECIDED, f"somebody moved the task to another queue{where}", "moved")


def _between_queues(seen: Seen) -> bool:
    return seen.status == "stopped" and seen.reason == _STOPPED_IN_BETWEEN


def _ended(seen: Seen) -> Ending | None:
    """What the task's own state decides. A failure beats a sign of life; an abort by somebody does not."""
    if seen.status == "":
        return Ending(CheckOutcome.UNDECIDED, "somebody deleted the task while it was watched", "deleted")
    if seen.status == "failed":
        return Ending(CheckOutcome.FAILED, "the task failed")
    if seen.status == "completed":
        return Ending(CheckOutcome.RUNNABLE, "the task completed")
    if seen.alive and seen.status in ("in_progress", "stopped", "closed", "published", "publishing"):
        return Ending(CheckOutcome.RUNNABLE, "the task reported its first values")
    if seen.status == "stopped" and not _between_queues(seen):
        return Ending(CheckOutcome.FAILED, "somebody aborted the task before it showed life", "aborted")
    if seen.status in ("closed", "published"):
        words = f"somebody made the task {seen.status} before it showed life"
        return Ending(CheckOutcome.UNDECIDED, words, seen.status)
    if seen.status == "created":
        return Ending(CheckOutcome.UNDECIDED, "somebody reset the task or took it off its queue", "reset")
    return None


@dataclass(frozen=True)
class RunEnd:
    """What a training that was waited for comes to: an exit status, and a sentence. Only a completed one is 0."""

    status: int
    sentence: str


def run_end(watch: Watch, timeout: float, away: float) -> RunEnd | None:
    """The end of the waiting for a training, None as long as one has to wait."""
    if watch.away_since is not None and watch.now - watch.away_since >= away:
        return RunEnd(3, f"the server has been away for {_seconds(watch.now - watch.away_since)}")
    status = watch.seen.status
    if watch.away_since is None and status in _RUN_ENDS:
        return _RUN_ENDS[status]
    if watch.queued + watch.running >= timeout:
        return RunEnd(4, f"still {status} after {_seconds(timeout)} of waiting")
    return None


_RUN_ENDS = {
    "completed": RunEnd(0, "the task completed"),
    "failed": RunEnd(1, "the task failed"),
    "stopped": RunEnd(1, "somebody aborted the task"),
    "closed": RunEnd(3, "somebody closed the task: whether it succeeded is not on record"),
    "published": RunEnd(3, "somebody published the task: whether it succeeded is not on record"),
    "created": RunEnd(3, "somebody reset the task or took it off its queue"),
    "": RunEnd(3, "somebody deleted the task"),
}


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s"
