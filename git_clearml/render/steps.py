"""The steps of a pipeline and their metrics, as text and as Markdown, through the same table. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from git_clearml.base.ids import short_id
from git_clearml.base.markdown import escape, link
from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.render.numbers import number
from git_clearml.render.table import TableForm, draw, fitting
from git_clearml.report.measures import Step

_HEADERS = ("step", "task", "status", "metric", "variant", "last", "min", "max")
_NUMERIC = _HEADERS[-3:]
_IN_SIGHT = 30  # rows that are not folded away
_MOST = 500_000  # characters of the table; a job's summary holds twice as many


def text(steps: Sequence[Step]) -> Safe:
    """A table for a terminal, "" for no steps."""
    rows = [row for step in steps for row in _rows(step, sanitize, short_id(step.task.id))]
    return Safe("\nsteps:\n\n" + draw(_HEADERS, rows, TableForm.TERMINAL, numeric=_NUMERIC)) if rows else Safe("")


def markdown(steps: Sequence[Step]) -> Safe:
    """The same for a pull request or a job's summary: folded, and cut, where it is long."""
    rows = [row for step in steps for row in _rows(step, escape, link(short_id(step.task.id), step.task.url))]
    if not rows:
        return Safe("")
    table, left = fitting(draw(_HEADERS, rows, TableForm.MARKDOWN, numeric=_NUMERIC), _MOST)
    table += f"\n{left:,} more rows are left out here.\n" if left else ""
    if len(rows) <= _IN_SIGHT:
        return Safe(f"\n#### Steps\n\n{table}")
    return Safe(f"\n<details><summary>{len(steps):,} steps</summary>\n\n{table}\n</details>\n")


def _rows(step: Step, cell: Callable[[str, int], str], task: str) -> list[list[str]]:
    """A row for each metric, the first of them with the step; one row where it has none."""
    status = step.task.status + (", archived" if step.task.archived else "")
    head = [cell(" / ".join(step.path), 80), task, cell(status, 40)]
    rows = [
        [cell(row.metric, 60), cell(row.variant, 60), *map(number, (row.last, row.min, row.max))] for row in step.rows
    ]
    return [[*(head if place == 0 else [""] * 3), *row] for place, row in enumerate(rows or [["-", *[""] * 4]])]
