"""The values of judging: what the rules say of a task, what that adds up to for a commit. Frozen, no I/O."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from git_clearml.model import Task
from git_clearml.settings.policy import Equivalence

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
    looked_back_to: str = ""  # ISO 8601: tasks last updated before were not looked at; "" where all were

    def of_more(self) -> Verdict:
        """The verdict with what its counts do not say, where not all tasks have been looked at."""
        note = f"the first {self.considered} tasks were looked at; there are more"
        return self._replace(notes=(*self.notes, note)) if self.task else self
