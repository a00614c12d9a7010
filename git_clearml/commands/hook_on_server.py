"""`git clearml hook pre-receive` and `hook update`: the same judgement where nobody can go around it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from git_clearml.base.console import Console
from git_clearml.commands.hook_io import read_stdin, show
from git_clearml.errors import Error, UsageError
from git_clearml.hook import git_server, server_policies
from git_clearml.hook.ref_updates import Push, RefUpdate, parse_received, received_update, updates_with_side_refs
from git_clearml.hook.skip import DRILL
from git_clearml.report.model import VerifyReport

if TYPE_CHECKING:
    from git_clearml.model import Problem

_PATIENCE = 4.0  # seconds for git to close stdin
AROUND = "this git server accepts verified commits only; GIT_CLEARML_SKIP and push options have no effect here"
_WHO = "ask whoever runs this git server"
_NAMELESS = f"this git server does not know its URL; {_WHO}: git config clearml.repository <URL>"


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Judges the push that this repository is about to receive. Returns the exit status; only 0 accepts it."""
    given = dict(os.environ)
    console.prefix = git_server.prefix(given)
    try:
        directory = os.getcwd()
        os.environ.clear()  # whatever we start and ask gets what is kept of it, and nothing that a pusher may have set
        os.environ.update(git_server.kept(given, directory))
        report = _judge(arguments, given, console)
    except Error as error:
        if not isinstance(error, server_policies.UnusablePolicy):  # which whoever pushes can put right
            error.hint = f"{_WHO}: {error.hint}"
        raise
    if report is None:
        return 0
    if DRILL in given:
        from git_clearml.hook import drill_outcome  # late: for drills alone

        drill_outcome.tell(given, report.outcome.value, report.status)
    if not report.status:
        console.prefix = ""
    show(_for_pushers(report), console, AROUND)
    return report.status


def _judge(arguments: argparse.Namespace, given: dict[str, str], console: Console) -> VerifyReport | None:
    """The report on the push, None where nothing in it is to be judged. `given` is the environment as it was."""
    lines = _updates(arguments)
    if not updates_with_side_refs(lines):
        return None
    from git_clearml.git.repository import Repository
    from git_clearml.hook.judge import PushJudge

    repository = Repository()
    updates = updates_with_side_refs(server_policies.with_targets(repository, lines))
    config = git_server.read_config(repository, given)
    os.environ.update(git_server.with_credentials(os.environ, given, config))
    judge = PushJudge(repository, dict(os.environ), console, arguments.timeout)
    names = git_server.names(given, config)
    judged = judge.judge(Push("", "", updates, received=True, names=names))
    policies = {gated.ruling.policy for gated in judged.gated}
    if names or any(policy.repositories for policy in policies) or not _of_other_repositories(judged.report):
        return judged.report
    return judged.report._replace(notes=(*judged.report.notes, _NAMELESS))


def _of_other_repositories(report: VerifyReport) -> bool:
    """Is there a task that does not count for where it ran?"""
    reasons = [reason for verdict in report.verdicts for miss in verdict.near_misses for reason in miss.reasons]
    return any(reason.code == "other-repository" for reason in reasons)


def _updates(arguments: argparse.Namespace) -> Sequence[RefUpdate]:
    if arguments.hook == "pre-receive":
        if arguments.remote:
            raise UsageError("pre-receive takes no arguments: its lines are on stdin", "git help githooks")
        return parse_received(read_stdin(arguments.timeout or _PATIENCE))
    return [received_update(arguments.remote, arguments.url, arguments.new)]


def _for_pushers(report: VerifyReport) -> VerifyReport:
    """The report, whose hints about the server are not for those who push; nor is there any for what is accepted."""
    if not report.status:
        return report._replace(problems=tuple(problem._replace(hint="") for problem in report.problems))
    return report._replace(problems=tuple(_for_pusher(problem) for problem in report.problems))


def _for_pusher(problem: Problem) -> Problem:
    if problem.code == "not-configured":
        return problem._replace(hint=f"{_WHO}: {git_server.ADVICE}")
    if not problem.hint:
        return problem
    again = "push again later, or " if problem.code in ("unreachable", "timeout") else ""
    return problem._replace(hint=f"{again}{_WHO}: {problem.hint}")
