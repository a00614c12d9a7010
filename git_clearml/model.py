"""The values that travel through the program: commits, tasks, verdicts, reports. Frozen, and free of I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from git_clearml.clearml.model import Check

STATUS_OF_OUTCOME = {"verified": 0, "rejected": 1, "undecided": 3, "pending": 4}


class Outcome(str, Enum):
    """What a verdict comes to; the worst of several is the first of this order."""

    REJECTED = "rejected"
    UNDECIDED = "undecided"
    PENDING = "pending"
    VERIFIED = "verified"

    @property
    def status(self) -> int:
        """The exit status of design 5."""
        return STATUS_OF_OUTCOME[self.value]

    @staticmethod
    def worst(outcomes: list[Outcome]) -> Outcome:
        """1 beats 3 beats 4 beats 0. Nothing to judge is verified."""
        return next((one for one in Outcome if one in outcomes), Outcome.VERIFIED)


class Equivalence(str, Enum):
    """In which sense a task's commit is the judged one."""

    COMMIT = "commit"
    TREE = "tree"
    PATHS = "paths"
    RESULTS = "results"


class DiffKind(str, Enum):
    """What the recorded uncommitted changes of a task amount to."""

    CLEAN = "clean"
    OWN = "own"  # only what ClearML itself adds
    DIRTY = "dirty"
    ABSENT = "absent"  # the field is not set


@dataclass(frozen=True)
class Diff:
    """A classified diff. `summary` says what is in it, ready for a sentence: `train.py (+4 -1)`."""

    kind: DiffKind
    summary: str = ""


@dataclass(frozen=True)
class Commit:
    """A commit that exists in this repository, by full hash, with the hash of its tree."""

    hash: str
    tree: str


@dataclass(frozen=True)
class Metric:
    """One reported scalar. `last` is the value of the highest iteration, as a ClearML server has it."""

    metric: str
    variant: str
    last: float
    min: float
    max: float


@dataclass(frozen=True)
class Session:
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


@dataclass(frozen=True)
class RunRecord:
    """What `git clearml run` wrote down about one run of a command. Times are ISO 8601, UTC; "" while open.

    `dirty`, `untracked` and `edited` list paths (what differed from the commit before, what git did not know, what
    code changed during the run); `wrote` lists changed files that are no code. `code_before` and `code_after` are
    digests of the code in the working tree. `exit_status` is None until the command has ended; `tasks` pairs each
    task's id with its status at the end of the run ("" for an offline session, which has none), and `sessions` keeps
    what each of them said then. `offline_dir` is where ClearML kept offline sessions.
    """

    id: str
    commit: str
    tree: str
    command: tuple[str, ...]
    cwd: str
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
    submodules: tuple[tuple[str, str], ...] = ()
    code_before: str = ""
    code_after: str = ""
    tasks: tuple[tuple[str, str], ...] = ()
    sessions: tuple[Session, ...] = ()
    offline_dir: str = ""
    notes: tuple[str, ...] = ()
    alive: bool = False  # derived when read: its process still runs on this host


@dataclass(frozen=True)
class Task:
    """A ClearML task as far as the decision needs it. Text in it comes from a server: untrusted."""

    id: str
    source: str  # "server" | "offline"
    name: str = ""
    project: str = ""
    project_id: str = ""
    status: str = ""
    commit: str = ""  # script.version_num as recorded
    repository: str = ""
    entry_point: str = ""
    working_dir: str = ""
    diff: Diff | None = None  # None: not asked for yet
    archived: bool = False
    by_agent: bool = False
    launched: bool = False  # by `git clearml run --queue`, as this very task
    completed: str = ""
    updated: str = ""
    iteration: int | None = None
    value: float | None = None  # of the policy's metric
    url: str = ""
    run: RunRecord | None = None
    damage: str = ""  # why its record cannot be trusted, "" when it can
    notes: tuple[str, ...] = ()  # what a reader of the verdict should know about it


@dataclass(frozen=True)
class Reason:
    """Why a task does not count: one of design 11's codes, and a sentence."""

    code: str
    message: str


@dataclass(frozen=True)
class Finding:
    """What the rules say of one task for one commit: it counts when there is no reason against it."""

    task: Task
    equivalence: Equivalence | None
    reasons: tuple[Reason, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        return not self.reasons

    @property
    def pending(self) -> bool:
        """The right task, not yet at its end."""
        return bool(self.reasons) and all(reason.code in ("running", "queued") for reason in self.reasons)


@dataclass(frozen=True)
class Verdict:
    """What the findings add up to for one commit. `near_misses` are the tasks that nearly counted, best first.

    `unproved`: a task counts, but the policy also wants a passed remote check of the tree, and there is none.
    """

    commit: str
    outcome: Outcome
    rev: str = ""  # as typed, "" when nobody typed it
    refs: tuple[str, ...] = ()
    task: Task | None = None
    equivalence: Equivalence | None = None
    considered: int = 0
    accepted: int = 0
    notes: tuple[str, ...] = ()
    near_misses: tuple[Finding, ...] = ()
    unproved: bool = False


@dataclass(frozen=True)
class Problem:
    """Something that kept us from deciding or publishing, for the `errors` list."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class VerifyReport:
    """Everything `verify` has to say, in every format."""

    outcome: Outcome
    status: int
    policy_from: str  # a commit's hash, "flags" or "defaults"
    verdicts: tuple[Verdict, ...] = ()
    hint: str = ""
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    check: Check | None = None  # with --check-runnable
    comparison: Comparison | None = None  # with --tag-best
    comment: CommentResult | None = None  # with --comment


@dataclass(frozen=True)
class CommentResult:
    """What became of a comment: `action` is created, updated, unchanged or skipped; `note` says why, if need be."""

    url: str
    action: str
    note: str = ""


@dataclass(frozen=True)
class Best:
    """Policy of the best model (design 8b).

    `project` is where the best task is looked up, "" for where the tasks are: a flag in CI may narrow which tasks
    count, but not what they are measured by.
    """

    metric: str = ""
    direction: str = "max"
    value: str = "last"
    tolerance: str = "0"
    tag: str = "Best Performance"
    on_worse: str = "fail"
    zero_is_a_value: bool = False
    project: str = ""


@dataclass(frozen=True)
class Runnable:
    """Policy of the remote-runnable check (design 8a). Timeouts in seconds."""

    required: bool = False
    queue: str = "default"
    project: str = "Github CICD"
    task_name: str = "cicd_test_task"
    entry_point: str = "main.py"
    folder: str = "."
    args: tuple[str, ...] = ()
    requirements: str = "requirements.txt"
    docker: str = ""
    execution_timeout: float = 600
    queue_timeout: float = 1800
    archive: str = "success"


@dataclass(frozen=True)
class Policy:
    """The project's rules: which tasks count, which refs are protected (design 6). The defaults are the strict ones."""

    project: str = ""
    task_name: str = ""
    protect: tuple[str, ...] = ()
    equivalence: Equivalence = Equivalence.COMMIT
    code_paths: tuple[str, ...] = ()
    results_paths: tuple[str, ...] = ()
    untracked_ok: tuple[str, ...] = ()
    evidence: str = "auto"
    published: str = "accept"
    require_run_record: bool = False
    allow_no_repository: bool = False
    on_unreachable: str = "block"
    best: Best = field(default_factory=Best)
    runnable: Runnable = field(default_factory=Runnable)


class Standing(str, Enum):
    """How a task stands against the best one. JSON knows no `pending`: there it is `undecided` with status 4."""

    BETTER = "better"
    EQUAL = "equal"
    WORSE = "worse"
    FIRST = "first"  # there is no best task to compare with
    MISSING = "missing"  # nothing to compare: no evidence, no such metric, or not a number
    UNDECIDED = "undecided"
    PENDING = "pending"


@dataclass(frozen=True)
class Comparison:
    """One commit's task against the best task, by one metric (design 8b).

    `which` of the metric's values is compared: last, min or max. `current` is None when no task of the commit counts,
    `best` when there is none with the metric; their values are None where there is no such metric. `delta` is current
    minus best. `tagged`: the current task bears the best tag now.
    """

    outcome: Standing
    status: int
    commit: str = ""
    metric: str = ""
    direction: str = "max"
    which: str = "last"
    current: Task | None = None
    current_value: float | None = None
    best: Task | None = None
    best_value: float | None = None
    delta: float | None = None
    tolerance: str = "0"
    tagged: bool = False
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Row:
    """One metric of a report. Text in it comes from a server: untrusted.

    `best` is the other task's value and `delta` ours minus that, both None without one. `direction` is the policy's
    (max or min) where it names this metric, else "": which way is better is then unknown. `note` is for the reader.
    """

    metric: str
    variant: str
    last: float
    min: float
    max: float
    best: float | None = None
    delta: float | None = None
    direction: str = ""
    note: str = ""


@dataclass(frozen=True)
class MetricsReport:
    """A task's metrics, next to those of another task where there is one.

    `outcome` is the verdict's, None for a task that was asked for by its id: nothing was judged then. `task` is None
    when no task of the commit counts. `label` says what `against` is (the best task, a commit, a task)
    and `column` what to call its values: `best` or `other`. `hidden` counts the `:monitor:` metrics that were left out.
    """

    commit: str
    outcome: Outcome | None
    status: int
    task: Task | None = None
    against: Task | None = None
    label: str = ""
    column: str = "best"
    rows: tuple[Row, ...] = ()
    hidden: int = 0
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
