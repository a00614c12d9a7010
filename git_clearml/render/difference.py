"""How two tasks differ, as text and as JSON. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.model import Task
from git_clearml.render import json as json_view
from git_clearml.render.metrics import direction_of
from git_clearml.render.numbers import number
from git_clearml.render.table import TableForm, draw
from git_clearml.report.difference import Difference, Pair

_WIDEST = 60


def heading(shown: Difference) -> Safe:
    """Which two sides are compared."""
    b = _named(shown.b) if shown.b else "the working tree"
    return Safe(f"a: {_named(shown.a)}\nb: {b}\n")


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
                sanitize(pair.name, _WIDEST),
                *(number(value) for value in (pair.a, pair.b)),
                number(pair.delta, signed=True),
                direction_of(pair.delta, pair.direction),
            ]
            for pair in shown.metrics
        ]
        parts.append(_part("metrics", rows, ("", "a", "b", "delta", ""), shown.same_metrics))
    return Safe("".join(f"\n{part}" for part in parts))


def _named(task: Task) -> str:
    name = f'"{sanitize(task.name, _WIDEST)}" ' if task.name else ""
    return f"{name}{sanitize(task.id, 64)}, {sanitize(task.status, 20)}, commit {sanitize(task.commit, 64)[:12]}"


def _rows(pairs: Sequence[Pair]) -> list[list[str]]:
    return [
        [sanitize(pair.name, _WIDEST), *("-" if value is None else sanitize(value, _WIDEST) for value in pair[1:])]
        for pair in pairs
    ]


def _part(title: str, rows: Sequence[Sequence[str]], headers: Sequence[str], same: int) -> str:
    if not rows:
        return f"{title}: {f'all {same:,} are the same' if same else 'none on either side'}\n"
    counted = f", {same:,} the same" if same else ""
    return f"{title}: {len(rows):,} differ{counted}\n{draw(headers, rows, TableForm.TERMINAL, numeric=('delta',))}"


def difference_json(shown: Difference, status: int) -> dict[str, Any]:
    """`diff --format json`. A part that was not asked for is empty."""
    return {
        "schema": 1,
        "command": "diff",
        "exit_code": status,
        "a": json_view.task_object(shown.a),
        "b": json_view.task_object(shown.b) if shown.b else None,
        "code": {"files": [file._asdict() for file in shown.files or ()], "notes": list(shown.notes)},
        "parameters": _objects(shown.parameters),
        "packages": _objects(shown.packages),
        "metrics": [
            {"metric": pair.name, "a": _finite(pair.a), "b": _finite(pair.b), "delta": _finite(pair.delta)}
            for pair in shown.metrics or ()
        ],
        "same": {
            "parameters": shown.same_parameters,
            "packages": shown.same_packages,
            "metrics": shown.same_metrics,
        },
        "errors": [],
    }


def _objects(pairs: Sequence[Pair] | None) -> list[dict[str, Any]]:
    return [pair._asdict() for pair in pairs or ()]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
