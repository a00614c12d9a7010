"""What `git clearml doctor` prints: the checks as text, as Markdown and as JSON. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from git_clearml.base.colours import GREEN, RED, YELLOW, painted
from git_clearml.base.markdown import code, escape
from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.render import json as json_view
from git_clearml.report.diagnosis import Check, Level, Repaired, status_of

_MARKS: dict[Level, str] = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}
_COLOURS: dict[Level, str] = {"ok": GREEN, "warn": YELLOW, "fail": RED}
_SIGNS: dict[Level, str] = {"ok": "✅", "warn": "⚠️", "fail": "❌"}
_INDENT = " " * 6
WIDTH = 80
"""Columns of a line for people."""

_MESSAGE, _FIX = 600, 2000  # characters; a command that is cut does not work as typed


def text(checks: Sequence[Check], *, colour: bool = False, quiet: bool = False, width: int = 0) -> Safe:
    """A check each, broken at so many columns (0: nowhere); the command that fixes it on a line of its own, whole."""
    lines: list[str] = []
    for check in checks:
        if quiet and check.level == "ok":
            continue
        words = textwrap.wrap(
            f"{check.name}: {sanitize(check.message, _MESSAGE)}",
            max(width - len(_INDENT), 20) if width else 10_000,
            break_long_words=False,
            break_on_hyphens=False,
        )
        mark = painted(_MARKS[check.level], _COLOURS[check.level], colour)
        lines += [f"{mark}  {words[0]}", *(_INDENT + line for line in words[1:])]
        if check.fix:
            lines.append(f"{_INDENT}fix: {sanitize(check.fix, _FIX)}")
    return Safe("".join(line + "\n" for line in lines))


def markdown(checks: Sequence[Check]) -> Safe:
    """A list, what is wrong first."""
    order: list[Level] = ["fail", "warn", "ok"]
    lines = []
    for check in sorted(checks, key=lambda check: order.index(check.level)):
        fix = f" Fix: {code(check.fix)}" if check.fix else ""
        lines.append(f"- {_SIGNS[check.level]} **{escape(check.name)}**: {escape(check.message, _MESSAGE)}{fix}\n")
    return Safe("".join(lines))


def document(checks: Sequence[Check], repaired: Sequence[Repaired] = ()) -> dict[str, Any]:
    """`doctor --format json` (design 11)."""
    rows = [
        {"name": check.name, "level": check.level, "message": check.message, "fix": check.fix or None}
        for check in checks
    ]
    fixed = [{"name": each.name, "plan": each.plan, "error": each.trouble or None} for each in repaired]
    more = {"fixed": fixed} if fixed else {}
    return json_view.document("doctor", status_of(checks, repaired), (), checks=rows, **more)
