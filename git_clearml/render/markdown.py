"""The verify report for a pull request or a job summary. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from git_clearml.base.markdown import code, escape, link
from git_clearml.base.sanitize import Safe
from git_clearml.model import Task
from git_clearml.render.text import CANNOT_TELL, MOST_NEAR_MISSES
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.model import Finding, Outcome, RequirementVerdict, Verdict

MARKS = {Outcome.VERIFIED: "✅", Outcome.REJECTED: "❌", Outcome.PENDING: "⏳", Outcome.UNDECIDED: "❔"}

_LEFT_OUT = 60  # characters of the line that says how many rows there was no room for


def verify(report: VerifyReport) -> Safe:
    """The verdicts first, then why, then what to do."""
    lines: list[str] = []
    for verdict in report.verdicts:
        lines += [*_verdict(verdict), ""]
    lines += [f"> {escape(problem.message, 500)}\n" for problem in report.problems]
    lines += [f"- {escape(note, 300)}" for note in report.notes]
    if report.notes:
        lines.append("")
    if report.policy_from == "flags":
        lines.append("Judged by flags.")
    if report.hint:
        lines.append(f"Next: {code(report.hint)}")
    return Safe("\n".join(lines).strip() + "\n")


def _verdict(verdict: Verdict) -> list[str]:
    refs = "".join(f" ({escape(ref, 60)})" for ref in verdict.refs)
    lines = [f"### {MARKS[verdict.outcome]} `{verdict.commit[:12]}`{refs} {verdict.outcome.value}", ""]
    if verdict.task and not verdict.requirements:
        lines.append(f"By {task_link(verdict.task)}")
    for each in verdict.requirements:
        lines += requirement(each)
    lines += [f"\n{table}" for table in table_of(verdict)]
    lines += [f"- {escape(note, 300)}" for note in verdict.notes]
    lines += _near_misses(verdict.other_near_misses)
    if verdict.outcome is Outcome.UNDECIDED:
        lines.append(f"{CANNOT_TELL}.")
    elif not verdict.task and not verdict.near_misses and not verdict.notes:
        lines.append("No ClearML task has run this commit.")
    return lines


def table_of(verdict: Verdict, limit: int = 0) -> list[str]:
    """The policy's metrics as a table, and how many rows there was no room for; nothing where no task was measured."""
    if not verdict.runs:
        return []
    from git_clearml.render import measured  # late: few policies have them
    from git_clearml.render.table import fitting

    table = measured.markdown(verdict.metrics)
    if not limit or len(table) <= limit:
        return [table]
    shown, left = fitting(table, limit - _LEFT_OUT)
    return [shown, f"*and {left:,} more metrics of the policy*"][not shown :]


def _near_miss(finding: Finding) -> str:
    reasons = "; ".join(escape(reason.message, 300) for reason in finding.reasons)
    return f"- {task_link(finding.task)}: {reasons}"


def _near_misses(findings: Sequence[Finding], shown: Callable[[Finding], str] = _near_miss) -> list[str]:
    lines = [shown(finding) for finding in findings[:MOST_NEAR_MISSES]]
    rest = len(findings) - MOST_NEAR_MISSES
    return [*lines, f"- and {rest} more"] if rest > 0 else lines


def requirement(shown: RequirementVerdict, near_miss: Callable[[Finding], str] = _near_miss) -> list[str]:
    """A requirement as an item of a list, with its task; or with its near misses, each as a line, and what to do."""
    verdict = shown.verdict
    notes = "".join(f"; {escape(note, 300)}" for note in verdict.notes)
    by = f" by {task_link(verdict.task)}" if verdict.task else ""
    if verdict.outcome is Outcome.REJECTED and not verdict.near_misses:
        by = ": no ClearML task has run it"
    lines = [f"- {MARKS[verdict.outcome]} **{escape(shown.name, 60)}** {verdict.outcome.value}{by}{notes}"]
    lines += [f"  {line}" for line in _near_misses(verdict.near_misses, near_miss)]
    return [*lines, f"  - next: {code(shown.hint)}"] if shown.hint else lines


def task_link(task: Task) -> str:
    """The task's name, linked to its page, and its project."""
    name = escape(task.name, 80) or "a run"
    linked = link(name, task.url)
    return f"{linked} in {escape(task.project, 80)}" if task.project else linked
