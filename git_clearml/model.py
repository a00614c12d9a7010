"""The values that travel through the program: commits, tasks, verdicts, reports. Frozen, and free of I/O."""

from __future__ import annotations

from enum import Enum
from typing import Literal, NamedTuple

from git_clearml.errors import Error


class DiffKind(str, Enum):
    """What the recorded uncommitted changes of a task amount to."""

    CLEAN = "clean"
    OWN = "own"  # only what ClearML itself adds
    DIRTY = "dirty"
    ABSENT = "absent"  # the field is not set


class Diff(NamedTuple):
    """A classified diff. `summary` says what is in it, ready for a sentence: `train.py (+4 -1)`."""

    kind: DiffKind
    summary: str = ""


class Commit(NamedTuple):
    """A commit that exists in this repository, by full hash, with the hash of its tree."""

    hash: str
    tree: str


MONITOR = ":monitor:"
"""How the titles of ClearML's own resource monitor begin."""


class Metric(NamedTuple):
    """One reported scalar. `last` is the value of the highest iteration, as a ClearML server has it."""

    metric: str
    variant: str
    last: float
    min: float
    max: float

    @property
    def name(self) -> str:
        """TITLE/SERIES."""
        return f"{self.metric}/{self.variant}"

    @property
    def is_own(self) -> bool:
        """Is it of the task's code, and not of ClearML's resource monitor?"""
        return not self.metric.startswith(MONITOR)


class Curve(NamedTuple):
    """What a scalar came to as a task went on: pairs of iteration and value, in order of iteration, each of them once.

    Iterations are finite; a value that was no number is NaN.
    """

    points: tuple[tuple[float, float], ...]


class Session(NamedTuple):
    """What a task made by a run says of itself: a ClearML offline session, or (`path` is "") a task on a server.

    The texts are those of its `script` section. `damage` says why it cannot be trusted, "" when it can; `notes` what
    is incomplete about it.
    """

    id: str
    path: str = ""
    name: str = ""
    project: str = ""
    commit: str = ""
    repository: str = ""
    entry_point: str = ""
    working_dir: str = ""
    diff: Diff = Diff(DiffKind.ABSENT)
    metrics: tuple[Metric, ...] = ()
    run: str = ""  # the marker: the id of the run that made it
    damage: str = ""
    notes: tuple[str, ...] = ()


class RecordedTask(NamedTuple):
    """The task that a record on a server lies on, as it was when the record was put there.

    `started` is ISO 8601 as the server has it, "" where it had not started; a reset takes it away.
    """

    id: str
    status: str = ""
    started: str = ""


class OtherTasks(NamedTuple):
    """The other tasks of a run: how many, and of those how many had ended badly, and not ended, when the run did."""

    tasks: int = 0
    unsound: int = 0
    unfinished: int = 0


class RunRecord(NamedTuple):
    """What `git clearml run` wrote down about one run of a command. Times are ISO 8601, UTC; "" while open.

    `dirty`, `untracked` and `edited` list paths (what differed from the commit before, what git did not know, what
    code changed during the run); `wrote` lists changed files that are no code; `ignored` is code that .gitignore hides,
    None in a record from before that was looked for; `allowed_by` are the patterns of `untracked-ok` that the run went
    by, where it found more untracked files than a server's copy of the record lists. `exit_status` is None until the
    command has ended; `tasks` pairs each task's id with its status at the end of the run ("" for an offline session,
    which has none), and `sessions` keeps what each of them said then. `offline_dir` is where ClearML kept offline
    sessions. `task` and `others` are in the copy on a server only, whose `tasks` are not all.
    """

    id: str
    commit: str
    tree: str
    command: tuple[str, ...]
    host: str
    user: str
    pid: int
    pid_started: str
    started: str
    ended: str = ""
    exit_status: int | None = None
    dirty: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    wrote: tuple[str, ...] = ()
    allowed_by: tuple[str, ...] = ()
    ignored: tuple[str, ...] | None = None
    submodules: tuple[tuple[str, str], ...] = ()
    tasks: tuple[tuple[str, str], ...] = ()
    sessions: tuple[Session, ...] = ()
    offline_dir: str = ""
    notes: tuple[str, ...] = ()
    task: RecordedTask | None = None
    others: OtherTasks = OtherTasks()
    alive: bool = False  # derived when read: its process still runs on this host


class Task(NamedTuple):
    """A ClearML task as far as the decision needs it. Text in it comes from a server: untrusted."""

    id: str
    source: Literal["server", "offline", "recorded"]  # the last: all that is known of it is a note in git
    name: str = ""
    project: str = ""
    status: str = ""
    commit: str = ""  # script.version_num as recorded
    repository: str = ""
    entry_point: str = ""
    working_dir: str = ""
    branch: str = ""  # script.branch as recorded: what an agent checks out where no commit is named
    diff: Diff | None = None  # None: not asked for yet
    archived: bool = False
    by_agent: bool = False
    launched: bool = False  # by `git clearml run --queue`, as this very task
    is_check: bool = False  # of `git clearml check-runnable`, as this very task
    started: str = ""
    completed: str = ""
    updated: str = ""
    iteration: int | None = None
    value: float | None = None  # of the metric by which the policy chooses between tasks
    metrics: tuple[Metric, ...] = ()  # those that the policy's `metrics` name, as far as they were reported
    url: str = ""
    run: RunRecord | None = None
    damage: str = ""  # why its record cannot be trusted, "" when it can
    notes: tuple[str, ...] = ()  # what a reader of the verdict should know about it


EntryPoint = tuple[str, str, str]
"""What a task says that it ran: commit (or a tree that stands for it), entry point, working directory."""


class Problem(NamedTuple):
    """Something that kept us from deciding or publishing, for the `errors` list."""

    code: str
    message: str
    hint: str = ""
    passing: bool = False  # the server says that it is away for now

    @classmethod
    def of(cls, error: Error) -> Problem:
        """The error as a value."""
        return cls(error.code, error.message, error.hint, error.passing)


class Resolved(NamedTuple):
    """A revision as typed, the commit it names, and the blob of that commit's pyproject.toml ("" for none)."""

    rev: str
    commit: Commit
    policy_blob: str
