"""Everything that `verify` has to say, to be rendered. Frozen, and free of I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from git_clearml.model import Problem
from git_clearml.verdict.model import Outcome, Verdict

if TYPE_CHECKING:  # what most reports do not have is loaded with what makes it
    from git_clearml.agent.model import Check
    from git_clearml.report.measures import Comparison, Row


class CommentResult(NamedTuple):
    """What became of a comment: `action` is created, updated, unchanged, skipped or deleted; `note` says why."""

    url: str
    action: str
    note: str = ""


class VerifyReport(NamedTuple):
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
    against_best: Row | None = None  # the policy's metric next to the best task's, where both were read
