"""`check-runnable` from its beginning to its end: launch, watch, explain, and clean up however it ended (design 8a)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from git_clearml.agent import failure, interrupt, launch, leased_tasks, passed_checks, poll, sweep
from git_clearml.agent.check_progress import CheckProgress
from git_clearml.agent.cleanup import CleanupOptions, CleanupResult, Launched, cleanup
from git_clearml.agent.launch import Source
from git_clearml.agent.model import Check, CheckOutcome, Limits
from git_clearml.agent.watch import Ending, Watch, check_end
from git_clearml.base import signals
from git_clearml.base.console import Progress
from git_clearml.clearml import lease, projects, queues, tasks
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.config import DOCTOR
from git_clearml.clearml.lease import Lease
from git_clearml.clearml.model import Launch, Queue
from git_clearml.errors import BadAnswer, CannotDecide, Interrupted
from git_clearml.git import side_ref as side_refs
from git_clearml.git.remote import Remote
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Problem
from git_clearml.settings.policy import Runnable

_SLACK = 600.0  # seconds beyond the limits after which anybody may sweep the task
_USUAL = ("train.py", "main.py", "src/train.py")
_ENTRY_HINT = "git clearml check-runnable --entry-point <file> --folder <directory>"


@dataclass(frozen=True)
class CheckOrder:
    """What is to be checked. `repository` overrides the URL that the agent clones; `packages` the requirements file.

    `remote` is where the agent finds the commit, and a side ref goes; None for the one that the branch is pushed to.
    """

    commit: Commit
    rules: Runnable
    repository: str = ""
    packages: tuple[str, ...] = ()
    as_diff: bool = False
    force: bool = False
    remote: Remote | None = None


def refused_check(repository: Repository, commit: Commit, rules: Runnable) -> Check | None:
    """The check of a commit that lacks its entry point, which needs no agent; None when it has it."""
    why = launch.missing_entry_point(repository, commit, rules)
    if not why:
        return None
    check = Check(CheckOutcome.FAILED, 1, commit.hash, commit.tree, queue=rules.queue)
    usual = repository.existing_files((commit.hash, path) for path in _USUAL if rules.folder == ".")
    names = [f"git clearml check-runnable --entry-point {path} {commit.hash[:12]}" for _, path in sorted(usual)]
    return replace(check, sentence=why, cause="entry-point-missing", hint=names[0] if names else _ENTRY_HINT)


class RunnableCheck:
    """One check. `run` it once; nothing of it is left afterwards but what the Check says."""

    def __init__(
        self,
        repository: Repository,
        api: ClearML,
        order: CheckOrder,
        progress: Progress,
        *,
        sleep: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._repository, self._api, self._order, self._progress = repository, api, order, progress
        self._sleep, self._clock, self._now = sleep, clock, now
        self._limits = Limits(order.rules.queue_timeout, order.rules.execution_timeout)
        self._launched = Launched(lease.CHECK)
        self._watch: Watch | None = None
        self._notes: list[str] = []

    def run(self) -> Check:
        """Checks. Raises UsageError and BadSetting for what can never be checked, with nothing left behind."""
        order = self._order
        check = Check(CheckOutcome.UNDECIDED, 3, order.commit.hash, order.commit.tree, queue=order.rules.queue)
        with signals.held() as hold:  # from what a signal raises until all is cleaned up, nothing else is raised
            try:
                with hold.released():
                    check = self._attempted(check)
            except (KeyboardInterrupt, Interrupted) as interruption:
                check = interrupt.interrupted(check, signals.status_of(interruption))
            except BaseException:
                for line in self._clean_up(check).left:
                    self._progress.warn(f"left behind: {line}")
                raise
            check = self._closed(check)
            if hold.arrived and check.outcome is not CheckOutcome.INTERRUPTED:
                check = interrupt.interrupted(check, hold.statuses[-1])
            hold.drop()
            return check

    def _attempted(self, check: Check) -> Check:
        """The check before the cleaning up, however it ended. Raises what a signal raises."""
        try:
            return refused_check(self._repository, self._order.commit, self._order.rules) or self._checked(check)
        except CannotDecide as error:
            problem = Problem.of(error)
            return replace(check, problems=(problem,), sentence=error.message, hint=error.hint)

    def _checked(self, check: Check) -> Check:
        """Everything up to the end of the watching. What can be refused is, before anything is made anywhere."""
        order, rules, api = self._order, self._order.rules, self._api
        task, notes = launch.check_launch(self._repository, order.commit, rules, order.packages)
        if not order.force:
            earlier = passed_checks.passed(api, [order.commit.tree], rules, order.packages).get(order.commit.tree)
            if earlier:
                words = "a check of the same files has passed before (--force checks again)"
                passed = ended_check(check, Ending(CheckOutcome.RUNNABLE, words))
                return replace(passed, task=earlier, url=tasks.page_of(api, earlier), earlier=True)
        api.renew()
        queue = queues.queue(api, rules.queue)
        if not queue.workers:
            return failure.without_worker(api, check)
        source = launch.find_source(
            self._repository, order.commit.hash, override=order.repository, as_diff=order.as_diff, remote=order.remote
        )
        self._notes += [*source.notes, *notes]
        sweep.sweep(self._repository, api, archive=rules.archive != "never", say=self._progress.event, now=self._now)
        api.renew()
        project = projects.project(api, rules.project)
        for note in self._notes:
            self._progress.event(note)
        self._launch(launch.with_source(task, source), project, source, queue)
        return self._watched(replace(check, task=self._launched.task), queue)

    def _launch(self, task: Launch, project: str, source: Source, queue: Queue) -> None:
        """Makes the task and puts it on the queue. Whatever exists from here on, cleaning up knows of it."""
        api, launched, order = self._api, self._launched, self._order
        if source.needs_side_ref:
            lifetime = self._limits.queued + self._limits.running + _SLACK
            pushed = side_refs.push(
                self._repository, source.remote, order.commit.hash, keeper=launched.pushing, needed=lifetime
            )
            self._progress.event(f"pushed {pushed.ref}")
        launched.commit = task.commit
        deadline = self._now() + self._limits.queued + self._limits.running + _SLACK
        what = passed_checks.digest(order.rules, order.packages)
        launched.owner = owner = leased_tasks.new_lease(deadline, order.commit.tree, what, launched.side_ref)
        document = tasks.body(task, project, [lease.to_property(owner, lease.CHECK)])
        launched.requested = launched.draft = True
        with signals.held():  # what the server is doing meanwhile cannot be taken back
            launched.task = leased_tasks.created(
                api, lease.CHECK, task.commit, owner, lambda: self._create(document, owner)
            )
        api.renew()
        tasks.sign(api, launched.task, document, owner, lease.CHECK)
        with signals.held():
            launched.draft = False
            api.renew()
            tasks.enqueue(api, launched.task, queue.id)
        self._progress.event(f"task {launched.task} is on the queue {queue.name!r}")
        self._progress.event(tasks.page_of(api, launched.task))

    def _create(self, document: Mapping[str, Any], owner: Lease) -> str:
        """The id of the task made from this document, which is ours for certain: it bears our nonce."""
        self._api.renew()
        task = tasks.create(self._api, document)
        if not leased_tasks.bears(self._api, lease.CHECK, task, owner):
            raise BadAnswer("the server answered with the id of another task", DOCTOR)
        return task

    def _watched(self, check: Check, queue: Queue) -> Check:
        progress = CheckProgress(self._api, self._progress, check.task, queue.name, self._limits)

        sleep = self._sleep or time.sleep

        def decide(watch: Watch) -> Ending | None:
            self._watch = watch  # an interrupt leaves us with what we know
            return check_end(watch, self._limits, queue.id)

        watches, ends = poll.follow(
            self._api,
            {check.task: poll.begun(self._clock())},
            decide,
            tick=lambda watches: progress.update(watches[check.task]),
            limits=self._limits,
            sleep=sleep,
            clock=self._clock,
        )
        return failure.explained(self._api, ended_check(check, ends[check.task]), watches[check.task], sleep=sleep)

    def _closed(self, check: Check) -> Check:
        """The check after cleaning up, with all that is known."""
        result = self._clean_up(check)
        if result.interrupted and check.outcome is not CheckOutcome.INTERRUPTED:
            check = interrupt.interrupted(check, result.interrupted)
        watch, task = self._watch, self._launched.task
        if watch is not None:
            check = replace(check, seconds_queued=watch.queued, seconds_running=watch.running, worker=watch.seen.worker)
        if task:
            check = replace(check, task=task, url=tasks.page_of(self._api, task))
        return replace(check, left=tuple(result.left), notes=(*check.notes, *self._notes))

    def _clean_up(self, check: Check) -> CleanupResult:
        passed, rule = check.outcome is CheckOutcome.RUNNABLE, self._order.rules.archive
        options = CleanupOptions(
            # a task that was never seen on its queue has nothing to show
            archive=self._watch is None or rule == "always" or (rule == "success" and passed),
            passed_tree=check.tree if passed else "",
            interrupted=check.status if check.outcome is CheckOutcome.INTERRUPTED else 0,
        )
        launched = self._launched
        if self._watch is not None:
            launched.status = "queued" if self._watch.waiting else self._watch.seen.status
        say = self._progress.state
        try:
            return cleanup(
                self._repository, self._api, launched, options, say=say, sleep=self._sleep, clock=self._clock
            )
        finally:
            self._api.close()


def ended_check(check: Check, ending: Ending) -> Check:
    """The check with the outcome, the sentence and the cause of its end. Pure."""
    outcome = ending.outcome
    return replace(check, outcome=outcome, status=outcome.status, sentence=ending.sentence, cause=ending.cause)
