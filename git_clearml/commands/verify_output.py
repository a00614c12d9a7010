"""What `git clearml verify` shows and leaves behind: the report on stdout, and files for a CI service."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from git_clearml.base.console import Console
from git_clearml.errors import Error, PublishFailed, UsageError
from git_clearml.report import compose
from git_clearml.report.model import VerifyReport

if TYPE_CHECKING:
    from git_clearml.forge.job import Job
    from git_clearml.render.comment import Section
    from git_clearml.report.measures import Row


class Judged(NamedTuple):
    """What judging came to: the report, the sections below it, the --timeout in seconds, and the metrics."""

    report: VerifyReport
    sections: Sequence[Section] = ()
    budget: float = 0.0
    rows: Sequence[Row] = ()


def whatever_comes(call: Callable[[], int], directory: str) -> int:
    """The call, with report files in the directory whatever becomes of it. Raises what it raises, and UsageError."""
    from git_clearml.forge import report_files

    if not directory:
        raise UsageError("--reports must not be empty", "--reports <directory>")
    report_files.begin(directory, os.environ)
    try:
        return call()
    except Error as error:
        report_files.begin(directory, os.environ, compose.undecided(error))
        raise


def of_unparsed(words: Sequence[str], error: Error) -> None:
    """Report files about a command line that is none: those of an earlier call must not stay."""
    from git_clearml.forge import report_files

    words = words[: words.index("--")] if "--" in words else words
    named = [word.partition("=")[2] for word in words if word.startswith("--reports=")]
    named += [after for word, after in pairwise(words) if word == "--reports" and not after.startswith("-")]
    if named and named[-1] and not {"-n", "--dry-run"} & set(words):
        report_files.begin(named[-1], os.environ, compose.undecided(error))


def with_files(
    report: VerifyReport, judged: Judged, job: Job | None, arguments: argparse.Namespace, log: Callable[[str], None]
) -> VerifyReport:
    """Writes the files of --reports, on Bitbucket a Code Insights report too; the report, with what went wrong."""
    directory = arguments.reports
    if directory is None:
        return report
    if arguments.dry_run:
        return report._replace(notes=(*report.notes, f"would write report files to {directory}"))
    from git_clearml.forge import insights, report_files

    try:
        insights.send(job, report, judged.rows, environment=os.environ, log=log)
    except PublishFailed as error:
        report = compose.with_problem(report, error)
    try:
        report_files.write(directory, report_files.Content(report, job, judged.sections, judged.rows), os.environ)
    except PublishFailed as error:
        report = compose.with_problem(report, error)
    return report


def show(report: VerifyReport, form: str, console: Console) -> None:
    """The report in the wanted form on stdout, its problems on stderr."""
    from git_clearml.render import verify as view

    console.fail(*report.problems)
    if report.check:
        from git_clearml.commands import check_runnable

        check_runnable.warn(report.check, console)
    if report.comment:
        where = f": {report.comment.url}" if report.comment.url else ""
        console.say(f"git clearml: comment {report.comment.action}{where}")
    if form == "json":
        from git_clearml.render import json as json_view

        console.document(json_view.verify(report))
    elif form == "markdown":
        console.product(view.markdown(report))
    elif not (console.quiet and view.is_silent(report)):
        console.product(view.text(report, colour=console.colour))
