"""Reads the sessions that ClearML leaves in offline mode: `<cache>/offline/offline-<hex>/`, or the .zip beside it.

Measured with clearml 2.1: `task.json` holds the task as exported (script, hyperparams, name, project_name, no status),
`metrics.jsonl` one JSON list of events per line; the zip is written only when the process ends in order. Anybody can
write there and a killed process leaves halves, so everything that is wrong with a session is a value, `damage`.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from git_clearml.base import jsonvalue
from git_clearml.base.files import read_beginning, read_limited
from git_clearml.base.ids import is_offline_id
from git_clearml.clearml import worker
from git_clearml.clearml.conf_file import sdk_value
from git_clearml.clearml.diff import classify
from git_clearml.model import Curve, Metric, Session
from git_clearml.settings.table import MARKER

TASK_BYTES = 20_000_000
METRICS_BYTES = 64_000_000
_LOG_BYTES = 1_000_000  # of its beginning, where the first events name the worker
_METRICS = 2000  # series kept of a session
_NO_ITERATION, _LARGEST = -(2**31), 2**63  # the iteration of a single value, and what none is beyond
_UNREADABLE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError)


def offline_dir(environment: Mapping[str, str]) -> str:
    """Where ClearML keeps offline sessions, as its SDK finds it (clearml 2.1, config/__init__.py, get_cache_dir).

    Raises BadSetting when clearml.conf cannot be read.
    """
    named = next((environment[name] for name in ("CLEARML_CACHE_DIR", "TRAINS_CACHE_DIR") if name in environment), "")
    configured = "" if named else sdk_value(environment, "storage", "cache", "default_base_dir")
    cache = named or (configured if isinstance(configured, str) and configured else "~/.clearml/cache")
    return os.path.abspath(os.path.join(os.path.expandvars(os.path.expanduser(cache)), "offline"))


def of_run(directory: str, run: str, since: float) -> tuple[list[Session], list[Session]]:
    """The sessions that bear the run's marker, and the unreadable ones touched since (seconds since 1970).

    A session is recognised by what it says, never by having appeared: two runs at once share the directory. The marker
    is on the first of a process, the worker's name in the log of each.
    """
    sessions, unreadable = [], []
    for path in _places(directory, since - 86400):
        session = read(path, directory)
        if session.run == run:
            sessions.append(session)
        elif session.damage and _touched(path) >= since:
            unreadable.append(session)
    return sessions, unreadable


def _places(directory: str, since: float) -> list[str]:
    """The paths of the sessions, without `.zip`, that were touched since; each once."""
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return []
    paths = dict.fromkeys(os.path.join(directory, name.removesuffix(".zip")) for name in names)
    return [path for path in paths if is_offline_id(os.path.basename(path)) and _touched(path) >= since]


def _touched(path: str) -> float:
    """When the session was last written to, seconds since 1970."""
    times = [0.0]
    for file in (path, os.path.join(path, "task.json"), path + ".zip"):
        try:
            times.append(os.lstat(file).st_mtime)
        except OSError:
            continue
    return max(times)


def exists(path: str) -> bool:
    """Is there a folder or a zip of this session?"""
    return os.path.lexists(path) or os.path.lexists(path + ".zip")


def read(path: str, directory: str) -> Session:
    """The session at `path` (its folder; the zip has the same path and `.zip`), which must lie in `directory`.

    The folder is preferred, it is the newer of the two; the zip stands in when the folder is gone or damaged.
    """
    name = os.path.basename(path)
    if not is_offline_id(name) or os.path.normpath(os.path.dirname(path)) != os.path.normpath(directory):
        return Session("", path, damage="the run record names a session outside ClearML's offline folder")
    folder = _from_folder(path) if os.path.lexists(path) else None
    if folder and not folder.damage:
        return folder
    archive = _from_zip(path) if os.path.lexists(path + ".zip") else None
    if archive and (folder is None or not archive.damage):
        return archive
    return folder or Session(name, path, damage=f"the offline session {name} is gone")


def document(path: str) -> Mapping[str, Any]:
    """The task of a session, of its folder or else its zip, as ClearML exported it; {} where it cannot be read."""
    try:
        return jsonvalue.parse_object(_content(path, "task.json", TASK_BYTES))
    except jsonvalue.Malformed:
        return {}


def _content(path: str, name: str, limit: int) -> bytes:
    """A file of a session, out of its folder, else out of its zip; b"" where it cannot be read."""
    file = os.path.join(path, name)
    content: bytes | str = b""
    if os.path.lexists(file) and not os.path.islink(path):
        content = read_limited(file, limit)
    else:
        with contextlib.suppress(*_UNREADABLE, KeyError), zipfile.ZipFile(path + ".zip") as archive:
            content = _member(archive, name, limit)
    return content if isinstance(content, bytes) else b""


def _from_folder(path: str) -> Session:
    if os.path.islink(path) or not os.path.isdir(path):
        return _damaged(path, "is not a folder")
    task = read_limited(os.path.join(path, "task.json"), TASK_BYTES)
    metrics_file = os.path.join(path, "metrics.jsonl")
    metrics = read_limited(metrics_file, METRICS_BYTES) if os.path.lexists(metrics_file) else b""
    session = _session(path, task, metrics)
    if session.run:
        return session
    log = read_beginning(os.path.join(path, "log.jsonl"), _LOG_BYTES)
    return session._replace(run=worker.run_in(log))


def _from_zip(path: str) -> Session:
    """Reads two members by their exact names; nothing is unpacked, so no member can escape."""
    file = path + ".zip"
    if os.path.islink(file) or not os.path.isfile(file):
        return _damaged(path, "is not a zip file")
    try:
        with zipfile.ZipFile(file) as archive:
            names = set(archive.namelist())
            if "task.json" not in names:
                return _damaged(path, "has no task.json")
            task = _member(archive, "task.json", TASK_BYTES)
            metrics = _member(archive, "metrics.jsonl", METRICS_BYTES) if "metrics.jsonl" in names else b""
            log = archive.open("log.jsonl").read(_LOG_BYTES) if "log.jsonl" in names else b""
    except _UNREADABLE:
        return _damaged(path, "is a damaged zip file")
    session = _session(path, task, metrics)
    return session if session.run else session._replace(run=worker.run_in(log))


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes | str:
    """The member's content, or a sentence: what it declares and what comes out are both held to the limit."""
    too_large = f"it is larger than {limit // 1_000_000} MB"
    if archive.getinfo(name).file_size > limit:
        return too_large
    with archive.open(name) as file:
        content = file.read(limit + 1)
    return content if len(content) <= limit else too_large


def _damaged(path: str, why: str) -> Session:
    name = os.path.basename(path)
    return Session(name, path, damage=f"the offline session {name} {why}")


def _session(path: str, task: bytes | str, metrics: bytes | str) -> Session:
    """The session of the contents of its two files; a text instead of a content says why there is none."""
    if isinstance(task, str):
        return _damaged(path, f"cannot be used, task.json: {task}")
    if not task.strip():
        return _damaged(path, "has an empty task.json: ClearML was stopped while writing it, or is still writing")
    try:
        document = jsonvalue.parse(task)
    except jsonvalue.Malformed:
        return _damaged(path, "has a task.json that is cut off or not JSON")
    session = _described(path, document)
    if session.damage:
        return session
    if isinstance(metrics, str):
        return session._replace(notes=(f"its metrics cannot be used: {metrics}",))
    read_metrics, unreadable = parse_metrics(metrics)
    if unreadable:  # a lost line may be the one with the last value
        return session._replace(notes=(f"its metrics cannot be used: {unreadable} lines are damaged",))
    return session._replace(metrics=read_metrics)


def _described(path: str, document: Any) -> Session:
    """What task.json says, or a damaged session when something that the verdict needs is of the wrong type."""
    name = os.path.basename(path)
    if not isinstance(document, Mapping):
        return _damaged(path, "has a task.json that is not an object")
    script = document.get("script") or {}
    texts = {"id": document.get("id"), "name": document.get("name"), "project": document.get("project_name")}
    if isinstance(script, Mapping):
        texts |= {key: script.get(key) for key in ("repository", "entry_point", "working_dir", "diff")}
        texts["commit"] = script.get("version_num")
    if not isinstance(script, Mapping) or not all(value is None or isinstance(value, str) for value in texts.values()):
        return _damaged(path, "has a task.json with values of the wrong type")
    if texts["id"] != name:
        return _damaged(path, "has the task.json of another session")
    diff = classify(texts.pop("diff"))
    session = Session(name, path, diff=diff, run=_marker(document))
    fields: dict[str, Any] = {key: value or "" for key, value in texts.items()}
    return session._replace(**fields)


def _marker(document: Mapping[str, Any]) -> str:
    """The run's id, as the SDK logs the environment (clearml 2.1, binding/environ_bind.py); "" for none."""
    place: Any = document
    for key in ("hyperparams", "Environment", MARKER, "value"):
        place = place.get(key) if isinstance(place, Mapping) else None
    return place if isinstance(place, str) else ""


def curves(path: str, names: Collection[tuple[str, str]]) -> dict[tuple[str, str], Curve]:
    """What those of a session's series that have these names came to, iteration by iteration; of equal ones the last.

    {} where its folder and its zip have no metrics that can be read. Single values are no curves.
    """
    points: dict[tuple[str, str], dict[float, float]] = {}
    for name, at, number in filter(None, _scalars(_content(path, "metrics.jsonl", METRICS_BYTES))):
        iteration = jsonvalue.finite(at)
        if name in names and iteration is not None and iteration != _NO_ITERATION and abs(iteration) < _LARGEST:
            points.setdefault(name, {})[iteration] = number
    return {name: Curve(tuple(sorted(series.items()))) for name, series in points.items()}


def _scalars(content: bytes) -> Iterator[tuple[tuple[str, str], Any, float] | None]:
    """Series, iteration and value of the scalars of every line, None for a line that cannot be read.

    A value that is no number is left out.
    """
    for line in filter(bytes.strip, content.splitlines()):
        try:
            events = jsonvalue.items(jsonvalue.parse(line), "the line")
        except jsonvalue.Malformed:
            yield None
            continue
        for event in events:
            if not isinstance(event, Mapping) or event.get("type") != "training_stats_scalar":
                continue
            metric, variant, number = event.get("metric"), event.get("variant"), jsonvalue.finite(event.get("value"))
            if isinstance(metric, str) and isinstance(variant, str) and number is not None:
                yield (metric, variant), event.get("iter"), number


def parse_metrics(content: bytes) -> tuple[tuple[Metric, ...], int]:
    """Last, least and greatest value of every series of a metrics.jsonl, and how many lines could not be read.

    The last value is that of the highest iteration, as on a server; of several there, the one written last.
    """
    series: dict[tuple[str, str], tuple[int, float, float, float]] = {}  # iteration, last, least, greatest
    unreadable = 0
    for scalar in _scalars(content):
        if scalar is None:
            unreadable += 1
            continue
        name, iteration, number = scalar
        if isinstance(iteration, int):
            at, last, low, high = series.get(name, (iteration, number, number, number))
            last = number if iteration >= at else last
            series[name] = max(at, iteration), last, min(low, number), max(high, number)
    metrics = (Metric(*key, last, low, high) for key, (_, last, low, high) in list(series.items())[:_METRICS])
    return tuple(metrics), unreadable
