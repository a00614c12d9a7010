"""A copy of an offline session as the SDK is to import it: without a name of its own, and without its code.

What the import makes of it can be no evidence, and a reader sees that it is unfinished, whenever it is broken off: the
name and the script come last, in one request (importing.py). Anybody can write into ClearML's cache, so a session that
names files outside of itself is not copied.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from git_clearml.base import jsonvalue
from git_clearml.base.files import read_limited
from git_clearml.clearml import offline as offline_sessions
from git_clearml.clearml.properties import IMPORT, OURS
from git_clearml.model import RunRecord

_UNREADABLE = (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, ValueError)
_LEAST_NAME = 3  # characters of the name of a task or a project that a server takes [23]
_NO_PROJECT = "Untitled"  # what the SDK calls the project of a Task.init without one (clearml 1.16 to 2.1)
_EVENTS = ("metrics.jsonl", "log.jsonl")


class Staged(NamedTuple):
    """A session that is ready to be imported: its folder, and what its task gets at the end."""

    folder: str
    name: str
    script: Mapping[str, Any]
    comment: str = ""


def unfinished_name(session: str) -> str:
    """What the task of a session is called until all of it is on the server."""
    return f"unfinished import of {session}"


def stage(path: str, record: RunRecord, directory: str) -> Staged | str:
    """Copies the session at `path` (see offline.read) into the directory, or a sentence why it may not be sent.

    Files of its folders `data` and `models` are not copied. Raises OSError: the disk may be full.
    """
    name = os.path.basename(path)
    target = os.path.join(directory, name)
    os.mkdir(target, 0o700)
    notes = offline_sessions.read(path, os.path.dirname(path)).notes
    try:
        problem = _copy(path, target)
    except _UNREADABLE:
        problem = f"the offline session {name} is a damaged zip file"
    session = offline_sessions.read(target, directory)
    if problem or session.damage:
        return problem or session.damage
    if session.run != record.id:
        return f"the offline session {name} is not of the run that its record names"
    if session.commit != record.commit:
        return f"its task names another commit, {session.commit[:12]}" if session.commit else "its task names no commit"
    if notes and record.exit_status == 0:  # a lost line may be the one with the last value
        return notes[0]
    document = dict(offline_sessions.document(target))
    if problem := _outside(document, path):
        return problem
    project = document.get("project_name")
    document["project_name"] = project.strip() if isinstance(project, str) and project.strip() else _NO_PROJECT
    if len(document["project_name"]) < _LEAST_NAME:
        return (
            f"its project {document['project_name']!r} has fewer than {_LEAST_NAME} characters, which no server takes"
        )
    script = {**document.pop("script", {}), "version_num": record.commit}
    text = json.dumps(_unfinished(document, name, path, target))
    Path(target, "task.json").write_text(text, encoding="utf-8")
    shown = session.name.strip()
    shown = shown if len(shown) >= _LEAST_NAME else f"{shown} (imported)".strip()
    return Staged(target, shown, script, _comment(document.get("comment"), record))


def _comment(own: Any, record: RunRecord) -> str:
    """When the run was: a server has the times of the import, which no call of its API can change."""
    until = f" to {record.ended}" if record.ended else ", and was killed"
    when = f"Ran from {record.started}{until}; sent later by git clearml import."
    return f"{own}\n{when}" if isinstance(own, str) and own.strip() else when


def _unfinished(document: Mapping[str, Any], session: str, path: str, target: str) -> dict[str, Any]:
    """The task as the SDK is to make it: by its name and a property it is found again, whatever happens."""
    sections = dict(_object(document.get("hyperparams")))
    own = {key: value for key, value in _object(sections.get("properties")).items() if not key.startswith(OURS)}
    own[IMPORT] = {"section": "properties", "name": IMPORT, "type": "str", "value": session}
    models = [
        {**model, "weights": {**weights, "weights_filename": _moved(weights.get("weights_filename"), path, target)}}
        for model in document.get("offline_output_models") or ()
        for weights in [_object(model.get("weights"))]
    ]
    kept = {
        key: value
        for key, value in document.items()
        if key not in ("session_api_version", "offline_output_models", "parent")
    }
    named = {"name": unfinished_name(session), "hyperparams": {**sections, "properties": own}}
    return {**kept, **named, **({"offline_output_models": models} if models else {})}


def _moved(file: Any, path: str, target: str) -> Any:
    """Where a file of the session's folder lies now."""
    if not isinstance(file, str) or os.path.exists(file):
        return file
    return os.path.join(target, os.path.relpath(file, path))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _outside(document: Mapping[str, Any], path: str) -> str:
    """Why the SDK may not follow what a task.json names, "" where it may: it would send any file."""
    folder = document.get("offline_folder", "")
    artifacts = _object(document.get("execution")).get("artifacts") or []
    models = document.get("offline_output_models") or []
    lists = isinstance(artifacts, list) and isinstance(models, list)
    if not isinstance(folder, str) or not lists or not all(isinstance(item, Mapping) for item in [*artifacts, *models]):
        return "its task.json has values of the wrong type"
    for artifact in artifacts:
        local = str(artifact.get("uri") or "").replace(os.path.join(folder, "data/"), "", 1)
        if "://" not in local and _leads_out(local):
            return f"its artifact {str(artifact.get('key'))[:40]!r} lies outside of the session"
    for model in models:
        file = _object(model.get("weights")).get("weights_filename")
        inside = isinstance(file, str) and not _leads_out(os.path.relpath(file, path))
        if file is not None and (not inside or os.path.islink(str(file))):
            return "a model of it lies outside of the session"
    return ""


def _leads_out(path: str) -> bool:
    return os.path.isabs(path) or ".." in path.replace("\\", "/").split("/")


def _copy(path: str, target: str) -> str:
    """Copies a session's folder, else its zip. Why it cannot be used, "" if it can. Raises OSError and _UNREADABLE."""
    name = os.path.basename(path)
    is_folder = os.path.isdir(path) and not os.path.islink(path)
    if is_folder and os.path.lexists(os.path.join(path, "task.json")) and offline_sessions.document(path):
        return _copy_folder(path, target)
    if os.path.isfile(path + ".zip") and not os.path.islink(path + ".zip"):
        return _unpack(path + ".zip", target)
    if is_folder:  # let the reader of sessions say what is wrong with it
        return offline_sessions.read(path, os.path.dirname(path)).damage or f"the offline session {name} is damaged"
    return f"the offline session {name} is gone"


def _copy_folder(path: str, target: str) -> str:
    content = read_limited(os.path.join(path, "task.json"), offline_sessions.TASK_BYTES)
    if isinstance(content, str):
        return f"its task.json cannot be used: {content}"
    Path(target, "task.json").write_bytes(content)
    for name in _EVENTS:
        source = os.path.join(path, name)
        if os.path.lexists(source):
            if not stat.S_ISREG(os.lstat(source).st_mode):
                return f"its {name} is not a regular file"
            if problem := _copy_events(source, os.path.join(target, name)):
                return problem
    data = os.path.join(path, "data")
    if os.path.lexists(data):
        if not all(map(_is_plain, _below(data))):
            return "its data has links in it, or what is no file"
        os.symlink(data, os.path.join(target, "data"))
    return ""


def _below(folder: str) -> Iterator[str]:
    yield folder
    for parent, folders, files in os.walk(folder):
        yield from (os.path.join(parent, name) for name in (*folders, *files))


def _is_plain(path: str) -> bool:
    mode = os.lstat(path).st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _unpack(file: str, target: str) -> str:
    """Unpacks a zip whose members all stay below `target`."""
    with zipfile.ZipFile(file) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)
            if _leads_out(member.filename) or kind not in (0, stat.S_IFREG):
                return f"its zip file has a member that is none of a session's: {member.filename[:40]!r}"
        if sum(member.file_size for member in members) > shutil.disk_usage(target).free:
            return "its zip file holds more than there is room for"
        for member in members:
            place = os.path.join(target, member.filename)
            os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
            with archive.open(member) as source, open(place, "xb") as unpacked:
                shutil.copyfileobj(source, unpacked)
    for name in _EVENTS:
        place = os.path.join(target, name)
        if os.path.exists(place):
            os.rename(place, place + ".all")
            if problem := _copy_events(place + ".all", place):
                return problem
            os.unlink(place + ".all")
    return ""


def _copy_events(source: str, target: str) -> str:
    """Copies the lines that are whole: a killed run leaves half of one, for which the SDK would send others twice."""
    with open(source, "rb") as file, open(target, "wb") as copy:
        for line in file:
            try:
                events = jsonvalue.items(jsonvalue.parse(line), "the line")
            except jsonvalue.Malformed:
                events = []
            if not events or not all(isinstance(event, Mapping) for event in events):
                continue
            if any(_leads_out(str(event.get("key") or "")) for event in events):
                return "an image of it lies outside of the session"
            copy.write(line)
    return ""
