"""The values of tasks: what an agent gets to run, what is seen of it, what it came to. Frozen, and free of I/O."""

from __future__ import annotations

from dataclasses import dataclass

from git_clearml.model import Metric


@dataclass(frozen=True)
class Launch:
    """A task as it will be made on the server, at an exact commit, and the queue that it goes to.

    `requirements` is the content of a requirements file, "" for no packages, None to leave it to the agent (which then
    takes the repository's own requirements.txt). `arguments` are pairs for ClearML's Args section; `diff` is what the
    agent applies on top of the commit, "" for nothing.
    """

    project: str
    name: str
    queue: str
    repository: str
    commit: str
    entry_point: str
    working_dir: str = "."
    branch: str = ""
    requirements: str | None = None
    arguments: tuple[tuple[str, str], ...] = ()
    docker: str = ""
    docker_arguments: str = ""
    diff: str = ""
    tags: tuple[str, ...] = ()
    kind: str = "training"


@dataclass(frozen=True)
class Queue:
    """A queue of the server, and how many live workers serve it."""

    id: str
    name: str
    workers: int = 0


@dataclass(frozen=True)
class TaskState:
    """One look at a launched task. `alive`: it has reported something of its own.

    `status` is "" when the server has no such task any more.
    """

    status: str
    queue: str = ""  # id
    queue_name: str = ""
    worker: str = ""
    message: str = ""
    reason: str = ""
    started: str = ""
    iteration: int | None = None
    alive: bool = False
    metrics: tuple[Metric, ...] = ()


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
