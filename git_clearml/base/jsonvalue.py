"""Values of JSON that somebody else has written. Pure."""

from __future__ import annotations

import math
from typing import Any


def finite(value: Any) -> float | None:
    """A JSON number as a float; None for what is no number, NaN and infinities, and numbers no float can hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
