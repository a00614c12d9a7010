"""`git clearml comment`: puts the report on the pull request."""

from __future__ import annotations

import argparse
import contextlib
import os
from dataclasses import replace

from git_clearml.agent.required_check import passed_check
from git_clearml.base.console import Console
from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.clearml.conf_secrets import known_secrets
from git_clearml.commands import options
from git_clearml.errors import CannotDecide, NothingToJudge, PublishFailed, UsageError
from git_clearml.forge import comment, forks, job_report
from git_clearml.forge import context as ci_context
from git_clearml.forge.comment import CommentOptions
from git_clearml.forge.connect import Workplace, flavour_of, provider_of
from git_clearml.git.repository import Repository
from git_clearml.render import comment as pages
from git_clearml.render import sections
from git_clearml.render import verify as view
from git_clearml.render.comment import Page, Section
from git_clearml.report import compose
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.model import Outcome, Verdict
from git_clearml.verdict.session import Context, VerifyRequest, prepare

TITLE = "put the report on the pull request"
DESCRIPTION = "Judges a commit and posts the verdict and the task's metrics on its pull request."


def add_flags(parser: argparse.ArgumentParser) -> None:
    options.add_rev(parser)
    parser.add_argument("--pr", type=int, default=0, metavar="N", help="the pull request (default: the commit's)")
    parser.add_argument("--label", default="verify", metavar="NAME", help="tells several comments apart")
    parser.add_argument(
        "--repository", default="", metavar="owner/name", help="on its forge (default: the job's, or origin)"
    )
    parser.add_argument(
        "--mode",
        choices=("update", "new", "recreate", "delete"),
        default="update",
        help="update the one comment (default), post a new one for each report, post the one anew, or delete it",
    )
    parser.add_argument("--status", action="store_true", help="set a commit status too")
    options.add_timeout(parser, "for judging (default: 30) and posting (120)")
    options.add_dry_run(parser, "say what would be posted, and do not post it")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Judges, prints, posts. The exit status answers for the posting alone (design 12)."""
    options = _options(arguments)
    repository = Repository()
    context, job = ci_context.detect(
        repository,
        os.environ,
        log=console.log,
        warn=console.warn,
        forge_repository=arguments.repository,
        budget=arguments.timeout or 0.0,
    )
    workplace = Workplace(job, repository, os.environ, console.log)
    report, sections, timeout = _judged(workplace, context, arguments, console)
    report = forks.explained(job, report)
    options = replace(options, budget=timeout or comment.BUDGET)
    report = console.redact(report)
    _print(workplace, report, sections, options, console)
    result, failure = None, None
    try:
        result = comment.publish(workplace, report, sections, options)
    except PublishFailed as error:
        report, failure = compose.with_problem(report, error), error
    if not arguments.dry_run:
        outcome = job_report.VerifyResult(report, tuple(sections), result)
        job_report.tell(workplace.job, outcome, environment=os.environ, command=console.command)
    if failure is not None:
        raise failure
    if result is not None:
        console.product(sanitize(f"comment {result.action}" + (f": {result.url}" if result.url else "")))
        if result.note:
            console.announce(f"git clearml: {result.note}")
    return 0


def _options(arguments: argparse.Namespace) -> CommentOptions:
    """What the flags say. Raises UsageError for what cannot be."""
    if arguments.timeout is not None and not arguments.timeout > 0:
        raise UsageError("--timeout must be greater than 0", "--timeout 60")
    options = comment.CommentOptions(
        arguments.label, arguments.mode, arguments.pr, arguments.repository, arguments.status, arguments.dry_run
    )
    comment.check(options)
    return options


def _judged(
    workplace: Workplace, context: Context, arguments: argparse.Namespace, console: Console
) -> tuple[VerifyReport, list[Section], float]:
    """The report (undecided where something keeps us from judging), the sections, the timeout in seconds."""
    job, repository = workplace.job, workplace.repository
    request = VerifyRequest((arguments.rev,) if arguments.rev else (), {"timeout": arguments.timeout})
    try:
        session = prepare(repository, request, context, passed_check)
    except NothingToJudge as error:
        return compose.nothing(error), [], arguments.timeout or 0.0
    except CannotDecide as error:
        heads = [Verdict(job.head, Outcome.UNDECIDED)] if job and job.head else []
        return compose.undecided(error, heads), [], arguments.timeout or 0.0
    with contextlib.closing(session):
        report = compose.verify_report(session)
        base = job.base if job else ""
        report, read = sections.with_metrics(session, report, environment=os.environ, warn=console.warn, base=base)
        return report, sections.of_metrics(read), session.rulings[0].personal.timeout


def _print(
    workplace: Workplace, report: VerifyReport, sections: list[Section], options: CommentOptions, console: Console
) -> None:
    """The verdict on stdout, what kept us from it on stderr; with --dry-run the comment's body."""
    if options.dry_run:
        flavour = flavour_of(provider_of(workplace, options.repository))
        page = Page(report, options.label, tuple(sections), apart=options.mode == "new", flavour=flavour)
        console.product(Safe(known_secrets(os.environ).redact_markdown(pages.comment(page))))
        return
    console.fail(*report.problems)
    if not console.quiet:
        console.product(view.text(report, colour=console.colour))
