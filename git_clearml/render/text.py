"""The verify report for people at a terminal, 80 columns wide. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from git_clearml.base.colours import GREEN, RED, YELLOW, painted
from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.model import Task
from git_clearml.report.model import VerifyReport
from git_clearml.verdict import time_windows
from git_clearml.verdict.model import Finding, Outcome, RequirementVerdict, Verdict

MOST_NEAR_MISSES = 10
CANNOT_TELL = "Cannot tell whether a task has run it"
_COLOURS = {Outcome.VERIFIED: GREEN, Outcome.REJECTED: RED, Outcome.PENDING: YELLOW, Outcome.UNDECIDED: YELLOW}


def verify(report: VerifyReport, *, colour: bool = False) -> Safe:
    """Every commit with its verdict and why, then the next thing to do."""
    lines = []
    for verdict in report.verdicts:
        lines += _verdict(verdict, colour)
    lines += [f"note: {sanitize(note, 300)}" for note in report.notes]
    if report.policy_from == "flags" and report.verdicts:
        lines.append("judged by your flags")
    if report.hint and report.verdicts:
        lines.append(f"next: {sanitize(report.hint, 500)}")
    return Safe("".join(line + "\n" for line in lines))


def _verdict(verdict: Verdict, colour: bool) -> list[str]:
    word = painted(verdict.outcome.value, _COLOURS[verdict.outcome], colour)
    names = ", ".join(sanitize(name, 60) for name in verdict.refs) or sanitize(verdict.rev, 60)
    label = "" if not names or names == verdict.commit else f" ({names})"
    lines = [f"{word} {verdict.commit[:12]}{label}{_because(verdict)}"]
    for each in verdict.requirements:
        lines += _requirement(each)
    if verdict.task and not verdict.requirements:
        lines += task_lines(verdict.task, "  ")
    if verdict.runs:
        from git_clearml.render import measured  # late: few policies have them

        lines += measured.text_lines(verdict.metrics, "  ")
    lines += [f"  note: {sanitize(note, 300)}" for note in verdict.notes]
    bounded = verdict.outcome is Outcome.REJECTED and bool(verdict.looked_back_to)
    if bounded:
        lines.append(f"  tasks last updated before {sanitize(verdict.looked_back_to[:10], 10)} were not looked at")
    lines += _near_misses(verdict.other_near_misses)
    return [*lines, f"  to look further back: {_further_back(verdict)}"] if bounded else lines


def _near_misses(findings: Sequence[Finding]) -> list[str]:
    lines = [line for finding in findings[:MOST_NEAR_MISSES] for line in _near_miss(finding)]
    rest = len(findings) - MOST_NEAR_MISSES
    return [*lines, f"  and {rest} more"] if rest > 0 else lines


def _requirement(requirement: RequirementVerdict) -> list[str]:
    """A requirement with its task, or with why it has none and what to do."""
    verdict = requirement.verdict
    because = _because(verdict).replace("has run this commit", "has run it")
    lines = [f"{sanitize(requirement.name, 60)} {verdict.outcome.value}{because}"]
    if verdict.task:
        lines += task_lines(verdict.task, "  ")
    lines += [f"  note: {sanitize(note, 300)}" for note in verdict.notes]
    lines += _near_misses(verdict.near_misses)
    lines += [f"  next: {sanitize(requirement.hint, 500)}"] if requirement.hint else []
    return [f"  {line}" for line in lines]


def _further_back(verdict: Verdict) -> str:
    """The command that looks at more of the tasks that a refusal knows nothing of."""
    commit = "" if verdict.rev == "HEAD" else f" {verdict.commit[:12]}"
    return f"git clearml verify --since {time_windows.further_back(verdict.looked_back_to)}{commit}"


def _because(verdict: Verdict) -> str:
    if verdict.requirements and not verdict.needs_check:
        return f": {met(verdict)}"
    if verdict.outcome is Outcome.VERIFIED and verdict.task is None:  # which task it was is not cached
        return ""
    if verdict.outcome is Outcome.VERIFIED:
        more = f" (of {verdict.accepted} that count)" if verdict.accepted > 1 else ""
        return f" by this task{more}:"
    if verdict.outcome is Outcome.PENDING:
        return ": the right task has not ended yet"
    if verdict.outcome is Outcome.UNDECIDED:
        return f": {CANNOT_TELL[0].lower()}{CANNOT_TELL[1:]}"
    if verdict.needs_check:
        return ": not proved to run on an agent"
    if verdict.fails_metrics:
        return ": its metrics are not what the policy wants"
    if not verdict.considered and not verdict.near_misses:
        return ": no ClearML task has run this commit"
    return ": no clean, completed ClearML task ran it"


def met(verdict: Verdict) -> str:
    """How many of the policy's requirements the commit meets, in a few words."""
    count, every = sum(each.outcome is Outcome.VERIFIED for each in verdict.requirements), len(verdict.requirements)
    if every == 1:
        return "meets the requirement" if count else "does not meet the requirement"
    return f"meets {'all' if count == every else f'{count} of'} {every} requirements"


def _near_miss(finding: Finding) -> list[str]:
    first, *others = finding.reasons
    lines = [f"  - {sanitize(first.message, 300)}"]
    lines += [f"    and {sanitize(reason.message, 300)}" for reason in others]
    return lines + task_lines(finding.task, "      ")


def task_lines(task: Task, indent: str) -> list[str]:
    """The task, its project and its page, each line indented."""
    name = f'"{sanitize(task.name, 60)}"' if task.name else "a run"
    project = f" in {sanitize(task.project, 60)}" if task.project else ""
    identity = f" {sanitize(task.id, 64)}" if task.id else ""
    lines = [f"{indent}{name}{project}{identity if not task.url else ''}"]
    if task.url:
        lines.append(f"{indent}{sanitize(task.url, 300)}")
    return lines
