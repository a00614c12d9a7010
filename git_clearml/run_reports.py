"""Tells how a run on a queue ended: on the screen, in the CI job, and in git."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from git_clearml import agents, causes, ci_outputs, metrics, recording, redaction, sweeping, task_results
from git_clearml.clearml_api import ClearML
from git_clearml.console import Console
from git_clearml.errors import CannotDecide, Error
from git_clearml.launches import Wish
from git_clearml.metrics import Selection
from git_clearml.model import Commit, MetricsReport, Policy, Task
from git_clearml.queue_commands import Entry
from git_clearml.render import metrics as view
from git_clearml.render.harmless import harmless
from git_clearml.render.markdown import escape, link
from git_clearml.repository import Repository
from git_clearml.results import Result
from git_clearml.results_branch import Target
from git_clearml.watching import RunEnd

_SUMMARY = re.compile(r"=+ (.*\b(?:passed|failed|errors?|skipped|no tests ran)\b.*) =+")
_RAN = re.compile(r"Ran \d+ tests? in [\d.]+s")
_VERDICT = re.compile(r"(OK|FAILED|NO TESTS RAN)( \(.*\))?")


@dataclass(frozen=True)
class Finished:
    """A task that was waited for, how it ended, and what it ran (None where nobody said)."""

    task: str
    end: RunEnd
    entry: Entry | None = None


def finish(
    finished: Finished,
    *,
    repository: Repository,
    commit: Commit,
    policy: Policy,
    api: ClearML,
    wish: Wish,
    where: Target | None,
    environment: Mapping[str, str],
    console: Console,
) -> int:
    """Prints the end, deletes the side ref, records. The exit status: the run's, 3 where a good one is not recorded."""
    api.renew()
    results, lines = _fetched(api, finished)
    result = results[0] if results else Result(finished.task)
    report = _report(result, policy)
    tests = test_summary(lines) if finished.entry is None or finished.entry.is_test else ""
    tail = causes.tail(lines) if finished.end.status == 1 and not tests else ()
    console.product(_text(finished, result, report, tests, tail))
    status = finished.end.status
    if status != 4:
        sweeping.settle(repository, api, say=lambda line: console.say(f"git clearml: {line}"))
    problem: Error | None = None
    if results and status in (0, 1):
        try:
            recording.record(
                repository,
                commit,
                results,
                wish,
                where=where,
                succeeded=status == 0,
                environment=environment,
                say=lambda line: console.say(f"git clearml: {line}"),
                warn=console.warn,
            )
        except Error as error:
            console.fail(error)
            problem = error
    status = status or (3 if problem else 0)
    try:
        _tell(finished, result, report, tests, environment)
    except CannotDecide as error:
        console.fail(error)
        status = status or 3
    return status


def _fetched(api: ClearML, finished: Finished) -> tuple[list[Result], list[str]]:
    """What the task came to, and the end of its log; nothing where the server cannot say."""
    results: list[Result] = []
    lines: list[str] = []
    try:
        results = task_results.of_tasks(api, [finished.task])
        lines = agents.console(api, finished.task)
    except CannotDecide:
        pass
    return results, lines


def test_summary(lines: Sequence[str]) -> str:
    """The last line of pytest, or the last two of unittest; "" when there is none. Pure."""
    found = [match for line in lines if (match := _SUMMARY.fullmatch(line.strip()))]
    if found:
        return found[-1][1]
    ran = [number for number, line in enumerate(lines) if _RAN.fullmatch(line.strip())]
    words = [line.strip() for line in lines[ran[-1] :] if _VERDICT.fullmatch(line.strip())] if ran else []
    return f"{lines[ran[-1]].strip()}: {words[0]}" if words else ""


def _report(result: Result, policy: Policy) -> MetricsReport:
    """The task's metrics as `git clearml report` shows them."""
    task = Task(result.task, "server", result.name, result.project, status=result.status, commit=result.commit)
    task = replace(task, url=result.url)
    rows, hidden, notes = metrics.rows(result.metrics, None, policy.best, Selection())
    return MetricsReport(result.commit, None, 0, task, rows=rows, hidden=hidden, notes=notes)


def _text(finished: Finished, result: Result, report: MetricsReport, tests: str, tail: Sequence[str]) -> str:
    name = f' "{harmless(result.name, 60)}"' if result.name else ""
    lines = [f"{harmless(result.status or 'unknown')}{name}: {finished.end.sentence}"]
    if tests:
        lines.append(f"tests: {harmless(tests, 200)}")
    lines += [f"| {harmless(line, 300)}" for line in tail]
    table = view.report_text(report) if report.rows else ""
    return "\n".join(lines) + "\n" + table


def _tell(
    finished: Finished, result: Result, report: MetricsReport, tests: str, environment: Mapping[str, str]
) -> None:
    """The job's outputs and summary, where there is a GitHub Actions job. Raises PublishFailed."""
    if environment.get("GITHUB_ACTIONS") != "true":
        return
    outcome = {0: "completed", 1: "failed", 4: "pending"}.get(finished.end.status, "undecided")
    values = {"outcome": outcome, "task-id": finished.task, "task-url": result.url, "commit": result.commit}
    ci_outputs.write_outputs(environment, values)
    name = link(escape(result.name or finished.task, 80), result.url)
    blocks = [f"### {escape(outcome)}: {name}", escape(finished.end.sentence)]
    blocks += [f"Tests: {escape(tests)}"] if tests else []
    blocks += [view.report_markdown(report, 60_000)] if report.rows else []
    secrets = redaction.secrets_in(environment)
    ci_outputs.write_summary(environment, redaction.struck_markdown("\n\n".join(blocks), secrets))
