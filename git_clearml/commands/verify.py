"""`git clearml verify`: is there evidence for these commits?"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from git_clearml.agent.requirement import passed_check
from git_clearml.base.console import Console
from git_clearml.commands import verify_report
from git_clearml.commands.verify_report import Call
from git_clearml.errors import CannotDecide, Error, Interrupted, PublishFailed, UsageError
from git_clearml.forge import context as ci_context
from git_clearml.git.repository import Repository
from git_clearml.model import Problem
from git_clearml.report import compose
from git_clearml.report.model import Comparison, VerifyReport
from git_clearml.verdict import session as judgement
from git_clearml.verdict.evidence import TaggableEvidence
from git_clearml.verdict.model import Outcome, Verdict
from git_clearml.verdict.session import VerifySession

if TYPE_CHECKING:
    from git_clearml.render.comment import Section

_FLAGS = ("project", "task-name", "evidence", "equivalence", "on-unreachable", "timeout", "wait-timeout")
_POLLS = (2.0, 5.0, 10.0, 15.0, 30.0)  # seconds between the askings of --wait; the last one repeats


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Adds the command and its flags (design 11)."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "verify",
        help="is there a completed, diff-free task for these commits?",
        description="Tells for each commit whether a ClearML task ran exactly that code and completed.",
        allow_abbrev=False,
    )
    parser.add_argument("revs", nargs="*", metavar="<rev>", help="commits to judge (default: the CI job's, else HEAD)")
    parser.add_argument("--project", metavar="NAME", help="tasks of this project and its sub-projects count")
    parser.add_argument("--task-name", metavar="NAME", help="tasks of exactly this name count")
    parser.add_argument("--task", metavar="ID", help="only this task may count")
    parser.add_argument("--evidence", choices=("auto", "server", "offline"), help="where to look tasks up")
    parser.add_argument("--equivalence", choices=("commit", "tree", "paths"), help="which other commits' tasks count")
    parser.add_argument("--wait", action="store_true", help="ask again while the right task is queued or running")
    parser.add_argument("--wait-timeout", type=float, metavar="SECONDS", help="how long to wait (default: 3600)")
    parser.add_argument("--on-unreachable", choices=("block", "warn"), help="when the server cannot be reached")
    parser.add_argument("--policy-from", metavar="<rev>", help="judge by the policy in this commit")
    parser.add_argument("--add-tag", metavar="TAG", help="tag the accepted tasks, when every commit is verified")
    parser.add_argument("--tag-best", action="store_true", help="give the task the best tag if it is the best")
    parser.add_argument("--tag-unmerged", action="store_true", help="let --tag-best do so in CI before the merge")
    parser.add_argument("--check-runnable", action="store_true", help="prove that it runs on an agent, if none has yet")
    parser.add_argument("--comment", action="store_true", help="put the report on the pull request")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="for judging (default: 30) and posting (120)")
    parser.add_argument("--format", choices=("text", "markdown", "json"), default="text", help="default: text")
    parser.add_argument("-n", "--dry-run", action="store_true", help="say what would be written, and do not write it")
    return parser


def failed(error: Error) -> dict[str, Any]:
    """The JSON of a call that ended before there was anything to judge."""
    from git_clearml.render import json as json_view

    return json_view.verify(compose.undecided(error))


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Judges, tags, compares, posts, prints. Returns the worst of their statuses."""
    if arguments.add_tag is not None and not arguments.add_tag.strip():
        raise UsageError("--add-tag wants a tag that is not empty")
    repository = Repository()
    context, job = ci_context.detect(repository, os.environ, log=console.log, warn=console.warn)
    call = Call(repository, context, job, arguments, console)
    try:
        report, shown, budget = _judged(call)
    except Error as error:
        if call.job is not None:
            verify_report.tell(call, compose.undecided(error, _heads(call)), (), None)
        raise
    result = None
    if arguments.comment:
        try:
            result = verify_report.publish(call, report, shown, budget)
        except Error as error:
            report = compose.with_problem(report, error)
    report = verify_report.tell(call, report, shown, result)
    if result is not None:
        notes = (*report.notes, result.note) if result.note else report.notes
        report = replace(report, comment=result, notes=notes)
    verify_report.show(report, arguments.format, console)
    return report.status


def _heads(call: Call) -> list[Verdict]:
    """The commit of the CI job, undecided, where the command line names no other."""
    return [Verdict(call.job.head, Outcome.UNDECIDED)] if call.job and call.job.head and not call.arguments.revs else []


def _judged(call: Call) -> tuple[VerifyReport, list[Section], float]:
    """The report with all that needs the ClearML server, the sections below it, and the --timeout in seconds."""
    arguments, console = call.arguments, call.console
    flags = {key: getattr(arguments, key.replace("-", "_")) for key in _FLAGS}
    request = judgement.VerifyRequest(tuple(arguments.revs), flags, arguments.task or "", arguments.policy_from)
    try:
        session = judgement.prepare(call.repository, request, call.context, passed_check)
    except CannotDecide as error:
        if call.job is None:
            raise
        return compose.undecided(error, _heads(call)), [], arguments.timeout or 0.0
    try:
        _check(session, arguments)
        budget = float(session.rulings[0].settings["timeout"].value)
        report = compose.verify_report(session)
        if arguments.wait and report.outcome is Outcome.PENDING:
            verify_report.announce(call, report, budget)
            report = _wait(session, report, console)
        if arguments.check_runnable:
            report = _with_check(session, report, call)
        if arguments.add_tag and report.outcome is Outcome.VERIFIED and report.status == 0:
            report = _tag(session, report, arguments, console)
        if arguments.tag_best:
            report = compose.with_comparison(report, _settled(session, report, call))
        return *verify_report.with_sections(session, report, call), budget
    finally:
        session.close()


def _check(session: VerifySession, arguments: argparse.Namespace) -> None:
    """Raises UsageError, before any server is asked, for what can never be done."""
    for one, given in (("--tag-best", arguments.tag_best), ("--check-runnable", arguments.check_runnable)):
        if given and len(session.commits) != 1:
            raise UsageError(f"{one} wants one commit", "run it for each of them")
    flag = "--add-tag" if arguments.add_tag else "--tag-best" if arguments.tag_best else ""
    if not flag:
        return
    if arguments.tag_best:
        from git_clearml.report import best_tag

        best_tag.check(session.rulings[0].policy)
    try:
        _taggable(session, flag)
    except CannotDecide:
        return  # the report will say it


def _with_check(session: VerifySession, report: VerifyReport, call: Call) -> VerifyReport:
    """Proves that the commit runs on an agent. A commit that no task has run is not worth an agent's time."""
    from git_clearml.agent.model import CheckOutcome
    from git_clearml.commands import check_runnable

    verdict = report.verdicts[0]
    if verdict.outcome is not Outcome.VERIFIED and not verdict.needs_check:
        return replace(
            report, notes=(*report.notes, f"check-runnable was left out: the commit is {report.outcome.value}")
        )
    if call.arguments.dry_run:
        return replace(report, notes=(*report.notes, "would check that the commit runs on an agent"))
    console, commit, options = call.console, session.commits[0].commit, check_runnable.of_job(call.job)
    check = check_runnable.checked(session.repository, commit, session.rulings[0], options, console)
    if check.outcome is CheckOutcome.INTERRUPTED:
        check_runnable.warn(check, console)
        raise Interrupted(check.status)
    if check.status == 0 and verdict.needs_check:
        session.renew()
        report = compose.verify_report(session)
    return compose.with_check(report, check)


def _taggable(session: VerifySession, flag: str) -> list[TaggableEvidence]:
    """The evidence sources that the policies name. Raises UsageError where one of them has no tags."""
    sources = [session.source(kind) for kind in dict.fromkeys(ruling.policy.evidence for ruling in session.rulings)]
    taggable = [source for source in sources if isinstance(source, TaggableEvidence)]
    if len(taggable) < len(sources):
        raise UsageError(f"{flag} needs a ClearML server; this evidence is local", f"leave {flag} out")
    return taggable


def _settled(session: VerifySession, report: VerifyReport, call: Call) -> Comparison:
    """How the model stands; moves the best tag where it may."""
    from git_clearml.report import best_tag, compare

    verdict, policy = report.verdicts[0], session.rulings[0].policy
    if verdict.task is None:
        return replace(compare.without_task(verdict, policy.best), status=report.status)
    if report.check and report.check.status:
        note = f"no tag is moved: the remote check is {report.check.outcome.value}"
        comparison = best_tag.compared(session.source(policy.evidence), verdict, policy)
        return replace(comparison, notes=(*comparison.notes, note))
    may_write, why_not = best_tag.may_write(
        call.job.is_push_to_base if call.job else None, os.environ, unmerged=call.arguments.tag_unmerged
    )
    dry_run = call.arguments.dry_run
    try:
        source = session.source(policy.evidence)
        source.renew()
        return best_tag.move_best_tag(source, verdict, policy, may_write=may_write, why_not=why_not, dry_run=dry_run)
    except CannotDecide as error:
        return best_tag.undecided(verdict, policy, error)


def _wait(session: VerifySession, report: VerifyReport, console: Console) -> VerifyReport:
    """Asks again while the answer is pending, for as long as --wait-timeout says."""
    timeout = float(session.rulings[0].settings["wait-timeout"].value)
    started = time.monotonic()
    polls = iter(_POLLS)
    pause = 0.0
    while report.outcome is Outcome.PENDING:
        waited = time.monotonic() - started
        pause = next(polls, pause)
        if waited >= timeout:
            note = f"still pending after {timeout:g} s (--wait-timeout)"
            return replace(report, notes=(*report.notes, note))
        near = next((one.near_misses[0] for one in report.verdicts if one.outcome is Outcome.PENDING), None)
        word = near.reasons[0].message if near else "pending"
        console.progress(f"waiting, {waited:.0f} s: {word}")
        time.sleep(min(pause, max(0.05, timeout - waited)))
        session.renew()
        report = compose.verify_report(session)
    return report


def _tag(session: VerifySession, report: VerifyReport, arguments: argparse.Namespace, console: Console) -> VerifyReport:
    """Tags the accepted tasks in one call, and says so; --dry-run only says it."""
    tasks = list(dict.fromkeys(verdict.task.id for verdict in report.verdicts if verdict.task))
    what = f"tag {arguments.add_tag!r} on {len(tasks)} task{'s' if len(tasks) > 1 else ''}: {', '.join(tasks)}"
    if arguments.dry_run:
        return replace(report, notes=(*report.notes, f"would put {what}"))
    try:
        for source in _taggable(session, "--add-tag"):
            source.renew()
            source.tag(tasks, arguments.add_tag)
    except CannotDecide as error:
        failure = PublishFailed(f"verified, but not tagged: {error.message}", error.hint)
        console.log(f"tagging failed: {error.code}")
        problem = Problem(failure.code, failure.message, failure.hint)
        return replace(report, status=failure.status, hint=failure.hint, problems=(problem,))
    return replace(report, notes=(*report.notes, f"put {what}"))
