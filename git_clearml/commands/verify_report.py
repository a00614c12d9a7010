"""Where the report of `verify` goes: the streams, the pull request, the CI job."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from git_clearml.base.console import Console
from git_clearml.base.sanitize import Safe, joined
from git_clearml.errors import Error, PublishFailed
from git_clearml.git.repository import Repository
from git_clearml.report import compose
from git_clearml.report.model import Comparison, VerifyReport
from git_clearml.verdict.model import Outcome
from git_clearml.verdict.session import Context, VerifySession

if TYPE_CHECKING:
    from git_clearml.agent.model import Check
    from git_clearml.forge.job import Job
    from git_clearml.render.comment import Section
    from git_clearml.report.model import CommentResult


@dataclass(frozen=True)
class Call:
    """What was asked for, and where."""

    repository: Repository
    context: Context
    job: Job | None
    arguments: argparse.Namespace
    console: Console


def with_sections(session: VerifySession, report: VerifyReport, call: Call) -> tuple[VerifyReport, list[Section]]:
    """The report and what stands below it on a page; without our secrets where others will read it."""
    if call.job is None and not call.arguments.comment:
        return report, []
    from git_clearml.base import secrets as redaction
    from git_clearml.render import sections

    report = redaction.struck(report, redaction.secrets_in(os.environ))
    shown = [*sections.of_check(report.check, report.hint), *sections.of_comparison(report.comparison)]
    if call.arguments.comment:
        base = call.job.base if call.job else ""
        shown += sections.of_metrics(session, report, environment=os.environ, warn=call.console.warn, base=base)
    return report, shown


def announce(call: Call, report: VerifyReport, budget: float) -> None:
    """Posts 'pending' before the waiting begins. What goes wrong is a warning: the end of it is posted again."""
    if not call.arguments.comment or call.arguments.dry_run:
        return
    try:
        publish(call, report, (), budget)
    except Error as error:
        call.console.warn(error.message)


def publish(call: Call, report: VerifyReport, shown: Sequence[Section], budget: float) -> CommentResult:
    """Puts the report on the pull request. Raises UsageError and PublishFailed."""
    from git_clearml.forge import comment
    from git_clearml.forge.connect import Workplace

    options = comment.CommentOptions(dry_run=call.arguments.dry_run, budget=budget or comment.BUDGET)
    workplace = Workplace(call.job, call.repository, os.environ, call.console.log)
    return comment.publish(workplace, report, shown, options)


def tell(call: Call, report: VerifyReport, shown: Sequence[Section], result: CommentResult | None) -> VerifyReport:
    """Tells the CI job; the report, with what went wrong meanwhile."""
    if call.job is None or call.arguments.dry_run:
        return report
    from git_clearml.forge import job_report

    told = job_report.VerifyResult(report, tuple(shown), result)
    try:
        job_report.tell(call.job, told, environment=os.environ, command=call.console.command)
    except PublishFailed as error:
        return compose.with_problem(report, error)
    return report


def show(report: VerifyReport, form: str, console: Console) -> None:
    """The report in the wanted form on stdout, its problems on stderr."""
    for problem in report.problems:
        console.fail(Error(problem.message, problem.hint))
    if report.check:
        from git_clearml.commands import check_runnable

        check_runnable.warn(report.check, console)
    comparison = report.comparison if report.comparison and report.comparison.current else None
    if report.comment:
        where = f": {report.comment.url}" if report.comment.url else ""
        console.say(f"git clearml: comment {report.comment.action}{where}")
    if form == "json":
        from git_clearml.render import json as json_view

        console.document(json_view.verify(report))
    elif form == "markdown":
        from git_clearml.render import markdown

        check = joined(Safe("\n"), _check_view(report.check, form, console)) if report.check else Safe("")
        below = _below(comparison, form, console) if comparison else Safe("")
        console.product(joined(markdown.verify(_without_the_checks_hint(report)), check, below))
    elif not (console.quiet and _speaks_for_itself(report, comparison)):
        from git_clearml.render import text

        shown = replace(report, hint="") if report.problems else _without_the_checks_hint(report)
        check = _check_view(report.check, form, console) if report.check else Safe("")
        below = _below(comparison, form, console) if comparison else Safe("")
        console.product(joined(text.verify(shown, colour=console.colour), check, below))


def _speaks_for_itself(report: VerifyReport, comparison: Comparison | None) -> bool:
    """Is everything said by the exit status, and by what went to stderr?"""
    return report.outcome is Outcome.VERIFIED and (report.status == 0 or not (comparison or report.check))


def _without_the_checks_hint(report: VerifyReport) -> VerifyReport:
    """The hint of a remote check stands below the check."""
    return replace(report, hint="") if report.check and report.hint == report.check.hint else report


def _check_view(check: Check, form: str, console: Console) -> Safe:
    """What the remote check came to, below the verdict."""
    from git_clearml.render import check as view

    return view.markdown_of(check) if form == "markdown" else view.text(check, colour=console.colour)


def _below(comparison: Comparison, form: str, console: Console) -> Safe:
    """How the model stands, below the verdict."""
    from git_clearml.render import metrics

    if form == "markdown":
        return joined(Safe("\n"), metrics.comparison_markdown(comparison))
    return joined(Safe("\n"), metrics.comparison_text(comparison, colour=console.colour))
