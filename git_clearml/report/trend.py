"""How a value went, in a few characters. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

MOST = 20
"""Characters of a trend."""

BLOCKS = "▁▂▃▄▅▆▇█"
_FEWEST = 5  # characters that show anything
_MIDDLE = BLOCKS[3]  # as high as half a line
_ROUNDING = 1e-9  # of the greatest value: what is less is no difference


def trend(values: Sequence[float]) -> str:
    """A block character for each of up to 20 values, for more one for the median of each twentieth of them.

    The least is the lowest block and the greatest the highest; where they are one the blocks are of half height. What
    is not finite is left out; without a value the trend is "".
    """
    finite = [value for value in values if math.isfinite(value)]
    count = min(MOST, len(finite))
    shown = [_median(finite[len(finite) * n // count : len(finite) * (n + 1) // count]) for n in range(count)]
    if not shown:
        return ""
    greatest = max(map(abs, shown)) or 1.0
    parts = [value / greatest for value in shown]  # of it: the difference of 1e308 and -1e308 is an infinity
    low, high = min(parts), max(parts)
    if high - low <= _ROUNDING:
        return _MIDDLE * count
    return "".join(BLOCKS[min(7, int((part - low) / (high - low) * 8 + _ROUNDING))] for part in parts)


def shortened(shown: str, most: int) -> str:
    """A trend in so many characters at most, its first and its last among them; "" in less than 5."""
    if len(shown) <= most:
        return shown
    return "".join(shown[n * (len(shown) - 1) // (most - 1)] for n in range(most)) if most >= _FEWEST else ""


def _median(values: Sequence[float]) -> float:
    """One that was measured, the lower of two: a mean would make a slope of what is flat but for rounding."""
    return sorted(values)[(len(values) - 1) // 2]
