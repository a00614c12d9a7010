"""What `git clearml log` prints: commits with their tasks, as text, Markdown and JSON. Pure.

Text and Markdown are made for some commits at a time, because the first are printed before the last are known.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from git_clearml.base.colours import DIM, GREEN, RED, YELLOW, painted
from git_clearml.base.markdown import escape, link
from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.errors import Error
from git_clearml.record.model import CommitWithTasks, RecordedTask
from git_clearml.render import json as json_view
from git_clearml.render.numbers import number
from git_clearml.render.table import TableForm, draw

_SHOWN = 2  # metrics of a task, where none are named
_GOOD, _BAD = ("completed", "published"), ("failed", "stopped", "closed")
RECORDED = "recorded"
_HEADERS = ("commit", "subject", "status", "task", "metrics")

_Parts = list[tuple[str, str]]  # texts, each with its colour ("" for none)


def chosen(task: RecordedTask, names: Sequence[str]) -> list[tuple[str, float]]:
    """The task's metrics of these names (TITLE/SERIES), in their order; where none are named its first two."""
    values = dict(task.metrics)
    return [(name, values[name]) for name in names if name in values] if names else list(task.metrics[:_SHOWN])


def text(commits: Sequence[CommitWithTasks], names: Sequence[str], *, width: int = 0, colour: bool = False) -> Safe:
    """A line for each commit, as `git log --oneline` has it, and below it one for each of its tasks.

    `width` is that of the terminal, in columns; 0 for as wide as it takes.
    """
    lines = []
    for commit in commits:
        lines.append(_drawn([(commit.short, YELLOW), (f" {sanitize(commit.subject, 500)}", "")], "", width, colour))
        for task in commit.tasks:
            tail = f"  ({RECORDED})" if task.recorded else ""
            lines.append(_drawn(_task(task, names), tail, width, colour))
    return Safe("".join(line + "\n" for line in lines))


def _task(task: RecordedTask, names: Sequence[str]) -> _Parts:
    status, shade = _status(task)
    numbers = "".join(f"  {sanitize(name, 40)} {number(value)}" for name, value in chosen(task, names))
    return [("    ", ""), (status, shade), (f"  {sanitize(task.name, 30) or task.task}{numbers}", "")]


def _status(task: RecordedTask) -> tuple[str, str]:
    """The task's status, and its colour."""
    status = sanitize(task.status, 20) or "unknown"
    return status, GREEN if status in _GOOD else RED if status in _BAD else YELLOW


def _drawn(parts: _Parts, tail: str, width: int, colour: bool) -> str:
    """One line of the parts, cut where it would be wider than the terminal; the tail stays."""
    room = max(width - column_count(tail), 1) if width else 0
    drawn = []
    for words, shade in parts:
        words = cut(words, room) if width else words
        room -= column_count(words)
        drawn.append(painted(words, shade, colour))
    return "".join(drawn) + painted(tail, DIM, colour)


def columns(tasks: Sequence[RecordedTask], names: Sequence[str], *, colour: bool = False) -> str:
    """What stands beside a commit in a graph: status and metrics of its first task, and how many others there are.

    With blanks behind it, so that what is alike stands one below the other.
    """
    if not tasks:
        return ""
    status, shade = _status(tasks[0])
    status = painted(status, shade, colour) + " " * (9 - len(status))
    numbers = "".join(f"  {sanitize(name, 40)} {number(value):<8}" for name, value in chosen(tasks[0], names))
    more = f"  +{len(tasks) - 1}" if len(tasks) > 1 else ""
    return status + numbers + more


def cut(words: str, room: int, *, end: str = "…") -> str:
    """The words, cut to so many columns of a terminal."""
    if column_count(words) <= room:
        return words
    while words and column_count(words) > room - len(end):
        words = words[:-1]
    return words.rstrip() + end if room > 0 else ""


def column_count(words: str) -> int:
    """How many columns of a terminal the text takes: two for a wide character, none for one that combines."""
    if words.isascii():
        return len(words)
    return sum(
        2 if unicodedata.east_asian_width(character) in "WF" else not unicodedata.combining(character)
        for character in words
    )


def markdown(commits: Sequence[CommitWithTasks], names: Sequence[str], *, head: bool = True) -> Safe:
    """A table with a row for each task, and one for each commit without any; without `head` its rows alone.

    The columns are as narrow as can be: those of the next block of commits would be of other widths.
    """
    rows = []
    for commit in commits:
        front = [commit.short, escape(commit.subject)]
        rows += [[*front, *_cells(task, names)] for task in commit.tasks] or [[*front, "", "", ""]]
    body = draw(_HEADERS, rows, TableForm.MARKDOWN).split("\n", 2)[2]
    return Safe((draw(_HEADERS, [], TableForm.MARKDOWN) if head else "") + re.sub(" {2,}", " ", body))


def _cells(task: RecordedTask, names: Sequence[str]) -> list[str]:
    status = escape(task.status, 20) + (f" ({RECORDED})" if task.recorded else "")
    page = link(escape(task.name, 80) or task.task, task.url)
    numbers = ", ".join(f"{escape(name, 80)} {number(value)}" for name, value in chosen(task, names))
    return [status, page, numbers]


def document(commits: Sequence[CommitWithTasks], names: Sequence[str], *, error: Error | None = None) -> dict[str, Any]:
    """`log --format json`: of each task the named metrics, all of them where none are named."""
    return json_view.document(
        "log",
        error.status if error else 0,
        [error] if error else [],
        outcome="undecided" if error else "shown",
        commits=[
            {
                "commit": commit.commit,
                "subject": commit.subject,
                "tasks": [_object(task, names) for task in commit.tasks],
            }
            for commit in commits
        ],
    )


def _object(task: RecordedTask, names: Sequence[str]) -> dict[str, Any]:
    return {
        "id": task.task,
        "name": task.name,
        "project": task.project,
        "status": task.status,
        "url": task.url,
        "completed": task.completed or None,
        "metrics": dict(chosen(task, names) if names else task.metrics),
        "source": RECORDED if task.recorded else "server",
        "recorded": task.recorded or None,
    }
