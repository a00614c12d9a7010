"""How much worse than the best value still passes (`best.tolerance`), in the decimal numbers that people see. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Tolerance:
    """How much worse still passes: an amount in the metric's own unit, or in percent of the best value."""

    amount: Fraction
    percent: bool

    def allows(self, best: float) -> Fraction:
        """What may be lost against this best value. Percent are of its absolute value: of a best of 0 that is 0."""
        return abs(decimal(best)) * self.amount / 100 if self.percent else self.amount

    def stricter_than(self, other: Tolerance) -> bool:
        """Does it allow less, whatever the best value is? An amount and a percentage are not comparable, but 0 is."""
        return self.amount < other.amount and (self.percent == other.percent or not self.amount)


def parse_tolerance(text: str) -> Tolerance:
    """`0.5%` or `0.01`. Raises ValueError for anything else, negative and infinite amounts included."""
    number = float(text.strip().removesuffix("%"))
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"not a tolerance: {text!r}")
    return Tolerance(decimal(number), text.strip().endswith("%"))


def decimal(value: float) -> Fraction:
    """The decimal number that is printed for this float, exactly: 0.9 minus 0.895 is 0.005 then."""
    return Fraction(repr(value))
