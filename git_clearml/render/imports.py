"""What became of offline runs, as text, Markdown and JSON. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from git_clearml.base.ids import page_at
from git_clearml.base.markdown import escape, link
from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.model import Problem
from git_clearml.render import json as json_view
from git_clearml.render.table import TableForm, draw
from git_clearml.run.importing import Imported

_WIDEST = 60
_DRY = {"sent": "would send"}


def text(runs: Sequence[Imported], web: str, *, dry_run: bool) -> Safe:
    """A line for each: what became of it, its commit, the task and its page, or why it was refused."""
    return Safe("".join(_line(run, web, dry_run) for run in runs))


def _line(run: Imported, web: str, dry_run: bool) -> str:
    action = _DRY.get(run.action, run.action) if dry_run else run.action
    name = f'"{sanitize(run.name, _WIDEST)}"' if run.name else f"run {run.run[:8]}"
    facts: list[str] = [sanitize(run.status, 20)] if run.status else []
    facts += [sanitize(run.reason, 300)] if run.reason else []
    facts += [page_at(web, run.task)] if run.task else []
    return f"{action} {run.commit[:12]} {name}: {', '.join(facts)}\n"


def markdown(runs: Sequence[Imported], web: str, *, dry_run: bool) -> Safe:
    """The same as a table."""
    rows = [
        [
            _DRY.get(run.action, run.action) if dry_run else run.action,
            f"`{run.commit[:12]}`",
            escape(run.name or f"run {run.run[:8]}", _WIDEST),
            link(escape(run.status, 20), page_at(web, run.task)) if run.task else escape(run.status, 20),
            escape(run.reason, 300),
        ]
        for run in runs
    ]
    return draw(("", "commit", "task", "status", "reason"), rows, TableForm.MARKDOWN) if rows else Safe("")


def document(runs: Sequence[Imported], web: str, status: int, problems: Sequence[Problem]) -> dict[str, Any]:
    """`import --format json`."""
    return json_view.document(
        "import",
        status,
        problems,
        runs=[
            {
                "commit": run.commit,
                "run": run.run,
                "session": run.session or None,
                "task": run.task or None,
                "url": page_at(web, run.task) if run.task else None,
                "status": run.status or None,
                "action": run.action,
                "reason": run.reason or None,
            }
            for run in runs
        ],
    )
