"""Run records as JSON: what `git clearml run` saw, written down and read back. Pure.

A record is read defensively: it lies in a directory that anybody with the clone can write to, or on a server as a
task's user property. What cannot be read is a `Damaged` value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from git_clearml.base.ids import is_hash, is_uuid
from git_clearml.base.jsonvalue import finite
from git_clearml.clearml.properties import PROPERTY
from git_clearml.model import Diff, DiffKind, Metric, RunRecord, Session

SCHEMA = 1


_PROPERTY_BYTES = 60_000  # the property is sent along with every answer about the task
_SHOWN = 50  # paths of a kind in a property


@dataclass(frozen=True)
class Damaged:
    """A record that cannot be read. `where` names it, `why` is a sentence."""

    where: str
    why: str
    commit: str = ""


class _MalformedError(Exception):
    """A value of the wrong type or a missing key; its text says which."""


def to_json(record: RunRecord) -> dict[str, Any]:
    """The record as a JSON object. `alive` is not part of it: it is looked up whenever a record is read."""
    document: dict[str, Any] = {"schema": SCHEMA}
    for field in fields(RunRecord):
        if field.name not in ("alive", "sessions"):
            document[field.name] = getattr(record, field.name)
    document["sessions"] = [_session_to_json(session) for session in record.sessions]
    return document


def from_json(document: Any, where: str = "") -> RunRecord | Damaged:
    """The record of a JSON object, or why it is none. Unknown keys are left alone: a later version may add some."""
    commit = document.get("commit") if isinstance(document, Mapping) else ""
    commit = commit if isinstance(commit, str) and is_hash(commit) else ""
    try:
        return _record(_mapping(document, "the record"))
    except _MalformedError as error:
        return Damaged(where, str(error), commit)


def parse(text: bytes | str, where: str = "") -> RunRecord | Damaged:
    """The record of a JSON text, or why it is none. Raises nothing."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        return Damaged(where, "it is empty" if not text else "it is not JSON")
    return from_json(document, where)


def to_property(record: RunRecord) -> str:
    """The record as compact JSON for a user property: all that rule 6 of design 6 needs, in about 60 kB at most.

    Long lists of paths are cut at their end; one that is not empty stays so. Bytes that are no UTF-8 are replaced,
    because a server stores text.
    """
    document = to_json(record)
    for name in ("sessions", "submodules", "offline_dir"):
        del document[name]
    for name in ("dirty", "untracked", "edited", "wrote", "notes"):
        document[name] = list(document[name])[:_SHOWN]
    document["tasks"] = list(document["tasks"])[: 10 * _SHOWN]
    for limit in (4000, 400, 100, 40):
        text = json.dumps(_shortened(document, limit), separators=(",", ":"))
        if len(text) <= _PROPERTY_BYTES:
            return text
    return json.dumps({**_shortened(document, 40), "command": [], "wrote": [], "notes": []}, separators=(",", ":"))


def from_property(text: str) -> RunRecord | Damaged:
    """The record that a task's user property holds, or why it holds none."""
    if len(text) > 10 * _PROPERTY_BYTES:
        return Damaged(PROPERTY, "it is too long for a run record")
    return parse(text, PROPERTY)


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
    document = {field.name: getattr(session, field.name) for field in fields(Session)}
    document["diff"] = {"kind": session.diff.kind.value, "summary": session.diff.summary}
    document["metrics"] = [[one.metric, one.variant, one.last, one.min, one.max] for one in session.metrics]
    return document


def _record(document: Mapping[str, Any]) -> RunRecord:
    """Raises _MalformedError."""
    if document.get("schema") != SCHEMA or isinstance(document.get("schema"), bool):
        raise _MalformedError(f"it has schema {str(document.get('schema'))[:20]}, and {SCHEMA} is the one known here")
    values: dict[str, Any] = {}
    for field in fields(RunRecord):
        if field.name in _READERS and (field.name in document or field.name in _REQUIRED):
            values[field.name] = _READERS[field.name](document.get(field.name), field.name)
    record = RunRecord(**values)
    if not is_uuid(record.id):
        raise _MalformedError("its id is not a run's")
    if not is_hash(record.commit):
        raise _MalformedError("its commit is not a full hash")
    if bool(record.ended) != (record.exit_status is not None):
        raise _MalformedError("it has an end without an exit status, or the other way round")
    return record


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _MalformedError(f"{name} is not an object")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise _MalformedError(f"{name} is not a text")
    return value


def _number(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _MalformedError(f"{name} is not a whole number")
    return value


def _status(value: Any, name: str) -> int | None:
    return None if value is None else _number(value, name)


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise _MalformedError(f"{name} is not a list")
    return list(value)


def _texts(value: Any, name: str) -> tuple[str, ...]:
    return tuple(_text(one, name) for one in _list(value, name))


def _pairs(value: Any, name: str) -> tuple[tuple[str, str], ...]:
    pairs = [_texts(one, name) for one in _list(value, name)]
    if any(len(pair) != 2 for pair in pairs):
        raise _MalformedError(f"{name} is not a list of pairs")
    return tuple((pair[0], pair[1]) for pair in pairs)


def _sessions(value: Any, name: str) -> tuple[Session, ...]:
    return tuple(_session(_mapping(one, name)) for one in _list(value, name))


def _session(document: Mapping[str, Any]) -> Session:
    texts = {name: _text(document.get(name, ""), name) for name in _SESSION_TEXTS}
    diff = _mapping(document.get("diff"), "diff")
    try:
        kind = DiffKind(diff.get("kind"))
    except ValueError:
        raise _MalformedError("diff is of no known kind") from None
    return Session(
        **texts,
        diff=Diff(kind, _text(diff.get("summary", ""), "summary")),
        metrics=tuple(_metric(_list(one, "metric")) for one in _list(document.get("metrics", []), "metrics")),
        notes=_texts(document.get("notes", []), "notes"),
    )


def _metric(values: list[Any]) -> Metric:
    if len(values) != 5 or not all(isinstance(one, str) for one in values[:2]):
        raise _MalformedError("a metric is not two names and three numbers")
    last, smallest, largest = (finite(one) for one in values[2:])
    if last is None or smallest is None or largest is None:
        raise _MalformedError("a metric's value is not a number")
    return Metric(values[0], values[1], last, smallest, largest)


_SESSION_TEXTS = "id path name project commit repository entry_point working_dir run damage".split()
_READERS: dict[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(("id", "commit", "tree", "host", "user", "pid_started", "started", "ended"), _text),
    **dict.fromkeys(("offline_dir",), _text),
    **dict.fromkeys(("command", "dirty", "untracked", "edited", "wrote", "notes"), _texts),
    **dict.fromkeys(("submodules", "tasks"), _pairs),
    "pid": _number,
    "exit_status": _status,
    "sessions": _sessions,
}
# A record that lacks one of these says nothing about how its run went: it must not read as a clean one.
_REQUIRED = {name for name in _READERS if name not in ("offline_dir", "notes", "wrote", "submodules", "sessions")}
