"""Which task is meant: by its id, the first digits of it, the address of its page, or a revision that it has run.

The one implementation for every command that takes a task.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from git_clearml.base.ids import FIND_THE_ID, is_hash
from git_clearml.clearml import page as pages
from git_clearml.errors import CannotDecide, NoTask, UnknownRevision, UsageError
from git_clearml.git.repository import Repository
from git_clearml.model import Task
from git_clearml.record import notes
from git_clearml.report import report as reports
from git_clearml.verdict import hint as hints
from git_clearml.verdict.model import Verdict
from git_clearml.verdict.offline import OfflineEvidence
from git_clearml.verdict.session import VerifySession
from git_clearml.verdict.statuses import ENDED_WELL

_URL = re.compile(r"https?://[!-~]+")


@dataclass(frozen=True)
class Subject:
    """The task whose page is wanted (None for no task), what a reader should know about it, and what to do without.

    `problem` is what kept the server from telling; the task is then the one on record, if any.
    """

    commit: str = ""
    task: Task | None = None
    note: str = ""
    hint: str = ""
    problem: CannotDecide | None = None


def parse(repository: Repository, name: str, *, in_job: bool) -> tuple[tuple[str, ...], str]:
    """The commit that is meant, or (the policy is HEAD's then, or the CI job's) the id of a task. What git knows is a
    commit; in CI a full hash may have to be fetched first, which the session does. An address is of a task's page.

    Raises UnknownRevision, and UsageError for a page of another server.
    """
    name, address = pages.task_in(name, os.environ), name
    if name != address:
        return (), name
    if not name or (in_job and is_hash(name)):
        return (name,) if name else (), ""
    try:
        repository.resolve([name])
    except UnknownRevision:
        if not reports.is_task_id(name):
            raise
        return (), name
    return (name,), ""


def find(session: VerifySession, identity: str) -> Subject:
    """The accepted task of the commit, else the nearest one, or the task of an id. Where no server tells, the note's.

    Raises UsageError for an id that nobody knows.
    """
    rules, commit = session.rulings[0].policy, "" if identity else session.commits[0].commit.hash
    try:
        source = session.source(rules.evidence)
        subject = _of_task(session, identity) if identity else _of_verdict(session, session.verdicts()[0])
    except CannotDecide as error:
        return Subject(commit, _recorded(session.repository, commit, identity), problem=error)
    if not isinstance(source, OfflineEvidence) or page(subject.task):
        return subject
    recorded = _recorded(session.repository, commit, identity)
    if recorded is None and subject.task is None and identity:
        raise UsageError(f"there is no task {identity}", FIND_THE_ID)
    return replace(subject, task=recorded or subject.task)


def find_task(session: VerifySession, identity: str) -> tuple[Task, str]:
    """The task that `find` finds, and what a reader should know about it.

    Raises NoTask where no task has run the commit, and the errors of the source.
    """
    subject = find(session, identity)
    if subject.problem:
        raise subject.problem
    if subject.task is None:
        raise NoTask(f"no ClearML task has run {subject.commit[:12]}", subject.hint)
    return subject.task, subject.note


def _of_task(session: VerifySession, identity: str) -> Subject:
    rules = session.rulings[0].policy
    source = session.source(rules.evidence)
    if isinstance(source, OfflineEvidence):  # a note may know more
        return Subject(task=source.find(identity, rules))
    return Subject(task=reports.find_task(source, identity, rules))


def _of_verdict(session: VerifySession, verdict: Verdict) -> Subject:
    """The verdict's task, else the nearest miss that bears a commit: the others are guesses, or runs without a task."""
    hint = hints.next_command(session.repository, [verdict], session.rulings[0].policy)
    if task := next((part.task for part in verdict.parts if part.task), None):
        return Subject(verdict.commit, task, "; ".join(reports.whose(verdict, task)), "" if verdict.task else hint)
    miss = next((finding for finding in verdict.near_misses if finding.task.commit and finding.task.id), None)
    if miss is None:
        return Subject(verdict.commit, hint=hint)
    return Subject(
        verdict.commit,
        miss.task,
        f"no task counts for this commit, this is the nearest: {miss.reasons[0].message}",
        hint,
    )


def _recorded(repository: Repository, commit: str, identity: str) -> Task | None:
    """The task that a note names for the commit, one that completed before others, or the task of this id."""
    recorded = notes.Notes(repository)
    if identity:
        commit, entry = recorded.task(identity) or ("", None)
    else:
        entries = [task for task in recorded.of([commit]).get(commit, ()) if _is_page(task.url)]
        entry = next(iter(sorted(entries, key=lambda task: task.status not in ENDED_WELL)), None)
    return entry.as_task(commit) if entry else None


def page(task: Task | None) -> str:
    """The address of the task's page, "" where it has none that a browser may get."""
    return task.url if task and _is_page(task.url) else ""


def _is_page(url: str) -> bool:
    try:
        return bool(_URL.fullmatch(url) and urlsplit(url).hostname)
    except ValueError:
        return False
