"""Ends what checks of the remote kind left behind when they were killed: their tasks, and their side refs.

Which, `leased_tasks.expired` says: only tasks that bear our tag and our lease, and only when the lease's deadline is
past or its process on this very host has ended. A task that this tool did not launch is never touched, nor one that is
marked as done: it is somebody's now.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial

from git_clearml.agent import leased_tasks
from git_clearml.agent.leased_tasks import LeasedTask
from git_clearml.base import process
from git_clearml.clearml import lease, tasks
from git_clearml.clearml.client import ClearML
from git_clearml.errors import CannotDecide
from git_clearml.git import remote as remotes
from git_clearml.git import side_ref as side_refs
from git_clearml.git import url as repository_urls
from git_clearml.git.repository import Repository
from git_clearml.git.side_ref import SideRef


def sweep(
    repository: Repository,
    api: ClearML,
    *,
    archive: bool,
    say: Callable[[str], None],
    now: Callable[[], float] = time.time,
) -> None:
    """Aborts, and archives where `archive` says so, whatever is abandoned; says what. Raises nothing but interrupts:

    what cannot be swept now is swept by the next check.
    """
    try:
        api.renew()
        expired = leased_tasks.expired(api, host=process.here(), now=now())
    except CannotDecide as error:
        say(f"earlier checks could not be looked for: {error.message}")
        expired = []
    over = [left for left in expired if left.ended or _swept(api, left, archive, say)]
    free = _sweep_refs(repository, over, say, now())
    done = [left.task for left in free if left.ended]
    if done:
        with contextlib.suppress(CannotDecide):  # then the next check finds them again
            api.renew()
            tasks.add_tags(api, done, [lease.DONE])


def _swept(api: ClearML, left: LeasedTask, archive: bool, say: Callable[[str], None]) -> bool:
    """Aborts the task, unless it is a draft, and archives it; whether that could be done. It may yet be running on."""
    try:
        api.renew()
        if left.status != "created":
            tasks.stop(api, left.task)
        if archive or left.status == "created":
            tasks.archive(api, left.task, stopping=left.status != "created")
    except CannotDecide as error:
        say(f"the abandoned task {left.task} could not be swept: {error.message}")
        return False
    say(f"swept an abandoned check: task {left.task}")
    return True


def _sweep_refs(
    repository: Repository, over: list[LeasedTask], say: Callable[[str], None], now: float
) -> list[LeasedTask]:
    """Deletes the side refs that this clone lost, and those of these tasks, where they are this repository's.

    Returns the tasks of which no side ref is left for another clone to delete.
    """
    records = _delete_abandoned(repository, say, now)
    names = repository.names()
    remote = remotes.pushed_to(repository)
    deleted = {"", *(record.ref for record in records)}
    free = [left for left in over if left.owner.side_ref in deleted]
    for left in over:
        ours = repository_urls.normalise(left.repository) in names
        if left.owner.side_ref not in deleted and ours and remote is not None:
            ref, commit = left.owner.side_ref, left.commit
            if _try(partial(side_refs.delete_named, repository, remote, ref, commit), say):
                free.append(left)
    return free


def _delete_abandoned(repository: Repository, say: Callable[[str], None], now: float) -> list[SideRef]:
    """Deletes the side refs that this clone lost; their records."""
    records = side_refs.abandoned(repository, host=process.here(), now=now)
    for record in records:
        _try(partial(side_refs.delete, repository, record), say)
    return records


def _try(delete: Callable[[], object], say: Callable[[str], None]) -> bool:
    try:
        delete()
    except CannotDecide as error:
        say(f"an old side ref could not be deleted: {error.message}")
        return False
    return True


def settle(repository: Repository, api: ClearML, *, say: Callable[[str], None]) -> None:
    """Deletes the side refs of this clone that nobody needs any more: their task, or their process, has ended.

    Those of another server's tasks are left alone. No request when there are none. Raises no Error.
    """
    bound = [ref for ref in side_refs.recorded(repository) if ref.task and ref.server in ("", api.server.api)]
    for record in bound:
        unknown = () if record.server else ("",)  # an earlier version did not write down where its task is
        try:
            api.renew()
            ended = tasks.poll_task(api, record.task).status not in (*lease.ACTIVE, *unknown)
        except CannotDecide as error:
            say(f"the side refs of earlier launches could not be looked after: {error.message}")
            return
        if ended:
            _try(partial(side_refs.delete, repository, record), say)
    _delete_abandoned(repository, say, time.time())
