"""Says why a check did not pass: the end of the log, the cause, and what to do."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable
from dataclasses import replace

from git_clearml.agent import task_log
from git_clearml.agent.model import Check, CheckOutcome
from git_clearml.agent.watch import Watch
from git_clearml.clearml import queues, response, tasks
from git_clearml.clearml.client import ClearML
from git_clearml.errors import CannotDecide, Error

_TAIL = 20  # lines
_LATE, _EVERY = 10.0, 2.0  # seconds: for an agent to send the end of its log, and between two polls of it
_SILENT = ("deleted", "server-away")  # where there is no log to be had
_AGAIN = "git clearml check-runnable"
_PAGE = "git clearml open {}"
_HINTS = {
    "execution-timeout": "git clearml check-runnable --execution-timeout 1800",
    "queue-timeout": "git clearml check-runnable --queue-timeout 7200",
    "package-not-found": "git clearml check-runnable --requirements <file>",
    "commit-not-found": "git clearml check-runnable --repository <url>",
    "repository-unreachable": "git clearml check-runnable --repository <url>",
    "diff-not-applied": "git push",
    "entry-point-missing": "git clearml check-runnable --entry-point <file> --folder <directory>",
    "out-of-memory": "git clearml check-runnable --queue <queue>",
    "script-failed": _PAGE,
    "": _PAGE,
}


def explained(api: ClearML, check: Check, watch: Watch, *, sleep: Callable[[float], None]) -> Check:
    """The check with its cause, the end of the log and a hint, where it is no pass."""
    if check.outcome is CheckOutcome.RUNNABLE:
        return check
    api.renew()
    if check.cause == "queue-timeout":
        return with_hint(_unserved(api, check))
    if check.cause in _SILENT:
        return with_hint(check)
    try:
        lines = _log(api, check, sleep)
    except CannotDecide as error:
        return with_hint(replace(check, notes=(*check.notes, f"its log could not be read: {error.message}")))
    if check.cause == "execution-timeout":
        check = replace(check, sentence=with_sign(api, check.sentence, check.task))
    if check.outcome is CheckOutcome.FAILED and not check.cause:
        message, reason = api.server.secrets.redact(watch.seen.message), api.server.secrets.redact(watch.seen.reason)
        cause = task_log.classify(lines, status_message=message, status_reason=reason)
        sentence = f"{check.sentence}: {cause.sentence}" if cause.sentence else check.sentence
        check = replace(check, cause=cause.code, sentence=sentence)
    return with_hint(replace(check, log_tail=task_log.tail(lines, _TAIL)))


def _log(api: ClearML, check: Check, sleep: Callable[[float], None]) -> list[str]:
    """The end of the log, without our credentials. The last lines of a task that failed may come after its status."""
    lines, waited = tasks.console(api, check.task), 0.0
    while check.outcome is CheckOutcome.FAILED and not check.cause and not task_log.complete(lines) and waited < _LATE:
        sleep(_EVERY)
        waited += _EVERY
        api.renew()
        lines = tasks.console(api, check.task)
    return [api.server.secrets.redact(line) for line in lines]


def with_hint(check: Check) -> Check:
    """The check with the next thing to do for its cause. Pure."""
    return check if check.hint else replace(check, hint=_HINTS.get(check.cause, _AGAIN).format(check.task))


def _unserved(api: ClearML, check: Check) -> Check:
    """A queue that lost its workers meanwhile is no fault of the commit."""
    try:
        if queues.queue(api, check.queue).workers:
            return check
    except Error:
        return check
    return without_worker(api, replace(check, cause=""), " any more")


def without_worker(api: ClearML, check: Check, when: str = "") -> Check:
    """The check of a queue that nobody serves, with the queues that somebody does. One request."""
    sentence = idle_queue(api, check.queue, when)
    hint = f"clearml-agent daemon --queue {shlex.quote(check.queue)}"
    with contextlib.suppress(CannotDecide):
        check = replace(check, notes=(*check.notes, f"queues with workers: {queues.served(api)}"))
    outcome = CheckOutcome.NO_WORKER
    return replace(check, outcome=outcome, status=outcome.status, sentence=sentence, hint=hint)


def idle_queue(api: ClearML, queue: str, when: str = "") -> str:
    """Says that nobody serves the queue, and when the agent that did was last seen, where the server knows.

    Raises no Error.
    """
    sentence = f"queue {queue!r} has no active workers{when}"
    with contextlib.suppress(CannotDecide):
        api.renew()
        return "; ".join(filter(None, (sentence, queues.last_sign(api, queue_name=queue))))
    return sentence


def with_sign(api: ClearML, sentence: str, task: str) -> str:
    """The sentence, and when the agent that runs this task was last seen where it is dead. Raises no Error."""
    with contextlib.suppress(CannotDecide):
        api.renew()
        document = tasks.document_of(api, task, ("id", "last_worker", "last_worker_report")) or {}
        worker = response.text(document, "last_worker")
        if worker and not queues.lives(api, worker):
            reported = response.text(document, "last_worker_report")
            sign = queues.last_sign(api, worker=worker) or queues.sentence_of(reported, worker)
            return "; ".join(filter(None, (sentence, sign)))
    return sentence
