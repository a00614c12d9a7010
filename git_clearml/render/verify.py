"""The whole report of `verify` in each form: the verdicts, below them the remote check and the comparison. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from git_clearml.base.sanitize import Safe, joined
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.model import Outcome

if TYPE_CHECKING:
    from git_clearml.report.measures import Comparison


def is_silent(report: VerifyReport) -> bool:
    """With --quiet: is everything said by the exit status, and by what went to stderr?"""
    return report.outcome is Outcome.VERIFIED and (report.status == 0 or not (_comparison(report) or report.check))


def page(report: VerifyReport, form: Literal["text", "markdown"], *, colour: bool = False) -> Safe:
    """The report; in text its problems stand apart, on stderr, with their hints."""
    if form == "markdown":
        from git_clearml.render import markdown

        verdicts = markdown.verify(_without_the_checks_hint(report))
    else:
        from git_clearml.render import text

        shown = report._replace(hint="") if report.problems else _without_the_checks_hint(report)
        verdicts = text.verify(shown, colour=colour)
    return joined(verdicts, _check(report, form, colour), _below(report, form, colour))


def _comparison(report: VerifyReport) -> Comparison | None:
    """The comparison, where there was a task to compare."""
    return report.comparison if report.comparison and report.comparison.current else None


def _without_the_checks_hint(report: VerifyReport) -> VerifyReport:
    """The hint of a remote check stands below the check."""
    return report._replace(hint="") if report.check and report.hint == report.check.hint else report


def _check(report: VerifyReport, form: str, colour: bool) -> Safe:
    """What the remote check came to."""
    if report.check is None:
        return Safe("")
    from git_clearml.render import check

    if form == "markdown":
        return joined(Safe("\n"), check.markdown_of(report.check))
    return check.text(report.check, colour=colour)


def _below(report: VerifyReport, form: str, colour: bool) -> Safe:
    """How the model compares with the best one."""
    comparison = _comparison(report)
    if comparison is None:
        return Safe("")
    from git_clearml.render import metrics

    if form == "markdown":
        return joined(Safe("\n"), metrics.comparison_markdown(comparison, table=False))
    return joined(Safe("\n"), metrics.comparison_text(comparison, colour=colour, table=False))
