"""Makes the rows of a report out of a task's metrics and those of another task. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from git_clearml.base.words import listed
from git_clearml.model import Metric
from git_clearml.report import compare
from git_clearml.report.measures import MetricsReport, Row
from git_clearml.settings.policy import Policy
from git_clearml.verdict.metric_rules import Ruled, non_finite_name, unusable

UNNAMED = "the task has no metric "
_SUSPECT = "0 may have been NaN"


@dataclass(frozen=True)
class Selection:
    """Which metrics to show: those of these names (TITLE/SERIES or TITLE), or else all but the resource monitor's."""

    names: tuple[str, ...] = ()
    monitor: bool = False

    def takes(self, metric: Metric) -> bool:
        if self.names:
            return any(_is_named(metric, name) for name in self.names)
        return self.monitor or metric.is_own


def make_rows(
    metrics: Sequence[Metric], against: Sequence[Metric] | None, policy: Policy, selection: Selection
) -> tuple[tuple[Row, ...], int, tuple[str, ...]]:
    """The rows, how many metrics of the resource monitor were left out, and what a reader should know.

    The policy's metrics come first, the others by name. `against` are the other task's metrics, None without one.
    Compared are the last values, of a metric of the policy the value that it names.
    """
    ruled = policy.ruled
    places = {name: number for number, name in enumerate(ruled)}
    shown = [metric for metric in metrics if selection.takes(metric)]
    shown.sort(key=lambda each: (places.get(each.name, len(places)), each.metric.casefold(), each.variant))
    others = {(metric.metric, metric.variant): metric for metric in against or ()}
    rows = tuple(_row(each, others.get((each.metric, each.variant)), ruled.get(each.name)) for each in shown)
    hidden = 0 if selection.names else len(metrics) - len(shown)
    return rows, hidden, (*_unknown_names(metrics, selection), *_only_in_other(shown, others.values(), selection))


def _is_named(metric: Metric, name: str) -> bool:
    return name in (metric.metric, metric.name)


def _row(metric: Metric, other: Metric | None, rules: Ruled | None) -> Row:
    which = rules.value if rules else "last"
    best = getattr(other, which) if other else None
    delta = None if best is None else compare.difference(getattr(metric, which), best)
    direction = rules.direction if rules else ""
    note = _note(metric, which if best is not None else "last", certain=rules is not None and rules.zero_is_a_value)
    values = metric.last, metric.min, metric.max
    return Row(metric.metric, metric.variant, *values, best, delta, direction, note, which=which)


def against_best(report: MetricsReport, policy: Policy) -> Row | None:
    """The policy's first metric next to the best task's, where both have a value that can be compared."""
    row = next((row for row in report.rows if row.direction), None)
    rules = policy.ruled.get(row.name) if row else None
    if report.column != "best" or row is None or rules is None or row.delta is None:
        return None
    values = getattr(row, row.which), row.best
    return None if any(unusable(value, rules) for value in values) else row


def _note(metric: Metric, compared_by: str, *, certain: bool) -> str:
    """What the numbers of a row do not say. `certain`: a 0 is what was meant."""
    notes = [f"compared by {compared_by}"] if compared_by != "last" else []
    odd = [value for value in (metric.last, metric.min, metric.max) if not math.isfinite(value)]
    notes += dict.fromkeys(f"has {non_finite_name(value)}" for value in odd)
    if metric.last == 0 and not certain:
        notes.append(_SUSPECT)
    return "; ".join(notes)


def _unknown_names(metrics: Sequence[Metric], selection: Selection) -> list[str]:
    """A note for each name that was asked for and that no metric has."""
    return [f"{UNNAMED}{name}" for name in selection.names if not any(_is_named(metric, name) for metric in metrics)]


def _only_in_other(shown: Sequence[Metric], others: Iterable[Metric], selection: Selection) -> list[str]:
    """A note when the other task has metrics that this one lacks."""
    names = {(metric.metric, metric.variant) for metric in shown}
    missing = [each.name for each in others if selection.takes(each) and (each.metric, each.variant) not in names]
    return [f"the other task also has {listed(missing)}"] if missing else []
