"""`clearml.lock`: what a commit's tasks came to, as a file to commit. Display, never evidence. Pure.

    {"commit": "<hash>", "schema": 1, "tasks": [{
        "artifacts": [{"hash": "", "name": "", "size": 0, "uri": ""}], "metrics": {"TITLE": {"SERIES": {"last": 0.9,
        "max": 0.9, "min": 0.1}}}, "models": [{"name": "", "uri": ""}], "name": "", "parameters": {"SECTION/NAME": ""},
        "project": "", "status": "", "task": "", "url": ""}]}

Made for reading and for `git diff`: a line per value, everything sorted, nothing that changes when the same is written
down again. The same results give the same bytes, whatever wrote them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from git_clearml.base.ids import is_clearml_id, is_hash
from git_clearml.base.sanitize import HIDDEN
from git_clearml.base.secrets import without_credentials
from git_clearml.clearml.model import MONITOR, Artifact, Result
from git_clearml.model import Metric

SCHEMA = 1
MAX_BYTES = 20_000_000
"""A longer file is none of ours: it is not read."""

_TEXTS = ("name", "project", "status", "url")
_SIGNED = ("http", "https", "azure")  # where a query may be a signature that opens the file to whoever has it


class Unreadable(ValueError):
    """The text is no clearml.lock of ours."""


@dataclass(frozen=True)
class Lock:
    """What a clearml.lock says: the commit that ran (full hash), and its tasks by name."""

    commit: str
    results: tuple[Result, ...]


def to_text(commit: str, results: Iterable[Result]) -> str:
    """The file's content. No credentials are in its URIs, and the resource monitor's metrics are left out."""
    by_task = {result.task: result for result in results}
    tasks = [_task(one) for one in sorted(by_task.values(), key=lambda one: (one.name, one.task))]
    document = {"schema": SCHEMA, "commit": commit, "tasks": tasks}
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return HIDDEN.sub(lambda match: json.dumps(match[0])[1:-1], text) + "\n"


def from_text(text: str) -> Lock:
    """What the file says. Raises Unreadable: anybody who can push can have written it."""
    try:
        document = json.loads(text)
        if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
            raise Unreadable(f"its schema is not {SCHEMA}")
        commit = _matching(document["commit"], is_hash)
        return Lock(commit, tuple(_result(one, commit) for one in _list(document["tasks"])))
    except Unreadable:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}"[:200]) from None


def merged(before: Lock | None, commit: str, results: Iterable[Result]) -> tuple[Result, ...]:
    """The results, and what was on record before of other tasks of the same commit."""
    known = {one.task: one for one in before.results} if before and before.commit == commit else {}
    return tuple((known | {one.task: one for one in results}).values())


def without_secrets(uri: str) -> str:
    """The URI without user and password, and without the query that a signed URL has."""
    uri = without_credentials(uri) if "@" in uri else uri
    if uri.partition("://")[0].lower() not in _SIGNED:
        return uri
    try:
        return urlunsplit(urlsplit(uri)._replace(query="", fragment=""))
    except ValueError:
        return re.split("[?#]", uri)[0]


def _task(result: Result) -> dict[str, Any]:
    metrics: dict[str, dict[str, Any]] = {}
    for one in result.metrics:
        if not one.metric.startswith(MONITOR):
            values = {"last": _number(one.last), "min": _number(one.min), "max": _number(one.max)}
            metrics.setdefault(one.metric, {})[one.variant] = values
    made = sorted(result.artifacts, key=lambda one: (one.name, one.uri, one.hash))
    artifacts = [
        {"name": one.name, "uri": without_secrets(one.uri), "hash": one.hash, "size": one.size}
        for one in made
        if one.kind != "model"
    ]
    models = [{"name": one.name, "uri": without_secrets(one.uri)} for one in made if one.kind == "model"]
    return {
        **{name: getattr(result, name) for name in _TEXTS},
        "task": result.task,
        "url": without_secrets(result.url),
        "parameters": dict(result.parameters),
        "metrics": metrics,
        "artifacts": artifacts,
        "models": models,
    }


def _number(value: float) -> float | str:
    """JSON has no word for NaN and the infinities: `nan`, `inf` and `-inf` here."""
    return value if math.isfinite(value) else str(float(value))


def _result(entry: Mapping[str, Any], commit: str) -> Result:
    parameters = {name: _text(value) for name, value in entry["parameters"].items()}
    metrics = [
        Metric(title, series, *(_value(values[which]) for which in ("last", "min", "max")))
        for title, variants in entry["metrics"].items()
        for series, values in variants.items()
    ]
    artifacts = [
        Artifact(_text(one["name"]), "artifact", _text(one["uri"]), _text(one["hash"]), _size(one["size"]))
        for one in _list(entry["artifacts"])
    ]
    models = [Artifact(_text(one["name"]), "model", _text(one["uri"])) for one in _list(entry["models"])]
    texts = {name: _text(entry[name]) for name in _TEXTS}
    return Result(
        task=_matching(entry["task"], is_clearml_id),
        name=texts["name"],
        project=texts["project"],
        status=texts["status"],
        url=texts["url"],
        commit=commit,
        parameters=tuple(sorted(parameters.items())),
        metrics=tuple(sorted(metrics, key=lambda one: (one.metric, one.variant))),
        artifacts=(*artifacts, *models),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unreadable(f"a text is wanted, not {value!r:.60}")
    return value


def _matching(value: Any, is_id: Callable[[str], bool]) -> str:
    if not is_id(_text(value)):
        raise Unreadable(f"no such name is possible: {value!r:.60}")
    return str(value)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Unreadable(f"a list is wanted, not {value!r:.60}")
    return value


def _value(value: Any) -> float:
    if isinstance(value, bool) or (isinstance(value, str) and value not in ("nan", "inf", "-inf")):
        raise Unreadable(f"a number is wanted, not {value!r:.60}")
    number = float(value)  # whether any float can hold it
    return number if isinstance(value, str) else value


def _size(value: Any) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise Unreadable(f"a size is wanted, not {value!r:.60}")
    return value
