"""Cleans up after a launch, however it ended (success, failure, timeout, Ctrl-C): aborts the task first.

Then it deletes the side ref, waits for the agent, archives the task. No signal cuts any of this short but the waiting:
see interrupt for what a second Ctrl-C does.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from git_clearml.agent import leased_tasks, passed_checks
from git_clearml.agent.interrupt import grace_of
from git_clearml.base import signals
from git_clearml.clearml import lease, tasks
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.lease import Lease
from git_clearml.clearml.model import TaskState
from git_clearml.errors import CannotDecide, Forbidden, Unauthorized
from git_clearml.git import side_ref as side_refs
from git_clearml.git.repository import Repository

_AT_WORK = ("queued", "in_progress")
_WAITING = "waiting for the agent to abort the task"
# A server that knows of no agent at work ends a task by itself and says so. An agent that is taking the task from the
# queue in that very moment sets it to in_progress, twice and more, whatever it was (clearml-agent 3.0,
# commands/worker.py): first it may not have said anything, later it has, and then it takes some seconds.
_BY_SERVER = "Stopped by "
_UNTOUCHED, _TAKEN = 2.0, 15.0  # seconds for which a task that the server ended has to stay so
_TRIES = 3  # of a step that a signal may have cut short
_DELETING = 60.0  # seconds for the side ref to be deleted
_HURRIED = 10.0  # seconds for each request, and for the side ref, where somebody wants us gone


@dataclass
class Launched:
    """What is in the world because of us. `requested`: there may be a task whose id is not known.

    `draft`: it was never to be put on a queue yet. `status` is the task's as last seen. `kind` is the property that the
    owner stands under, lease.CHECK or lease.RUN.
    """

    kind: str = lease.RUN
    owner: Lease | None = None
    commit: str = ""  # that the task runs
    requested: bool = False
    task: str = ""
    draft: bool = False
    status: str = ""
    side_ref: side_refs.SideRef | None = None

    def pushing(self, side_ref: side_refs.SideRef | None) -> None:
        """Knows of the side ref from before it is pushed on; None: there is none after all."""
        self.side_ref = side_ref


@dataclass(frozen=True)
class CleanupOptions:
    """What is to be done beside the abort. `passed_tree` is the tree whose check has passed, "" for none.

    `wait`: for the agent to confirm, and for a server that is unavailable (see grace_of). `interrupted` is the
    exit status of the signal that has ended what is cleaned up after, 0 for none.
    """

    archive: bool = False
    passed_tree: str = ""
    wait: bool = True
    interrupted: int = 0


@dataclass(frozen=True)
class CleanupResult:
    """`left` is what could not be cleaned up, each with the thing to do by hand.

    `interrupted` is the exit status of the last signal in the midst of it, 0 for none.
    """

    left: list[str]
    interrupted: int = 0


def cleanup(
    repository: Repository,
    api: ClearML,
    launched: Launched,
    options: CleanupOptions,
    *,
    say: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> CleanupResult:
    """Ends and removes whatever the launch has made. Raises no Error, nor what a signal raises: signals are held.

    `sleep`, for tests, is by default one that a signal ends.
    """
    with signals.held() as hold:
        result = _Cleanup(repository, api, launched, options, say, sleep or hold.pause, clock).run(hold)
        hold.drop()
        return result


@dataclass(frozen=True)
class _Step:
    """One thing to do. `by_hand` says what is left where it cannot be done, "" for nothing. Each may be done twice."""

    by_hand: str
    do: Callable[[], None]
    waits: bool = False


class _Cleanup:
    def __init__(
        self,
        repository: Repository,
        api: ClearML,
        launched: Launched,
        options: CleanupOptions,
        say: Callable[[str], None],
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._repository, self._api, self._launched, self._options = repository, api, launched, options
        self._say, self._sleep, self._clock, self._hold = say, sleep, clock, signals.Hold()
        self._failed: list[tuple[_Step, str]] = []
        self._until: float | None = None  # the agent is waited for
        self._at_work = self._marked = False

    def run(self, hold: signals.Hold) -> CleanupResult:
        self._hold = hold
        self._api.close()  # the request that a signal cut short may still use the connection
        self._work_off(self._steps())
        if self._failed and self._options.wait and not self._in_a_hurry:  # the server may be back by now
            again, self._failed = [step for step, _ in self._failed], []
            self._work_off(again)
        left = [f"{step.by_hand} ({why})" for step, why in self._failed if step.by_hand]
        return CleanupResult(left, ([0, *self._hold.statuses])[-1])

    def _work_off(self, steps: Iterable[_Step]) -> None:
        for step in steps:
            for left in reversed(range(_TRIES)):
                seen = self._hold.seen
                try:
                    self._api.renew(_HURRIED if self._in_a_hurry else math.inf)
                    step.do()
                except CannotDecide as error:
                    if self._hold.seen > seen and left and not step.waits:
                        continue  # a terminal's Ctrl-C reaches the git that we have started as well
                    self._failed.append((step, error.message))
                break

    @property
    def _in_a_hurry(self) -> bool:
        """Has one more signal come than the one that made an interrupted launch of this?"""
        return len(self._hold.arrived) > (0 if self._options.interrupted else 1)

    def _steps(self) -> list[_Step]:
        launched, options, steps = self._launched, self._options, list[_Step]()
        there = bool(launched.task)
        self._at_work = there and not launched.draft and launched.status not in lease.ENDED
        page = tasks.page_of(self._api, launched.task) if there else ""
        if launched.requested and not launched.task:
            which = f"with the tag {lease.TAG}" if launched.kind == lease.CHECK else f"of {launched.commit[:12]}"
            steps.append(_Step(f"a draft {which} may exist: archive it", self._archive_lost))
        if self._at_work:
            steps.append(_Step(f"abort the task: {page}", lambda: tasks.stop(self._api, launched.task)))
        if there and options.passed_tree:
            steps.append(_Step("the pass is not on record: check again", lambda: self._remember(options.passed_tree)))
        if launched.side_ref:
            ref = launched.side_ref
            by_hand = f"delete the side ref: git push {ref.remote} --delete {ref.ref}"
            steps.append(_Step(by_hand, lambda: self._delete(ref)))
        if self._at_work and options.wait:
            by_hand = f"see that the agent aborts the task: {page}"
            steps.append(_Step(by_hand, self._confirm, waits=True))
        if there and (options.archive or launched.draft):
            steps.append(_Step(f"archive the task: {page}", self._archive))
        if there and launched.kind == lease.CHECK:
            steps.append(_Step("", self._mark))
        return steps

    def _archive_lost(self) -> None:
        """A task whose id never reached us is a draft, and only the owner's nonce can tell that it is ours."""
        assert self._launched.owner is not None
        lost = leased_tasks.named(self._api, self._launched.kind, self._launched.commit, self._launched.owner)
        if lost:
            tasks.archive(self._api, lost)

    def _delete(self, ref: side_refs.SideRef) -> None:
        side_refs.delete(self._repository, ref, timeout=_HURRIED if self._in_a_hurry else _DELETING)

    def _remember(self, tree: str) -> None:
        marks = () if self._at_work or self._launched.side_ref else (lease.DONE,)  # a kill may leave the ref
        passed_checks.remember(self._api, self._launched.task, tree, *marks)
        self._marked = bool(marks)

    def _mark(self) -> None:
        """Says on the task that no check will touch it again; while an agent may be at work, the next one will."""
        if self._at_work:
            raise CannotDecide("it has not ended")
        if not self._marked:
            tasks.add_tags(self._api, [self._launched.task], [lease.DONE])

    def _archive(self) -> None:
        tasks.archive(self._api, self._launched.task, stopping=self._at_work)

    def _confirm(self) -> None:
        """Waits until the task has ended for good. An agent that took it in that very moment is asked again."""
        if self._until is None:
            self._until = self._clock() + grace_of(self._options.interrupted)
        heeded = 0  # of the signals that have arrived
        ended: float | None = None  # since when
        while True:
            state, problem = self._poll()
            if state is None or state.status in _AT_WORK:
                ended = None
            elif ended is None:
                ended = self._clock()
            for status in self._hold.statuses[heeded:]:
                heeded, self._until = heeded + 1, min(self._until, self._clock() + grace_of(status))
            late = self._in_a_hurry or self._clock() >= self._until
            if state is not None and ended is not None and (late or self._clock() - ended >= _quiet(state)):
                self._at_work = False
                return
            if late:
                raise CannotDecide(problem or f"it is still {state.status if state else 'unknown'}")
            if state is not None and state.status == "in_progress":
                is_next = self._options.interrupted or self._hold.arrived
                with contextlib.suppress(OSError):  # nobody may be left to listen
                    self._say(_WAITING + (" (Ctrl-C stops waiting)" if is_next else ""))
            self._sleep(1.0)

    def _poll(self) -> tuple[TaskState | None, str]:
        """The task as it is now, told once more to stop where that is not on record; else why that is not known."""
        task = self._launched.task
        try:
            self._api.renew(_HURRIED if self._in_a_hurry else math.inf)
            state = tasks.poll_task(self._api, task)
            if state.status in _AT_WORK and state.message != tasks.STOPPING:
                tasks.stop(self._api, task)
            return state, ""
        except (Unauthorized, Forbidden):
            raise
        except CannotDecide as error:
            return None, error.message


def _quiet(state: TaskState) -> float:
    """For how many seconds an ended task has to stay ended, before nobody can be at work on it any more."""
    if state.status != "stopped" or not state.message.startswith(_BY_SERVER):
        return 0.0
    return _TAKEN if state.started else _UNTOUCHED
