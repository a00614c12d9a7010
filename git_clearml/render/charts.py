"""Curves as Mermaid's `xychart-beta`, each below a fold. Pure.

Mermaid's grammar (packages/mermaid/src/diagrams/xychart/parser/xychart.jison): a text ends with `"`, a number has no
exponent, and an array takes numbers only. Its axis of numbers spaces the points of a line evenly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal

from git_clearml.base.markdown import escape
from git_clearml.render.numbers import trimmed
from git_clearml.report.measures import Chart

_COLOURS = ("blue", "#0969da"), ("orange", "#d4730b")  # both can be seen on a light and on a dark page
_TITLE = 60  # characters
_PLAIN = (1e-4, 1e6)  # between these a scale needs no power of ten
_DIGITS = 5  # of the difference between the least and the greatest value
_MOST_DECIMALS = 15
_ROUNDING = Decimal("1e-9")  # of the greatest value: what is less is no difference

_FOLD = re.compile(
    r"<details><summary>[^\n]*</summary>\n\n```mermaid\n.*?\n```\n\n[^\n]*\n\n</details>\n\n?", re.DOTALL
)


def fold(chart: Chart) -> str:
    """The chart below a fold, or a line of text where there is nothing to draw."""
    if not chart.xs:
        return f"{escape(chart.metric, 80)} has no curve: the task reported less than two values of it.\n"
    title = _title(chart.metric) or "curve"  # Mermaid takes no empty title
    lines = ["```mermaid", *_mermaid(chart, title), "```", "", _caption(chart)]
    return f"<details><summary>{title}</summary>\n\n" + "\n".join(lines) + "\n\n</details>\n"


def undrawn(text: str) -> str:
    """The Markdown without the folds of charts, for a forge that would show their source. No other text has a `<`."""
    return _FOLD.sub("", text)


def _mermaid(chart: Chart, title: str) -> list[str]:
    ours, other, low, high, power = _scaled(chart)
    label = f'"x 10^{power}" ' if power else ""
    palette = ", ".join(colour for _, colour in _COLOURS)
    return [
        "xychart-beta",
        f'%%{{init: {{"themeVariables": {{"xyChart": {{"plotColorPalette": "{palette}"}}}}}}}}%%',
        f'title "{title}"',
        f'x-axis "iteration" {_plain(chart.xs[0])} --> {_plain(chart.xs[-1])}',
        f"y-axis {label}{low} --> {high}",
        f"line [{', '.join(ours)}]",
        *([f"line [{', '.join(other)}]"] if other else []),
    ]


def _caption(chart: Chart) -> str:
    """Which line is whose, by their order as well: a forge may have its own colours."""
    name, note = escape(chart.metric, 80), f"; {escape(chart.note, 80)}" if chart.note else ""
    if not chart.other:
        return f"{name} of this task{note}."
    first, second = (colour for colour, _ in _COLOURS)
    other = escape(chart.other_is, 80)
    return f"{name}, first line ({first}): this task, second line ({second}): {other}{note}."


def _title(metric: str) -> str:
    """A metric's name in letters, digits, spaces and `._/-`: nothing that can end a string, a fence or a tag."""
    kept = "".join(character if character.isalnum() or character in "._/-" else " " for character in metric)
    kept = re.sub(r"\b(gh)-(?=\d)", r"\1 ", kept, flags=re.IGNORECASE)  # GitHub makes a link of GH-1
    return " ".join(kept.split())[:_TITLE].strip()


def _scaled(chart: Chart) -> tuple[list[str], list[str], str, str, int]:
    """Both lines, the least and the greatest value as Mermaid takes numbers, and the power of ten to read them by."""
    values = [*chart.ours, *chart.other]
    low, high = Decimal(min(values)), Decimal(max(values))
    greatest = max(abs(low), abs(high))
    power = greatest.adjusted() if greatest and not _PLAIN[0] <= greatest < _PLAIN[1] else 0
    span = (high - low).scaleb(-power)
    if high - low <= greatest * _ROUNDING:
        pad = abs(high) / 10 or Decimal(1)
        low, high, span = low - pad, high + pad, (2 * pad).scaleb(-power)
    decimals = min(_MOST_DECIMALS, max(0, _DIGITS - 1 - span.adjusted()))

    def shown(numbers: Sequence[float | Decimal]) -> list[str]:
        return [trimmed(f"{Decimal(number).scaleb(-power):.{decimals}f}") for number in numbers]

    least, greatest_shown = shown([low, high])
    return shown(chart.ours), shown(chart.other), least, greatest_shown, power


def _plain(number: float) -> str:
    return str(int(number)) if number == math.floor(number) else trimmed(f"{number:.3f}")
