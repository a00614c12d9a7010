"""A task that a command is given, with what is on record of it, and its commit."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from git_clearml.agent.required_check import passed_check
from git_clearml.base.console import Console
from git_clearml.base.ids import is_hash
from git_clearml.base.sanitize import sanitize
from git_clearml.base.secrets import without_credentials
from git_clearml.clearml.details import Details
from git_clearml.errors import CannotDecide, UsageError
from git_clearml.forge import context as ci_context
from git_clearml.forge import fetch
from git_clearml.git.repository import Repository
from git_clearml.model import Task
from git_clearml.report import history
from git_clearml.report import subject as subjects
from git_clearml.settings.policy import Policy
from git_clearml.verdict import session as judgement
from git_clearml.verdict.session import VerifySession


class Recorded(NamedTuple):
    """A task, what is on record of it, and the policy of the revision that was named, or of HEAD."""

    task: Task
    details: Details
    policy: Policy


@contextlib.contextmanager
def session_for(
    repository: Repository, name: str, timeout: float | None, console: Console
) -> Iterator[tuple[VerifySession, str]]:
    """A session for the commit that `name` means, or for the task whose id is returned with it."""
    context, job = ci_context.detect(repository, os.environ, log=console.log, warn=console.warn)
    revs, identity = subjects.parse(repository, name, in_job=job is not None)
    request = judgement.VerifyRequest(revs, {"timeout": timeout})
    with contextlib.closing(judgement.prepare(repository, request, context, passed_check)) as session:
        yield session, identity


def look_up(
    repository: Repository, name: str, timeout: float | None, console: Console, *, needs_commit: bool = True
) -> Recorded:
    """The task that `name` means, and what is on record of it.

    Raises UsageError where a commit is needed and the task has no full hash of one, NoTask, and the errors of the
    source.
    """
    with session_for(repository, name, timeout, console) as (session, identity):
        task, note = subjects.find_task(session, identity)
        policy = session.rulings[0].policy
        details = history.details_of(session.source(policy.evidence), task)
    if needs_commit and not is_hash(task.commit):
        raise UsageError(f"the task {task.id} has no commit on record", f"git clearml show {task.id}")
    if note:
        console.say(f"git clearml: {console.redact(note)[:300]}")
    return Recorded(task, details, policy)


def fetch_commit(repository: Repository, task: Task, timeout: float | None) -> None:
    """Fetches the task's commit where it is missing. Raises CannotDecide where the remote does not have it."""
    try:
        fetch.ensure(repository, [task.commit], timeout=timeout or judgement.BUDGET)
    except CannotDecide as error:
        error.hint = "git fetch --all" if repository.remotes() else "git remote add origin <url>"
        if task.repository and repository.name_of(task.repository) not in repository.names():
            error.hint = f"a clone of {sanitize(without_credentials(task.repository), 200)}, which it ran, may have it"
        raise
