"""Tells a GitHub Actions job what came out: summary, outputs, annotations. They need no rights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from git_clearml.agent.model import Check
from git_clearml.base import secrets as redaction
from git_clearml.forge import outputs as ci_outputs
from git_clearml.forge.job import Job
from git_clearml.model import Problem, Task
from git_clearml.render import check as check_view
from git_clearml.render import comment as view
from git_clearml.render import metrics
from git_clearml.render.comment import Page, Section
from git_clearml.report.model import CommentResult, Comparison, VerifyReport

_TITLE = "git clearml"
Command = Callable[[str], None]
"""Prints a line that the runner reads."""


def tell(
    job: Job | None,
    report: VerifyReport,
    sections: Sequence[Section] = (),
    *,
    result: CommentResult | None = None,
    environment: Mapping[str, str],
    command: Command,
) -> None:
    """Writes the job's annotations, outputs and summary; nothing outside of GitHub Actions.

    `result` is what became of the comment, None where there was to be none. Raises PublishFailed when a file of the
    job cannot be written, after everything else is done.
    """
    if job is None or job.provider != "github":
        return
    report = redaction.struck(report, redaction.secrets_in(environment))
    commit = report.verdicts[0].commit if report.verdicts else job.head
    task = next((one.task for one in report.verdicts if one.task), None)
    values = _values(report.outcome.value, commit, task)
    if report.check:
        values |= {"check-runnable": report.check.outcome.value, "check-url": report.check.url}
    if report.comparison:
        values["compare"] = _standing(report.comparison)
    if result and result.url:
        values["comment-url"] = result.url
    told = view.tells_first_problem(report)
    hint = report.problems[0].hint if told else report.hint
    said = f"{commit[:12]} {view.headline(report)}".strip() if report.verdicts else view.headline(report)
    page = Page(report, sections=tuple(sections), repository_url=_home(job))
    summary = view.summary(page, _remarks(result))
    _annotate(command, report.status, said, hint, report.problems[1:] if told else report.problems)
    _write(environment, values, summary)


def tell_comparison(
    job: Job | None,
    comparison: Comparison,
    report: VerifyReport,
    *,
    environment: Mapping[str, str],
    command: Command,
) -> None:
    """The same of what `compare` came to; its verdict stands in the report. Raises PublishFailed likewise."""
    if job is None or job.provider != "github":
        return
    secrets = redaction.secrets_in(environment)
    comparison, report = redaction.struck(comparison, secrets), redaction.struck(report, secrets)
    problems, ended = comparison.problems, bool(comparison.problems) and comparison.current is None
    said = problems[0].message if ended else metrics.headline(comparison)
    hint = problems[0].hint if ended else "" if comparison.current else report.hint
    text = metrics.comparison_markdown(replace(comparison, problems=()))
    page = Page(replace(report, problems=problems), sections=(lambda _: text,), repository_url=_home(job))
    commit = comparison.commit or job.head
    _annotate(command, comparison.status, f"{commit[:12]} {said}", hint, problems[1:] if ended else problems)
    _write(environment, _values(_standing(comparison), commit, comparison.current), view.summary(page))


def tell_check(job: Job | None, check: Check, *, environment: Mapping[str, str], command: Command) -> None:
    """The same of what `check-runnable` came to. Raises PublishFailed likewise."""
    if job is None or job.provider != "github":
        return
    check = redaction.struck(check, redaction.secrets_in(environment))
    problems = check.problems
    outcome = check.outcome.value
    said = f"{outcome}: {check.sentence}" if check.sentence else outcome
    commit = check.commit or job.head
    values = {"outcome": outcome, "task-id": check.task, "task-url": check.url, "commit": commit}
    left = [Problem("", f"left behind: {line}") for line in check.left]
    hint = problems[0].hint if problems else check.hint
    _annotate(command, check.status, f"{commit[:12]} {said}", hint, [*problems[1:], *left])
    _write(environment, values, check_view.markdown_of(replace(check, problems=())))  # its sentence says it already


def _home(job: Job) -> str:
    return f"{job.server}/{job.repository}" if job.repository else ""


def _values(outcome: str, commit: str, task: Task | None) -> dict[str, str]:
    """The outputs that every command has."""
    return {
        "outcome": outcome,
        "task-id": task.id if task else "",
        "task-url": task.url if task else "",
        "commit": commit,
    }


def _standing(comparison: Comparison) -> str:
    """As JSON says it, which knows no `pending`."""
    return "undecided" if comparison.outcome.value == "pending" else comparison.outcome.value


def _annotate(command: Command, status: int, said: str, hint: str, more: Sequence[Problem]) -> None:
    """What happened, and what to do; then each further problem."""
    kind = {0: "notice", 4: "warning"}.get(status, "error")
    command(ci_outputs.annotation(kind, said + (f". Next: {hint}" if hint else ""), _TITLE))
    for problem in more:
        command(ci_outputs.annotation("error", f"{problem.message}. {problem.hint}".strip(), _TITLE))


def _write(environment: Mapping[str, str], values: Mapping[str, str], summary: str) -> None:
    """Outputs and summary; the one that fails keeps no one from the other."""
    try:
        ci_outputs.write_outputs(environment, values)
    finally:
        ci_outputs.write_summary(environment, redaction.struck_markdown(summary, redaction.secrets_in(environment)))


def _remarks(result: CommentResult | None) -> list[str]:
    """Where else the report went, or why it did not."""
    if result is None:
        return []
    return [text for text in (result.note, f"comment {result.action}: {result.url}" if result.url else "") if text]
