"""Tells a GitHub Actions job what came out: annotations, outputs for later steps, the job summary. They need no rights.

Each command's result becomes one JobReport, which is written in one way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from git_clearml.agent.model import Check
from git_clearml.clearml.conf_secrets import known_secrets
from git_clearml.forge import outputs
from git_clearml.forge.job import Job, Provider
from git_clearml.model import Problem, Task
from git_clearml.render import check as check_view
from git_clearml.render import comment as view
from git_clearml.render import headline, metrics
from git_clearml.render.comment import Page, Section
from git_clearml.report.measures import Comparison
from git_clearml.report.model import CommentResult, VerifyReport

_TITLE = "git clearml"
_KINDS = {0: "notice", 4: "warning"}  # of annotation, by exit status; all else is an error
Command = Callable[[str], None]
"""Prints a line that the runner reads."""


@dataclass(frozen=True)
class VerifyResult:
    """What `verify` and `comment` came to; `comment` is None where there was to be none."""

    report: VerifyReport
    sections: tuple[Section, ...] = ()
    comment: CommentResult | None = None


@dataclass(frozen=True)
class ComparisonResult:
    """What `compare` came to; its verdict stands in the report."""

    comparison: Comparison
    report: VerifyReport


@dataclass(frozen=True)
class JobReport:
    """What a job is told: a sentence with the next step, further problems, outputs, and Markdown for the summary."""

    status: int
    commit: str
    sentence: str
    hint: str
    problems: tuple[Problem, ...]
    outputs: Mapping[str, str]
    summary: str


def tell(
    job: Job | None,
    result: VerifyResult | ComparisonResult | Check,
    *,
    environment: Mapping[str, str],
    command: Command,
) -> None:
    """Writes the job's annotations, outputs and summary; nothing outside of GitHub Actions and Gitea's.

    Raises PublishFailed when a file of the job cannot be written, after everything else is done.
    """
    if job is None or job.provider not in (Provider.GITHUB, Provider.GITEA):
        return
    secrets = known_secrets(environment)
    result = secrets.redact(result)  # before any text is cut
    if isinstance(result, VerifyResult):
        report = _of_verify(job, result)
    elif isinstance(result, ComparisonResult):
        report = _of_comparison(job, result)
    else:
        report = _of_check(job, result)
    sentence = f"{report.commit[:12]} {report.sentence}".strip() + (f". Next: {report.hint}" if report.hint else "")
    command(outputs.annotation(_KINDS.get(report.status, "error"), sentence, _TITLE))
    for problem in report.problems:
        next_step = f". Next: {problem.hint}" if problem.hint else ""
        command(outputs.annotation("error", problem.message + next_step, _TITLE))
    try:
        outputs.write_outputs(environment, report.outputs)
    finally:
        outputs.write_summary(environment, secrets.redact_markdown(report.summary))


def outputs_of(report: VerifyReport, head: str, comment: CommentResult | None = None) -> dict[str, str]:
    """The outputs of `verify`: `head` is the job's commit, which counts where nothing was judged."""
    commit = report.verdicts[0].commit if report.verdicts else head
    values = _outputs(report.outcome.value, commit, next((each.task for each in report.verdicts if each.task), None))
    if report.check:
        values |= {"check-runnable": report.check.outcome.value, "check-url": report.check.url}
    if report.comparison:
        values["compare"] = report.comparison.outcome.in_json
    comment = comment or report.comment
    if comment and comment.url:
        values["comment-url"] = comment.url
    return values


def _of_verify(job: Job, result: VerifyResult) -> JobReport:
    report, comment = result.report, result.comment
    first = headline.tells_first_problem(report)
    page = Page(report, sections=result.sections, repository_url=home(job))
    return JobReport(
        report.status,
        report.verdicts[0].commit if report.verdicts else "",
        headline.plain(report),
        report.problems[0].hint if first else report.hint,
        report.problems[1:] if first else report.problems,
        outputs_of(report, job.head, comment),
        view.summary(page, remarks(comment)),
    )


def _of_comparison(job: Job, result: ComparisonResult) -> JobReport:
    comparison, problems = result.comparison, result.comparison.problems
    ended = bool(problems) and comparison.current is None
    hint = "" if comparison.current else result.report.hint
    text = metrics.comparison_details(replace(comparison, problems=()))
    report = result.report._replace(problems=problems, comparison=comparison)
    commit = comparison.commit or job.head
    return JobReport(
        comparison.status,
        commit,
        problems[0].message if ended else metrics.headline(comparison),
        problems[0].hint if ended else hint,
        problems[1:] if ended else problems,
        _outputs(comparison.outcome.in_json, commit, comparison.current),
        view.summary(Page(report, sections=(lambda _: text,), repository_url=home(job))),
    )


def _of_check(job: Job, check: Check) -> JobReport:
    problems, outcome = check.problems, check.outcome.value
    commit = check.commit or job.head
    return JobReport(
        check.status,
        commit,
        f"{outcome}: {check.sentence}" if check.sentence else outcome,
        problems[0].hint if problems else check.hint,
        (*problems[1:], *(Problem("", f"left behind: {line}") for line in check.left)),
        outputs.of_task(outcome, check.task, check.url, commit),
        check_view.markdown_of(replace(check, problems=())),  # its sentence says it already
    )


def home(job: Job) -> str:
    """The page of the job's repository, "" for none."""
    return f"{job.server}/{job.repository}" if job.server and job.repository else ""


def _outputs(outcome: str, commit: str, task: Task | None) -> dict[str, str]:
    return outputs.of_task(outcome, task.id if task else "", task.url if task else "", commit)


def remarks(comment: CommentResult | None) -> list[str]:
    """Where else the report went, or why it did not."""
    if comment is None:
        return []
    line = f"comment {comment.action}: {comment.url}" if comment.url else ""
    return [text for text in (comment.note, line) if text]
