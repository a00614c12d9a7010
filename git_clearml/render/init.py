"""What `git clearml init` prints: what it found, what it does to each file, what is left to do. Pure."""

from __future__ import annotations

from typing import Any

from git_clearml.base.markdown import code, escape
from git_clearml.base.sanitize import Safe, sanitize, sanitize_lines
from git_clearml.errors import Error
from git_clearml.render import json as json_view
from git_clearml.report.init import Change, Setup

_PLANNED = {"created": "create", "changed": "change", "unchanged": "keep"}
_WIDTH = 80
_MOST = 30  # lines that are shown whole; of more than that the first
_FIRST = 10


def text(setup: Setup, *, planned: bool, whole: bool = False) -> Safe:
    """For a terminal. `planned`: nothing has been written yet; `whole`: new files are shown to their ends."""
    width = max(len(subject) for subject, _ in setup.facts)
    lines = [f"{subject:<{width}}  {sanitize(fact, 300)}" for subject, fact in setup.facts]
    lines += ["", *(_line(change, planned) for change in setup.changes if not change.by_hand)]
    for change in setup.changes:
        if change.added and not change.by_hand and planned:
            lines += ["", f"{sanitize(change.path)}:", *_added(change, whole)]
    for change in setup.changes:
        if change.by_hand:
            lines += ["", *_by_hand(change)]
    return Safe("\n".join(lines) + "\n")


def markdown(setup: Setup, *, planned: bool) -> Safe:
    """The same as Markdown."""
    lines = [f"- {subject}: {escape(fact, 300)}" for subject, fact in setup.facts]
    for change in setup.changes:
        action = _PLANNED[change.action] if planned else change.action
        why = f"; by hand: {escape(change.by_hand, 300)}" if change.by_hand else ""
        lines += ["", f"### {action} {code(change.path)}", "", f"{escape(change.says, 300)}{why}"]
        if change.added:
            lines += ["", *(f"    {line}" for line in sanitize_lines(change.added.rstrip("\n")).split("\n"))]
    return Safe("\n".join(lines) + "\n")


def document(setup: Setup, status: int, *, written: bool, error: Error | None = None) -> dict[str, Any]:
    """`init --format json` (design 11). `written`: have the changes been made?"""
    return json_view.document(
        "init",
        status,
        [error] if error else [],
        written=written,
        facts=dict(setup.facts),
        changes=[
            {
                "path": change.path,
                "action": change.action,
                "message": change.says,
                "added": change.added or None,
                "by_hand": change.by_hand or None,
            }
            for change in setup.changes
        ],
        next=list(setup.hints),
    )


def _line(change: Change, planned: bool) -> str:
    action = _PLANNED[change.action] if planned else change.action
    width = 6 if planned else 9
    line, says = f"{action:<{width}}  {sanitize(change.path)}", sanitize(change.says, 300)
    return f"{line}: {says}" if len(line) + len(says) < _WIDTH - 1 else f"{line}:\n{'':{width}}  {says}"


def _added(change: Change, whole: bool) -> list[str]:
    lines = sanitize_lines(change.added.rstrip("\n")).split("\n")
    shown = lines if whole or len(lines) <= _MOST else lines[:_FIRST]
    rest = len(lines) - len(shown)
    return [f"  + {line}".rstrip() for line in shown] + (
        [f"  and {rest} lines more (--verbose shows them)"] if rest else []
    )


def _by_hand(change: Change) -> list[str]:
    why = sanitize(change.by_hand, 500)
    lines = sanitize_lines(change.added.rstrip("\n")).split("\n") if change.added else []
    return [f"left to you: {sanitize(change.path)}: {why}", *(f"    {line}".rstrip() for line in lines)]
