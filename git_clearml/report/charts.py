"""Puts the curve of a metric, and that of another task, on one grid to be drawn. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

from git_clearml.model import Curve
from git_clearml.report.measures import Chart

POINTS = 50
"""Points of a grid, where the iterations that were reported make none."""

_MOST = 60  # half of what the server was asked for: so many that were reported are all of them
_FEWEST = 2  # points of a curve
_EVEN = 1e-6  # of a step: what is uneven only by rounding


def chart(metric: str, ours: Curve | None, other: Curve | None, other_is: str) -> Chart:
    """The chart of a metric: both curves where both have a value, our own alone where that are less than two points.

    `other_is` names the other task, "" where there is none. Without two points of our own there is nothing to draw.
    """
    if ours is None or _count(ours) < _FEWEST:
        return Chart(metric)
    if not other_is:
        return _of_one(metric, ours)
    if other is None or _count(other) < _FEWEST:
        return _of_one(metric, ours, f"{other_is} has no curve of it")
    xs = _grid([ours, other])
    drawn = [
        (x, mine, theirs)
        for x, mine, theirs in zip(xs, _at(ours, xs), _at(other, xs), strict=True)
        if mine is not None and theirs is not None
    ]
    if len(drawn) < _FEWEST:
        return _of_one(metric, ours, f"{other_is} has none of its iterations")
    shown, mine, theirs = zip(*drawn, strict=True)
    whole = _grid([ours])
    part = (shown[0], shown[-1]) != (whole[0], whole[-1])
    return Chart(metric, shown, mine, theirs, other_is, "drawn as far as both go" if part else "")


def _of_one(metric: str, curve: Curve, note: str = "") -> Chart:
    xs = _grid([curve])
    shown = [(x, value) for x, value in zip(xs, _at(curve, xs), strict=True) if value is not None]
    return Chart(metric, tuple(x for x, _ in shown), tuple(value for _, value in shown), note=note)


def _count(curve: Curve) -> int:
    return sum(math.isfinite(value) for _, value in curve.points)


def _grid(curves: Sequence[Curve]) -> list[float]:
    """Evenly spaced iterations from the first to the last that all of the curves reach.

    Those that were reported, where they are such a grid, else 50.
    """
    spans = [[x for x, value in curve.points if math.isfinite(value)] for curve in curves]
    low, high = max(xs[0] for xs in spans), min(xs[-1] for xs in spans)
    if low >= high:
        return [low] if low == high else []
    reported = sorted({x for xs in spans for x in xs if low <= x <= high})
    step = (high - low) / (len(reported) - 1)
    even = all(abs(x - (low + step * n)) <= _EVEN * step for n, x in enumerate(reported))
    if even and len(reported) <= _MOST:
        return reported
    return [*(low + (high - low) * n / (POINTS - 1) for n in range(POINTS - 1)), high]


def _at(curve: Curve, xs: Sequence[float]) -> list[float | None]:
    """The curve's values at these iterations, on a straight line between two that were reported; None for none."""
    places = [x for x, _ in curve.points]
    return [_value(curve, places, x) for x in xs]


def _value(curve: Curve, places: Sequence[float], x: float) -> float | None:
    after = bisect_left(places, x)
    if after == len(places):
        return None
    right, high = curve.points[after]
    if right == x:
        return high if math.isfinite(high) else None
    if after == 0:
        return None
    left, low = curve.points[after - 1]
    part = (x - left) / (right - left)
    value = low * (1 - part) + high * part
    return value if math.isfinite(value) else None
