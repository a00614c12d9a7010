"""Metrics and comparisons as text and as Markdown, both through the same tables. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from git_clearml.base.colours import GREEN, RED, YELLOW, painted
from git_clearml.base.markdown import code, escape
from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.render import markdown, measured, text
from git_clearml.render.measured import Cell, Table
from git_clearml.render.numbers import number
from git_clearml.render.table import TableForm, draw, fitting
from git_clearml.report.measures import Chart, Comparison, ComparisonOutcome, MetricsReport, Row
from git_clearml.report.rows import UNNAMED
from git_clearml.report.trend import MOST, shortened

_STANDINGS = {
    ComparisonOutcome.BETTER: ("✅", GREEN, "better than the best task"),
    ComparisonOutcome.EQUAL: ("✅", GREEN, "equal to the best task"),
    ComparisonOutcome.FIRST: ("✅", GREEN, "first: there is no best task yet"),
    ComparisonOutcome.WORSE: ("❌", RED, "worse than the best task"),
    ComparisonOutcome.MISSING: ("❌", RED, "missing: nothing to compare"),
    ComparisonOutcome.UNDECIDED: ("❔", YELLOW, "undecided: not compared"),
    ComparisonOutcome.PENDING: ("⏳", YELLOW, "pending: nothing to compare yet"),
}
"""Of each outcome the mark, the colour, and a sentence that begins with the outcome."""

_IN_SIGHT = 30  # rows that are not folded away
_LEFT_OUT = 50  # characters of the line that says how many rows are left out
_NUMERIC = ("last", "min", "max", "best", "other", "current", "delta", "median", "worst")


def report_text(report: MetricsReport, width: int = 0) -> Safe:
    """The task, what it is compared with, and its metrics, for a terminal of this width (0: any): trends fit in."""
    lines = []
    if report.task:
        of = f"{sanitize(report.commit[:12])}, by" if report.commit else ""
        lines += [f"metrics of {of} this task:".replace("  ", " "), *text.task_lines(report.task, "  ")]
    if report.against:
        lines += [f"against {sanitize(report.label, 80)}:", *text.task_lines(report.against, "  ")]
    if report.rows:
        lines += ["", _drawn(_metrics_table(report.rows, sanitize, report.column), TableForm.TERMINAL)]
        if width and (excess := max(map(len, lines[-1].splitlines())) - width) > 0:
            rows = [replace(row, trend=shortened(row.trend, max(0, MOST - excess))) for row in report.rows]
            lines[-1] = _drawn(_metrics_table(rows, sanitize, report.column), TableForm.TERMINAL)
    if _has_spread(report):
        lines += [
            "of the runs that count:",
            _drawn(measured.spread_table(report.measured, sanitize), TableForm.TERMINAL),
        ]
    lines += [f"note: {sanitize(note, 300)}" for note in _notes(report)]
    return Safe("".join(line + "\n" for line in lines))


def _has_spread(report: MetricsReport) -> bool:
    """Is there more to say of the policy's metrics than the rows say: several runs, or what is wrong?"""
    return report.task is not None and any(each.runs > 1 or each.code for each in report.measured)


def metrics_text(rows: Sequence[Row]) -> Safe:
    """The rows alone, as a table for a terminal."""
    return Safe(_drawn(_metrics_table(rows, sanitize, "best"), TableForm.TERMINAL))


def report_markdown(report: MetricsReport, limit: int = 0, *, fold: bool = False) -> Safe:
    """The same for a pull request or a job summary, in at most `limit` characters (0: however many it takes).

    With `fold` it stands below a verdict that has named the commit and the task, and only what differs from the other
    task stays in sight, or without one the first metrics.
    """
    lines = [] if fold else [f"### Metrics of {code(report.commit[:12])}\n" if report.commit else "### Metrics\n"]
    if report.task and not fold:
        lines.append(f"By {markdown.task_link(report.task)}\n")
    if report.against:
        lines.append(f"Against {escape(report.label, 80)}: {markdown.task_link(report.against)}\n")
    notes = "".join(f"- {escape(note, 300)}\n" for note in _notes(report))
    before = "\n".join(lines)
    room = max(1, limit - len(before) - len(notes) - 2) if limit else 0
    draw = _folded if fold else metrics_markdown
    parts = [part for part in (before, draw(report.rows, room, report.column)) if part]
    if not fold and _has_spread(report):
        table = _drawn(measured.spread_table(report.measured, escape), TableForm.MARKDOWN)
        parts.append(f"Of the runs that count:\n\n{table}")
    left = limit - sum(len(part) + 1 for part in (*parts, notes)) if limit else math.inf
    return Safe("\n".join([*parts, *_charts(report.charts, left), *([notes] if notes else [])]))


def _charts(charts: Sequence[Chart], room: float) -> list[str]:
    """As many charts as there is room for, the first ones first: they are the first that a limit drops."""
    if not charts:
        return []
    from git_clearml.render.charts import fold

    shown = [fold(chart) for chart in charts]
    ends = accumulate(len(text) + 1 for text in shown)
    return [text for text, end in zip(shown, ends, strict=True) if end <= room]


def _folded(rows: Sequence[Row], limit: int, column: str) -> str:
    """The rows that somebody wants to see, and the rest below a fold; each as a table, both in `limit` characters."""
    compared = any(row.best is not None for row in rows)
    wanted = [row for row in rows if not compared or row.direction or (row.best is not None and row.delta != 0)]
    shown = wanted[:_IN_SIGHT]
    rest = [row for row in rows if row not in shown]
    if not rest:
        return metrics_markdown(shown, limit, column)
    what = "1 more metric" if len(rest) == 1 else f"{len(rest):,} more metrics"
    start, end = f"\n<details><summary>{what}</summary>\n\n", "\n</details>\n"
    frame = len(start) + len(end)
    seen = metrics_markdown(shown, max(1, limit - frame - _LEFT_OUT) if limit else 0, column)
    seen = seen or f"No metric differs from {'the best task' if column == 'best' else 'the other task'}.\n"
    return seen + start + metrics_markdown(rest, max(1, limit - len(seen) - frame) if limit else 0, column) + end


def metrics_markdown(rows: Sequence[Row], limit: int = 0, column: str = "best") -> str:
    """The rows as a Markdown table in at most `limit` characters (0: however many it takes), "" for no rows.

    `column` is what the other task's values are called. The last rows are dropped where they do not fit, and a line
    below says how many.
    """
    if not rows:
        return ""
    table = _drawn(_metrics_table(rows, escape, column), TableForm.MARKDOWN)
    if not limit or len(table) <= limit:
        return table
    shown, left_out = fitting(table, limit - len(_left_out(len(rows))))
    return shown + _left_out(left_out)


def _left_out(count: int) -> str:
    return f"\n{count:,} more {'metric is' if count == 1 else 'metrics are'} left out here.\n"


def headline(comparison: Comparison) -> str:
    """How the model stands and by what numbers, in one line. Text of a server may stand in it: untrusted."""
    sentence = _sentence(comparison)
    if comparison.outcome is ComparisonOutcome.MISSING and comparison.notes:
        return f"{sentence}: {comparison.notes[0]}"
    if comparison.current is None:
        return sentence
    if comparison.failing:
        more = f"; and {len(comparison.failing) - 1} more" if len(comparison.failing) > 1 else ""
        return f"{sentence}: {comparison.failing[0].message}{more}"
    by = f" by {number(abs(comparison.delta))}" if comparison.delta and not comparison.metrics else ""
    best = f", best {number(comparison.best_value)}" if comparison.best_value is not None else ""
    return f"{sentence}{by}: {comparison.metric} {number(comparison.current_value)}{best}"


def _sentence(comparison: Comparison) -> str:
    """How the model stands; of the policy's metrics, where there are some and a task was measured, all of them."""
    if not comparison.metrics or comparison.current is None:
        return _STANDINGS[comparison.outcome][2]
    if comparison.failing or comparison.status:
        return "worse than the policy allows"
    outcomes = {result.outcome for result in comparison.metrics}
    if "accepted" in outcomes:
        return "worse, but accepted"
    return "worse, but that is only a warning" if "warned" in outcomes else "as good as the policy wants"


def _good(comparison: Comparison) -> bool:
    """Is nothing worse? Of the policy's metrics one may be that was accepted, or that is only a warning."""
    if not comparison.metrics or comparison.current is None:
        return comparison.outcome is not ComparisonOutcome.WORSE
    return not comparison.failing and all(result.outcome == "pass" for result in comparison.metrics)


def comparison_text(comparison: Comparison, *, colour: bool = False, table: bool = True) -> Safe:
    """How the model stands, the numbers, and whose they are, for a terminal. No `table` where they stand above."""
    sentence = _sentence(comparison)
    if colour:
        word = sentence.partition(" ")[0] if comparison.metrics else comparison.outcome.value
        shade = _STANDINGS[comparison.outcome][1]
        code = {0: GREEN, 1: RED}.get(comparison.status, YELLOW) if comparison.metrics else shade
        sentence = painted(word, code) + sentence.removeprefix(word)
    lines = [f"{sentence} ({comparison.commit[:12]})"]
    if comparison.metrics:
        lines += ["", *measured.text_lines(comparison.metrics, ""), ""] if table and comparison.current else []
    elif comparison.current:
        lines += ["", _drawn(_comparison_table(comparison, sanitize), TableForm.TERMINAL)]
    for label, task in (("current", comparison.current), ("best", comparison.best)):
        if task and not (label == "best" and comparison.current and task.id == comparison.current.id):
            lines += [f"{label}:", *text.task_lines(task, "  ")]
    lines += [f"note: {sanitize(note, 300)}" for note in comparison.notes]
    return Safe("".join(line + "\n" for line in lines))


def comparison_markdown(comparison: Comparison, *, table: bool = True) -> Safe:
    """The same for a pull request or a job summary, below a heading of its own."""
    mark = "⚠️" if not _good(comparison) and not comparison.status else _STANDINGS[comparison.outcome][0]
    if comparison.metrics and comparison.current and (comparison.status or _good(comparison)):
        mark = "❌" if comparison.status else "✅"
    heading = f"### {mark} `{comparison.commit[:12]}` {_sentence(comparison)}\n\n"
    return Safe(heading + comparison_details(comparison, table=table))


def comparison_details(comparison: Comparison, *, table: bool = True, tasks: bool = True) -> Safe:
    """The numbers, the tasks and the notes, below a heading that has said how the model stands.

    Of the policy's metrics no `table`, and no `tasks`, where they stand above.
    """
    lines = []
    if comparison.metrics:
        lines += [measured.markdown(comparison.metrics)] if table and comparison.current else []
    elif tasks and comparison.current:
        lines += [_drawn(_comparison_table(comparison, escape), TableForm.MARKDOWN)]
    if tasks:
        lines += [f"- current: {markdown.task_link(comparison.current)}"] if comparison.current else []
        lines += [f"- best: {markdown.task_link(comparison.best)}"] if comparison.best else []
    lines += [f"- {escape(note, 300)}" for note in comparison.notes]
    lines += [f"> {escape(problem.message, 500)}" for problem in comparison.problems]
    return Safe("\n".join(lines) + "\n" if lines else "")


def _metrics_table(rows: Sequence[Row], cell: Cell, column: str) -> Table:
    """Columns that no row has anything for are left out."""
    compared = any(row.best is not None for row in rows)
    noted = any(row.note for row in rows)
    headers = ["metric", "variant", "last", "min", "max"]
    drawn = any(row.trend for row in rows)
    headers += ([column, "delta", ""] if compared else []) + ["note"] * noted + ["trend"] * drawn
    table = []
    for row in rows:
        cells = [cell(row.metric, 60), cell(row.variant, 60), *map(number, (row.last, row.min, row.max))]
        cells += (
            [number(row.best), number(row.delta, signed=True), direction_of(row.delta, row.direction)]
            if compared
            else []
        )
        table.append(cells + [cell(row.note, 60)] * noted + [row.trend] * drawn)
    return headers, table


def _comparison_table(comparison: Comparison, cell: Cell) -> Table:
    headers = ["metric", "value", "current", "best", "delta", "", "tolerance"]
    values = [number(comparison.current_value), number(comparison.best_value), number(comparison.delta, signed=True)]
    trend = direction_of(comparison.delta, comparison.direction)
    value = f"{comparison.which}, {comparison.direction} is better"
    return headers, [[cell(comparison.metric, 60), value, *values, trend, cell(comparison.tolerance, 20)]]


def direction_of(delta: float | None, direction: str) -> str:
    """Which way it went, and whether that is better where the policy says which way is."""
    if delta is None:
        return ""
    if delta == 0:
        return "="
    arrow = "▲" if delta > 0 else "▼"
    if not direction:
        return arrow
    return f"{arrow} {'better' if (delta > 0) == (direction == 'max') else 'worse'}"


def _drawn(table: Table, form: TableForm) -> str:
    headers, rows = table
    return draw(headers, rows, form, numeric=_NUMERIC)


def _notes(report: MetricsReport) -> list[str]:
    notes = list(report.notes)
    if report.task and not report.rows and not any(note.startswith(UNNAMED) for note in notes):
        notes.append("no metrics to show" if report.hidden else "the task reported no metrics")
    if report.hidden:
        many = "metric is" if report.hidden == 1 else "metrics are"
        notes.append(f"{report.hidden:,} :monitor: {many} hidden; --all shows them")
    return notes
