"""Tells a GitHub Actions job what a report says: summary, outputs, annotations. They need no rights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from git_clearml import ci_outputs, redaction
from git_clearml.ci import Context
from git_clearml.model import CommentResult, VerifyReport
from git_clearml.render import comment as view
from git_clearml.render.comment import Page, Section

_TITLE = "git clearml"


def tell(
    context: Context | None,
    report: VerifyReport,
    sections: Sequence[Section] = (),
    *,
    result: CommentResult | None = None,
    environment: Mapping[str, str],
    command: Callable[[str], None],
) -> None:
    """Writes the job's annotations, outputs and summary; nothing outside of GitHub Actions.

    `result` is what became of the comment, None where there was to be none; `command` prints a line that the runner
    reads. Raises PublishFailed when a file of the job cannot be written, after everything else is done.
    """
    if context is None or context.provider != "github":
        return
    secrets = redaction.secrets_in(environment)
    report = redaction.struck(report, secrets)
    kind = {0: "notice", 4: "warning"}.get(report.status, "error")
    command(ci_outputs.annotation(kind, _annotated(report), _TITLE))
    for problem in report.problems[1:]:
        command(ci_outputs.annotation("error", f"{problem.message}. {problem.hint}".strip(), _TITLE))
    task = next((one.task for one in report.verdicts if one.task), None)
    values = {
        "outcome": report.outcome.value,
        "task-id": task.id if task else "",
        "task-url": task.url if task else "",
        "commit": report.verdicts[0].commit if report.verdicts else context.head,
    }
    home = f"{context.server}/{context.repository}" if context.repository else ""
    summary = view.summary(Page(report, sections=tuple(sections), repository_url=home), _remarks(result))
    try:
        ci_outputs.write_outputs(environment, values)
    finally:
        ci_outputs.write_summary(environment, redaction.struck_markdown(summary, secrets))


def _remarks(result: CommentResult | None) -> list[str]:
    """Where else the report went, or why it did not."""
    if result is None:
        return []
    return [text for text in (result.note, f"comment {result.action}: {result.url}" if result.url else "") if text]


def _annotated(report: VerifyReport) -> str:
    commit = f"{report.verdicts[0].commit[:12]} " if report.verdicts else ""
    hint = report.problems[0].hint if report.problems else report.hint
    return f"{commit}{view.headline(report)}" + (f". Next: {hint}" if hint else "")
