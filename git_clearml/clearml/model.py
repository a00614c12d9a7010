"""The values of launching: what an agent gets to run, what is seen of it, what a check comes to. Frozen, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from git_clearml.model import Metric, Problem


@dataclass(frozen=True)
class Launch:
    """A task as it will be made on the server, at an exact commit, and the queue that it goes to.

    `requirements` is the content of a requirements file, "" for no packages, None to leave it to the agent (which then
    takes the repository's own requirements.txt). `arguments` are pairs for ClearML's Args section; `diff` is what the
    agent applies on top of the commit, "" for nothing.
    """

    project: str
    name: str
    queue: str
    repository: str
    commit: str
    entry_point: str
    working_dir: str = "."
    branch: str = ""
    requirements: str | None = None
    arguments: tuple[tuple[str, str], ...] = ()
    docker: str = ""
    docker_arguments: str = ""
    diff: str = ""
    tags: tuple[str, ...] = ()
    kind: str = "training"


@dataclass(frozen=True)
class Queue:
    """A queue of the server, and how many live workers serve it."""

    id: str
    name: str
    workers: int = 0


@dataclass(frozen=True)
class Seen:
    """One look at a launched task. `alive`: it has reported something of its own.

    `status` is "" when the server has no such task any more.
    """

    status: str
    queue: str = ""  # id
    queue_name: str = ""
    worker: str = ""
    message: str = ""
    reason: str = ""
    started: str = ""
    iteration: int | None = None
    alive: bool = False
    metrics: tuple[Metric, ...] = ()


@dataclass(frozen=True)
class Limits:
    """Seconds: waiting in the queue, running until the first sign of life, and bearing a server that is away."""

    queued: float
    running: float
    away: float = 300.0


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


@dataclass(frozen=True)
class Owner:
    """Who launched a check's task, so that nobody else sweeps it while it is alive. Times are seconds since 1970."""

    host: str
    pid: int
    pid_started: str
    nonce: str
    deadline: float
    tree: str = ""
    what: str = ""  # a digest of what was run on the tree
    side_ref: str = ""
    task: str = ""


@dataclass(frozen=True)
class Wish:
    """What of a run is to be recorded in git: `kind` is none, notes or commit; the rest says how."""

    kind: str = "none"
    push: bool = False
    add: tuple[str, ...] = ()
    before_push: str = ""
    branch: str = ""
    skip_ci: bool = False
    committer: str = ""
