"""The commits that a comment has told about: carried in its second line, for the history of the next one. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass

from git_clearml.base.ids import is_hash
from git_clearml.base.jsonvalue import items, parse
from git_clearml.base.sanitize import sanitize
from git_clearml.render.flavour import GITHUB, Flavour
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.model import Outcome

MOST_ROWS = 10
_NAME = "git-clearml history"
_MOST_PACKED = 40_000  # characters


@dataclass(frozen=True)
class HistoryRow:
    """A commit that the comment has told about, with the task that its verdict was about ("" for none)."""

    commit: str
    outcome: Outcome
    task: str = ""
    url: str = ""


def rows_of(body: str, flavour: Flavour = GITHUB) -> tuple[HistoryRow, ...]:
    """The commits that a comment of ours has told about, newest first; what is damaged is left out."""
    lines = body.replace("\r\n", "\n").split("\n", 2)
    packed = flavour.hidden_value(lines[1], _NAME) if len(lines) > 2 else None
    if packed is None or len(packed) > _MOST_PACKED:
        return ()
    try:
        documents = items(parse(base64.b64decode(packed, validate=True)), "history")
    except ValueError:  # Malformed, or no base64
        return ()
    rows = [_row(document) for document in documents]
    unique = {row.commit: row for row in reversed(rows) if row}
    return tuple(reversed(unique.values()))[: MOST_ROWS + 1]


def current(report: VerifyReport) -> HistoryRow | None:
    """What the history will say of this report: its first commit."""
    verdict = next((verdict for verdict in report.verdicts if is_hash(verdict.commit)), None)
    if verdict is None:
        return None
    task = verdict.task
    return HistoryRow(verdict.commit, verdict.outcome, task.name if task else "", task.url if task else "")


def line(kept: Sequence[HistoryRow], flavour: Flavour = GITHUB) -> str:
    """The second line of a comment."""
    rows = [
        [row.commit, row.outcome.value, sanitize(row.task, 60), row.url if len(row.url) <= 300 else ""] for row in kept
    ]
    packed = base64.b64encode(json.dumps(rows, separators=(",", ":")).encode()).decode()
    return flavour.hidden(_NAME, packed)


def _row(document: object) -> HistoryRow | None:
    """One row of the history, None when it is not one of ours."""
    if not isinstance(document, list) or len(document) != 4 or not all(isinstance(cell, str) for cell in document):
        return None
    commit, outcome, task, url = document
    if not is_hash(commit) or outcome not in {member.value for member in Outcome}:
        return None
    return HistoryRow(commit, Outcome(outcome), sanitize(task, 60), url if len(url) <= 300 else "")
