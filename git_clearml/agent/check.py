"""`check-runnable` from its beginning to its end: launch, watch, explain, and clean up on every way out (design 8a)."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from git_clearml.agent import failure as explaining
from git_clearml.agent import launch as launching
from git_clearml.agent import leased_tasks
from git_clearml.agent import passes as proofs
from git_clearml.agent import poll as following
from git_clearml.agent import sweep as sweeping
from git_clearml.agent import watch as watching
from git_clearml.agent.check_progress import Teller
from git_clearml.agent.cleanup import GRACE, CleanUp, Launched, Wishes
from git_clearml.agent.launch import Source
from git_clearml.agent.model import Check, CheckOutcome, Limits
from git_clearml.agent.watch import Ending, Watch
from git_clearml.base import process as processes
from git_clearml.base.console import Progress
from git_clearml.clearml import lease as owners
from git_clearml.clearml import projects, queues
from git_clearml.clearml import tasks as agents
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.lease import Owner
from git_clearml.clearml.model import Launch, Queue
from git_clearml.errors import BadAnswer, CannotDecide, Interrupted
from git_clearml.git import side_ref as side_refs
from git_clearml.git.remote import Remote
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Problem
from git_clearml.settings.policy import Runnable

_SLACK = 600.0  # seconds beyond the limits after which anybody may sweep the task
_HURRY = 5.0  # seconds for the agent to confirm after SIGTERM or SIGHUP: a CI job has not many more
_TERMINATED = (143, 129)
_ENTRY_HINT = "see runnable.entry-point and runnable.folder, or --entry-point and --folder"


@dataclass(frozen=True)
class Order:
    """What is to be checked. `repository` overrides the URL that the agent clones; `packages` the requirements file.

    `remote` is where the agent finds the commit, and a side ref goes; None for the one that the branch is pushed to.
    """

    commit: Commit
    rules: Runnable
    repository: str = ""
    packages: tuple[str, ...] = ()
    as_diff: bool = False
    force: bool = False
    away: float = 300.0
    remote: Remote | None = None


def refused(repository: Repository, commit: Commit, rules: Runnable) -> Check | None:
    """The check of a commit that lacks its entry point, which needs no agent; None when it has it."""
    why = launching.missing_entry_point(repository, commit, rules)
    if not why:
        return None
    check = Check(CheckOutcome.FAILED, 1, commit.hash, commit.tree, queue=rules.queue)
    return replace(check, sentence=why, cause="entry-point-missing", hint=_ENTRY_HINT)


class Checking:
    """One check. `run` it once; nothing of it is left afterwards but what the Check says."""

    def __init__(
        self,
        repository: Repository,
        api: ClearML,
        order: Order,
        progress: Progress,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._repository, self._api, self._order, self._progress = repository, api, order, progress
        self._sleep, self._clock, self._now = sleep, clock, now
        self._limits = Limits(order.rules.queue_timeout, order.rules.execution_timeout, order.away)
        self._launched = Launched(owners.CHECK)
        self._watch: Watch | None = None
        self._notes: list[str] = []

    def run(self) -> Check:
        """Checks. Raises UsageError and BadSetting for what can never be checked, with nothing left behind."""
        order = self._order
        check = Check(CheckOutcome.UNDECIDED, 3, order.commit.hash, order.commit.tree, queue=order.rules.queue)
        try:
            check = self._attempted(check)
        except BaseException:
            for line in self._clean_up(check)[0]:
                self._progress.warn(f"left behind: {line}")
            raise
        return self._closed(check)

    def _attempted(self, check: Check) -> Check:
        """The check before the cleaning up, however it ended."""
        try:
            return refused(self._repository, self._order.commit, self._order.rules) or self._checked(check)
        except (KeyboardInterrupt, Interrupted) as interruption:
            return _interrupted(check, interruption.status if isinstance(interruption, Interrupted) else 130)
        except CannotDecide as error:
            problem = Problem(error.code, error.message, error.hint)
            return replace(check, problems=(problem,), sentence=error.message, hint=error.hint)

    def _checked(self, check: Check) -> Check:
        """Everything up to the end of the watching. What can be refused is, before anything is made anywhere."""
        order, rules, api = self._order, self._order.rules, self._api
        launch, notes = launching.of_check(self._repository, order.commit, rules, order.packages)
        if not order.force:
            earlier = proofs.passed(api, [order.commit.tree], rules, order.packages).get(order.commit.tree)
            if earlier:
                words = "a check of the same files has passed before (--force checks again)"
                passed = _ended(check, Ending(CheckOutcome.RUNNABLE, words))
                return replace(passed, task=earlier, url=agents.page_of(api, earlier), earlier=True)
        api.renew()
        queue = queues.queue(api, rules.queue)
        if not queue.workers:
            return explaining.without_worker(api, check)
        source = launching.source(
            self._repository,
            order.commit.hash,
            override=order.repository,
            as_diff=order.as_diff,
            remote=order.remote,
        )
        self._notes += [*source.notes, *notes]
        sweeping.sweep(self._repository, api, archive=rules.archive != "never", say=self._progress.event, now=self._now)
        api.renew()
        project = projects.project(api, rules.project)
        for note in self._notes:
            self._progress.event(note)
        self._launch(launching.of_source(launch, source), project, source, queue)
        return self._watched(replace(check, task=self._launched.task), queue)

    def _launch(self, launch: Launch, project: str, source: Source, queue: Queue) -> None:
        """Makes the task and puts it on the queue. Whatever exists from here on, cleaning up knows of it."""
        api, launched, order = self._api, self._launched, self._order
        if source.needs_side_ref:
            lifetime = self._limits.queued + self._limits.running + _SLACK
            made = side_refs.push(
                self._repository, source.remote, order.commit.hash, told=launched.pushing, needed=lifetime
            )
            self._progress.event(f"pushed {made.ref}")
        launched.commit = launch.commit
        launched.owner = owner = self._owner()
        document = agents.body(launch, project, [owners.to_property(owner, owners.CHECK)])
        launched.asked = launched.draft = True
        launched.task = self._made(document, owner)
        api.renew()
        named = owners.to_property(replace(owner, task=launched.task), owners.CHECK)
        agents.set_property(api, launched.task, document, named)
        launched.draft = False
        api.renew()
        agents.enqueue(api, launched.task, queue.id)
        self._progress.event(f"task {launched.task} is on the queue {queue.name!r}")
        self._progress.event(agents.page_of(api, launched.task))

    def _made(self, document: Mapping[str, Any], owner: Owner) -> str:
        """The id of the task made from this document, which is ours for certain: it bears our nonce."""
        api = self._api
        try:
            api.renew()
            task = agents.create(api, document)
            if not leased_tasks.bears(api, owners.CHECK, task, owner):
                raise BadAnswer("the server answered with the id of another task", "is it a ClearML API server?")
            return task
        except CannotDecide:  # perhaps it was made, and only the answer was lost
            api.renew()
            found = leased_tasks.named(api, owners.CHECK, self._launched.commit, owner)
            if not found:
                raise
            return found

    def _owner(self) -> Owner:
        order, limits, side_ref = self._order, self._limits, self._launched.side_ref
        return Owner(
            host=processes.here(),
            pid=os.getpid(),
            pid_started=processes.started(os.getpid()),
            nonce=secrets.token_hex(8),
            deadline=self._now() + limits.queued + limits.running + _SLACK,
            tree=order.commit.tree,
            what=proofs.digest(order.rules, order.packages),
            side_ref=side_ref.ref if side_ref else "",
        )

    def _watched(self, check: Check, queue: Queue) -> Check:
        teller = Teller(self._api, self._progress, check.task, queue.name, self._limits)

        def decide(watch: Watch) -> Ending | None:
            self._watch = watch  # an interrupt leaves us with what we know
            return watching.ending(watch, self._limits, queue.id)

        watch, ending = following.follow(
            self._api,
            check.task,
            decide,
            tick=teller.tick,
            limits=self._limits,
            sleep=self._sleep,
            clock=self._clock,
        )
        return explaining.explained(self._api, _ended(check, ending), watch, sleep=self._sleep)

    def _closed(self, check: Check) -> Check:
        """The check after cleaning up, with all that is known."""
        left, interrupted = self._clean_up(check)
        if interrupted and check.outcome is not CheckOutcome.INTERRUPTED:
            check = _interrupted(check, interrupted)
        watch, task = self._watch, self._launched.task
        if watch is not None:
            check = replace(check, seconds_queued=watch.queued, seconds_running=watch.running, worker=watch.seen.worker)
        if task:
            check = replace(check, task=task, url=agents.page_of(self._api, task))
        return replace(check, left=tuple(left), notes=(*check.notes, *self._notes))

    def _clean_up(self, check: Check) -> tuple[list[str], int]:
        """What could not be cleaned up, and the status of an interrupt in the midst of it, 0 for none."""
        passed, rule = check.outcome is CheckOutcome.RUNNABLE, self._order.rules.archive
        wishes = Wishes(
            # a task that was never seen on its queue has nothing to show
            archive=self._watch is None or rule == "always" or (rule == "success" and passed),
            proved=check.tree if passed else "",
            grace=_HURRY if check.status in _TERMINATED else GRACE,
        )
        if self._watch is not None:
            self._launched.status = "queued" if self._watch.waiting else self._watch.seen.status
        cleaning = CleanUp(
            self._repository,
            self._api,
            self._launched,
            patience=0 if check.outcome is CheckOutcome.INTERRUPTED else 1,
            say=self._progress.state,
            sleep=self._sleep,
            clock=self._clock,
        )
        try:
            return cleaning.run(wishes), cleaning.interrupted
        finally:
            self._api.close()


def _interrupted(check: Check, status: int) -> Check:
    words = f"interrupted; before that: {check.sentence}" if check.sentence else "interrupted"
    return replace(check, outcome=CheckOutcome.INTERRUPTED, status=status, sentence=words, hint="")


def _ended(check: Check, ending: Ending) -> Check:
    outcome = ending.outcome
    return replace(check, outcome=outcome, status=outcome.status, sentence=ending.sentence, cause=ending.cause)
