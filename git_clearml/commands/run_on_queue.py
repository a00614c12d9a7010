"""`git clearml run --queue`: the half of `run` that works through an agent."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
from collections.abc import Sequence

from git_clearml.agent import queue_command, queue_request
from git_clearml.agent.queue_launch import QueueRun
from git_clearml.agent.queue_request import QueueOrder
from git_clearml.agent.required_check import passed_check
from git_clearml.base.console import Console, Progress
from git_clearml.base.ids import FIND_THE_ID, is_clearml_id, is_page, is_uuid
from git_clearml.clearml import page
from git_clearml.clearml.connect import connect
from git_clearml.commands import run_flags, run_waiting
from git_clearml.commands.run_waiting import Awaited, Call, Ordered
from git_clearml.errors import UnknownRevision, UsageError
from git_clearml.forge import context as ci_context
from git_clearml.forge import run_outputs
from git_clearml.git.repository import Repository
from git_clearml.record import record as records
from git_clearml.report import report as reports
from git_clearml.report import subject as subjects
from git_clearml.verdict import session as judgement
from git_clearml.verdict.server import ServerEvidence


def run(arguments: argparse.Namespace, words: Sequence[str], seeds: Sequence[int], console: Console) -> int:
    """Launches, for each of the seeds if there are any, or attaches; waits where that is wanted; records. Returns the
    exit status.

    Raises UsageError and BadSetting for what can never run, CannotDecide for what keeps us from launching.
    """
    _check(arguments, words)
    repository = Repository()
    context, _ = ci_context.detect(repository, os.environ, log=console.log, warn=console.warn)
    flags = {"runnable.docker": arguments.docker, "runnable.requirements": arguments.requirements}
    flags["wait-timeout"] = arguments.wait_timeout
    judging = judgement.prepare(repository, judgement.VerifyRequest(flags=flags), context, passed_check)
    api = connect(os.environ, judgement.BUDGET, log=console.log)
    call = Call(arguments, run_flags.record_options(arguments), console, repository, judging, api, Progress(console))
    try:
        if arguments.attach:
            arguments.attach = _attached(call)
        if seeds:
            return _launch_seeds(call, words, seeds)
        return run_waiting.attach(call) if arguments.attach else _launch(call, words)
    finally:
        call.api.close()
        judging.close()


def _check(arguments: argparse.Namespace, words: Sequence[str]) -> None:
    """Raises UsageError for flags that contradict each other, and makes ids of the addresses of pages."""
    if arguments.attach and (arguments.queue or arguments.template or words):
        alone = f"git clearml run --attach {shlex.quote(arguments.attach)}"
        raise UsageError("--attach cannot be combined with --queue, --from or a command", alone)
    if arguments.template and not arguments.queue:
        raise UsageError("--from requires --queue", "--queue <queue>")
    run_flags.record_options(arguments)
    if not arguments.attach and not arguments.template and not words:
        raise UsageError("no command given", "git clearml run --queue gpu -- python train.py")
    if arguments.template:
        arguments.template = _task_id(arguments.template)


def _attached(call: Call) -> str:
    """The id of the task to attach to: by the ways of report/subject.py, or any other id that a server may give.

    Raises UsageError and NoTask.
    """
    name, repository = call.arguments.attach, call.repository
    if is_page(name) or is_uuid(name):
        return _task_id(name)
    try:
        revs, identity = subjects.parse(repository, name, in_job=False)
    except UnknownRevision:
        return _task_id(name)
    if not revs:
        return reports.find_task(ServerEvidence(call.api), identity, call.policy).id
    request, context = judgement.VerifyRequest(revs), judgement.Context(os.environ)
    with contextlib.closing(judgement.prepare(repository, request, context, passed_check)) as session:
        return subjects.find_task(session, "")[0].id


def _task_id(text: str) -> str:
    """The id of a task, which may stand in the address of its page. Raises UsageError."""
    identity = page.task_in(text, os.environ)
    if not is_clearml_id(identity):
        raise UsageError(f"not the id of a task: {text!r}", FIND_THE_ID)
    return identity


def _launch(call: Call, words: Sequence[str]) -> int:
    ordered = _ordered(call, words)
    if ordered is None:
        return 1
    return _show(call, ordered.order) if call.arguments.dry_run else _start(call, ordered)


def _launch_seeds(call: Call, words: Sequence[str], seeds: Sequence[int]) -> int:
    """Launches a task for each seed. What may not be launched for one of them is launched for none."""
    orders: dict[int, Ordered] = {}
    for seed in seeds:
        ordered = _ordered(call, run_flags.for_seed(words, seed))
        if ordered is None:
            return 1
        orders[seed] = ordered
    if call.arguments.dry_run:
        return max(_show(call, ordered.order) for ordered in orders.values())
    from git_clearml.commands import run_several  # late: most runs are of one

    return run_several.run(call, orders)


def _ordered(call: Call, words: Sequence[str]) -> Ordered | None:
    """What is to be launched for a command; None where it may not be, which has been said."""
    entry = queue_command.entry(words) if words else None
    commit, policy = call.commit, call.policy
    refusal = queue_request.refusal(call.repository, allow_dirty=call.arguments.allow_dirty)
    if refusal is None and entry and not queue_request.is_in_commit(call.repository, commit, entry):
        if entry.module:
            where = f"-m {entry.module} is not a module of the commit"
            call.console.say(f"git clearml: {where}: the task will not count as evidence for it")
        else:
            refusal = queue_request.missing_script(call.repository, commit, entry)
    if refusal:
        call.console.fail(refusal)
        return None
    order, notes = queue_request.compose(call.repository, commit, policy, entry, _flags(call.arguments), os.environ)
    return Ordered(order, entry, tuple(notes))


def _flags(arguments: argparse.Namespace) -> queue_request.Flags:
    return queue_request.Flags(
        queue=arguments.queue,
        template=arguments.template or "",
        project=arguments.project or "",
        task_name=arguments.task_name or "",
        tags=tuple(arguments.tag),
        docker=arguments.docker or "",
        requirements=arguments.requirements or "",
        packages=arguments.packages or "",
        repository=arguments.repository or "",
    )


def _start(call: Call, ordered: Ordered) -> int:
    where = records.find_target(call.repository, ordered.order.commit.hash, call.recording)
    launch = QueueRun(call.repository, call.api, ordered.order, call.progress)

    def awaited() -> list[Awaited]:
        task = Awaited(launch.task, ordered.order.commit, where, launch.settled, ordered.entry)
        return [task] if launch.task else []

    with run_waiting.interruptible(call, awaited):
        started = run_waiting.start(call, launch, ordered)
        task = awaited()[0] if call.arguments.wait or call.arguments.follow else None
        waited = run_waiting.wait(call, task) if task else None
    if task and waited:
        return run_waiting.finish(call, task, waited)
    launch.settled()
    run_outputs.tell_launch(started.task, started.url, ordered.order.commit.hash, os.environ)
    return 0


def _show(call: Call, order: QueueOrder) -> int:
    """--dry-run: the task as the server would get it."""

    document, needs_side_ref = queue_request.plan(call.repository, order)
    if needs_side_ref:
        call.console.say("git clearml: the commit is not on the remote and would be pushed there temporarily")
    call.console.document(document)
    return 0
