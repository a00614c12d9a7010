"""`git clearml compare`: is this commit's model better or worse than the best one?"""

from __future__ import annotations

import argparse
import contextlib
import os
from dataclasses import replace
from typing import Any

from git_clearml.agent.required_check import passed_check
from git_clearml.base.console import Console
from git_clearml.base.sanitize import Safe, joined
from git_clearml.commands import options
from git_clearml.errors import CannotDecide, Error, NothingToJudge, PublishFailed
from git_clearml.forge import context as ci_context
from git_clearml.forge import job_report
from git_clearml.forge.job import Job
from git_clearml.git.repository import Repository
from git_clearml.model import Problem
from git_clearml.render import json as json_view
from git_clearml.render import markdown, metrics, text
from git_clearml.report import best_tag, compose
from git_clearml.report.compared_metrics import Place
from git_clearml.report.measures import Comparison, ComparisonOutcome
from git_clearml.report.model import VerifyReport
from git_clearml.settings import table as settings
from git_clearml.settings.in_ci import in_ci
from git_clearml.verdict import hint as hints
from git_clearml.verdict import session as judgement
from git_clearml.verdict.model import Outcome, Verdict
from git_clearml.verdict.session import Context, VerifySession

_FLAGS = ("metric", "direction", "value", "tolerance", "tag")

TITLE = "better or worse than the best task?"
DESCRIPTION = "Compares a metric of a commit's task with that of the best task, the one that bears the best tag."


def add_flags(parser: argparse.ArgumentParser) -> None:
    options.add_rev(parser)
    options.add_which_tasks(parser)
    parser.add_argument("--metric", metavar="TITLE/SERIES", help="the deciding metric")
    parser.add_argument("--direction", choices=("max", "min"), help="which way is better")
    parser.add_argument("--value", choices=("last", "min", "max"), help="which of the metric's values")
    parser.add_argument("--tolerance", metavar="N", help="how much worse still passes: a number, or N%% of the best")
    parser.add_argument("--tag", metavar="NAME", help="the tag that the best task bears")
    options.add_best_tag(parser)
    options.add_timeout(parser)
    options.add_format(parser)
    options.add_dry_run(parser, "say what --tag-best would do, and do not do it")


def failed(error: Error) -> dict[str, Any]:
    return json_view.compare(_ended(error))


def _ended(error: Error) -> Comparison:
    """What a call came to that an error ended."""
    return Comparison(ComparisonOutcome.UNDECIDED, error.status, problems=(Problem.of(error),))


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Asks for the verdict, compares, moves the tag, prints. Returns the exit status."""
    repository = Repository()
    context, job = ci_context.detect(repository, os.environ, log=console.log, warn=console.warn)
    try:
        return _compare(repository, context, job, arguments, console)
    except Error as error:
        if job is not None:
            report = compose.nothing(error) if isinstance(error, NothingToJudge) else compose.undecided(error)
            _told(job, _ended(error), report, console, dry_run=arguments.dry_run)
        raise


def _compare(
    repository: Repository, context: Context, job: Job | None, arguments: argparse.Namespace, console: Console
) -> int:
    flags = {"project": arguments.project, "task-name": arguments.task_name, "timeout": arguments.timeout}
    flags |= {f"best.{name}": getattr(arguments, name) for name in _FLAGS}
    revs = (arguments.rev,) if arguments.rev else ()
    request = judgement.VerifyRequest(revs, flags)
    with contextlib.closing(judgement.prepare(repository, request, context, passed_check)) as session:
        ruling = session.rulings[0]
        best_tag.check(ruling.policy)
        session.every_run = True
        verdict, comparison = _compared(session, job, arguments)
    if comparison.current and (names := settings.policy_flags(ruling.settings)):
        comparison = comparison.noted(f"judged by your flags: {' '.join(names)}")
    hint = hints.next_command(repository, [verdict], ruling.policy) if not comparison.problems else ""
    report = VerifyReport(verdict.outcome, comparison.status, ruling.origin, (verdict,), hint)
    comparison, report = console.redact(comparison), console.redact(report)
    if job is not None:
        comparison = _told(job, comparison, report, console, dry_run=arguments.dry_run)
    _print(comparison, report, arguments.format, console)
    return comparison.status


def _told(job: Job, comparison: Comparison, report: VerifyReport, console: Console, *, dry_run: bool) -> Comparison:
    """The comparison, of which the CI job now knows; a failure to tell it is a problem of it."""
    try:
        if not dry_run:
            result = job_report.ComparisonResult(comparison, report)
            job_report.tell(job, result, environment=os.environ, command=console.command)
    except PublishFailed as error:
        problems = (*comparison.problems, Problem.of(error))
        comparison = replace(comparison, status=1 if comparison.status == 1 else error.status, problems=problems)
    return comparison


def _compared(session: VerifySession, job: Job | None, arguments: argparse.Namespace) -> tuple[Verdict, Comparison]:
    """The verdict, and how its task stands. What keeps us from knowing becomes part of the comparison."""
    commit, rules = session.commits[0], session.rulings[0].policy
    verdict = Verdict(commit.commit.hash, Outcome.UNDECIDED, rev=commit.rev)
    source, place = session.source(rules.evidence), Place(session.repository, session.base)
    if arguments.metric and not in_ci(os.environ):  # another question than the policy's
        rules = rules._replace(metrics=())
    try:
        verdict = session.verdicts()[0]
        if not arguments.tag_best:
            return verdict, best_tag.compared(source, verdict, rules, place)
        may_write = best_tag.may_write(
            job.is_push_to_base if job else None, os.environ, unmerged=arguments.tag_unmerged
        )
        dry_run = arguments.dry_run
        return verdict, best_tag.move_best_tag(source, verdict, rules, place, may_write=may_write, dry_run=dry_run)
    except CannotDecide as error:
        return verdict, best_tag.undecided(verdict, rules, error)


def _print(comparison: Comparison, report: VerifyReport, form: str, console: Console) -> None:
    """The comparison in the wanted form on stdout, its problems on stderr. Without evidence the verdict says why."""
    console.fail(*comparison.problems)
    rejected = comparison.current is None and not comparison.problems
    if form == "json":
        console.document(json_view.compare(comparison))
    elif form == "markdown":
        verdict = joined(Safe("\n"), markdown.verify(report)) if rejected else Safe("")
        console.product(joined(metrics.comparison_markdown(comparison), verdict))
    elif not (console.quiet and comparison.status == 0):
        verdict = text.verify(report, colour=console.colour) if rejected else Safe("")
        console.product(joined(metrics.comparison_text(comparison, colour=console.colour), verdict))
