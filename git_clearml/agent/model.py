"""The values of running on a queue: the limits of a wait, and what a remote check comes to. Frozen, and free of I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from git_clearml.model import Problem


@dataclass(frozen=True)
class Limits:
    """Seconds: waiting in the queue, and running until the first report."""

    queued: float
    running: float


class CheckOutcome(str, Enum):
    """What a remote-runnable check comes to (design 8a, 11)."""

    RUNNABLE = "runnable"
    FAILED = "failed"
    TIMEOUT = "timeout"
    NO_WORKER = "no-worker"
    INTERRUPTED = "interrupted"
    UNDECIDED = "undecided"

    @property
    def status(self) -> int:
        """The exit status; an interruption has that of its signal instead."""
        return {"runnable": 0, "failed": 1, "timeout": 1, "interrupted": 130}.get(self.value, 3)


@dataclass(frozen=True)
class Check:
    """Everything `check-runnable` has to say. `task` is "" when none was launched.

    `sentence` says in one line what happened, `cause` is the machine's word for it ("" for none), `left` lists what
    could not be cleaned up. Text of a server stands in `log_tail` and `worker`: untrusted. `earlier`: nothing was
    launched, because a check of the same tree had passed before.
    """

    outcome: CheckOutcome
    status: int
    commit: str = ""
    tree: str = ""
    task: str = ""
    url: str = ""
    queue: str = ""
    worker: str = ""
    seconds_queued: float = 0.0
    seconds_running: float = 0.0
    sentence: str = ""
    cause: str = ""
    log_tail: tuple[str, ...] = ()
    earlier: bool = False
    left: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    hint: str = ""
