"""The whole report of `verify` in each form: the verdicts, below them the remote check and the comparison. Pure.

What is below is loaded where there is any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from git_clearml.base.sanitize import Safe, joined
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.model import Outcome

if TYPE_CHECKING:
    from git_clearml.report.measures import Comparison


def is_silent(report: VerifyReport) -> bool:
    """With --quiet: is everything said by the exit status, and by what went to stderr?"""
    return report.outcome is Outcome.VERIFIED and (report.status == 0 or not (_comparison(report) or report.check))


def markdown(report: VerifyReport) -> Safe:
    """The report for a pull request or a job summary."""
    from git_clearml.render import markdown

    parts = [markdown.verify(_without_the_checks_hint(report))]
    if report.check:
        from git_clearml.render import check

        parts += [Safe("\n"), check.markdown_of(report.check)]
    if comparison := _comparison(report):
        from git_clearml.render import metrics

        parts += [Safe("\n"), metrics.comparison_markdown(comparison, table=False)]
    return joined(*parts)


def text(report: VerifyReport, *, colour: bool) -> Safe:
    """The report for a terminal; its problems stand apart, on stderr, with their hints."""
    from git_clearml.render import text

    shown = report._replace(hint="") if report.problems else _without_the_checks_hint(report)
    parts = [text.verify(shown, colour=colour)]
    if report.check:
        from git_clearml.render import check

        parts.append(check.text(report.check, colour=colour))
    if comparison := _comparison(report):
        from git_clearml.render import metrics

        parts += [Safe("\n"), metrics.comparison_text(comparison, colour=colour, table=False)]
    return joined(*parts)


def _comparison(report: VerifyReport) -> Comparison | None:
    """The comparison, where there was a task to compare."""
    return report.comparison if report.comparison and report.comparison.current else None


def _without_the_checks_hint(report: VerifyReport) -> VerifyReport:
    """The hint of a remote check stands below the check."""
    return report._replace(hint="") if report.check and report.hint == report.check.hint else report
