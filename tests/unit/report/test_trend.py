"""How a value went, in up to 20 block characters."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.report.trend import BLOCKS, MOST, shortened, trend

NAN, INF = math.nan, math.inf
finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""),
        ([NAN, INF, -INF], ""),
        ([0.5], "▄"),
        ([0.1] * 3, "▄▄▄"),
        ([0.0] * 300, "▄" * 20),
        ([0.1 + 0.2, 0.3], "▄▄"),  # rounding is no slope
        ([0, 1], "▁█"),
        ([1, 0], "█▁"),
        ([1, NAN, 2, INF, 3], "▁▅█"),
        ([-1e308, 0, 1e308], "▁▅█"),
        ([5e-324, 0], "█▁"),
        ([1e-300, 2e-300, 3e-300], "▁▅█"),
        (range(8), BLOCKS),
        ([*[0.0] * 19, 100.0], "▁" * 19 + "█"),
        ([0.0] * 100 + [1e9] + [0.0] * 100, "▄" * 20),  # a single outlier of many is no trend
    ],
)
def test_trends(values: list[float], expected: str) -> None:
    assert trend(values) == expected


@given(st.lists(st.floats(), max_size=100))
def test_a_block_for_each_value_up_to_twenty(values: list[float]) -> None:
    shown = trend(values)
    assert len(shown) == min(MOST, sum(map(math.isfinite, values)))
    assert set(shown) <= set(BLOCKS)


@given(st.lists(finite, min_size=2, max_size=100).map(sorted))
def test_what_never_falls_never_falls(values: list[float]) -> None:
    up, down = trend(values), trend(values[::-1])
    assert [*up] == sorted(up)
    assert [*down] == sorted(down, reverse=True)
    if len(set(up)) > 1:
        assert (up[0], up[-1]) == (BLOCKS[0], BLOCKS[-1])


@pytest.mark.parametrize(
    ("most", "expected"), [(20, "▁▂▃▄▅▆▇█"), (8, "▁▂▃▄▅▆▇█"), (7, "▁▂▃▄▅▆█"), (5, "▁▂▄▆█"), (4, ""), (0, "")]
)
def test_as_long_as_there_is_room(most: int, expected: str) -> None:
    assert shortened(BLOCKS, most) == expected
