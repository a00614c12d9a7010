"""What a task came to, as it gets recorded and shown: metrics, parameters, artifacts. Frozen, and free of I/O."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RecordedTask:
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
class CommitWithTasks:
    """A commit with its tasks, as `git clearml log` shows it. `subject` is whatever somebody committed: untrusted."""

    commit: str
    short: str
    subject: str
    tasks: tuple[RecordedTask, ...] = ()


@dataclass(frozen=True)
class RecordOptions:
    """What of a run is to be recorded in git: `kind` is none, notes or commit; the rest says how."""

    kind: str = "none"
    push: bool = False
    add: tuple[str, ...] = ()
    before_push: str = ""
    branch: str = ""
    skip_ci: bool = False
    committer: str = ""
