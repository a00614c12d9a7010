"""Tells how a run on a queue ended: on the screen, in the CI job, and in git."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from git_clearml.agent import log as causes
from git_clearml.agent import sweep as sweeping
from git_clearml.agent.queue_command import Entry
from git_clearml.agent.watch import RunEnd
from git_clearml.base import secrets as redaction
from git_clearml.base.console import Console
from git_clearml.base.markdown import escape, link
from git_clearml.base.sanitize import harmless
from git_clearml.clearml import results as task_results
from git_clearml.clearml import tasks as agents
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.model import Result
from git_clearml.errors import CannotDecide, Error, PublishFailed
from git_clearml.forge import outputs as ci_outputs
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Task
from git_clearml.record import record as recording
from git_clearml.record.branch import Target
from git_clearml.record.model import Wish
from git_clearml.render import metrics as view
from git_clearml.report import rows as metrics
from git_clearml.report.model import MetricsReport
from git_clearml.report.rows import Selection
from git_clearml.settings.policy import Policy

_SUMMARY = re.compile(r"=+ (.*\b(?:passed|failed|errors?|skipped|no tests ran)\b.*) =+")
_RAN = re.compile(r"Ran \d+ tests? in [\d.]+s")
_VERDICT = re.compile(r"(OK|FAILED|NO TESTS RAN)( \(.*\))?")


@dataclass(frozen=True)
class Finished:
    """A task that was waited for, how it ended, and what it ran (None where nobody said).

    `over`: the task itself has ended, not only the waiting for it. `again` is the command that waits and records later.
    """

    task: str
    end: RunEnd
    entry: Entry | None = None
    over: bool = True
    again: str = ""


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
    said: Callable[[], None],
) -> int:
    """Deletes the side ref, records, and then prints the end: whoever reads that may have left.

    `said` is called when no record is owed any more. The exit status: the run's, 3 where a good one is not recorded.
    """
    api.renew()
    status, fetched = finished.end.status, _fetched(api, finished.task)
    result = fetched if isinstance(fetched, Result) else Result(finished.task)
    report, lines = _report(result, policy), _log(api, finished.task, environment)
    tests = test_summary(lines) if finished.entry is None or finished.entry.is_test else ""
    tail = causes.tail(lines) if status == 1 and not tests else ()
    if status != 4:
        sweeping.settle(repository, api, say=lambda line: console.say(f"git clearml: {line}"))
    problem: Error | None = None
    if status in (0, 1):
        problem = _recorded(fetched, repository, commit, wish, where, status == 0, environment, console)
    owed = wish.kind != "none" and (problem is not None or not finished.over)
    if not owed:
        said()
    if owed or not finished.over:
        console.announce(f"to {'record it' if finished.over else 'wait again'}: {finished.again}")
    status = status or (3 if problem else 0)
    try:
        _tell(finished, result, report, tests, environment)
    except CannotDecide as error:
        console.fail(error)
        status = status or 3
    console.product(_text(finished, result, report, tests, tail))
    return status


def _fetched(api: ClearML, task: str) -> Result | CannotDecide:
    """What the task came to, or why the server cannot say."""
    try:
        return task_results.of_tasks(api, [task])[0]
    except CannotDecide as error:
        return error


def _log(api: ClearML, task: str, environment: Mapping[str, str]) -> list[str]:
    """The end of the task's log without any secret of ours, empty where the server cannot say."""
    try:
        lines = agents.console(api, task)
    except CannotDecide:
        return []
    return [without_secrets(line, api, environment) for line in lines]


def without_secrets(text: str, api: ClearML, environment: Mapping[str, str]) -> str:
    """Text of a log without our credentials, wherever they come from, and the secrets of our environment."""
    return redaction.struck(api.server.redact(text), redaction.secrets_in(environment))


def _recorded(
    fetched: Result | CannotDecide,
    repository: Repository,
    commit: Commit,
    wish: Wish,
    where: Target | None,
    succeeded: bool,
    environment: Mapping[str, str],
    console: Console,
) -> Error | None:
    """Records the result as it is wished. What kept us from it, which has been said; None when nothing is owed."""
    if isinstance(fetched, CannotDecide) and wish.kind == "none":
        console.warn(f"what the task came to is not known: {fetched.message}")
        return None
    try:
        if isinstance(fetched, CannotDecide):
            raise PublishFailed(f"not recorded: {fetched.message}", fetched.hint)
        recording.record(
            repository,
            commit,
            [fetched],
            wish,
            where=where,
            succeeded=succeeded,
            environment=environment,
            say=lambda line: console.say(f"git clearml: {line}"),
            warn=console.warn,
        )
    except Error as error:
        console.fail(error)
        return error
    return None


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


def tell_launch(task: str, url: str, commit: str, environment: Mapping[str, str]) -> None:
    """The job's outputs for a task that nobody waits for. Raises PublishFailed."""
    if environment.get("GITHUB_ACTIONS") == "true":
        values = {"outcome": "pending", "task-id": task, "task-url": url, "commit": commit}
        ci_outputs.write_outputs(environment, values)


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
