"""Two curves on one grid."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.model import Curve
from git_clearml.report.charts import chart
from git_clearml.report.measures import Chart

BEST = "the best task"
PART = "drawn as far as both go"
APART = f"{BEST} has none of its iterations"
NAN = math.nan


def curve(values: dict[float, float]) -> Curve:
    return Curve(tuple(sorted(values.items())))


def steps(count: int, step: float = 1.0, start: float = 0.0) -> Curve:
    """As high as far."""
    return curve({start + step * n: start + step * n for n in range(count)})


@pytest.mark.parametrize(
    ("ours", "other", "other_is", "expected"),
    [
        # as they were reported, where that is a grid
        (steps(3), steps(3), BEST, Chart("m", (0, 1, 2), (0, 1, 2), (0, 1, 2), BEST)),
        (steps(3), None, "", Chart("m", (0, 1, 2), (0, 1, 2))),
        # as far as both go
        (steps(3), steps(9), BEST, Chart("m", (0, 1, 2), (0, 1, 2), (0, 1, 2), BEST)),
        (steps(9), steps(3), BEST, Chart("m", (0, 1, 2), (0, 1, 2), (0, 1, 2), BEST, PART)),
        # values of others lie between their own
        (steps(5, 10), steps(5, 10, 5), BEST, Chart("m", *[tuple(range(5, 45, 5))] * 3, BEST, PART)),
        # where one has no number there is no point
        (steps(4), curve({0: 0, 1: NAN, 2: 2, 3: 3}), BEST, Chart("m", *[(0, 2, 3)] * 3, BEST)),
        (curve({0: 1, 1: NAN, 2: 3}), None, "", Chart("m", (0, 2), (1, 3))),
        # too little of one or of both
        (None, steps(3), BEST, Chart("m")),
        (steps(1), steps(3), BEST, Chart("m")),
        (curve({0: 1, 1: NAN, 2: math.inf}), steps(3), BEST, Chart("m")),
        (steps(3), steps(1), BEST, Chart("m", (0, 1, 2), (0, 1, 2), note=f"{BEST} has no curve of it")),
        (steps(3), None, BEST, Chart("m", (0, 1, 2), (0, 1, 2), note=f"{BEST} has no curve of it")),
        (steps(3), steps(3, start=9), BEST, Chart("m", (0, 1, 2), (0, 1, 2), note=APART)),
        (steps(3), steps(3, start=2), BEST, Chart("m", (0, 1, 2), (0, 1, 2), note=APART)),
    ],
)  # fmt: skip
def test_charts(ours: Curve | None, other: Curve | None, other_is: str, expected: Chart) -> None:
    assert chart("m", ours, other, other_is) == expected


@pytest.mark.parametrize(("mine", "theirs"), [(120, 120), (61, 120), (500, 50), (10_000, 10_000), (60, 60), (41, 90)])
def test_long_curves_get_40_to_60_points(mine: int, theirs: int) -> None:
    shown = chart("m", steps(mine), steps(theirs), BEST)
    assert 40 <= len(shown.xs) <= 60
    assert (shown.xs[0], shown.xs[-1]) == (0, min(mine, theirs) - 1)
    assert shown.ours == pytest.approx(shown.xs)
    assert shown.other == pytest.approx(shown.xs)


values = st.floats() | st.floats(-1, 1)
curves = st.dictionaries(st.integers(-(2**63), 2**63).map(float) | st.integers(0, 50).map(float), values, max_size=80)


@given(curves.map(curve), st.none() | curves.map(curve))
def test_whatever_was_reported(ours: Curve, other: Curve | None) -> None:
    shown = chart("m", ours, other, BEST)
    assert len(shown.xs) == len(shown.ours) <= 60
    assert len(shown.xs) != 1
    assert not shown.other or len(shown.other) == len(shown.xs)
    assert all(map(math.isfinite, [*shown.xs, *shown.ours, *shown.other]))
    assert list(shown.xs) == sorted(set(shown.xs))
