"""Which tasks are on record for a commit, and how the results of a run are to be recorded. Frozen, and free of I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from git_clearml.clearml.model import Result
from git_clearml.model import Task

RecordKind = Literal["none", "notes", "commit"]


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

    def as_task(self, commit: str) -> Task:
        """The task that ran this commit, without what only judging asks for."""
        return Task(self.task, "recorded", self.name, self.project, status=self.status, commit=commit, url=self.url)


def together(first: Sequence[RecordedTask], more: Sequence[RecordedTask]) -> tuple[RecordedTask, ...]:
    """The tasks of both; of one that is in both, what the first says."""
    ids = {task.task for task in first}
    return (*first, *(task for task in more if task.task not in ids))


@dataclass(frozen=True)
class CommitWithTasks:
    """A commit with its tasks, as `git clearml log` shows it. `subject` is whatever somebody committed: untrusted."""

    commit: str
    short: str
    subject: str
    tasks: tuple[RecordedTask, ...] = ()


@dataclass(frozen=True)
class RecordOptions:
    """How the results of a run are to be recorded in git: not at all, in a note, or in a results commit.

    `push` is for notes; all that follows is for results commits. `add` are files and directories, `timeout` is for the
    network, in seconds.
    """

    kind: RecordKind = "none"
    push: bool = False
    add: tuple[str, ...] = ()
    before_push: str = ""
    branch: str = ""
    skip_ci: bool = False
    committer: str = ""
    suffix: str = "-results"
    timeout: float = 120.0


@dataclass(frozen=True)
class FinishedRun:
    """What has run at a commit (its full hash), the tasks that it made, and whether it succeeded."""

    commit: str
    results: tuple[Result, ...]
    succeeded: bool
