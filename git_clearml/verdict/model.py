"""The values of judging: what the rules say of a task, what that adds up to for a commit. Frozen, no I/O."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from git_clearml.model import Task
from git_clearml.settings.policy import Equivalence, MetricRule

STATUS_OF_OUTCOME = {"verified": 0, "rejected": 1, "undecided": 3, "pending": 4}


ONLY_HERE = "only this clone knows"
"""How a note begins that says that elsewhere the verdict may be another one."""


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
        return next((outcome for outcome in Outcome if outcome in outcomes), Outcome.VERIFIED)


class Reason(NamedTuple):
    """Why a task does not count: one of design 11's codes, and a sentence."""

    code: str
    message: str


class Tip(NamedTuple):
    """A branch that somebody says is at a commit, or will be; where it is a fork's, the fork's URLs."""

    branch: str
    commit: str
    urls: tuple[str, ...] = ()


class Finding(NamedTuple):
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


class Spread(NamedTuple):
    """Of several runs the best value of a metric, the median and the worst."""

    best: float
    median: float
    worst: float


class Measured(NamedTuple):
    """One of the policy's `metrics` for a commit: its value, that of the task `task`, of how many runs that have it.

    `outcome` is a word of design 11: pass, fail, missing, warned or accepted. Where it is no pass, `code` and `message`
    are those of a Reason; with `accepted` `reason` is why. `baseline` is the value that it was compared with, None for
    none; `baseline_is` says whose that is, and `baseline_task` is the id of the task that has it. `final` is a failure
    that no further run of the commit can change.
    """

    rule: MetricRule
    outcome: str = "pass"
    value: float | None = None
    runs: int = 0
    task: str = ""
    spread: Spread | None = None
    code: str = ""
    message: str = ""
    baseline: float | None = None
    baseline_is: str = ""
    baseline_task: str = ""
    reason: str = ""
    final: bool = False


class RequirementVerdict(NamedTuple):
    """The verdict of a commit as far as one requirement of the policy goes.

    `entry_point` is the script that its task has to have run, "" for any; `hint` the command that makes a pass of it,
    "" where it is one or nobody has looked for it.
    """

    name: str
    verdict: Verdict
    entry_point: str = ""
    hint: str = ""

    @property
    def outcome(self) -> Outcome:
        return self.verdict.outcome

    def by(self, equivalence: Equivalence) -> RequirementVerdict:
        """The same for another commit, which is this one in that sense."""
        return self._replace(verdict=self.verdict._replace(equivalence=equivalence))


class Verdict(NamedTuple):
    """What the findings add up to for one commit. `near_misses` are the tasks that nearly counted, best first.

    `needs_check`: a task counts, but the policy also requires a passed remote check of the tree, and there is none.
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
    needs_check: bool = False
    requirements: tuple[RequirementVerdict, ...] = ()  # in the policy's order, () where it has none
    metrics: tuple[Measured, ...] = ()  # of the policy's `metrics`, in its order
    runs: tuple[Task, ...] = ()  # the tasks that were measured
    looked_back_to: str = ""  # ISO 8601: tasks last updated before were not looked at; "" where all were

    @property
    def fails_metrics(self) -> bool:
        """Is there a task that counts, whose metrics are not what the policy wants?"""
        return bool(self.runs) and any(result.code for result in self.metrics)

    @property
    def shortfalls(self) -> list[str]:
        """What the metrics are short of, as sentences."""
        return [result.message for result in self.metrics if result.code]

    def seen_after(self, before: Verdict) -> Verdict:
        """The verdict after all was asked for, with what was seen before: a clean merge that waits for its halves."""
        if before.outcome is Outcome.VERIFIED:
            return self
        verdict = self._replace(notes=(*self.notes, *before.notes))
        if before.outcome is Outcome.PENDING and self.outcome is Outcome.REJECTED:
            near = (*before.near_misses, *self.near_misses)
            return verdict._replace(outcome=Outcome.PENDING, near_misses=near)
        return verdict

    @property
    def parts(self) -> tuple[Verdict, ...]:
        """What the verdict is made of: one for each requirement, itself where the policy has none."""
        return tuple(each.verdict for each in self.requirements) or (self,)

    @property
    def other_near_misses(self) -> tuple[Finding, ...]:
        """Those that are not told with a requirement already."""
        in_requirements = {finding.task.id for each in self.requirements for finding in each.verdict.near_misses}
        return tuple(finding for finding in self.near_misses if finding.task.id not in in_requirements)

    def of_more(self) -> Verdict:
        """The verdict with what its counts do not say, where not all tasks have been looked at."""
        note = f"the first {self.considered} tasks were looked at; there are more"
        return self._replace(notes=(*self.notes, note)) if self.task and not self.requirements else self
