"""Compares what the policy's `[[metrics]]` measured with their baselines: design 14. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from git_clearml.model import Task
from git_clearml.report import compare
from git_clearml.report.measures import Comparison, ComparisonOutcome
from git_clearml.settings.policy import MetricRule, Policy
from git_clearml.settings.tolerance import decimal, parse_tolerance
from git_clearml.verdict.metric_rules import exact, unusable, value_of
from git_clearml.verdict.model import Measured, Verdict

TRAILER = "ClearML-Accept"
"""The key of the trailer that accepts a worse metric: `ClearML-Accept: METRIC: why`."""


class Baseline(NamedTuple):
    """What a metric is compared with: a value, None for none, and whose it is. `task` is the task that has it."""

    value: float | None = None
    whose: str = ""
    task: Task | None = None


def of_task(task: Task | None, rule: MetricRule, whose: str) -> Baseline:
    """A task's value, none where it has none that can be compared with."""
    value = value_of(task.metrics, rule) if task else None
    return Baseline(None if unusable(value, rule) else value, whose, task)


def of_runs(verdict: Verdict, result: Measured, whose: str) -> Baseline:
    """What the same rule says of another commit's tasks."""
    return Baseline(result.value, whose, next((task for task in verdict.runs if task.id == result.task), None))


def compared(result: Measured, baseline: Baseline) -> Measured:
    """The metric next to its baseline. One that is outside of its limits, or missing, is so whatever it is next to."""
    if baseline.value is None:
        return result
    whose = baseline.task.id if baseline.task else ""
    result = result._replace(baseline=baseline.value, baseline_is=baseline.whose, baseline_task=whose)
    if result.code or result.value is None:
        return result
    rule = result.rule
    lost = (decimal(result.value) - decimal(baseline.value)) * (-1 if rule.direction == "max" else 1)
    if lost <= parse_tolerance(rule.tolerance).allows(baseline.value):
        return result
    tolerance = f", by more than {rule.tolerance}" if parse_tolerance(rule.tolerance).amount else ""
    message = (
        f"{rule.metric} is {exact(result.value)}, worse than {exact(baseline.value)} of {baseline.whose}{tolerance}"
    )
    if rule.on_worse == "warn":
        return result._replace(outcome="warned", message=message)
    return result._replace(outcome="fail", code="metric-worse", message=message)


def acceptances(values: Iterable[str], metrics: Iterable[str]) -> dict[str, str]:
    """Metric -> why it may be worse, of the values of `ClearML-Accept` trailers: `METRIC: why`.

    A metric's name may have colons and blanks; of two that fit the longer is meant. Without a reason it is none.
    """
    names = sorted(metrics, key=len, reverse=True)
    reasons: dict[str, str] = {}
    for value in values:
        for name in names:
            rest = value.removeprefix(name).lstrip()
            if value.startswith(name) and rest.startswith(":"):
                if reason := rest[1:].strip():
                    reasons.setdefault(name, reason)
                break
    return reasons


def accepted(result: Measured, reasons: Mapping[str, str]) -> Measured:
    """The metric, accepted where it is only worse than its baseline and somebody said why that is fine."""
    reason = reasons.get(result.rule.metric, "")
    if result.code != "metric-worse" or not reason:
        return result
    return result._replace(outcome="accepted", code="", reason=reason)


def comparison(
    verdict: Verdict,
    results: Sequence[Measured],
    baselines: Sequence[Baseline],
    policy: Policy,
    by_best: Comparison | None,
) -> Comparison:
    """All metrics as one comparison, whose own fields speak of the first; the status is 1 where one of them fails.

    `by_best` is that with the best task by `[best]`, None without one: where no rule names its metric it counts too.
    """
    first, baseline = results[0], baselines[0]
    current = next((task for task in verdict.runs if task.id == first.task), verdict.task)
    status = int(any(result.code for result in results))
    notes = [f"{result.rule.metric} is worse, and the policy says on-worse = warn" for result in results
             if result.outcome == "warned"]  # fmt: skip
    notes += [f"{each.rule.metric} is worse, and accepted: {each.reason}" for each in results if each.reason]
    counts = by_best is not None and policy.best.metric not in {rule.metric for rule in policy.metrics}
    if by_best is not None:
        notes += by_best.notes
        if counts and by_best.status:
            status = by_best.status
            notes.append(f"{policy.best.metric}, by which the best task is chosen, is {by_best.outcome.value}")
    return Comparison(
        _outcome(first),
        status,
        verdict.commit,
        current=current,
        current_value=first.value,
        best=baseline.task if first.baseline is not None else None,
        best_value=first.baseline,
        delta=compare.difference(first.value, first.baseline),
        tagged=by_best is not None and by_best.tagged,
        notes=tuple(dict.fromkeys(notes)),
        metrics=tuple(results),
        **compare.described(first.rule),
    )


def _outcome(first: Measured) -> ComparisonOutcome:
    if first.value is None:
        return ComparisonOutcome.MISSING
    if first.baseline is None:
        return ComparisonOutcome.FIRST
    lost = (decimal(first.value) - decimal(first.baseline)) * (-1 if first.rule.direction == "max" else 1)
    if lost > 0:
        return ComparisonOutcome.WORSE
    return ComparisonOutcome.BETTER if lost else ComparisonOutcome.EQUAL
