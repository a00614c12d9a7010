"""What a task ran, with what, and what came out: put together for whoever looks back at it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from git_clearml.clearml import details as task_details
from git_clearml.clearml import diff, offline
from git_clearml.clearml.config import DOCTOR
from git_clearml.clearml.details import Details
from git_clearml.clearml.diff import ChangedFile
from git_clearml.clearml.model import Artifact
from git_clearml.errors import BadAnswer, CannotDecide
from git_clearml.git import whereabouts
from git_clearml.git.repository import Repository
from git_clearml.git.whereabouts import Whereabouts
from git_clearml.model import Task
from git_clearml.report import command_line
from git_clearml.report.command_line import CommandLine
from git_clearml.report.measures import Row
from git_clearml.report.rows import Selection, make_rows
from git_clearml.run import ownership
from git_clearml.settings.policy import Policy
from git_clearml.verdict.evidence import Evidence
from git_clearml.verdict.server import ServerEvidence

_MOST_BYTES = 1_000_000  # of a requirements file


class Package(NamedTuple):
    """A package that the task ran with in another version than its commit's requirements ask for.

    `ran` and `wanted` as in a requirements file: `==1.2`; `wanted` is None where the file does not name the package.
    """

    name: str
    ran: str
    wanted: str | None


@dataclass(frozen=True)
class History:
    """A task and all that is on record of it. Text in it comes from a server: untrusted.

    `uncommitted` is None where no diff is on record; `unreadable` says what stands there instead of one. `packages` are
    those that differ, of `recorded_packages`; `requirements` is the file of the commit that they are compared with, ""
    where it has none. `imported` is when what had been run offline came to the server, "" for what ran there; the times
    of the task are those of the run.
    """

    task: Task
    commit: Whereabouts
    command: CommandLine
    uncommitted: tuple[ChangedFile, ...] | None = ()
    unreadable: str = ""
    packages: tuple[Package, ...] = ()
    recorded_packages: int = 0
    requirements: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    rows: tuple[Row, ...] = ()
    hidden: int = 0
    artifacts: tuple[Artifact, ...] = ()
    queue: str = ""
    host: str = ""
    imported: str = ""


def details_of(source: Evidence, task: Task) -> Details:
    """What is on record of the task. A server is asked once, and once more for models. Raises CannotDecide."""
    if isinstance(source, ServerEvidence):
        return task_details.of_task(source.api, task.id)
    session = next((each for each in (task.run.sessions if task.run else ()) if each.id == task.id), None)
    if session is None or not session.path:
        raise CannotDecide(f"the details of the task {task.id} are on its ClearML server, not in this clone", DOCTOR)
    if session.damage or not (document := offline.document(session.path)):
        raise BadAnswer(f"the offline session {task.id} cannot be read", f"see {session.path}")
    return replace(task_details.of_document(document), metrics=source.metrics(task))


def of_task(repository: Repository, task: Task, details: Details, policy: Policy) -> History:
    """The history of a task."""
    rows, hidden, _ = make_rows(details.metrics, None, policy, Selection())
    files = None if details.diff is None else diff.files(details.diff)
    kind = diff.classify(details.diff)
    commit = whereabouts.find(repository, task.commit)
    name, wanted = _requirements(repository, commit, policy)
    run = task.run if task.run and ownership.belongs(task.run, task) else None
    imported = task.completed or task.started if run and details.imported else ""
    task = as_it_ran(task, details)
    return History(
        task,
        commit,
        command_line.of_task(task, details.parameters),
        files,
        kind.summary if details.diff and details.diff.strip() and not files else "",
        differing(dict(details.packages), wanted) if name else (),
        len(details.packages),
        name,
        details.parameters,
        rows,
        hidden,
        details.artifacts,
        details.queue,
        run.host if run else details.worker,
        imported,
    )


def as_it_ran(task: Task, details: Details) -> Task:
    """The task with the times of its run, where it was imported: a server has those of the import, and its API takes no
    others."""
    if not details.imported or task.run is None or not ownership.belongs(task.run, task):
        return task
    return task._replace(started=task.run.started, completed=task.run.ended)


def differing(ran: dict[str, str], wanted: dict[str, str]) -> tuple[Package, ...]:
    """The packages that are not what the requirements name: of another pinned version, or not named at all."""
    packages = []
    for name, version in sorted(ran.items()):
        pinned_as = wanted.get(name)
        pinned = pinned_as is not None and pinned_as.startswith("==") and "*" not in pinned_as and "," not in pinned_as
        if pinned_as is None or (pinned and version and version != pinned_as):
            packages.append(Package(name, version, pinned_as))
    return tuple(packages)


def _requirements(repository: Repository, commit: Whereabouts, policy: Policy) -> tuple[str, dict[str, str]]:
    """The commit's requirements file and the packages in it; "" where it has none."""
    name = policy.runnable.requirements
    [blob] = repository.names_of([f"{commit.hash}:{name}"]) if commit.present and name and "\n" not in name else [""]
    if not blob or repository.sizes.get(blob, 0) > _MOST_BYTES:
        return "", {}
    content = repository.blobs([blob])[blob]
    return name, task_details.packages_in(content.decode("utf-8", "replace"))
