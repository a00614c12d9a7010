"""What `git clearml bisect` prints: the commit where a metric falls, or the commits of which one made it fall. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from git_clearml.base.colours import RED, YELLOW, painted
from git_clearml.base.markdown import escape, link
from git_clearml.base.sanitize import Safe, joined, sanitize
from git_clearml.git.log import Node
from git_clearml.model import Task
from git_clearml.render import json as json_view
from git_clearml.render.numbers import number
from git_clearml.render.table import TableForm, draw
from git_clearml.report.bisection import Bisection

_HEADERS = ("", "commit", "subject", "value", "task")
_SHOWN = 20  # commits of a list that people read


def text(result: Bisection, *, colour: bool = False) -> Safe:
    """The answer on the first line, then the commits that it is about."""
    shade = RED if result.outcome == "found" else YELLOW
    headline = sanitize(_headline(result))
    lines = [Safe(painted(headline, shade, colour))]
    table = draw(_HEADERS, _rows(result, markdown=False), TableForm.TERMINAL)
    lines += [Safe("    " + line if line else line) for line in map(Safe, table.split("\n")[2:-1])]
    lines += [Safe(sanitize(note)) for note in _notes(result)]
    return Safe("\n".join(lines) + "\n")


def markdown(result: Bisection) -> Safe:
    """The same as Markdown."""
    rows = _rows(result, markdown=True)
    table = draw(_HEADERS, rows, TableForm.MARKDOWN) if rows else Safe("")
    notes = Safe("".join(f"\n{escape(note)}\n" for note in _notes(result)))
    return joined(Safe(f"**{escape(_headline(result))}**\n\n"), table, notes)


def _headline(result: Bisection) -> str:
    what = f"{result.limit.rule.metric} {_worse(result)}"
    first = result.falls.first
    if not first:
        verb = "fall" if result.limit.rule.direction == "max" else "rise"
        if result.outcome == "undecided":
            return f"cannot tell whether {result.limit.rule.metric} {verb}s {_worse(result)}: {result.says}"
        return f"{result.limit.rule.metric} does not {verb} {_worse(result)}: {result.says}"
    if result.outcome == "found":
        return f"{result.nodes[first.commit].short} is the first commit with {what}"
    return f"the first commit with {what} is one of {len(result.left)}, oldest first:"


def _worse(result: Bisection) -> str:
    return f"{'below' if result.limit.rule.direction == 'max' else 'above'} {number(result.limit.worse_than)}"


def _rows(result: Bisection, *, markdown: bool) -> list[list[str]]:
    """The nearest commits that are not worse, then those of which one made the fall."""
    left = result.left
    listed = left if len(left) <= _SHOWN else [*left[: _SHOWN // 2], "", *left[-_SHOWN // 2 :]]
    names = [name for name in result.before if name in result.nearby] + listed if left else []
    rows = []
    for name in names:
        node = result.nearby.get(name)
        task = result.tasks.get(name)
        mark = "good" if name in result.before else "bad" if task else "?"
        rows.append([mark, *_row(node, task, markdown)] if node else ["", "...", "", "", ""])
    return rows


def _row(node: Node, task: Task | None, markdown: bool) -> list[str]:
    subject = escape(node.subject, 80) if markdown else sanitize(node.subject, 40)
    if task is None:
        return [node.short, subject, "-", "no value"]
    recorded = " (recorded)" if task.source == "recorded" else ""
    if markdown:
        return [node.short, subject, number(task.value), link(escape(task.name, 80) or task.id, task.url) + recorded]
    return [node.short, subject, number(task.value), f"{sanitize(task.name, 30) or task.id}{recorded}"]


def _notes(result: Bisection) -> list[str]:
    """What else a reader should know: other falls, those that were made good, and how much is without a value."""
    first, notes = result.falls.first, list[str]()
    if others := [fall.commit for fall in result.falls.falls if fall is not first]:
        notes.append(f"other commits with one, on other branches: {_shorts(result, others)}")
    if result.falls.recovered:
        notes.append(f"worse before, and better again since: {_shorts(result, result.falls.recovered)}")
    missing = result.without_number
    if result.nodes:
        which = f": {_shorts(result, missing)}" if missing else ""
        plural = "" if len(result.nodes) == 1 else "s"
        notes.append(f"{len(result.nodes):,} commit{plural}, {len(missing):,} without a value{which}")
    return notes


def _shorts(result: Bisection, names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(result.nearby[name].short for name in names[:_SHOWN]) + more


def document(result: Bisection, hint: str) -> dict[str, Any]:
    """`bisect --format json`."""
    first = result.falls.first
    return json_view.document(
        "bisect",
        result.status,
        result.problems,
        outcome="undecided" if result.problems else result.outcome,
        metric=result.limit.rule.metric,
        direction=result.limit.rule.direction,
        worse_than=result.limit.worse_than,
        good=result.good or None,
        bad=result.bad or None,
        commits=len(result.nodes),
        first=_commit(result, first.commit) if first and not first.hidden else None,
        left=[_commit(result, name) for name in result.left],
        before=[_commit(result, name) for name in result.before if name in result.nearby],
        others=[_commit(result, fall.commit) for fall in result.falls.falls if fall is not first],
        recovered=[_commit(result, name) for name in result.falls.recovered],
        without_number=result.without_number,
        message=result.says,
        hint=hint,
    )


def _commit(result: Bisection, name: str) -> dict[str, Any]:
    task = result.tasks.get(name)
    value, shown = (task.value, json_view.task_object(task)) if task else (None, None)
    return {"commit": name, "subject": result.nearby[name].subject, "value": value, "task": shown}
