"""`git clearml report`: what a commit's task measured, next to the best task's."""

from __future__ import annotations

import argparse
import os
import shutil
from typing import Any

from git_clearml.agent.required_check import passed_check
from git_clearml.base.console import Console
from git_clearml.base.sanitize import Safe
from git_clearml.clearml import page
from git_clearml.commands import options
from git_clearml.errors import CannotDecide, Error
from git_clearml.forge import context as ci_context
from git_clearml.git.repository import Repository
from git_clearml.model import Problem
from git_clearml.render import json as json_view
from git_clearml.render import markdown, metrics, steps, text
from git_clearml.report import report as reports
from git_clearml.report import subject
from git_clearml.report.curves import with_curves
from git_clearml.report.measures import MetricsReport
from git_clearml.report.model import VerifyReport
from git_clearml.report.rows import Selection
from git_clearml.report.steps import with_steps
from git_clearml.report.trend import BLOCKS
from git_clearml.settings.load import ResolvedPolicy
from git_clearml.verdict import hint as hints
from git_clearml.verdict import session as judgement
from git_clearml.verdict.evidence import Evidence
from git_clearml.verdict.model import Outcome, Verdict

TITLE = "a task's metrics, next to the best task's"
DESCRIPTION = "Prints the metrics of a commit's accepted task, or of any task by its id."


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "subject", nargs="?", default="", metavar="<rev>|<task id>", help="default: the CI job's commit, else HEAD"
    )
    parser.add_argument(
        "--metric", action="append", default=[], metavar="NAME", help="TITLE/SERIES or TITLE; repeatable"
    )
    parser.add_argument(
        "--against", default=reports.BEST, metavar="best|<rev>|<task id>", help="compare with this (default: best)"
    )
    parser.add_argument("--all", action="store_true", help="show the :monitor: metrics too")
    parser.add_argument("--steps", action="store_true", help="show the metrics of a pipeline's steps below its own")
    options.add_timeout(parser)
    options.add_format(parser)


def failed(error: Error) -> dict[str, Any]:
    return json_view.report(MetricsReport("", Outcome.UNDECIDED, error.status, problems=(Problem.of(error),)))


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Asks for the verdict, fetches the metrics, prints. Returns the exit status."""
    repository = Repository()
    context, job = ci_context.detect(repository, os.environ, log=console.log, warn=console.warn)
    revs, identity = subject.parse(repository, arguments.subject, in_job=job is not None)
    arguments.against = page.task_in(arguments.against, os.environ)
    reports.check_against(repository, arguments.against)
    request = judgement.VerifyRequest(revs, {"timeout": arguments.timeout})
    session = judgement.prepare(repository, request, context, passed_check)
    commit, ruling = session.commits[0], session.rulings[0]
    verdict = Verdict(commit.commit.hash, Outcome.UNDECIDED, rev=commit.rev)
    try:
        source = session.source(ruling.policy.evidence)
        verdict = verdict if identity else session.verdicts()[0]
        report = _report(repository, source, identity or verdict, ruling, arguments)
        if arguments.format == "markdown" or (arguments.format == "text" and console.draws(BLOCKS)):
            report = with_curves(source, report, console.warn)
    except CannotDecide as error:
        name = "" if identity else verdict.commit
        report = MetricsReport(name, Outcome.UNDECIDED, error.status, problems=(Problem.of(error),))
    finally:
        session.close()
    report, verdict = console.redact(report), console.redact(verdict)
    hint = "" if report.problems or report.task else hints.next_command(repository, [verdict], ruling.policy)
    verdict_report = VerifyReport(verdict.outcome, report.status, ruling.origin, (verdict,), hint)
    _print(report, verdict_report, arguments.format, console)
    nearest = next((near.task for near in verdict.near_misses if near.task.source == "server"), None)
    if arguments.steps and not report.task and nearest:  # which of its steps has failed, or is not done
        console.say(f"git clearml: the steps of the nearest task: git clearml report --steps {nearest.id}")
    return report.status


def _report(
    repository: Repository,
    source: Evidence,
    judged: Verdict | str,
    ruling: ResolvedPolicy,
    arguments: argparse.Namespace,
) -> MetricsReport:
    """The report on a verdict's task, or on the task of an id."""
    selection = Selection(tuple(arguments.metric), arguments.all)
    rules, against = ruling.policy, arguments.against
    if isinstance(judged, Verdict):
        report = reports.of_verdict(repository, source, judged, rules, against=against, selection=selection)
    else:
        task = reports.find_task(source, judged, rules)
        report = reports.of_task(repository, source, task, rules, against=against, selection=selection)
    if not arguments.steps:
        return report
    return with_steps(source, report, rules, selection)


def _print(report: MetricsReport, verdict: VerifyReport, form: str, console: Console) -> None:
    """The report in the wanted form on stdout, its problems on stderr; the verdict where no task counts."""
    console.fail(*report.problems)
    if form == "json":
        console.document(json_view.report(report))
    elif form == "markdown":
        problems = verdict._replace(problems=report.problems)
        product = metrics.report_markdown(report) if report.task else markdown.verify(problems)
        console.product(Safe(product + steps.markdown(report.steps or ())))
    else:
        width = shutil.get_terminal_size((0, 0)).columns if console.out.isatty() else 0
        product = metrics.report_text(report, width) if report.task else text.verify(verdict, colour=console.colour)
        console.product(Safe(product + steps.text(report.steps or ())))
