"""`check-runnable` from its beginning to its end: launch, watch, explain, and clean up on every way out (design 8a)."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from git_clearml import (
    agents,
    causes,
    following,
    launching,
    owners,
    ownership,
    processes,
    proofs,
    side_refs,
    sweeping,
    watching,
)
from git_clearml.cleaning import CleanUp, Launched, Wishes
from git_clearml.clearml_api import ClearML
from git_clearml.errors import CannotDecide, Error, Interrupted
from git_clearml.launches import Check, CheckOutcome, Limits, Owner, Queue
from git_clearml.model import Commit, Problem, Runnable
from git_clearml.progress import Progress
from git_clearml.repository import Repository
from git_clearml.watching import Ending, Watch

_SLACK = 600.0  # seconds beyond the limits after which anybody may sweep the task
_TAIL = 20


@dataclass(frozen=True)
class Order:
    """What is to be checked. `repository` overrides the URL that the agent clones; `packages` the requirements file."""

    commit: Commit
    rules: Runnable
    repository: str = ""
    packages: tuple[str, ...] = ()
    as_diff: bool = False
    force: bool = False
    away: float = 300.0


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
        self._launched = Launched()
        self._watch: Watch | None = None
        self._phase: causes.Phase | None = None
        self._notes: list[str] = []

    def run(self) -> Check:
        """Checks. Raises UsageError and BadSetting for what can never be checked, with nothing left behind."""
        order = self._order
        check = Check(CheckOutcome.UNDECIDED, 3, order.commit.hash, order.commit.tree, queue=order.rules.queue)
        refused = launching.missing_entry_point(self._repository, order.commit, order.rules)
        if refused:
            words = "see runnable.entry-point and runnable.folder, or --entry-point and --folder"
            return _ended(check, Ending(CheckOutcome.FAILED, refused, "entry-point-missing"), hint=words)
        try:
            check = self._checked(check)
        except (KeyboardInterrupt, Interrupted) as interruption:
            status = interruption.status if isinstance(interruption, Interrupted) else 130
            check = replace(check, outcome=CheckOutcome.INTERRUPTED, status=status, sentence="interrupted")
        except CannotDecide as error:
            problem = Problem(error.code, error.message, error.hint)
            check = replace(check, problems=(problem,), sentence=error.message, hint=error.hint)
        except BaseException:
            self._clean_up(check)  # what it leaves is said nowhere but on the server: the error goes first
            raise
        return self._closed(check)

    def _checked(self, check: Check) -> Check:
        """Everything up to the end of the watching."""
        order, rules = self._order, self._order.rules
        if not order.force:
            earlier = proofs.passed(self._api, [order.commit.tree], rules).get(order.commit.tree)
            if earlier:
                words = "a check of the same files has passed before (--force checks again)"
                passed = Ending(CheckOutcome.RUNNABLE, words)
                return replace(
                    _ended(check, passed), task=earlier, url=agents.page_of(self._api, earlier), earlier=True
                )
        queue = agents.queue(self._api, rules.queue)
        if not queue.workers:
            words = f"no live worker serves the queue {rules.queue!r}"
            return _ended(check, Ending(CheckOutcome.NO_WORKER, words), hint=self._other_queues())
        sweeping.sweep(
            self._repository, self._api, archive=rules.archive != "never", say=self._progress.event, now=self._now
        )
        self._launch(queue)
        watch, ending = following.follow(
            self._api,
            self._launched.task,
            self._decide,
            tick=lambda watch: self._tick(watch, queue),
            limits=self._limits,
            sleep=self._sleep,
            clock=self._clock,
        )
        self._watch = watch
        return self._explained(_ended(check, ending), queue)

    def _decide(self, watch: Watch) -> Ending | None:
        self._watch = watch  # an interrupt leaves us with what we know
        return watching.ending(watch, self._limits)

    def _launch(self, queue: Queue) -> None:
        """Makes the task and puts it on the queue. Whatever exists from here on, cleaning up knows of it."""
        order, api = self._order, self._api
        api.renew()
        project = agents.project(api, order.rules.project)
        source = launching.source(self._repository, order.commit.hash, override=order.repository, as_diff=order.as_diff)
        self._notes += source.notes
        if source.needs_side_ref:
            self._launched.side_ref = side_refs.push(self._repository, source.remote, order.commit.hash)
            self._progress.event(f"pushed the commit as {self._launched.side_ref.ref}, which is deleted afterwards")
        launch, notes = launching.of_check(self._repository, order.commit, order.rules, source, order.packages)
        self._notes += notes
        for note in (*source.notes, *notes):
            self._progress.event(note)
        limits = self._limits
        self._launched.commit = launch.commit
        self._launched.owner = owner = Owner(
            host=processes.here(),
            pid=os.getpid(),
            pid_started=processes.started(os.getpid()),
            nonce=secrets.token_hex(8),
            deadline=self._now() + limits.queued + limits.running + _SLACK,
            tree=order.commit.tree,
            what=proofs.digest(order.rules, order.packages),
            side_ref=self._launched.side_ref.ref if self._launched.side_ref else "",
        )
        api.renew()
        document = agents.body(launch, project, [owners.to_property(owner, owners.CHECK)])
        self._create(document, owner, queue)

    def _create(self, document: dict[str, Any], owner: Owner, queue: Queue) -> None:
        api, launched = self._api, self._launched
        launched.asked = True
        try:
            launched.task = agents.create(api, document)
        except CannotDecide:  # perhaps only the answer was lost
            api.renew()
            launched.task = ownership.named(api, owners.CHECK, launched.commit, owner)
            if not launched.task:
                raise
        agents.set_property(
            api, self._launched.task, document, owners.to_property(replace(owner, task=launched.task), owners.CHECK)
        )
        agents.enqueue(api, self._launched.task, queue.id)
        self._progress.event(
            f"task {self._launched.task} is on the queue {queue.name!r}: {agents.page_of(api, self._launched.task)}"
        )

    def _tick(self, watch: Watch, queue: Queue) -> None:
        """One look more: say how it stands. Details cost requests and are asked for only where somebody watches."""
        if watch.away_since is not None:
            self._progress.state("the server does not answer", f"{watch.now - watch.away_since:.0f} s")
        elif watch.waiting:
            detail = f"{watch.queued:.0f} of {self._limits.queued:.0f} s"
            self._progress.state(f"queued in {queue.name!r}", detail + self._place(watch))
        else:
            phase = self._phase_now() or "starting"
            detail = f"{watch.running:.0f} of {self._limits.running:.0f} s on {watch.seen.worker or 'a worker'}"
            self._progress.state(phase, detail)

    def _place(self, watch: Watch) -> str:
        if not self._progress.live:
            return ""
        try:
            place, length = agents.position(self._api, watch.seen.queue, self._launched.task)
        except CannotDecide:
            return ""
        return f", {place} of {length}" if place else ""

    def _phase_now(self) -> str:
        with contextlib.suppress(CannotDecide):
            self._phase = causes.phase(agents.console(self._api, self._launched.task, 100)) or self._phase
        return self._phase.value if self._phase else ""

    def _explained(self, check: Check, queue: Queue) -> Check:
        """The check with its cause and the end of the log, where it is no pass."""
        if check.outcome is CheckOutcome.RUNNABLE or self._watch is None:
            return check
        self._api.renew()
        if check.cause == "queue-timeout":
            return self._unserved(check, queue)
        try:
            lines = agents.console(self._api, self._launched.task)
        except CannotDecide as error:
            return replace(check, notes=(*check.notes, f"its log could not be read: {error.message}"))
        seen = self._watch.seen
        if check.outcome is CheckOutcome.FAILED and not check.cause:
            cause = causes.classify(lines, status_message=seen.message, status_reason=seen.reason)
            sentence = f"{check.sentence}: {cause.sentence}" if cause.sentence else check.sentence
            check = replace(check, cause=cause.code, sentence=sentence)
        return replace(check, log_tail=causes.tail(lines, _TAIL))

    def _unserved(self, check: Check, queue: Queue) -> Check:
        """A queue that lost its workers meanwhile is no fault of the commit."""
        try:
            if agents.queue(self._api, queue.name).workers:
                return check
            words = f"no live worker serves the queue {queue.name!r} any more"
            return _ended(check, Ending(CheckOutcome.NO_WORKER, words), hint=self._other_queues())
        except Error:
            return check

    def _other_queues(self) -> str:
        start = f"start one: clearml-agent daemon --queue {shlex.quote(self._order.rules.queue)}"
        with contextlib.suppress(CannotDecide):
            return f"{start}; queues with workers: {agents.served(self._api)}"
        return start

    def _closed(self, check: Check) -> Check:
        """The check after cleaning up, with all that is known."""
        watch = self._watch
        if watch is not None:
            check = replace(check, seconds_queued=watch.queued, seconds_running=watch.running, worker=watch.seen.worker)
        left = self._clean_up(check)
        if self._launched.task:
            task = self._launched.task
            check = replace(check, task=task, url=agents.page_of(self._api, task))
        return replace(check, left=tuple(left), notes=(*check.notes, *self._notes))

    def _clean_up(self, check: Check) -> list[str]:
        """What could not be cleaned up. After SIGTERM a CI job has seconds: nobody waits for the agent then."""
        passed = check.outcome is CheckOutcome.RUNNABLE
        rule = self._order.rules.archive
        wishes = Wishes(
            archive=rule == "always" or (rule == "success" and passed),
            proved=check.tree if passed and not check.earlier else "",
            wait=check.status != 143,
        )
        if self._watch is not None:
            self._launched.status = self._watch.seen.status or "deleted"
        cleaning = CleanUp(self._repository, self._api, self._launched, sleep=self._sleep, clock=self._clock)
        try:
            return cleaning.run(wishes)
        finally:
            self._api.close()


def _ended(check: Check, ending: Ending, hint: str = "") -> Check:
    status = ending.outcome.status
    return replace(
        check, outcome=ending.outcome, status=status, sentence=ending.sentence, cause=ending.cause, hint=hint
    )
