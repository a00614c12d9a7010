"""Metrics beside those of another task, and how a task compares with the best one. Frozen, and free of I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from git_clearml.model import Problem, Task
from git_clearml.verdict.model import Measured, Outcome


class ComparisonOutcome(str, Enum):
    """How a task stands against the best one. JSON knows no `pending`: there it is `undecided` with status 4."""

    BETTER = "better"
    EQUAL = "equal"
    WORSE = "worse"
    FIRST = "first"  # there is no best task to compare with
    MISSING = "missing"  # nothing to compare: no evidence, no such metric, or not a number
    UNDECIDED = "undecided"
    PENDING = "pending"

    @property
    def in_json(self) -> str:
        """The word of JSON and of a CI job's outputs."""
        return "undecided" if self is ComparisonOutcome.PENDING else str(self.value)


@dataclass(frozen=True)
class Comparison:
    """One commit's task against the best task, by one metric (design 8b).

    `which` of the metric's values is compared: last, min or max. `current` is None when no task of the commit counts,
    `best` when there is none with the metric; their values are None where there is no such metric. `delta` is current
    minus best. `tagged`: the current task bears the best tag now.
    """

    outcome: ComparisonOutcome
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
    metrics: tuple[Measured, ...] = ()  # all that the policy's `metrics` say; the fields above are of the first then

    @property
    def failing(self) -> tuple[Measured, ...]:
        """Those of the metrics that are not as the policy wants them."""
        return tuple(result for result in self.metrics if result.code)

    def noted(self, *notes: str) -> Comparison:
        """The comparison with more to say."""
        return replace(self, notes=(*self.notes, *notes))


@dataclass(frozen=True)
class Row:
    """One metric of a report. Text in it comes from a server: untrusted.

    `best` is the other task's value and `delta` ours minus that, both None without one. `direction` is the policy's
    (max or min) where it names this metric, else "": which way is better is then unknown. `note` is for the reader, and
    `trend` shows in up to 20 block characters how the value went, "" where that is not on record. `which` of the values
    was compared: last, min or max.
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
    trend: str = ""
    which: str = "last"

    @property
    def name(self) -> str:
        """TITLE/SERIES."""
        return f"{self.metric}/{self.variant}"


@dataclass(frozen=True)
class Chart:
    """A metric (TITLE/SERIES) over the iterations `xs`: our task's values, and the other task's or none of it.

    `other_is` names the other task where it is drawn, `note` says why it is not. Nothing is to be drawn where there are
    no `xs`: the task has no curve of this metric. Text in it comes from a server: untrusted.
    """

    metric: str
    xs: tuple[float, ...] = ()
    ours: tuple[float, ...] = ()
    other: tuple[float, ...] = ()
    other_is: str = ""
    note: str = ""


@dataclass(frozen=True)
class Step:
    """A step of a pipeline with its metrics. `path` names the pipelines that it is in, outermost first, and it."""

    task: Task
    parent: str  # the id of the pipeline's task
    path: tuple[str, ...]
    rows: tuple[Row, ...] = ()


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
    charts: tuple[Chart, ...] = ()  # of the policy's metrics
    measured: tuple[Measured, ...] = ()  # what the policy's `metrics` came to over all runs of the commit
    steps: tuple[Step, ...] | None = None  # None where nobody wants them
