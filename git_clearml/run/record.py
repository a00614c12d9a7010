"""Run records as JSON: what `git clearml run` saw, written down and read back. Pure.

A record is read defensively: it lies in a directory that anybody with the clone can write to, or on a server as a
task's user property. What cannot be read is a `Damaged` value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from git_clearml.base import jsonvalue
from git_clearml.base.ids import is_hash, is_uuid
from git_clearml.base.jsonvalue import Malformed
from git_clearml.base.secrets import redact_words
from git_clearml.clearml import response
from git_clearml.clearml.properties import PROPERTY
from git_clearml.model import Diff, DiffKind, Metric, OtherTasks, RecordedTask, RunRecord, Session

SCHEMA = 1


_PROPERTY_BYTES = 8_000  # the property is sent along with every answer about the task, for 500 tasks at a time
_READABLE_BYTES = 600_000
LISTED = 20  # paths of a kind in a property; of more untracked files the patterns that allowed them are kept
_OF_ONE_TASK = ("task", "others")


class Damaged(NamedTuple):
    """A record that cannot be read. `where` names it, `why` is a sentence."""

    where: str
    why: str
    commit: str = ""


def to_json(record: RunRecord) -> dict[str, Any]:
    """The record as a JSON object. `alive` is not part of it: it is looked up whenever a record is read."""
    document: dict[str, Any] = {"schema": SCHEMA}
    for name, value in record._asdict().items():
        if name not in ("alive", "sessions") and (record.task or name not in _OF_ONE_TASK):
            document[name] = value._asdict() if name in _OF_ONE_TASK else value
    document["sessions"] = [_session_to_json(session) for session in record.sessions]
    return document


def from_json(document: Any, where: str = "") -> RunRecord | Damaged:
    """The record of a JSON object, or why it is none. Unknown keys are left alone: a later version may add some."""
    commit = document.get("commit") if isinstance(document, Mapping) else ""
    commit = commit if isinstance(commit, str) and is_hash(commit) else ""
    try:
        return _record(jsonvalue.mapping(document, "the record"))
    except Malformed as error:
        return Damaged(where, str(error), commit)


def parse(text: bytes | str, where: str = "") -> RunRecord | Damaged:
    """The record of a JSON text, or why it is none. Raises nothing."""
    try:
        return from_json(jsonvalue.parse(text), where)
    except Malformed as error:
        return Damaged(where, str(error))


def to_property(record: RunRecord) -> str:
    """The record of one task (see ownership.for_task) as compact JSON for its user property, in about 8 kB at most.

    That is all that rule 6 of design 6 needs. Long lists of paths are cut at their end; one that is not empty stays so.
    Bytes that are no UTF-8 are replaced, because a server stores text.
    """
    document = to_json(record)
    for name in ("sessions", "submodules", "offline_dir"):
        del document[name]
    document["command"] = list(redact_words(record.command))
    for name in ("dirty", "untracked", "edited", "wrote", "notes", "ignored"):
        document[name] = None if document[name] is None else list(document[name])[:LISTED]
    for limit in (2000, 400, 100, 40):
        text = json.dumps(_shortened(document, limit), separators=(",", ":"))
        if len(text) <= _PROPERTY_BYTES:
            return text
    return json.dumps({**_shortened(document, 40), "command": [], "wrote": [], "notes": []}, separators=(",", ":"))


def from_property(text: str) -> RunRecord | Damaged:
    """The record that a task's user property holds, or why it holds none."""
    if len(text) > _READABLE_BYTES:
        return Damaged(PROPERTY, "it is too long for a run record")
    return parse(text, PROPERTY)


def run_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The run record that `git clearml run` put on the task, if any; one that cannot be read is damage."""
    text = response.user_property(document, PROPERTY)
    if not text:
        return {}
    record = from_property(str(text))
    if isinstance(record, Damaged):
        return {"damage": f"its run record cannot be read: {record.why}"}
    return {"run": record}


def _shortened(value: Any, limit: int) -> Any:
    """The value with every text valid UTF-8 and at most `limit` characters long (ids, hashes and times are shorter)."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[: max(limit, 64)]
    if isinstance(value, Mapping):
        return {key: _shortened(content, limit) for key, content in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shortened(content, limit) for content in value]
    return value


def _session_to_json(session: Session) -> dict[str, Any]:
    document = session._asdict()
    document["diff"] = {"kind": session.diff.kind.value, "summary": session.diff.summary}
    document["metrics"] = [
        [metric.metric, metric.variant, metric.last, metric.min, metric.max] for metric in session.metrics
    ]
    return document


def _record(document: Mapping[str, Any]) -> RunRecord:
    """Raises Malformed."""
    if document.get("schema") != SCHEMA or isinstance(document.get("schema"), bool):
        raise Malformed(f"it has schema {str(document.get('schema'))[:20]}, and {SCHEMA} is the one known here")
    values: dict[str, Any] = {}
    for name in RunRecord._fields:
        if name in _READERS and (name in document or name in _REQUIRED):
            values[name] = _READERS[name](document.get(name), name)
    record = RunRecord(**values)
    if not is_uuid(record.id):
        raise Malformed("its id is not a run's")
    if not is_hash(record.commit):
        raise Malformed("its commit is not a full hash")
    if bool(record.ended) != (record.exit_status is not None):
        raise Malformed("it has an end without an exit status, or the other way round")
    if (record.task is None) != ("others" not in values):
        raise Malformed("it says which task it is of and not of the others, or the other way round")
    return record


def _recorded_task(value: Any, name: str) -> RecordedTask:
    document = jsonvalue.mapping(value, name)
    return RecordedTask(*(jsonvalue.text(document.get(key, ""), key) for key in RecordedTask._fields))


def _other_tasks(value: Any, name: str) -> OtherTasks:
    document = jsonvalue.mapping(value, name)
    counts = [jsonvalue.integer(document.get(key), key) for key in OtherTasks._fields]
    if any(count < 0 for count in counts):
        raise Malformed(f"{name} is not a number of tasks")
    return OtherTasks(*counts)


def _or_none(read: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    return lambda value, name: None if value is None else read(value, name)


def _pairs(value: Any, name: str) -> tuple[tuple[str, str], ...]:
    pairs = [jsonvalue.texts(pair, name) for pair in jsonvalue.items(value, name)]
    if any(len(pair) != 2 for pair in pairs):
        raise Malformed(f"{name} is not a list of pairs")
    return tuple((pair[0], pair[1]) for pair in pairs)


def _sessions(value: Any, name: str) -> tuple[Session, ...]:
    return tuple(_session(jsonvalue.mapping(session, name)) for session in jsonvalue.items(value, name))


def _session(document: Mapping[str, Any]) -> Session:
    texts = {name: jsonvalue.text(document.get(name, ""), name) for name in _SESSION_TEXTS}
    diff = jsonvalue.mapping(document.get("diff"), "diff")
    try:
        kind = DiffKind(diff.get("kind"))
    except ValueError:
        raise Malformed("diff is of no known kind") from None
    return Session(
        **texts,
        diff=Diff(kind, jsonvalue.text(diff.get("summary", ""), "summary")),
        metrics=tuple(_metric(metric) for metric in jsonvalue.items(document.get("metrics", []), "metrics")),
        notes=jsonvalue.texts(document.get("notes", []), "notes"),
    )


def _metric(value: Any) -> Metric:
    metric = jsonvalue.items(value, "metric")
    if len(metric) != 5:
        raise Malformed("a metric is not two names and three numbers")
    title, series = jsonvalue.texts(metric[:2], "a metric's names")
    last, smallest, largest = (jsonvalue.number(number, "a metric's value") for number in metric[2:])
    return Metric(title, series, last, smallest, largest)


_SESSION_TEXTS = "id path name project commit repository entry_point working_dir run damage".split()
_READERS: dict[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(("id", "commit", "tree", "host", "user", "pid_started", "started", "ended"), jsonvalue.text),
    **dict.fromkeys(("offline_dir",), jsonvalue.text),
    **dict.fromkeys(("command", "dirty", "untracked", "edited", "wrote", "notes", "allowed_by"), jsonvalue.texts),
    "ignored": _or_none(jsonvalue.texts),
    **dict.fromkeys(("submodules", "tasks"), _pairs),
    "pid": jsonvalue.integer,
    "exit_status": _or_none(jsonvalue.integer),
    "sessions": _sessions,
    "task": _recorded_task,
    "others": _other_tasks,
}
_OPTIONAL = {"offline_dir", "ignored", "allowed_by", "notes", "wrote", "submodules", "sessions", "task", "others"}
# A record that lacks one of these says nothing about how its run went: it must not read as a clean one.
_REQUIRED = _READERS.keys() - _OPTIONAL
