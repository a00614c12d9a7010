"""`git clearml open`: the page of a commit's task."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from git_clearml.agent.requirement import passed_check
from git_clearml.base.console import Console
from git_clearml.base.sanitize import sanitize
from git_clearml.commands import options, report
from git_clearml.errors import CannotDecide, Error, UsageError
from git_clearml.forge import context as ci_context
from git_clearml.git.repository import Repository
from git_clearml.model import Task
from git_clearml.record import notes
from git_clearml.report import report as reports
from git_clearml.verdict import hint as hints
from git_clearml.verdict import session as judgement
from git_clearml.verdict import sources
from git_clearml.verdict.model import Verdict
from git_clearml.verdict.offline import OfflineEvidence
from git_clearml.verdict.session import VerifySession

_URL = re.compile(r"https?://[!-~]+")
_SSH = ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")


@dataclass(frozen=True)
class _Subject:
    """The task whose page is wanted (None for no task), what a reader should know about it, and what to do without.

    `problem` is what kept the server from telling; the task is then the one on record, if any.
    """

    commit: str = ""
    task: Task | None = None
    note: str = ""
    hint: str = ""
    problem: CannotDecide | None = None


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Adds the command and its flags (design 11)."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "open",
        help="the page of a commit's task",
        description="Prints the address of a commit's task, or of any task by its id, and opens it in a browser.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "subject", nargs="?", default="", metavar="<rev>|<task id>", help="default: the CI job's commit, else HEAD"
    )
    parser.add_argument("--print", action="store_true", help="only print the address")
    options.add_timeout(parser)
    options.add_format(parser, "text", "json", note="; json opens nothing")
    return parser


def failed(error: Error) -> dict[str, Any]:
    """The JSON of a call that ended before anything was looked for."""
    problem = {"code": error.code, "message": error.message}
    return _document(_Subject(hint=error.hint), "", "undecided", error.status, [problem])


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Finds the task, prints the address of its page, opens it where that is of use. Returns the exit status."""
    repository = Repository()
    context, job = ci_context.detect(repository, os.environ, log=console.log, warn=console.warn)
    revs, identity = report.subject(repository, arguments.subject, job)
    request = judgement.VerifyRequest(revs, {"timeout": arguments.timeout})
    session = judgement.prepare(repository, request, context, passed_check)
    try:
        subject = _find(session, identity)
    finally:
        session.close()
    subject = console.redact(subject)
    url = _page(subject.task)
    outcome, status = ("printed", 0) if url else ("missing", 1)
    if subject.problem and not url:
        outcome, status = "undecided", subject.problem.status
    _talk(subject, url, console)
    problems = [{"code": subject.problem.code, "message": subject.problem.message}] if subject.problem else []
    if arguments.format == "json":
        console.document(_document(subject, url, outcome, status, problems))
    elif url:
        console.product(sanitize(url))
        terminal = console.out.isatty() and not arguments.print
        if may_open(os.environ, terminal=terminal, platform=sys.platform):
            _open(url, console)
    return status


def _find(session: VerifySession, identity: str) -> _Subject:
    """The accepted task of the commit, else the nearest one, or the task of an id. Where no server tells, the note's.

    Raises UsageError for an id that nobody knows.
    """
    rules, commit = session.rulings[0].policy, "" if identity else session.commits[0].commit.hash
    try:
        source = session.source(rules.evidence)
        subject = _of_task(session, identity) if identity else _of_verdict(session, session.verdicts()[0])
    except CannotDecide as error:
        return _Subject(commit, _recorded(session.repository, commit, identity), problem=error)
    if not isinstance(source, OfflineEvidence) or _page(subject.task):
        return subject
    recorded = _recorded(session.repository, commit, identity)
    if recorded is None and subject.task is None and identity:
        raise UsageError(f"there is no task {identity}", "its id is on its page: INFO, or the address")
    return replace(subject, task=recorded or subject.task)


def _of_task(session: VerifySession, identity: str) -> _Subject:
    rules = session.rulings[0].policy
    source = session.source(rules.evidence)
    if isinstance(source, OfflineEvidence):  # a note may know more
        return _Subject(task=source.find(identity, rules))
    return _Subject(task=reports.find_task(source, identity, rules))


def _of_verdict(session: VerifySession, verdict: Verdict) -> _Subject:
    """The verdict's task, else the nearest miss that bears a commit: the others are guesses."""
    hint = hints.next_command(session.repository, [verdict], session.rulings[0].policy)
    if verdict.task:
        return _Subject(verdict.commit, verdict.task)
    miss = next((finding for finding in verdict.near_misses if finding.task.commit), None)
    if miss is None:
        return _Subject(verdict.commit, hint=hint)
    return _Subject(
        verdict.commit, miss.task, f"the nearest task, which does not count: {miss.reasons[0].message}", hint
    )


def _recorded(repository: Repository, commit: str, identity: str) -> Task | None:
    """The task that a note names for the commit, one that completed before others, or the task of this id."""
    recorded = notes.Notes(repository)
    if identity:
        commit, entry = recorded.task(identity) or ("", None)
    else:
        entries = [task for task in recorded.of([commit]).get(commit, ()) if _is_page(task.url)]
        entry = next(iter(sorted(entries, key=lambda task: task.status not in ("completed", "published"))), None)
    if entry is None:
        return None
    return Task(entry.task, "recorded", entry.name, entry.project, status=entry.status, commit=commit, url=entry.url)


def _page(task: Task | None) -> str:
    """The address of the task's page, "" where it has none that a browser may get."""
    return task.url if task and _is_page(task.url) else ""


def _is_page(url: str) -> bool:
    try:
        return bool(_URL.fullmatch(url) and urlsplit(url).hostname)
    except ValueError:
        return False


def _talk(subject: _Subject, url: str, console: Console) -> None:
    """What a reader should know besides the address, or why there is none."""
    name = subject.commit[:12] or (subject.task.id if subject.task else "")
    if subject.problem and url:
        console.warn(f"{subject.problem.message}; this is the page on record")
    elif subject.problem:
        console.fail(subject.problem)
    elif subject.task is None:
        console.fail(Error(f"no ClearML task has run {name}", subject.hint))
    elif not url:
        report_it = f"git clearml report {name}"
        console.fail(Error(f"the task of {name} has no page: it ran offline", report_it))
    elif subject.note:
        console.say(f"git clearml: {subject.note[:300]}")


def may_open(environment: Mapping[str, str], *, terminal: bool, platform: str) -> bool:
    """Is there somebody to see a browser, and a display to show it on? Not in CI, in a pipe, or at the end of SSH."""
    if not terminal or sources.in_ci(environment):
        return False
    display = bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))
    if any(environment.get(name) for name in _SSH):
        return display
    return display or platform == "darwin" or bool(environment.get("BROWSER"))


def _open(url: str, console: Console) -> None:
    import webbrowser

    try:
        opened = webbrowser.open(url)
    except (webbrowser.Error, OSError, ValueError):  # of a BROWSER that is no command line, for one
        opened = False
    if not opened:
        console.say("git clearml: no browser could be started")


def _document(subject: _Subject, url: str, outcome: str, status: int, problems: list[dict[str, str]]) -> dict[str, Any]:
    from git_clearml.render import json as json_view

    return {
        "schema": 1,
        "command": "open",
        "outcome": outcome,
        "exit_code": status,
        "commit": subject.commit or None,
        "url": url or None,
        "task": json_view.task_object(subject.task) if subject.task else None,
        "note": subject.note or None,
        "hint": subject.hint or None,
        "errors": problems,
    }
