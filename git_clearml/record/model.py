"""What a task came to, as it gets recorded and shown: metrics, parameters, artifacts. Frozen, and free of I/O."""

from __future__ import annotations

from dataclasses import dataclass

from git_clearml.model import Metric


@dataclass(frozen=True)
class Artifact:
    """What a task made: an artifact, or (`kind` is "model") an output model.

    `uri` has no credentials in it. `hash` is ClearML's SHA-256 of the content, `size` in bytes; "" and None where the
    server knows none, which is so for every model.
    """

    name: str
    kind: str  # "artifact" | "model"
    uri: str
    hash: str = ""
    size: int | None = None


@dataclass(frozen=True)
class Result:
    """A task of a server with what it came to. Text in it comes from there: untrusted.

    `status` is ClearML's word, `completed` ISO 8601 in UTC and "" while there is none (a failed task never has one),
    `commit` what the task recorded. `parameters` are pairs of Section/name and value, by name; `metrics` and
    `artifacts` are sorted by name too.
    """

    task: str
    name: str = ""
    project: str = ""
    status: str = ""
    url: str = ""
    commit: str = ""
    completed: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    metrics: tuple[Metric, ...] = ()
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A task as `git clearml log` shows it. Text in it comes from a server or from whoever wrote the note: untrusted.

    `metrics` are pairs of TITLE/SERIES and the last value, finite, by name. `recorded` is when its note was written
    (ISO 8601, UTC), "" where the server itself says it.
    """

    task: str
    name: str = ""
    project: str = ""
    status: str = ""
    url: str = ""
    completed: str = ""
    metrics: tuple[tuple[str, float], ...] = ()
    recorded: str = ""


@dataclass(frozen=True)
class Decorated:
    """A commit with its tasks, as `git clearml log` shows it. `subject` is whatever somebody committed: untrusted."""

    commit: str
    short: str
    subject: str
    tasks: tuple[Entry, ...] = ()
