"""Ends and removes what a launch has made, abort first: on success, failure, timeout, Ctrl-C and the rest."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from git_clearml.agent import leased_tasks
from git_clearml.agent import passes as proofs
from git_clearml.clearml import lease as owners
from git_clearml.clearml import tasks as agents
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.lease import Owner
from git_clearml.clearml.model import Seen
from git_clearml.errors import CannotDecide, Forbidden, Interrupted, Unauthorized
from git_clearml.git import side_ref as side_refs
from git_clearml.git.repository import Repository

GRACE = 60.0  # seconds for an agent to confirm that it has aborted a task
_AT_WORK = ("queued", "in_progress")
# A server that knows of no agent at work ends a task by itself and says so. An agent that is taking the task from the
# queue in that very moment sets it to in_progress, twice and more, whatever it was (clearml-agent 3.0,
# commands/worker.py): first it may not have said anything, later it has, and then it takes some seconds.
_BY_SERVER = "Stopped by "
_UNTOUCHED, _TAKEN = 2.0, 15.0  # seconds for which a task that the server ended has to stay so


@dataclass
class Launched:
    """What is in the world because of us. `asked`: a task was asked for, and there may be one whose id is not known.

    `draft`: it was never to be put on a queue yet. `status` is the task's as last seen. `kind` is the property that the
    owner stands under, owners.CHECK or owners.RUN.
    """

    kind: str = owners.RUN
    owner: Owner | None = None
    commit: str = ""  # that the task runs
    asked: bool = False
    task: str = ""
    draft: bool = False
    status: str = ""
    side_ref: side_refs.SideRef | None = None

    def pushing(self, side_ref: side_refs.SideRef | None) -> None:
        """Knows of the side ref from before it is pushed on; None: there is none after all."""
        self.side_ref = side_ref


@dataclass(frozen=True)
class Wishes:
    """What is wanted beside the abort. `proved` is the tree that has been proved runnable, "" for none.

    `wait`: for the agent to confirm, and for a server that is away, up to `grace` seconds.
    """

    archive: bool = False
    proved: str = ""
    wait: bool = True
    grace: float = GRACE


@dataclass(frozen=True)
class _Step:
    """One thing to do. `by_hand` says what is left where it cannot be done, "" for nothing. Each may be done twice."""

    by_hand: str
    do: Callable[[], None]


class CleanUp:
    """Cleans up once. Time is an argument.

    `patience` is how many interrupts are borne: the step that one of them cut short is begun again, and `interrupted`
    is the status of the last. One more ends the cleaning.
    """

    def __init__(
        self,
        repository: Repository,
        api: ClearML,
        launched: Launched,
        *,
        patience: int = 0,
        say: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._repository, self._api, self._launched = repository, api, launched
        self._patience, self._say, self._sleep, self._clock = patience, say, sleep, clock
        self._todo: list[_Step] = []
        self._failed: list[tuple[_Step, str]] = []
        self._deadline: float | None = None
        self._at_work = self._marked = False
        self.interrupted = 0

    def run(self, wishes: Wishes) -> list[str]:
        """What could not be cleaned up, each with the thing to do by hand."""
        begun, again = False, wishes.wait  # by the time the first round is over, the server may be back
        while self._todo or not begun:
            try:
                if not begun:
                    self._todo, begun = self._steps(wishes), True
                    self._api.close()
                self._work_off()
                if self._failed and again:
                    again, self._todo, self._failed = False, [step for step, _ in self._failed], []
            except (KeyboardInterrupt, Interrupted) as interruption:
                self.interrupted = interruption.status if isinstance(interruption, Interrupted) else 130
                self._api.close()  # the request that it cut short may still use the connection
                if not self._patience:
                    break
                self._patience -= 1
        left = [f"{step.by_hand} ({why})" for step, why in self._failed if step.by_hand]
        return left + [step.by_hand for step in (self._todo if begun else self._steps(wishes)) if step.by_hand]

    def _work_off(self) -> None:
        while self._todo:
            step = self._todo[0]
            try:
                self._api.renew()
                step.do()
            except CannotDecide as error:
                self._failed.append((step, error.message))
            self._todo.pop(0)

    def _steps(self, wishes: Wishes) -> list[_Step]:
        launched, steps = self._launched, list[_Step]()
        there = bool(launched.task)
        self._at_work = there and not launched.draft and launched.status not in owners.ENDED
        page = agents.page_of(self._api, launched.task) if there else ""
        if launched.asked and not launched.task:
            which = f"with the tag {owners.TAG}" if launched.kind == owners.CHECK else f"of {launched.commit[:12]}"
            steps.append(_Step(f"a draft {which} may exist: archive it", self._archive_lost))
        if self._at_work:
            steps.append(_Step(f"abort the task: {page}", self._abort))
        if there and wishes.proved:
            steps.append(_Step("the pass is not on record: check again", lambda: self._remember(wishes.proved)))
        if launched.side_ref:
            ref = launched.side_ref
            by_hand = f"delete the side ref: git push {ref.remote} --delete {ref.ref}"
            steps.append(_Step(by_hand, lambda: side_refs.delete(self._repository, ref)))
        if self._at_work and wishes.wait:
            by_hand = f"see that the agent aborts the task: {page}"
            steps.append(_Step(by_hand, lambda: self._confirm(wishes.grace)))
        if there and (wishes.archive or launched.draft):
            steps.append(_Step(f"archive the task: {page}", self._archive))
        if there and launched.kind == owners.CHECK:
            steps.append(_Step("", self._mark))
        return steps

    def _archive_lost(self) -> None:
        """A task whose id never reached us is a draft, and only the owner's nonce can tell that it is ours."""
        assert self._launched.owner is not None
        lost = leased_tasks.named(self._api, self._launched.kind, self._launched.commit, self._launched.owner)
        if lost:
            agents.archive(self._api, lost)

    def _abort(self) -> None:
        agents.stop(self._api, self._launched.task)

    def _remember(self, tree: str) -> None:
        marks = () if self._at_work or self._launched.side_ref else (owners.DONE,)  # a kill may leave the ref
        proofs.remember(self._api, self._launched.task, tree, *marks)
        self._marked = bool(marks)

    def _mark(self) -> None:
        """Says on the task that no check will touch it again; while an agent may be at work, the next one will."""
        if self._at_work:
            raise CannotDecide("it has not ended")
        if not self._marked:
            agents.add_tags(self._api, [self._launched.task], [owners.DONE])

    def _archive(self) -> None:
        agents.archive(self._api, self._launched.task, stopping=self._at_work)

    def _confirm(self, grace: float) -> None:
        """Waits until the task has ended for good. An agent that took it in that very moment is asked again."""
        if self._deadline is None:
            self._deadline = self._clock() + grace
        ended: float | None = None  # since when
        while True:
            seen, problem = self._look()
            if seen is None or seen.status in _AT_WORK:
                ended = None
            elif ended is None:
                ended = self._clock()
            late = self._clock() >= self._deadline
            if seen is not None and ended is not None and (late or self._clock() - ended >= _quiet(seen)):
                self._at_work = False
                return
            if late:
                raise CannotDecide(problem or f"it is still {seen.status if seen else 'unknown'}")
            if seen is not None and seen.status == "in_progress":
                with contextlib.suppress(OSError):  # nobody may be left to listen
                    self._say("waiting for the agent to abort the task (Ctrl-C stops waiting)")
            self._sleep(1.0)

    def _look(self) -> tuple[Seen | None, str]:
        """The task as it is now, told once more to stop where that is not on record; else why that is not known."""
        task = self._launched.task
        try:
            self._api.renew()
            seen = agents.look(self._api, task)
            if seen.status in _AT_WORK and seen.message != agents.STOPPING:
                agents.stop(self._api, task)
            return seen, ""
        except (Unauthorized, Forbidden):
            raise
        except CannotDecide as error:
            return None, error.message


def _quiet(seen: Seen) -> float:
    """For how many seconds an ended task has to stay ended, before nobody can be at work on it any more."""
    if seen.status != "stopped" or not seen.message.startswith(_BY_SERVER):
        return 0.0
    return _TAKEN if seen.started else _UNTOUCHED
