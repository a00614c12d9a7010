"""The one line that says all of a report: by which task it is verified, how that stands, or what to do. Pure.

It is the heading of a comment and, as plain text, the sentence of a commit status or an annotation.
"""

from __future__ import annotations

from git_clearml.base.markdown import code, escape
from git_clearml.model import Problem
from git_clearml.render import markdown, metrics, text
from git_clearml.render.markdown import MARKS
from git_clearml.report.measures import Comparison, ComparisonOutcome
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.model import Outcome, Verdict

CALLED_WRONGLY = 2  # the exit status: no policy has judged, and no server was asked
_WARNING = "⚠️"
_COMPARED = (ComparisonOutcome.BETTER, ComparisonOutcome.EQUAL, ComparisonOutcome.WORSE, ComparisonOutcome.FIRST)


def plain(report: VerifyReport) -> str:
    """The verdict in a line. Text of a server may stand in it: untrusted."""
    if report.outcome is Outcome.VERIFIED and report.status == 0:
        if not report.verdicts and report.notes:
            return report.notes[0]
        return _verified(report)
    if tells_first_problem(report):
        joint = ", but " if report.outcome is Outcome.VERIFIED else ": "
        return f"{report.outcome.value}{joint}{report.problems[0].message}"
    unmet = next((each for each in report.verdicts if each.requirements and each.outcome is Outcome.REJECTED), None)
    if unmet is None and (short := next((each.shortfalls[0] for each in report.verdicts if each.fails_metrics), "")):
        return f"{report.outcome.value}: {short}"
    return {
        Outcome.REJECTED: "rejected: not proved to run on a ClearML agent"
        if any(verdict.needs_check for verdict in report.verdicts)
        else f"rejected: {text.met(unmet)}"
        if unmet
        else "rejected: no clean, completed ClearML task has run this commit",
        Outcome.PENDING: "pending: the right ClearML task has not ended yet",
        Outcome.VERIFIED: f"verified, but {_wrong_after(report) or 'a check after it failed'}",
    }.get(report.outcome, "undecided")


def _verified(report: VerifyReport) -> str:
    first = next((verdict for verdict in report.verdicts if verdict.task), None)
    by = f"verified by the task {first.task.name!r}" if first and first.task and first.task.name else "verified"
    if first and len(first.requirements) > 1:
        by = f"verified: {text.met(first)}"
    return f"{by}, {standing}" if (standing := _standing(report)) else by


def tells_first_problem(report: VerifyReport) -> bool:
    """Does the line say the first problem? A rejection has its reason already, and so has what is pending."""
    return bool(report.problems) and report.outcome in (Outcome.UNDECIDED, Outcome.VERIFIED)


def headings(report: VerifyReport, commits: dict[str, str]) -> list[str]:
    """The same as headings in Markdown, one for each of the verdicts of these commits; `commits` has their links.

    What to do stands in the heading where there is only one.
    """
    verdicts = [verdict for verdict in report.verdicts if verdict.commit in commits]
    if report.verdicts:
        return [_heading(report, verdict, commits[verdict.commit]) for verdict in verdicts]
    if report.outcome is Outcome.VERIFIED:
        return ["### Nothing to judge"]
    start = f"### {MARKS[report.outcome]} {report.outcome.value.capitalize()}"
    return [f"{start}: {_told(report.problems[0])}" if told_in_heading(report) else start]


def told_in_heading(report: VerifyReport) -> bool:
    """Does the heading say the first problem, with its hint?"""
    return bool(report.problems) and report.outcome is Outcome.UNDECIDED and len(report.verdicts) < 2


def to_do(report: VerifyReport) -> str:
    """The next command, "" where there is none or a problem has it as its hint."""
    return "" if report.hint in {problem.hint for problem in report.problems} else report.hint


def _heading(report: VerifyReport, verdict: Verdict, commit: str) -> str:
    start = f"{verdict.outcome.value.capitalize()}: {commit}"
    if verdict.outcome is not Outcome.VERIFIED:
        return f"### {MARKS[verdict.outcome]} {start}. {_missing(report, verdict)}"
    by = f" by {markdown.task_link(verdict.task._replace(project=''))}" if verdict.task else ""
    by = f", {text.met(verdict)}" if len(verdict.requirements) > 1 else by
    if len(report.verdicts) > 1:
        return f"### {MARKS[verdict.outcome]} {start}{by}"
    wrong, standing = _wrong_after(report), _standing(report)
    mark = _WARNING if wrong or standing.startswith(ComparisonOutcome.WORSE.value) else MARKS[verdict.outcome]
    end = f", but {escape(wrong, 400)}" if wrong else f", {escape(standing, 400)}" if standing else ""
    return f"### {mark} {start}{by}{end}"


def _missing(report: VerifyReport, verdict: Verdict) -> str:
    """Why it is not verified, and what to do."""
    single = len(report.verdicts) == 1
    if verdict.outcome is Outcome.UNDECIDED:
        if single and report.status == CALLED_WRONGLY:
            why = "It has not been judged"
        else:
            why = text.CANNOT_TELL
        return f"{why}: {_told(report.problems[0])}" if told_in_heading(report) else why
    if verdict.outcome is Outcome.PENDING:
        why = "The right task has not ended yet"
    elif verdict.needs_check:
        why = "It has not been proved to run on a ClearML agent"
    elif verdict.requirements:
        why = text.met(verdict).capitalize()
    elif verdict.fails_metrics:
        why = f"Its metrics are not what the policy wants: {escape(verdict.shortfalls[0], 300)}"
    else:
        why = f"No {'clean, completed ' if verdict.near_misses else ''}ClearML task has run it"
    return f"{why}. Next: {code(next_step)}" if single and (next_step := to_do(report)) else why


def _told(problem: Problem) -> str:
    return escape(problem.message, 500) + (f". Hint: {escape(problem.hint, 300)}" if problem.hint else "")


def _standing(report: VerifyReport) -> str:
    """How the model stands against the best one, "" where that is not known."""
    comparison, row = report.comparison, report.against_best
    if comparison is not None:
        return metrics.headline(comparison) if comparison.outcome in _COMPARED else ""
    if row is None or row.delta is None:
        return ""
    better = (row.delta > 0) == (row.direction == "max")
    outcome = ComparisonOutcome.BETTER if better else ComparisonOutcome.WORSE
    return metrics.headline(
        Comparison(
            outcome if row.delta else ComparisonOutcome.EQUAL,
            0,
            metric=row.name,
            current=next((verdict.task for verdict in report.verdicts if verdict.task), None),
            current_value=getattr(row, row.which),
            best_value=row.best,
            delta=row.delta,
        )
    )


def _wrong_after(report: VerifyReport) -> str:
    """What went wrong after a good verdict, "" for nothing that has a name."""
    if report.check and report.check.status:
        return f"not proved to run on a ClearML agent: {report.check.sentence or report.check.outcome.value}"
    comparison = report.comparison
    if comparison is None or not comparison.status:
        return ""
    if comparison.outcome is ComparisonOutcome.WORSE or comparison.failing:
        return metrics.headline(comparison)
    if comparison.outcome in _COMPARED:
        return ""
    why = [*comparison.notes, *(problem.message for problem in comparison.problems)]
    return "not compared with the best task" + (f": {why[0]}" if why else "")
