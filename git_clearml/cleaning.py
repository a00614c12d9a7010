"""Ends and removes what a launch has made, abort first: on success, failure, timeout, Ctrl-C and the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from git_clearml import agents, owners, ownership, proofs, side_refs
from git_clearml.clearml_api import ClearML
from git_clearml.errors import CannotDecide, Interrupted
from git_clearml.launches import Owner
from git_clearml.repository import Repository

_GRACE = 60.0  # seconds for an agent to confirm that it has aborted a task
_ENDED = ("completed", "failed", "stopped", "closed", "published")


@dataclass
class Launched:
    """What is in the world because of us. `asked`: a task was asked for, and there may be one whose id is not known.

    `status` is the task's as last seen, "deleted" when somebody deleted it.
    """

    owner: Owner | None = None
    commit: str = ""  # that the task runs
    asked: bool = False
    task: str = ""
    status: str = ""
    side_ref: side_refs.SideRef | None = None


@dataclass(frozen=True)
class Wishes:
    """What is wanted beside the abort. `proved` is the tree that has been proved runnable, "" for none."""

    archive: bool = False
    proved: str = ""
    wait: bool = True  # for the agent to confirm


class CleanUp:
    """Cleans up once. Time is an argument."""

    def __init__(
        self,
        repository: Repository,
        api: ClearML,
        launched: Launched,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._repository, self._api, self._launched = repository, api, launched
        self._sleep, self._clock = sleep, clock

    def run(self, wishes: Wishes) -> list[str]:
        """What could not be cleaned up, each with the thing to do by hand. An interrupt leaves the rest undone."""
        steps = self._steps(wishes)
        left: list[str] = []
        for number, (what, step) in enumerate(steps):
            try:
                self._api.renew()
                step()
            except CannotDecide as error:
                left.append(f"{what} ({error.message})")
            except (KeyboardInterrupt, Interrupted):
                left += [one for one, _ in steps[number:]]
                break
        return left

    def _steps(self, wishes: Wishes) -> list[tuple[str, Callable[[], None]]]:
        launched, steps = self._launched, list[tuple[str, Callable[[], None]]]()
        task, there = launched.task, launched.status != "deleted"
        page = agents.page_of(self._api, task) if task else ""
        at_work = bool(task) and there and launched.status not in _ENDED
        if launched.asked and not task:
            steps.append((f"a draft with the tag {owners.TAG} may exist: archive it", self._archive_lost))
        if at_work:
            steps.append((f"abort the task: {page}", lambda: agents.stop(self._api, task)))
        if task and there and wishes.proved:
            what = "the pass is not on record: check again"
            steps.append((what, lambda: proofs.remember(self._api, task, wishes.proved)))
        if task and there and wishes.archive:
            steps.append((f"archive the task: {page}", lambda: agents.archive(self._api, task)))
        if launched.side_ref:
            ref = launched.side_ref
            what = f"delete the side ref: git push {ref.remote} --delete {ref.ref}"
            steps.append((what, lambda: side_refs.delete(self._repository, ref)))
        if at_work and wishes.wait:
            steps.append((f"see that the agent aborts the task: {page}", self._confirm))
        return steps

    def _archive_lost(self) -> None:
        """A task whose id never reached us is a draft, and only the owner's nonce can tell that it is ours."""
        assert self._launched.owner is not None
        lost = ownership.named(self._api, owners.CHECK, self._launched.commit, self._launched.owner)
        if lost:
            agents.archive(self._api, lost)

    def _confirm(self) -> None:
        """Waits until the task has really ended. An agent that took it in that very moment is asked again."""
        deadline, last = self._clock() + _GRACE, ""
        while True:
            self._api.renew()
            seen = agents.look(self._api, self._launched.task)
            if seen.status not in owners.ACTIVE and last == seen.status:
                return
            if seen.status in ("queued", "in_progress") and seen.message != "stopping":
                agents.stop(self._api, self._launched.task)
            if self._clock() >= deadline:
                raise CannotDecide(f"it is still {seen.status}")
            last = seen.status
            self._sleep(1.0)
