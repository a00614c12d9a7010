"""Adds to a report how its metrics went: a trend in each row, and charts of those that the policy names.

They are no evidence: what keeps us from them is a warning, and the report stands without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from git_clearml.errors import CannotDecide
from git_clearml.model import Curve
from git_clearml.report.charts import chart
from git_clearml.report.measures import MetricsReport, Row
from git_clearml.report.trend import trend
from git_clearml.verdict.evidence import Evidence

MOST_CHARTS = 3


def with_curves(source: Evidence, report: MetricsReport, warn: Callable[[str], None]) -> MetricsReport:
    """The report with its trends and charts: one request, or none where there is nothing to draw."""
    if report.task is None or not report.rows:
        return report
    ruled = [row for row in report.rows if row.direction][:MOST_CHARTS]
    other = report.against if ruled and report.against and report.against.id != report.task.id else None
    tasks = [report.task, *([other] if other else [])]
    try:
        curves = source.curves(tasks, [_name(row) for row in report.rows])
    except CannotDecide as error:
        warn(f"the curves are left out: {error.message}")
        return report
    ours = curves.get(report.task.id, {})
    rows = tuple(replace(row, trend=_trend(ours, row)) for row in report.rows)
    named = "the best task" if report.column == "best" else report.label
    theirs, other_is = (curves.get(other.id, {}), named) if other else ({}, "")
    charts = [chart(row.name, ours.get(_name(row)), theirs.get(_name(row)), other_is) for row in ruled]
    return replace(report, rows=rows, charts=tuple(charts))


def _name(row: Row) -> tuple[str, str]:
    return row.metric, row.variant


def _trend(curves: Mapping[tuple[str, str], Curve], row: Row) -> str:
    curve = curves.get(_name(row))
    return trend([value for _, value in curve.points]) if curve else ""
