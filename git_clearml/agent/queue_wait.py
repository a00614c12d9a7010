"""Waits for tasks on queues until one ends or the time is up, and reads what may be recorded of somebody's task."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from git_clearml.agent import leased_tasks, poll, watch
from git_clearml.agent.cleanup import CleanupOptions, Launched, cleanup
from git_clearml.agent.model import Limits
from git_clearml.agent.watch import RunEnd, Watch
from git_clearml.base.ids import FIND_THE_ID, is_hash
from git_clearml.clearml import lease, query, response, tasks
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.lease import Lease
from git_clearml.errors import UsageError
from git_clearml.git import side_ref
from git_clearml.git.repository import Repository
from git_clearml.model import Commit

_RAN = ("id", "script.version_num", "script.diff", leased_tasks.property_of(lease.RUN))
_WITHOUT_RECORD = "leave --record out"


def wait(api: ClearML, task: str, timeout: float, *, tick: Callable[[Watch], None]) -> RunEnd:
    """Follows the task until it ends, or `timeout` seconds have passed. `tick` is called after each poll before that.

    Raises UsageError for a task that the server does not know, and Unauthorized and Forbidden.
    """
    api.renew()
    if tasks.poll_task(api, task).status == "":
        raise unknown_task(api, task)
    watches = {task: poll.begun(time.monotonic())}
    _, ends = next_ended(api, watches, timeout, tick=lambda watches: tick(watches[task]))
    return ends[task]


def next_ended(
    api: ClearML, watches: Mapping[str, Watch], timeout: float, *, tick: Callable[[Mapping[str, Watch]], None]
) -> tuple[dict[str, Watch], dict[str, RunEnd]]:
    """Follows the tasks, what is known of each by its id, until some have ended, or were waited for so many seconds.

    What is known of them now, and the ends. `tick` is called after each look that ended none. Raises Unauthorized and
    Forbidden.
    """
    limits = Limits(timeout, timeout)
    return poll.follow(api, watches, lambda each: watch.run_end(each, timeout), tick=tick, limits=limits)


def unknown_task(api: ClearML, task: str) -> UsageError:
    """The error for a task that the server does not know."""
    return UsageError(
        f"there is no task {task} on {api.server.api}",
        FIND_THE_ID,
    )


def recordable_commit(repository: Repository, api: ClearML, task: str) -> tuple[Commit, Lease | None]:
    """The commit that the task ran, which must be here and all that it ran; and who launched it, if we did.

    Raises UsageError for a task that the server does not know, or that cannot be recorded.
    """
    document = query.task(api, task, _RAN)
    if document is None:
        raise unknown_task(api, task)
    script = response.part(document, "script")
    commit = response.text(script, "version_num")
    if not is_hash(commit):
        raise UsageError(f"task {task} names no commit to record it at", _WITHOUT_RECORD)
    ran = f"task {task} ran {commit[:12]}"
    if response.text(script, "diff").strip():
        raise UsageError(f"{ran} with uncommitted changes: it is no result of that commit", _WITHOUT_RECORD)
    if not repository.trees([commit]):
        raise UsageError(f"{ran}, which is not in this clone; without --record that is no matter", "git fetch")
    return repository.resolve([commit])[0].commit, leased_tasks.owner_in(document, lease.RUN)


def abort(repository: Repository, api: ClearML, task: str, status: int = 0, *, wait: bool = True) -> list[str]:
    """Aborts the task and deletes its side ref. What could not be done, each with the thing to do by hand.

    `status` is the exit status of the signal that is the reason, 0 for another one; `wait` for its agent to confirm.
    """
    ref = next((record for record in side_ref.recorded(repository) if record.task == task), None)
    launched = Launched(requested=True, task=task, status="in_progress", side_ref=ref)
    return cleanup(repository, api, launched, CleanupOptions(wait=wait, interrupted=status)).left
