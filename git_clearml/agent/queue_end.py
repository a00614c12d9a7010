"""Reads how a run on a queue ended: what its task came to, what its log says of its tests, how its log ends."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from git_clearml.agent import task_log
from git_clearml.agent.queue_command import Entry
from git_clearml.agent.watch import RunEnd
from git_clearml.base.secrets import Secrets
from git_clearml.clearml import results, tasks
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.conf_secrets import known_secrets
from git_clearml.clearml.model import Result
from git_clearml.errors import CannotDecide

_SUMMARY = re.compile(r"=+ (.*\b(?:passed|failed|errors?|skipped|no tests ran)\b.*) =+")
_RAN = re.compile(r"Ran \d+ tests? in [\d.]+s")
_VERDICT = re.compile(r"(OK|FAILED|NO TESTS RAN)( \(.*\))?")


@dataclass(frozen=True)
class QueueEnd:
    """A task that was waited for: how the waiting ended, and what the server knows of the task.

    `tests` is the summary of a test session, "" for none; `tail` the last lines of the log of what failed. `problem` is
    why the server could not say what the task came to: `result` has nothing but its id then.
    """

    end: RunEnd
    result: Result
    tests: str = ""
    tail: tuple[str, ...] = ()
    problem: CannotDecide | None = None

    @property
    def outcome(self) -> str:
        """The word that a CI job gets for it: completed, failed, pending or undecided."""
        return {0: "completed", 1: "failed", 4: "pending"}.get(self.end.status, "undecided")


def read(api: ClearML, task: str, end: RunEnd, *, entry: Entry | None, environment: Mapping[str, str]) -> QueueEnd:
    """Asks the server what the task came to. `entry` is what it ran, None where that is not known. Raises no Error."""
    api.renew()
    result, problem = Result(task), None
    try:
        result = results.of_tasks(api, [task])[0]
    except CannotDecide as error:
        problem = error
    lines = _console(api, task, environment)
    tests = test_summary(lines) if entry is None or entry.is_test else ""
    tail = task_log.tail(lines) if end.status == 1 and not tests else ()
    return QueueEnd(end, result, tests, tail, problem)


def _console(api: ClearML, task: str, environment: Mapping[str, str]) -> list[str]:
    """The end of the task's log without any secret of ours, empty where the server cannot say."""
    try:
        lines = tasks.console(api, task)
    except CannotDecide:
        return []
    secrets = secrets_of(api, environment)
    return [secrets.redact(line) for line in lines]


def secrets_of(api: ClearML, environment: Mapping[str, str]) -> Secrets:
    """What must not be shown of a task's log: our credentials, wherever they come from, and all other secrets here."""
    return api.server.secrets | known_secrets(environment)


def test_summary(lines: Sequence[str]) -> str:
    """The last line of pytest, or the last two of unittest; "" when there is none. Pure."""
    summaries = [match for line in lines if (match := _SUMMARY.fullmatch(line.strip()))]
    if summaries:
        return summaries[-1][1]
    ran = [number for number, line in enumerate(lines) if _RAN.fullmatch(line.strip())]
    verdicts = [line.strip() for line in lines[ran[-1] :] if _VERDICT.fullmatch(line.strip())] if ran else []
    return f"{lines[ran[-1]].strip()}: {verdicts[0]}" if verdicts else ""
