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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

from git_clearml.base.ids import is_clearml_id, is_hash
from git_clearml.base.jsonvalue import Malformed, integer, items, mapping, number, parse_object, text
from git_clearml.base.sanitize import HIDDEN
from git_clearml.base.secrets import redact_parameters, without_password
from git_clearml.clearml.model import Artifact, Result
from git_clearml.model import Metric

SCHEMA = 1
MAX_BYTES = 20_000_000
"""A longer file is none of ours: it is not read."""

_TEXTS = ("name", "project", "status", "url")
_SIGNED = ("http", "https", "azure")  # where a query may be a signature that opens the file to whoever has it


@dataclass(frozen=True)
class Lock:
    """What a clearml.lock says: the commit that ran (full hash), and its tasks by name."""

    commit: str
    results: tuple[Result, ...]


def to_text(commit: str, results: Iterable[Result]) -> str:
    """The file's content. No credentials are in its URIs, and the resource monitor's metrics are left out."""
    by_task = {result.task: result for result in results}
    tasks = [_task(result) for result in sorted(by_task.values(), key=lambda result: (result.name, result.task))]
    document = {"schema": SCHEMA, "commit": commit, "tasks": tasks}
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return re.sub(HIDDEN, lambda match: json.dumps(match[0])[1:-1], text) + "\n"


def from_text(content: str) -> Lock:
    """What the file says. Raises Malformed: anybody who can push can have written it."""
    document = parse_object(content)
    if document.get("schema") != SCHEMA:
        raise Malformed(f"its schema is not {SCHEMA}")
    if not is_hash(commit := text(document.get("commit"), "commit")):
        raise Malformed(f"not the full hash of a commit: {commit:.80}")
    return Lock(commit, tuple(_result(task, commit) for task in items(document.get("tasks"), "tasks")))


def merged(before: Lock | None, commit: str, results: Iterable[Result]) -> tuple[Result, ...]:
    """The results, and what was on record before of other tasks of the same commit."""
    by_task = {result.task: result for result in before.results} if before and before.commit == commit else {}
    return tuple((by_task | {result.task: result for result in results}).values())


def without_secrets(uri: str) -> str:
    """The URI without user and password, and without the query that a signed URL has."""
    uri = without_password(uri)
    if uri.partition("://")[0].lower() not in _SIGNED:
        return uri
    try:
        return urlunsplit(urlsplit(uri)._replace(query="", fragment=""))
    except ValueError:
        return re.split("[?#]", uri)[0]


def _task(result: Result) -> dict[str, Any]:
    metrics: dict[str, dict[str, Any]] = {}
    for metric in result.metrics:
        if metric.is_own:
            values = {which: _json_number(getattr(metric, which)) for which in ("last", "min", "max")}
            metrics.setdefault(metric.metric, {})[metric.variant] = values
    outputs = sorted(result.artifacts, key=lambda output: (output.name, output.uri, output.hash))
    artifacts = [
        {"name": output.name, "uri": without_secrets(output.uri), "hash": output.hash, "size": output.size}
        for output in outputs
        if output.kind != "model"
    ]
    models = [{"name": output.name, "uri": without_secrets(output.uri)} for output in outputs if output.kind == "model"]
    return {
        **{name: getattr(result, name) for name in _TEXTS},
        "task": result.task,
        "url": without_secrets(result.url),
        "parameters": dict(redact_parameters(result.parameters)),  # an earlier version's lock may be among them
        "metrics": metrics,
        "artifacts": artifacts,
        "models": models,
    }


def _json_number(value: float) -> float | str:
    """JSON has no word for NaN and the infinities: `nan`, `inf` and `-inf` here."""
    return value if math.isfinite(value) else str(float(value))


def _result(value: Any, commit: str) -> Result:
    task = mapping(value, "a task")
    parameters = mapping(task.get("parameters"), "parameters")
    texts = {name: text(task.get(name), name) for name in _TEXTS}
    if not is_clearml_id(identity := text(task.get("task"), "task")):
        raise Malformed(f"not the id of a task: {identity:.60}")
    return Result(
        task=identity,
        name=texts["name"],
        project=texts["project"],
        status=texts["status"],
        url=texts["url"],
        commit=commit,
        parameters=tuple(sorted((name, text(value, "a parameter")) for name, value in parameters.items())),
        metrics=tuple(sorted(_metrics(task.get("metrics")), key=lambda metric: (metric.metric, metric.variant))),
        artifacts=(
            *(_artifact(artifact) for artifact in items(task.get("artifacts"), "artifacts")),
            *(_model(model) for model in items(task.get("models"), "models")),
        ),
    )


def _metrics(value: Any) -> Iterator[Metric]:
    for title, variants in mapping(value, "metrics").items():
        for series, values in mapping(variants, "the series of a metric").items():
            numbers = mapping(values, "the values of a metric")
            yield Metric(title, series, *(_metric_value(numbers.get(which)) for which in ("last", "min", "max")))


def _metric_value(value: Any) -> float:
    """The number as it stands there: an integer stays one, so that it is written back as it was."""
    if isinstance(value, str) and value in ("nan", "inf", "-inf"):
        return float(value)
    if not isinstance(value, float):  # NaN and infinities that somebody wrote as JavaScript does
        number(value, "a value of a metric")
    return cast(float, value)


def _artifact(value: Any) -> Artifact:
    artifact = mapping(value, "an artifact")
    name, uri, digest = (text(artifact.get(key), f"an artifact's {key}") for key in ("name", "uri", "hash"))
    size = artifact.get("size")
    return Artifact(name, "artifact", uri, digest, None if size is None else integer(size, "an artifact's size"))


def _model(value: Any) -> Artifact:
    model = mapping(value, "a model")
    return Artifact(text(model.get("name"), "a model's name"), "model", text(model.get("uri"), "a model's uri"))
