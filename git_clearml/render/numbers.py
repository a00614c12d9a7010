"""Numbers for people: six significant digits, no needless exponent. Pure."""

from __future__ import annotations

import math

from git_clearml.verdict.metric_rules import non_finite_name

_DIGITS = 6
_PLAIN = (1e-5, 1e15)  # between these no exponent is needed


def number(value: float | None, *, signed: bool = False) -> str:
    """`0.123457`, `1234568`, `1.5e-7`, `NaN`; `-` for none. With `signed` a plus for what is greater than 0."""
    if value is None:
        return "-"
    plus = "+" if signed and value > 0 else ""
    if not math.isfinite(value):
        return plus + non_finite_name(value)
    if value == 0:
        return "0"
    if _PLAIN[0] <= abs(value) < _PLAIN[1]:
        decimals = max(0, _DIGITS - 1 - math.floor(math.log10(abs(value))))
        return plus + trimmed(f"{value:.{decimals}f}")
    mantissa, _, exponent = f"{value:.{_DIGITS - 1}e}".partition("e")
    return f"{plus}{trimmed(mantissa)}e{int(exponent)}"


def trimmed(text: str) -> str:
    """A decimal number without the zeros at its end, nor a minus before 0."""
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
