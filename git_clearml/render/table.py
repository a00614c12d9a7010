"""Draws every table there is, with tabulate, which is loaded when there is one to draw. Pure.

tabulate escapes nothing: a cell is safe already, sanitized for a terminal or escaped for Markdown.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import Enum
from itertools import accumulate

from git_clearml.base.sanitize import Safe


class TableForm(Enum):
    """The formats of tabulate that we use."""

    TERMINAL = "simple"
    MARKDOWN = "pipe"


def draw(
    headers: Sequence[str], rows: Sequence[Sequence[str]], form: TableForm, *, numeric: Collection[str] = ()
) -> Safe:
    """The table's lines, each with its line break. Numbers of the columns `numeric` are aligned at their points."""
    from tabulate import tabulate

    align = ["decimal" if header in numeric else "left" for header in headers]
    table: str = tabulate(rows, headers, tablefmt=form.value, disable_numparse=True, colalign=align)
    return Safe("".join(line.rstrip() + "\n" for line in table.split("\n")))


def fitting(table: str, room: int) -> tuple[str, int]:
    """As much of a drawn table as fits into so many characters, and how many of its rows do not.

    It is cut, not drawn again: a long table takes its time. Without a row there is no table: "".
    """
    header, rule, *lines = table.splitlines(keepends=True)
    room -= len(header) + len(rule)
    count = sum(total <= room for total in accumulate(map(len, lines)))
    return "".join([header, rule, *lines[:count]]) if count else "", len(lines) - count
