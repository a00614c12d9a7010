"""`git clearml check-runnable`: does this commit run on a ClearML agent?"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
from dataclasses import replace
from typing import Any

from git_clearml.agent import passed_checks
from git_clearml.agent.check import CheckOrder, RunnableCheck, refused_check
from git_clearml.agent.launch import check_launch, find_source, with_source
from git_clearml.agent.model import Check, CheckOutcome
from git_clearml.agent.required_check import passed_check
from git_clearml.base.console import Console, Progress
from git_clearml.base.ids import SIDE_REFS
from git_clearml.clearml import tasks
from git_clearml.clearml.connect import connect
from git_clearml.commands import options
from git_clearml.errors import CannotDecide, Error, PublishFailed, UsageError
from git_clearml.forge import context as ci_context
from git_clearml.forge import job_report
from git_clearml.forge.job import Job
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Problem
from git_clearml.render import check as view
from git_clearml.render import json as json_view
from git_clearml.settings.in_ci import in_ci
from git_clearml.settings.load import ResolvedPolicy
from git_clearml.verdict import session as judgement
from git_clearml.verdict.session import Context

_TEXTS = ("queue", "entry-point", "folder", "requirements", "docker", "project", "task-name")
_NUMBERS = ("execution-timeout", "queue-timeout")

TITLE = "does this commit run on a ClearML agent?"
DESCRIPTION = "Launches the commit on a queue, waits until it reports something, aborts it and cleans up."


def add_flags(parser: argparse.ArgumentParser) -> None:
    options.add_rev(parser)
    parser.add_argument("--queue", metavar="NAME", help="the queue to launch on (default: default)")
    parser.add_argument("--entry-point", metavar="FILE", help="the script, seen from --folder (default: main.py)")
    parser.add_argument("--folder", metavar="DIR", help="its working directory in the repository (default: .)")
    parser.add_argument("--requirements", metavar="FILE", help="its requirements file; none for no packages")
    parser.add_argument("--packages", metavar="NAMES", help='packages instead of a file: "torch==2.4 pandas"')
    parser.add_argument("--args", action="append", metavar="ARGS", help='its arguments: "epochs=1 lr=0.1"')
    parser.add_argument("--docker", metavar="IMAGE", help="docker image, and docker arguments after it")
    parser.add_argument("--project", metavar="NAME", help="project of the check's task (default: Github CICD)")
    parser.add_argument("--task-name", metavar="NAME", help="name of the check's task (default: cicd_test_task)")
    parser.add_argument("--repository", metavar="URL", help="what the agent clones (default: the push remote)")
    parser.add_argument("--execution-timeout", type=float, metavar="SECONDS", help="to the first report (600)")
    parser.add_argument("--queue-timeout", type=float, metavar="SECONDS", help="in the queue (1800)")
    parser.add_argument("--archive", choices=("success", "always", "never"), help="when to archive the task")
    parser.add_argument("--as-diff", action="store_true", help="send what the remote lacks as a diff; push nothing")
    parser.add_argument("--force", action="store_true", help="check even what has passed before")
    options.add_format(parser)
    options.add_dry_run(parser, "say what would be launched, and launch nothing")


def failed(error: Error) -> dict[str, Any]:
    problem = Problem.of(error)
    return json_view.check(Check(CheckOutcome.UNDECIDED, error.status, problems=(problem,), hint=error.hint))


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Checks and prints. Returns the exit status."""
    repository = Repository()
    context, job = ci_context.detect(repository, os.environ, log=console.log, warn=console.warn)
    try:
        return _check(repository, context, job, arguments, console)
    except Error as error:
        if job is not None and not arguments.dry_run:
            problem = Problem.of(error)
            ended = Check(CheckOutcome.UNDECIDED, error.status, sentence=error.message, problems=(problem,))
            _told(job, replace(ended, hint=error.hint), console)
        raise


def _check(
    repository: Repository, context: Context, job: Job | None, arguments: argparse.Namespace, console: Console
) -> int:
    request = judgement.VerifyRequest((arguments.rev,) if arguments.rev else (), flags(arguments))
    with contextlib.closing(judgement.prepare(repository, request, context, passed_check)) as session:
        ruling, packages = session.rulings[0], arguments.packages or ""
        order = order_of(session.commits[0].commit, ruling, job)
        url = arguments.repository or order.repository
        order = replace(order, repository=url, as_diff=arguments.as_diff, force=arguments.force)
        if arguments.dry_run:
            return _show_plan(repository, order, packages, console)
        order = replace(order, packages=packages_of(packages))
        check = console.redact(checked(repository, order, ruling.personal.remember, console))
    if job is not None:
        check = _told(job, check, console)
    show(check, arguments.format, console)
    return check.status


def _told(job: Job, check: Check, console: Console) -> Check:
    """The check, of which the CI job now knows, without our secrets; a failure to tell it is a problem of it."""
    check = console.redact(check)
    try:
        job_report.tell(job, check, environment=os.environ, command=console.command)
    except PublishFailed as error:
        problem = Problem.of(error)
        check = replace(check, status=check.status or error.status, problems=(*check.problems, problem))
    return check


def order_of(commit: Commit, ruling: ResolvedPolicy, job: Job | None) -> CheckOrder:
    """How a CI job checks: nothing is pushed, and an agent clones a fork's commit from the fork."""
    url = job.head_urls[0] if job and job.is_fork and job.head_urls else ""
    return CheckOrder(commit, ruling.policy.runnable, url, as_diff=job is not None)


def flags(arguments: argparse.Namespace) -> dict[str, Any]:
    """The flags by their setting's key, None for those that were not given."""
    given: dict[str, Any] = {
        f"runnable.{key}": getattr(arguments, key.replace("-", "_")) for key in (*_TEXTS, *_NUMBERS, "archive")
    }
    if arguments.args is not None:
        given["runnable.args"] = [word for text in arguments.args for word in _split(text)]
    return given


def _split(text: str, flag: str = "--args", example: str = "epochs=1 lr=0.1") -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"{flag} {text!r} cannot be read: {error}", f'{flag} "{example}"') from None


def packages_of(text: str) -> tuple[str, ...]:
    """The words of --packages. Raises UsageError where the quotes do not match."""
    return _split(text, "--packages", "torch==2.4 pandas")


def checked(repository: Repository, order: CheckOrder, lifetime: float, console: Console) -> Check:
    """The check of a commit; a pass is remembered for `lifetime` seconds.

    Raises UsageError and BadSetting; whatever else keeps us from an answer is part of the Check.
    """
    commit = order.commit
    try:
        api = connect(os.environ, judgement.BUDGET, log=console.log)
    except CannotDecide as error:
        problem = Problem.of(error)
        return Check(CheckOutcome.UNDECIDED, 3, commit.hash, commit.tree, sentence=error.message, problems=(problem,))
    check = RunnableCheck(repository, api, order, Progress(console)).run()
    if check.outcome is CheckOutcome.RUNNABLE and not in_ci(os.environ):
        identity, what = f"{api.server.api} {api.server.user}", passed_checks.digest(order.rules, order.packages)
        passed_checks.memory(repository, lifetime).remember([passed_checks.key(identity, commit.tree, what)])
    return check


def _show_plan(repository: Repository, order: CheckOrder, packages: str, console: Console) -> int:
    """What would be launched: the task as the server would get it. Asks the remote, launches and pushes nothing."""

    commit, rules = order.commit, order.rules
    if refused := refused_check(repository, commit, rules):
        show(refused, "text", console)
        return refused.status
    launch, notes = check_launch(repository, commit, rules, packages_of(packages))
    source = find_source(repository, commit.hash, override=order.repository, as_diff=order.as_diff)
    for note in (*source.notes, *notes):
        console.say(note)
    if source.needs_side_ref:
        console.say(f"it would be pushed as {SIDE_REFS}... to {source.remote.shown}")
    document = tasks.body(with_source(launch, source), "<project>")
    console.document({"queue": launch.queue, **document})
    return 0


def show(check: Check, form: str, console: Console) -> None:
    """The check in the wanted form on stdout, its problems on stderr."""
    console.fail(*check.problems)
    warn(check, console)
    if form == "json":
        console.document(json_view.check(check))
    elif form == "markdown":
        console.product(view.markdown_of(check))
    elif not (console.quiet and check.status == 0):
        console.product(view.text(check, colour=console.colour))


def warn(check: Check, console: Console) -> None:
    """What the check has left behind, and what to do about it."""
    for line in check.left:
        console.warn(f"left behind: {line}")
