"""`git clearml run --queue`, the second half: waits for a task, shows what it is at, has its end told and recorded."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from git_clearml.agent import cleanup as cleaning
from git_clearml.agent import lease as ownership
from git_clearml.agent import queue_end as run_reports
from git_clearml.agent import queue_launch as queue_runs
from git_clearml.agent.poll import Tail
from git_clearml.agent.queue_command import Entry
from git_clearml.agent.watch import RunEnd, Watch
from git_clearml.base.console import Console
from git_clearml.base.ids import is_hash
from git_clearml.base.progress import Progress
from git_clearml.base.sanitize import harmless
from git_clearml.clearml import lease as owners
from git_clearml.clearml import response as answers
from git_clearml.clearml import tasks as agents
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.lease import Owner
from git_clearml.clearml.model import MONITOR, Seen
from git_clearml.commands import run_flags
from git_clearml.errors import CannotDecide, Interrupted, UsageError
from git_clearml.git import side_ref as side_refs
from git_clearml.git.repository import Repository
from git_clearml.model import Commit
from git_clearml.record import record as recording
from git_clearml.record.branch import Target
from git_clearml.record.model import Wish
from git_clearml.render.numbers import number
from git_clearml.verdict.session import VerifySession

_METRICS = 3  # in the live line
_RAN = ("id", "script.version_num", "script.diff", ownership.property_of(owners.RUN))


@dataclass
class Call:
    """One call of `run --queue`, with all that it needs."""

    arguments: argparse.Namespace
    wish: Wish
    console: Console
    repository: Repository
    judging: VerifySession
    api: ClearML
    progress: Progress


@dataclass(frozen=True)
class Awaited:
    """A task to wait for, and where its record goes. `said` is called when no record is owed any more.

    `entry` is what it runs, None where nobody said.
    """

    task: str
    commit: Commit
    where: Target | None
    said: Callable[[], None]
    entry: Entry | None = None


def attach(call: Call) -> int:
    """Follows a task that is there already. Its record goes to the commit that it ran, wherever HEAD is.

    Raises UsageError for a task that the server does not know, or that cannot be recorded.
    """
    task, repository = call.arguments.attach, call.repository
    commit, owner = call.judging.commits[0].commit, None
    if call.wish.kind != "none":
        commit, owner = _ran(call, task)
    if call.arguments.dry_run:
        record = f", then record it ({call.wish.kind}) at {commit.hash[:12]}" if call.wish.kind != "none" else ""
        call.console.product(f"would wait for the task {task}{record}: {agents.page_of(call.api, task)}")
        return 0
    where = recording.target(repository, commit, call.wish)
    call.console.product(f"{task}\n{agents.page_of(call.api, task)}\n")
    return waited(call, Awaited(task, commit, where, lambda: queue_runs.recorded(repository, task, owner)))


def _ran(call: Call, task: str) -> tuple[Commit, Owner | None]:
    """The commit that the task ran, which must be here and all that it ran; and who launched it, if we did."""
    found = ownership.documents(call.api, {"id": [task], "page": 0, "page_size": 1}, _RAN)
    document = next((one for one in found if answers.identity(one) == task), None)
    if document is None:
        raise UsageError(
            f"there is no task {task} on {call.api.server.api}", "see its id on its page: INFO, or the address"
        )
    script = answers.part(document, "script")
    commit = answers.text(script, "version_num")
    if not is_hash(commit):
        raise UsageError(f"the task {task} names no commit: there is none to record it at", "leave --record out")
    if answers.text(script, "diff").strip():
        what = f"the task {task} ran {commit[:12]} with uncommitted changes: it is no result of that commit"
        raise UsageError(what, "leave --record out")
    if not call.repository.trees([commit]):
        what = f"the task {task} ran {commit[:12]}, which is not in this clone"
        raise UsageError(what, "git fetch, then again; or leave --record out")
    return call.repository.resolve([commit])[0].commit, ownership.owner_in(document, owners.RUN)


def waited(call: Call, awaited: Awaited) -> int:
    """Waits for the end, tells it, records it. Returns the exit status."""
    task, timeout = awaited.task, float(call.judging.rulings[0].settings["wait-timeout"].value)
    tail = Tail(call.api, task) if call.arguments.follow else None
    waiting = queue_runs.Waiting(timeout, call.arguments.follow)
    try:
        end, over = queue_runs.wait(call.api, task, waiting, tick=lambda watch: _tick(call, watch, tail))
    except (KeyboardInterrupt, Interrupted):
        _interrupted(call, awaited)
        raise
    if tail:
        _print_log(call, tail)
    if end.status == 4 and call.arguments.abort_on_interrupt:
        _abort(call, task)
        end, over = RunEnd(1, f"{end.sentence}; aborted"), True
    return run_reports.finish(
        run_reports.Finished(task, end, awaited.entry, over, _again(call, task)),
        repository=call.repository,
        commit=awaited.commit,
        policy=call.judging.rulings[0].policy,
        api=call.api,
        wish=call.wish,
        where=awaited.where,
        environment=os.environ,
        console=call.console,
        said=awaited.said,
    )


def _again(call: Call, task: str) -> str:
    """The command that waits for the task once more, and records it in the same way."""
    return shlex.join(["git", "clearml", "run", "--attach", task, *run_flags.record_words(call.arguments)])


def _tick(call: Call, watch: Watch, tail: Tail | None) -> None:
    if tail:
        _print_log(call, tail)
    seen = watch.seen
    if watch.away_since is not None:
        call.progress.state("the server does not answer", f"{watch.now - watch.away_since:.0f} s")
    elif watch.waiting:
        call.progress.state("queued", f"{watch.queued:.0f} s")
    else:
        call.progress.state(seen.status.replace("_", " "), ", ".join([f"{watch.running:.0f} s", *_facts(call, seen)]))


def _facts(call: Call, seen: Seen) -> list[str]:
    """Iteration and newest metrics, the policy's first."""
    facts = [f"iteration {seen.iteration}"] if seen.iteration else []
    name = call.judging.rulings[0].policy.best.metric
    own = [one for one in seen.metrics if not one.metric.startswith(MONITOR)]
    own.sort(key=lambda one: f"{one.metric}/{one.variant}" != name)
    return facts + [
        f"{harmless(one.metric, 20)}/{harmless(one.variant, 20)} {number(one.last)}" for one in own[:_METRICS]
    ]


def _print_log(call: Call, tail: Tail) -> None:
    try:
        lines = tail.lines()
    except CannotDecide:
        return  # the next look tells whether the server is away
    if lines:
        text = "\n".join(harmless(line.rstrip("\r").rpartition("\r")[2]) for line in lines)
        call.console.product(run_reports.without_secrets(text, call.api, os.environ))


def _interrupted(call: Call, awaited: Awaited) -> None:
    """The task goes on, or is aborted. Where it goes on and its record is wished, the next call makes that."""
    if call.arguments.abort_on_interrupt:
        _abort(call, awaited.task)
        awaited.said()
        return
    if call.wish.kind == "none":
        awaited.said()
    call.console.announce(f"the task goes on: {agents.page_of(call.api, awaited.task)} (abort it there)")
    call.console.announce(f"to wait again: {_again(call, awaited.task)}")


def _abort(call: Call, task: str) -> None:
    """Aborts the task and deletes its side ref; says what could not be done."""
    bound = [one for one in side_refs.recorded(call.repository) if one.task == task]
    launched = cleaning.Launched(asked=True, task=task, status="in_progress", side_ref=bound[0] if bound else None)
    for line in cleaning.CleanUp(call.repository, call.api, launched).run(cleaning.Wishes()):
        call.console.warn(f"left behind: {line}")
