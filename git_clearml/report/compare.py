"""Decides how a task stands against the best one, and who bears the best tag: design 8b. Pure.

What passes and what is tagged are two questions. The tolerance widens what passes. The tag follows one total order,
which knows no tolerance, so that "best" cannot drift down and everybody who applies the order picks the same task.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from git_clearml.base.words import moment
from git_clearml.model import Task
from git_clearml.report.measures import Comparison, ComparisonOutcome
from git_clearml.settings.policy import Best, Policy
from git_clearml.settings.tolerance import decimal, parse_tolerance
from git_clearml.verdict.metric_rules import Ruled, unusable
from git_clearml.verdict.model import Outcome, Verdict

_FROM_VERDICT = {
    Outcome.REJECTED: (ComparisonOutcome.MISSING, "no task counts for this commit"),
    Outcome.PENDING: (ComparisonOutcome.PENDING, "the right task has not ended yet"),
    Outcome.UNDECIDED: (ComparisonOutcome.UNDECIDED, "cannot tell whether a ClearML task has run this commit"),
}


@dataclass(frozen=True)
class TagMove:
    """Which tasks get the best tag and which lose it, by id: the plan of `--tag-best`."""

    add_to: tuple[str, ...] = ()
    remove_from: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.add_to or self.remove_from)


def decide(current: Task, best: Task | None, rules: Best) -> Comparison:
    """How the current task stands against the best one, whose value must be usable; None when there is none.

    The tasks' `value` is that of the policy's metric. Differences are those of the decimal numbers that people see:
    0.9 minus 0.895 is 0.005.
    """
    ours, theirs = current.value, best.value if best else None
    facts: dict[str, Any] = {"current": current, "current_value": ours, "best": best, "best_value": theirs}
    facts |= described(rules)
    if problem := unusable(ours, rules):
        note = f"{rules.metric} of this task {problem}"
        return Comparison(ComparisonOutcome.MISSING, 1, notes=(note,), **facts)
    if ours is None or theirs is None:
        return Comparison(ComparisonOutcome.FIRST, 0, **facts)
    lost = (decimal(ours) - decimal(theirs)) * (-1 if rules.direction == "max" else 1)
    facts["delta"] = difference(ours, theirs)
    if lost <= 0:
        return Comparison(ComparisonOutcome.BETTER if lost else ComparisonOutcome.EQUAL, 0, **facts)
    if lost <= parse_tolerance(rules.tolerance).allows(theirs):
        return Comparison(ComparisonOutcome.WORSE, 0, notes=("worse, but within the tolerance",), **facts)
    if rules.on_worse == "warn":
        return Comparison(ComparisonOutcome.WORSE, 0, notes=("worse, and the policy says on-worse = warn",), **facts)
    return Comparison(ComparisonOutcome.WORSE, 1, **facts)


def without_task(verdict: Verdict, policy: Policy) -> Comparison:
    """What a verdict that accepted no task comes to: there is nothing to compare, and nothing to tag."""
    outcome, note = _FROM_VERDICT[verdict.outcome]
    if verdict.fails_metrics:
        note = "; ".join(verdict.shortfalls)
    rules = policy.metrics[0] if policy.metrics else policy.best
    facts = {"metrics": verdict.metrics, **described(rules)}
    return Comparison(outcome, verdict.outcome.status, verdict.commit, notes=(note,), **facts)


def described(rules: Ruled) -> dict[str, Any]:
    """The part of a Comparison that the policy gives."""
    return {"metric": rules.metric, "direction": rules.direction, "which": rules.value, "tolerance": rules.tolerance}


def rank(task: Task, rules: Ruled) -> tuple[float, float, str]:
    """The place in the total order, the greatest is the best: value, then the later `completed`, then the id."""
    value = task.value
    if value is None or unusable(value, rules):
        return -math.inf, _moment(task.completed), task.id
    return value if rules.direction == "max" else -value, _moment(task.completed), task.id


def holder(candidates: Iterable[Task], rules: Ruled) -> Task | None:
    """The task that keeps the best tag: the greatest in the total order. None where there are no tasks."""
    return max(candidates, key=lambda task: rank(task, rules), default=None)


def best_of(tagged: Iterable[Task], rules: Ruled) -> Task | None:
    """The best task: the first in the total order of those tagged ones that have the metric."""
    return holder((task for task in tagged if not unusable(task.value, rules)), rules)


def plan(comparison: Comparison, tagged: Sequence[Task], rules: Best) -> TagMove:
    """Who gets the best tag and who loses it, so that exactly one of the tagged tasks and this one bears it.

    Only the first in the total order can get it, which a worse task never is. A task whose value is missing changes
    nothing: the metric's name may be the mistake.
    """
    current = comparison.current
    if current is None or comparison.outcome in (
        ComparisonOutcome.MISSING,
        ComparisonOutcome.UNDECIDED,
        ComparisonOutcome.PENDING,
    ):
        return TagMove()
    keeper = max({task.id: task for task in (*tagged, current)}.values(), key=lambda task: rank(task, rules))
    bearers = {task.id for task in tagged}
    losing = tuple(sorted(bearers - {keeper.id}))
    return TagMove(() if keeper.id in bearers else (keeper.id,), losing)


def difference(current: float | None, best: float | None) -> float | None:
    """Current minus best, None where one is no number or the difference is too large for a float."""
    if current is None or best is None or not (math.isfinite(current) and math.isfinite(best)):
        return None
    try:
        return float(decimal(current) - decimal(best))
    except OverflowError:
        return None


def _moment(completed: str) -> float:
    """Seconds since 1970 of an ISO 8601 time; the beginning of time for none."""
    time = moment(completed)
    return -math.inf if time is None else time.timestamp()
