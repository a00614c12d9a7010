"""What stands in a git note: a line of JSON for each task. Pure.

    {"completed": "", "metrics": {"TITLE/SERIES": 0.9}, "name": "", "project": "", "recorded": "", "schema": 1,
     "status": "", "task": "", "url": ""}

on one line, ASCII, the keys sorted; lines are sorted too. So two notes merge as git's own `cat_sort_uniq` merges them,
and of two lines of one task the one that was recorded later counts. Whoever can push can write notes: what is no such
line is skipped when it is read, and kept when the note is written again, because a later version may understand it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from git_clearml.base.ids import is_clearml_id
from git_clearml.base.jsonvalue import Malformed, finite, parse_object
from git_clearml.base.secrets import without_password
from git_clearml.clearml.model import Result
from git_clearml.git.notes_ref import MAX_BYTES
from git_clearml.record.model import RecordedTask

SCHEMA = 1

_LINE = 32_000  # characters; some 600 metrics
_TEXT = 1_000  # characters of a name
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)")
_TEXTS = ("name", "project", "status", "url", "completed")


def recorded_task(result: Result, recorded: str = "") -> RecordedTask:
    """The result as it is shown: the last value of every metric that is a number, without the resource monitor's."""
    metrics = {
        metric.name: value for metric in result.metrics if metric.is_own and (value := finite(metric.last)) is not None
    }
    texts = {name: getattr(result, name) for name in _TEXTS} | {"url": without_password(result.url)}
    return RecordedTask(task=result.task, metrics=tuple(sorted(metrics.items())), recorded=recorded, **texts)


def line(task: RecordedTask) -> bytes:
    """The task as a line of a note, without the line break. The last metrics are left out where they do not fit."""
    document: dict[str, Any] = {name: getattr(task, name)[:_TEXT] for name in _TEXTS}
    document |= {"schema": SCHEMA, "task": task.task, "recorded": task.recorded, "metrics": {}}
    room = _LINE - len(_json(document))
    for name, value in task.metrics:
        room -= len(_json({name: value})) + 2
        if room < 0:
            break
        document["metrics"][name] = value
    return _json(document).encode("ascii")


def tasks(content: bytes) -> tuple[RecordedTask, ...]:
    """The tasks of a note, the one that completed last first. Raises nothing, whatever the content."""
    parsed = newest(content.split(b"\n")).values()
    return tuple(sorted((task for task, _ in parsed), key=_age, reverse=True))


def newest(lines: Iterable[bytes]) -> dict[str, tuple[RecordedTask, bytes]]:
    """Task id -> what was recorded of it last, and the line that says so."""
    newest_lines: dict[str, tuple[RecordedTask, bytes]] = {}
    for text in lines:
        task = _parse(text)
        if task is None:
            continue
        before = newest_lines.get(task.task)
        if before is None or (task.recorded, text) > (before[0].recorded, before[1]):
            newest_lines[task.task] = task, text
    return newest_lines


def union(contents: Iterable[bytes]) -> bytes:
    """One note that says what these say: of each task the newest line, and what is no line of ours as it is.

    What was recorded first is dropped where all of it would be too long to be read again.
    """
    lines = {stripped for content in contents for text in content.split(b"\n") if (stripped := text.strip())}
    ours = sorted(newest(lines).values(), key=lambda pair: pair[0].recorded, reverse=True)
    kept, size = [], 0
    for text in [text for _, text in ours] + sorted(text for text in lines if _parse(text) is None):
        size += len(text) + 1
        if size <= MAX_BYTES:
            kept.append(text)
    return b"".join(text + b"\n" for text in sorted(kept))


def _age(task: RecordedTask) -> tuple[str, str, str]:
    return task.completed or task.recorded, task.recorded, task.task


def _parse(text: bytes) -> RecordedTask | None:
    """The task of a line, None for a line that is none of ours."""
    try:
        document = parse_object(text)
    except Malformed:
        return None
    if document.get("schema") != SCHEMA:
        return None
    values = {name: document.get(name) for name in (*_TEXTS, "task", "recorded")}
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    metrics = document.get("metrics")
    if len(texts) != len(values) or not isinstance(metrics, Mapping):
        return None
    if not is_clearml_id(texts["task"]) or not _TIME.fullmatch(texts["recorded"]):
        return None
    numbers = {name: number for name, value in metrics.items() if (number := finite(value)) is not None}
    return RecordedTask(metrics=tuple(sorted(numbers.items())), **{**texts, "url": without_password(texts["url"])})


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True)
