"""Fetches curves: what scalars came to as a task went on. One question for all of them, and for two tasks together.

A server or a proxy may ignore what it is asked for: what was not wanted is left out, and a curve with more points than
were asked for is drawn as it is. Numbers in brackets are points of the README of tests/contract/recordings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from git_clearml.base import jsonvalue
from git_clearml.base.exchange import MEGABYTE
from git_clearml.base.ids import FIND_THE_ID, is_clearml_id
from git_clearml.clearml import response
from git_clearml.clearml.client import ClearML
from git_clearml.errors import BadAnswer
from git_clearml.model import Curve

SAMPLES = 120
"""Points of a curve that the server is asked for: it takes the mean of what lies between two [33]."""

MOST = 500
"""Curves of one question."""

_LIMIT = 8 * MEGABYTE
_MOST_POINTS = 10_000  # as many as a server sends that was asked for no number (its own default)
_LARGEST = 2**63  # an iteration is a whole number of 64 bits
_NO_ITERATION = -(2**31)  # of a single value, which is no curve [18]


def of_tasks(
    api: ClearML, tasks: Sequence[str], names: Sequence[tuple[str, str]]
) -> dict[str, dict[tuple[str, str], Curve]]:
    """Task id -> (metric, variant) -> curve, for the first 500 of these names that a task has a curve of.

    One request. Raises BadAnswer for what is no id or no such answer, and the errors of ClearML.call.
    """
    tasks, names = list(dict.fromkeys(tasks)), list(dict.fromkeys(names))[:MOST]
    if not all(is_clearml_id(task) for task in tasks):
        raise BadAnswer("not the id of a task", FIND_THE_ID)
    if not tasks or not names:  # without names every curve would be meant [33]
        return {}
    variants: dict[str, list[str]] = {}
    for metric, variant in names:
        variants.setdefault(metric, []).append(variant)
    body = {
        "samples": SAMPLES,
        "metrics": [{"metric": metric, "variants": wanted} for metric, wanted in variants.items()],
    }
    if len(tasks) == 1:
        data = api.call("events.scalar_metrics_iter_histogram", {"task": tasks[0], **body}, limit=_LIMIT)
        return {tasks[0]: _curves(data, names, "")}
    data = api.call("events.multi_task_scalar_metrics_iter_histogram", {"tasks": tasks, **body}, limit=_LIMIT)
    curves = response.part(data, "metrics")
    return {task: _curves(curves, names, task) for task in tasks}


def _curves(data: Mapping[str, Any], names: Sequence[tuple[str, str]], task: str) -> dict[tuple[str, str], Curve]:
    """The curves of these names; with a task's id what stands under it."""
    curves = {}
    for metric, variant in names:
        entry = response.part(response.part(data, metric), variant)
        points = _points(response.part(entry, task) if task else entry)
        if points:
            curves[metric, variant] = Curve(points)
    return curves


def _points(entry: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    """Pairs of iteration and value, in order of iteration, of equal ones the last; () for what is no curve.

    A value that is no number is NaN.
    """
    xs, ys = entry.get("x"), entry.get("y")
    if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys) or len(xs) > _MOST_POINTS:
        return ()
    points = {}
    for x, y in zip(xs, ys, strict=True):
        iteration, value = jsonvalue.finite(x), jsonvalue.finite(y)
        if iteration is not None and abs(iteration) <= _LARGEST and iteration != _NO_ITERATION:
            points[iteration] = float("nan") if value is None else value
    return tuple(sorted(points.items()))
