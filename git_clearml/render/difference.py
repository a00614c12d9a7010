"""How two tasks differ, as text and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from git_clearml.base.jsonvalue import finite
from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.base.words import moment
from git_clearml.model import Task
from git_clearml.render import json as json_view
from git_clearml.render.metrics import direction_of
from git_clearml.render.numbers import number
from git_clearml.render.table import TableForm, draw
from git_clearml.report.difference import Difference, Pair

_WIDEST = 60  # characters of a name
_LONGEST = 100_000  # of a value
_LINE, _NARROWEST = 80, 24  # of a line of two values, as long as the name leaves each of them so many


def heading(shown: Difference) -> Safe:
    """Which two sides are compared."""
    ours, theirs = shown.uncommitted
    b = _named(shown.b, theirs) if shown.b else "the working tree"
    return Safe(f"a: {_named(shown.a, ours)}\nb: {b}\n")


def tables(shown: Difference) -> Safe:
    """Parameters, packages and metrics that differ, those that were asked for; the same ones are counted."""
    parts: list[str] = []
    for title, pairs, same in (
        ("parameters", shown.parameters, shown.same_parameters),
        ("packages", shown.packages, shown.same_packages),
    ):
        if pairs is not None:
            parts.append(_part(title, _rows(pairs), ("", "a", "b"), same))
    if shown.metrics is not None:
        rows = [
            [
                sanitize(pair.name, _WIDEST) + (f" ({pair.which})" if pair.which != "last" else ""),
                *(number(value) for value in (pair.a, pair.b)),
                number(pair.delta, signed=True),
                direction_of(pair.delta, pair.direction),
            ]
            for pair in shown.metrics
        ]
        parts.append(_part("metrics", rows, ("", "a", "b", "delta", ""), shown.same_metrics))
    return Safe("".join(f"\n{part}" for part in parts))


def _named(task: Task, uncommitted: bool) -> str:
    """Two lines: the task, and what it ran when."""
    name = f'"{sanitize(task.name, _WIDEST)}" ' if task.name else ""
    ended = moment(task.completed)
    when = f" {ended:%Y-%m-%d %H:%M} UTC" if ended else ""
    ran = f"commit {sanitize(task.commit, 64)[:12]}" if task.commit else "no commit on record"
    changes = " and uncommitted changes" if uncommitted else ""
    return f"{name}{sanitize(task.id, 64)}\n   {sanitize(task.status, 20)}{when}, {ran}{changes}"


def _rows(pairs: Sequence[Pair]) -> list[list[str]]:
    """A row for each; what is too long of its values is cut so that where they differ is seen."""
    names = [sanitize(pair.name, _WIDEST) for pair in pairs]
    room = max((_LINE - 4 - max(map(len, names), default=0)) // 2, _NARROWEST)
    return [
        [name, *("-" if value is None else value for value in window(pair.a, pair.b, room))]
        for name, pair in zip(names, pairs, strict=True)
    ]


def window(a: str | None, b: str | None, room: int) -> list[str | None]:
    """Both values in so many characters each: from a little before the first that differs."""
    values = [None if value is None else sanitize(value, _LONGEST) for value in (a, b)]
    if all(value is None or len(value) <= room for value in values):
        return [*values]
    same = _same(values[0], values[1]) if values[0] is not None and values[1] is not None else 0
    start = same - room // 3 if same > room - 2 else 0
    return [None if value is None else _part_of(value, start, room) for value in values]


def _same(a: str, b: str) -> int:
    """How many characters both begin with."""
    differing = (number for number, pair in enumerate(zip(a, b, strict=False)) if pair[0] != pair[1])
    return next(differing, min(len(a), len(b)))


def _part_of(value: str, start: int, room: int) -> str:
    shown = "\N{HORIZONTAL ELLIPSIS}" * (start > 0) + value[start:]
    return shown if len(shown) <= room else f"{shown[: room - 1]}\N{HORIZONTAL ELLIPSIS}"


def _part(title: str, rows: Sequence[Sequence[str]], headers: Sequence[str], same: int) -> str:
    if not rows:
        return f"{title}: {f'the same on both sides ({same:,})' if same else 'none on either side'}\n"
    counted = f", {same:,} the same" if same else ""
    differ = "differs" if len(rows) == 1 else "differ"
    return f"{title}: {len(rows):,} {differ}{counted}\n{draw(headers, rows, TableForm.TERMINAL, numeric=('delta',))}"


def difference_json(shown: Difference, status: int) -> dict[str, Any]:
    """`diff --format json`. A part that was not asked for is empty."""
    return json_view.document(
        "diff",
        status,
        a=json_view.task_object(shown.a),
        b=json_view.task_object(shown.b) if shown.b else None,
        code={"files": [file._asdict() for file in shown.files or ()], "notes": list(shown.notes)},
        parameters=[pair._asdict() for pair in shown.parameters or ()],
        packages=[pair._asdict() for pair in shown.packages or ()],
        metrics=[
            {"metric": pair.name, "a": finite(pair.a), "b": finite(pair.b), "delta": finite(pair.delta)}
            for pair in shown.metrics or ()
        ],
        same={"parameters": shown.same_parameters, "packages": shown.same_packages, "metrics": shown.same_metrics},
    )
