"""Ends what checks of the remote kind left behind when they were killed: their tasks, and their side refs.

Only tasks that bear our tag and our owner, and only when the owner's deadline is past or its process on this very host
has ended. A task that this tool did not launch is never touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from git_clearml import agents, ownership, processes, remotes, repository_urls, side_refs
from git_clearml.clearml_api import ClearML
from git_clearml.errors import CannotDecide
from git_clearml.ownership import Owned
from git_clearml.repository import Repository


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
        found = ownership.abandoned(api, here=processes.here(), now=now())
    except CannotDecide as error:
        say(f"earlier checks could not be looked for: {error.message}")
        found = []
    swept = []
    for left in found:
        try:
            api.renew()
            _end(api, left, archive)
            swept.append(left)
            say(f"swept an abandoned check: task {left.task}")
        except CannotDecide as error:
            say(f"the abandoned task {left.task} could not be swept: {error.message}")
    _sweep_refs(repository, swept, say, now())


def _end(api: ClearML, left: Owned, archive: bool) -> None:
    if left.status != "created":
        agents.stop(api, left.task)
    if archive or left.status == "created":
        agents.archive(api, left.task, stopping=left.status != "created")


def _sweep_refs(repository: Repository, swept: list[Owned], say: Callable[[str], None], now: float) -> None:
    """Deletes the side refs that this clone lost, and those of the swept tasks, where they are this repository's."""
    records = side_refs.abandoned(repository, host=processes.here(), now=now)
    for record in records:
        _try(lambda record=record: side_refs.delete(repository, record), say)  # type: ignore[misc]
    names = repository.names()
    remote = remotes.pushed_to(repository)
    known = {"", *(record.ref for record in records)}
    for left in swept:
        ours = repository_urls.normalise(left.repository) in names
        if left.owner.side_ref not in known and ours and remote is not None:
            _try(lambda left=left: side_refs.delete_named(repository, remote, left.owner.side_ref, left.commit), say)  # type: ignore[misc]


def _try(delete: Callable[[], None], say: Callable[[str], None]) -> None:
    try:
        delete()
    except CannotDecide as error:
        say(f"an old side ref could not be deleted: {error.message}")


def settle(repository: Repository, api: ClearML, *, say: Callable[[str], None]) -> None:
    """Deletes the side refs of this clone that nobody needs any more: their task, or their process, has ended.

    No request when there are none. Raises no Error.
    """
    bound = [one for one in side_refs.recorded(repository) if one.task]
    for record in bound:
        try:
            api.renew()
            ended = agents.look(api, record.task).status not in ("created", "queued", "in_progress")
        except CannotDecide as error:
            say(f"the side refs of earlier launches could not be looked after: {error.message}")
            return
        if ended:
            _try(lambda record=record: side_refs.delete(repository, record), say)  # type: ignore[misc]
    for record in side_refs.abandoned(repository, host=processes.here(), now=time.time()):
        _try(lambda record=record: side_refs.delete(repository, record), say)  # type: ignore[misc]
