"""`git clearml hook pre-push`: what the pre-push hook calls, and pre-commit."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from git_clearml.base.console import Console
from git_clearml.commands import options
from git_clearml.commands.hook_io import read_stdin, show
from git_clearml.errors import UsageError
from git_clearml.hook.ref_updates import Push, RefUpdate, from_pre_commit, parse_lines, updates_to_judge
from git_clearml.hook.skip import DRILL, SHOWN, read_skip
from git_clearml.report.model import VerifyReport
from git_clearml.settings import table as settings
from git_clearml.verdict.model import Outcome

if TYPE_CHECKING:
    from git_clearml.git.repository import Repository

_PROGRAM = "_GIT_CLEARML_PROGRAM"  # what hooks/pre-push has started us by
_REFUSED = 41  # what hooks/pre-push takes for a refusal: 1 is how any Python ends that does not find us
BUDGET = 10.0  # seconds for whoever calls us to close stdin

TITLE = "what git hooks call"
DESCRIPTION = (
    "Judges a push. pre-push reads the lines that git writes to that hook, or pre-commit's variables; "
    "pre-receive and update are for the git server."
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("hook", choices=("pre-push", "pre-receive", "update"), help="which hook")
    parser.add_argument(
        "remote", nargs="?", default="", help="of pre-push the remote's name, or its URL; of update the ref"
    )
    parser.add_argument("url", nargs="?", default="", help="of pre-push the remote's URL; of update the old object")
    parser.add_argument("new", nargs="?", default="", help="of update the new object")
    options.add_timeout(parser, "for all network calls (default: 10; on a git server 4)")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Judges the push that git or pre-commit is about to do. Returns the exit status; only 0 lets it go on."""
    if arguments.hook != "pre-push":
        from git_clearml.commands import hook_on_server

        return hook_on_server.run(arguments, console)
    skip = read_skip(os.environ.get(settings.SKIP, ""))
    if skip.skipped:
        if not _is_second(os.environ):
            console.announce(skip.line)
        return 0
    lines, by_pre_commit = _updates(arguments)
    if skip.line and lines:
        console.announce(skip.line)
    updates = updates_to_judge(lines)
    if not updates:
        return _ended(0, "")
    from git_clearml.git.repository import Repository
    from git_clearml.hook.judge import PushJudge

    remote = arguments.remote or os.environ.get("PRE_COMMIT_REMOTE_NAME", "")
    url = arguments.url or os.environ.get("PRE_COMMIT_REMOTE_URL", "") or remote
    repository = Repository()
    judge = PushJudge(repository, os.environ, console, arguments.timeout)
    report = judge.judge(Push(remote, url, updates, by_pre_commit)).report
    _tell(repository, report, [update.local_hash for update in updates], console, by_pre_commit=by_pre_commit)
    if DRILL in os.environ:
        return _ended(report.status, report.outcome.value)
    program = os.environ.get(_PROGRAM, "")
    if program and not sys.flags.no_site:
        from git_clearml.hook import start  # late: once for each installation

        start.remember(repository.common_dir, os.environ, program)
    return _REFUSED if program and report.status == 1 else report.status


def _ended(status: int, outcome: str) -> int:
    """The exit status, told to the drill where this is one; without an outcome there was nothing to judge."""
    if DRILL in os.environ:
        from git_clearml.hook import drill_outcome  # late: for drills alone

        drill_outcome.tell(os.environ, outcome or drill_outcome.NO_LINES, status)
    return status


def _is_second(environment: Mapping[str, str]) -> bool:
    """Does pre-commit run us in a push that our native hook has judged, and told about?"""
    if environment.get("PRE_COMMIT") != "1":
        return False
    from git_clearml.git.repository import Repository
    from git_clearml.hook import pre_commit

    return pre_commit.native_ran_first(Repository(), environment)


def _tell(
    repository: Repository, report: VerifyReport, hashes: Sequence[str], console: Console, *, by_pre_commit: bool
) -> None:
    """Shows the report, unless `git clearml push` has shown it, or the native hook beside pre-commit's."""
    if report.status == 0 and not by_pre_commit and SHOWN not in os.environ:
        show(report, console)
        return
    from git_clearml.hook import pre_commit

    refused = [verdict.commit for verdict in report.verdicts if verdict.outcome is not Outcome.VERIFIED]
    if by_pre_commit and pre_commit.native_ran_first(repository, os.environ):
        if report.outcome is Outcome.VERIFIED:
            return
        if refused and pre_commit.was_refused(repository, refused):
            console.announce("git clearml: refused, as said before")
            return
    elif report.outcome is Outcome.VERIFIED and pre_commit.were_shown(os.environ, hashes):
        return
    show(report, console)
    if report.status and not by_pre_commit and DRILL not in os.environ:
        pre_commit.note_refusal(repository, refused)


def _updates(arguments: argparse.Namespace) -> tuple[list[RefUpdate], bool]:
    """The ref updates, from stdin as git gives them, else the one that pre-commit shows; and whether it was that."""
    text = read_stdin(arguments.timeout or BUDGET)
    if text:
        return parse_lines(text), False
    update = from_pre_commit(os.environ)
    if update is not None:
        return [update], True
    if not arguments.remote:
        raise UsageError("nothing to judge: no lines on standard input, and no remote named", "git clearml verify")
    return [], False
