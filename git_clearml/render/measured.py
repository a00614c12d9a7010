"""What the policy's `[[metrics]]` came to, a row for each: as text, as Markdown and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from git_clearml.base.jsonvalue import finite
from git_clearml.base.markdown import escape
from git_clearml.base.sanitize import sanitize
from git_clearml.render.numbers import number
from git_clearml.render.table import TableForm, draw
from git_clearml.settings.policy import MetricRule
from git_clearml.verdict.model import Measured

_NUMERIC = ("value",)

Cell = Callable[[str, int], str]
Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def text_lines(metrics: Sequence[Measured], indent: str) -> list[str]:
    """The table for a terminal, each line indented. Not by `draw`: a gate that passes has no time to load tabulate."""
    headers, rows = _table(metrics, sanitize)
    widths = [max(len(row[n]) for row in (headers, *rows)) for n in range(len(headers))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (headers, *rows)]
    return [f"{indent}{line}".rstrip() for line in lines]


def markdown(metrics: Sequence[Measured]) -> str:
    """The table for a pull request or a job summary."""
    return draw(*_table(metrics, escape), TableForm.MARKDOWN, numeric=_NUMERIC)


def objects(metrics: Sequence[Measured]) -> list[dict[str, Any]]:
    """The shape of design 11; `reason` where somebody has accepted a worse value."""
    return [
        {
            "metric": each.rule.metric,
            "direction": each.rule.direction,
            "value": finite(each.value),
            "runs": each.runs,
            "at_least": each.rule.at_least,
            "at_most": each.rule.at_most,
            "baseline": finite(each.baseline),
            "tolerance": each.rule.tolerance,
            "outcome": each.outcome,
            **({"requirement": each.rule.requirement} if each.rule.requirement else {}),
            **({"reason": each.reason} if each.reason else {}),
        }
        for each in metrics
    ]


def spread(metrics: Sequence[Measured]) -> list[dict[str, Any]]:
    """Of each metric what several runs came to."""
    return [
        {"metric": each.rule.metric, "runs": each.runs, **dict.fromkeys(("best", "median", "worst"))}
        | ({name: finite(value) for name, value in each.spread._asdict().items()} if each.spread else {})
        for each in metrics
    ]


def spread_table(metrics: Sequence[Measured], cell: Cell) -> Table:
    """Of each metric the best, the median and the worst of several runs, and which of them has to be what."""
    headers = ["metric", "runs", "best", "median", "worst", "limit", "outcome"]
    rows = []
    for each in metrics:
        values = each.spread or (None, None, None)
        limit = f"{each.rule.of} {_limit(each.rule)}" if _limit(each.rule) else ""
        rows.append([_name(each.rule, cell), str(each.runs), *map(number, values), limit, each.outcome])
    return headers, rows


def _table(metrics: Sequence[Measured], cell: Cell) -> Table:
    """Columns that no row has anything for are left out."""
    headers = ["metric", "value", "of", "limit", "baseline", "outcome"]
    rows = [
        [
            _name(each.rule, cell),
            number(each.value),
            _of(each),
            _limit(each.rule),
            _baseline(each, cell),
            f"{each.outcome}: {cell(each.reason, 80)}" if each.reason else each.outcome,
        ]
        for each in metrics
    ]
    filled = [n for n, name in enumerate(headers) if name in ("metric", "value", "outcome") or any(r[n] for r in rows)]
    return [headers[n] for n in filled], [[row[n] for n in filled] for row in rows]


def _name(rule: MetricRule, cell: Cell) -> str:
    """The metric, and of which requirement where several may have it."""
    return cell(rule.metric, 60) + (f" ({cell(rule.requirement, 40)})" if rule.requirement else "")


def _of(each: Measured) -> str:
    """Of how many runs the value is: `median of 3 runs`, `2 of 3 runs` where there are too few."""
    runs = f"{each.runs} run{'' if each.runs == 1 else 's'}"
    if each.code == "too-few-runs":
        return f"{each.runs} of {each.rule.min_runs} runs"
    return f"{each.rule.of} of {runs}" if each.runs > 1 else runs


def _limit(rule: MetricRule) -> str:
    limits = [f"≥ {number(rule.at_least)}"] if rule.at_least is not None else []
    return ", ".join([*limits, *([f"≤ {number(rule.at_most)}"] if rule.at_most is not None else [])])


def _baseline(each: Measured, cell: Cell) -> str:
    """What it was compared with, and what may be lost against it."""
    if each.baseline is None:
        return ""
    tolerance = f" ± {cell(each.rule.tolerance, 20)}" if each.rule.tolerance not in ("0", "0%") else ""
    return f"{number(each.baseline)}{tolerance} ({cell(each.baseline_is, 40)})"
