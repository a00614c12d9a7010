"""`git clearml open`: the page of a commit's task."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from typing import Any

from git_clearml.base.console import Console
from git_clearml.base.sanitize import sanitize
from git_clearml.commands import options, recorded
from git_clearml.errors import Error
from git_clearml.git.repository import Repository
from git_clearml.render import json as json_view
from git_clearml.report import subject as subjects
from git_clearml.report.subject import Subject
from git_clearml.settings.in_ci import in_ci

_SSH = ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")

TITLE = "the page of a commit's task"
DESCRIPTION = "Prints the address of a commit's task, or of any task by its id, and opens it in a browser."


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "subject", nargs="?", default="", metavar="<rev>|<task id>", help="default: the CI job's commit, else HEAD"
    )
    parser.add_argument("--print", action="store_true", help="only print the address")
    options.add_timeout(parser)
    options.add_format(parser, "text", "json", note="; json opens nothing")


def failed(error: Error) -> dict[str, Any]:
    return _document(Subject(hint=error.hint), "", "undecided", error.status, error)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Finds the task, prints the address of its page, opens it where that is of use. Returns the exit status."""
    repository = Repository()
    with recorded.session_for(repository, arguments.subject, arguments.timeout, console) as (session, identity):
        subject = console.redact(subjects.find(session, identity))
    url = subjects.page(subject.task)
    outcome, status = ("printed", 0) if url else ("missing", 1)
    if subject.problem and not url:
        outcome, status = "undecided", subject.problem.status
    _talk(subject, url, console)
    if arguments.format == "json":
        console.document(_document(subject, url, outcome, status, subject.problem))
    elif url:
        console.product(sanitize(url))
        terminal = console.out.isatty() and not arguments.print
        if may_open(os.environ, terminal=terminal, platform=sys.platform):
            _open(url, console)
    return status


def _talk(subject: Subject, url: str, console: Console) -> None:
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
    if not terminal or in_ci(environment):
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


def _document(subject: Subject, url: str, outcome: str, status: int, error: Error | None) -> dict[str, Any]:
    return json_view.document(
        "open",
        status,
        [error] if error else [],
        outcome=outcome,
        commit=subject.commit or None,
        url=url or None,
        task=json_view.task_object(subject.task) if subject.task else None,
        note=subject.note or None,
        hint=subject.hint or None,
    )
