"""`git clearml run --queue`, the second half: waits for a task, shows its state, tells and records its end."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from git_clearml.agent import failure, queue_end, queue_launch, queue_wait, sweep
from git_clearml.agent.poll import Tail
from git_clearml.agent.queue_command import Entry
from git_clearml.agent.queue_end import QueueEnd
from git_clearml.agent.queue_launch import QueueRun, Started
from git_clearml.agent.queue_request import QueueOrder
from git_clearml.agent.watch import RunEnd, Watch
from git_clearml.base import signals
from git_clearml.base.console import Console, Progress
from git_clearml.base.sanitize import Safe, sanitize, sanitize_lines
from git_clearml.clearml import tasks
from git_clearml.clearml.client import ClearML
from git_clearml.commands import run_flags
from git_clearml.errors import CannotDecide, Error, Interrupted, PublishFailed
from git_clearml.forge import run_outputs
from git_clearml.git.remote_branch import RemoteBranch
from git_clearml.git.repository import Repository
from git_clearml.model import Commit
from git_clearml.record import record as records
from git_clearml.record.model import FinishedRun, RecordOptions
from git_clearml.render import queue_run as view
from git_clearml.report import result as reports
from git_clearml.run.ownership import AT_WORK
from git_clearml.settings.policy import Policy
from git_clearml.verdict.session import VerifySession


@dataclass
class Call:
    """One call of `run --queue`, with all that it needs."""

    arguments: argparse.Namespace
    recording: RecordOptions
    console: Console
    repository: Repository
    judging: VerifySession
    api: ClearML
    progress: Progress

    @property
    def commit(self) -> Commit:
        return self.judging.commits[0].commit

    @property
    def policy(self) -> Policy:
        return self.judging.rulings[0].policy

    def say(self, line: str) -> None:
        self.console.say(f"git clearml: {line}")


@dataclass(frozen=True)
class Awaited:
    """A task to wait for, and where its record goes. `settled` is called when no record is owed any more.

    `entry` is what it runs, None where that is not known.
    """

    task: str
    commit: Commit
    where: RemoteBranch | None
    settled: Callable[[], None]
    entry: Entry | None = None


@dataclass(frozen=True)
class Ordered:
    """What is to be launched: the order, what it runs (None where that is not known), and notes for the reader."""

    order: QueueOrder
    entry: Entry | None
    notes: tuple[str, ...] = ()


def start(call: Call, launch: QueueRun, ordered: Ordered) -> Started:
    """Launches it, or attaches to what an earlier call has launched, and tells which task and where."""
    started = launch.start()
    for note in () if started.attached else (*ordered.notes, *started.notes):
        call.say(note)
    how = "attached to" if started.attached else "launched"
    call.say(f"{how} the task of {ordered.order.commit.hash[:12]} on the queue {ordered.order.queue!r}")
    call.console.product(sanitize_lines(f"{started.task}\n{started.url}\n"))
    return started


def attach(call: Call) -> int:
    """Follows a task that is there already. Its record goes to the commit that it ran, wherever HEAD is.

    Raises UsageError for a task that the server does not know, or that cannot be recorded.
    """
    task, repository = call.arguments.attach, call.repository
    commit, owner = call.commit, None
    if call.recording.kind != "none":
        commit, owner = queue_wait.recordable_commit(repository, call.api, task)
    if call.arguments.dry_run:
        record = (
            f", then record it ({call.recording.kind}) at {commit.hash[:12]}" if call.recording.kind != "none" else ""
        )
        call.console.product(sanitize(f"would wait for the task {task}{record}: {tasks.page_of(call.api, task)}"))
        return 0
    where = records.find_target(repository, commit.hash, call.recording)
    awaited = Awaited(task, commit, where, lambda: queue_launch.recorded(repository, task, owner))
    with interruptible(call, lambda: [awaited]):
        call.console.product(sanitize_lines(f"{task}\n{tasks.page_of(call.api, task)}\n"))
        waited = wait(call, awaited)
    return finish(call, awaited, waited)


@contextlib.contextmanager
def interruptible(call: Call, awaited: Callable[[], Sequence[Awaited]]) -> Iterator[None]:
    """Inside, a signal ends the waiting: the tasks go on, or are aborted. `awaited` tells those that there are."""
    with signals.held() as hold:
        try:
            with hold.released():
                yield
        except (KeyboardInterrupt, Interrupted) as interruption:
            there = awaited()
            if call.arguments.abort_on_interrupt and len(there) > 1:
                _abort_all(call, there, signals.status_of(interruption))
            else:
                for task in there:
                    _interrupted(call, task, signals.status_of(interruption))
            raise


def wait(call: Call, awaited: Awaited) -> RunEnd:
    """Waits for the end, or until the time is up."""
    task, timeout = awaited.task, call.judging.rulings[0].personal.wait_timeout
    tail = Tail(call.api, task) if call.arguments.follow else None
    end = queue_wait.wait(call.api, task, timeout, tick=lambda watch: _tick(call, watch, tail))
    if tail:
        _print_log(call, tail)
    return given_up(call, task, end)


def given_up(call: Call, task: str, end: RunEnd) -> RunEnd:
    """How the waiting ended, after what is to be done with a task that has not; with the last sign of life of an agent
    that is dead."""
    if end.status == 4 and call.arguments.abort_on_interrupt:
        _abort(call, task)
        return RunEnd(1, f"{end.sentence}; aborted")
    return end if end.over else replace(end, sentence=failure.with_sign(call.api, end.sentence, task))


def finish(call: Call, awaited: Awaited, end: RunEnd) -> int:
    """Tells the end, and records it. Returns the exit status: the run's, 3 where a good one is not recorded.

    It deletes the side ref and records before it prints the end: whoever reads that may have left.
    """
    if end.status != 4:
        with signals.held():
            sweep.settle(call.repository, call.api, say=call.say)
    ended = queue_end.read(call.api, awaited.task, end, entry=awaited.entry, environment=os.environ)
    status = end.status
    problem = _record(call, awaited, ended) if status in (0, 1) else None
    is_owed = call.recording.kind != "none" and (problem is not None or not end.over)
    if not is_owed:
        awaited.settled()
    if is_owed or not end.over:
        call.console.announce(f"to {'record it' if end.over else 'wait again'}: {_again(call, awaited.task)}")
    status = status or (3 if problem else 0)
    report = reports.of_result(ended.result, call.policy)
    try:
        run_outputs.tell_end(ended, report, os.environ)
    except CannotDecide as error:
        call.console.fail(error)
        status = status or 3
    call.console.product(view.text(ended, report))
    return status


def _record(call: Call, awaited: Awaited, ended: QueueEnd) -> Error | None:
    """Records the result as it is wished. What prevented that, which has been printed; None when nothing is owed."""
    if ended.problem and call.recording.kind == "none":
        call.console.warn(f"what the task came to is not known: {ended.problem.message}")
        return None
    try:
        if ended.problem:
            raise PublishFailed(f"not recorded: {ended.problem.message}", ended.problem.hint)
        records.record(
            call.repository,
            FinishedRun(awaited.commit.hash, (ended.result,), ended.end.status == 0),
            call.recording,
            target=awaited.where,
            environment=os.environ,
            say=call.say,
            warn=call.console.warn,
        )
    except Error as error:
        call.console.fail(error)
        return error
    return None


def _again(call: Call, task: str) -> str:
    """The command that waits for the task once more, and records it in the same way."""
    return shlex.join(["git", "clearml", "run", "--attach", task, *run_flags.record_words(call.arguments)])


def _tick(call: Call, watch: Watch, tail: Tail | None) -> None:
    if tail:
        _print_log(call, tail)
    call.progress.state(*view.progress(watch, call.policy.best.metric))


def _print_log(call: Call, tail: Tail) -> None:
    try:
        lines = tail.lines()
    except CannotDecide:
        return  # the next poll tells whether the server is unavailable
    if lines:
        call.console.product(Safe(queue_end.secrets_of(call.api, os.environ).redact(view.log_lines(lines))))


def _interrupted(call: Call, awaited: Awaited, status: int) -> None:
    """The task goes on, or is aborted. Where it goes on and its record is wished, the next call makes that."""
    if call.arguments.abort_on_interrupt:
        _abort(call, awaited.task, status)
        awaited.settled()
        return
    if call.recording.kind == "none":
        awaited.settled()
    call.console.announce(f"the task goes on: {tasks.page_of(call.api, awaited.task)} (abort it there)")
    call.console.announce(f"to wait again: {_again(call, awaited.task)}")


def _abort_all(call: Call, there: Sequence[Awaited], status: int) -> None:
    """Aborts several: all are told at once, since whoever kills us does not wait for each one's agent; then the last is
    waited for, and those that are still at work by then are named."""
    *others, last = there
    call.api.close()  # the request that the signal cut short may still use the connection
    for task in there:
        with contextlib.suppress(CannotDecide):  # is told with what is left behind
            call.api.renew()
            tasks.stop(call.api, task.task)
    for task in others:
        for line in queue_wait.abort(call.repository, call.api, task.task, status, wait=False):
            call.console.warn(f"left behind: {line}")
    _abort(call, last.task, status)
    for task in others:
        with contextlib.suppress(CannotDecide):
            call.api.renew()
            if tasks.poll_task(call.api, task.task).status in AT_WORK:
                tasks.stop(call.api, task.task)
                page = tasks.page_of(call.api, task.task)
                call.console.warn(f"left behind: see that the agent aborts the task: {page}")
    for task in there:
        task.settled()


def _abort(call: Call, task: str, status: int = 0) -> None:
    """Aborts the task and deletes its side ref; says what could not be done."""
    for line in queue_wait.abort(call.repository, call.api, task, status):
        call.console.warn(f"left behind: {line}")
