"""`git clearml run` on this machine: one run of a command, what is said of it, and its record in git."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from git_clearml.base.console import Console
from git_clearml.base.ids import short_id
from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.base.secrets import redact_words
from git_clearml.base.words import listed
from git_clearml.errors import Error, PublishFailed, UsageError
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, RunRecord
from git_clearml.record.model import FinishedRun, RecordOptions
from git_clearml.run import local as runs
from git_clearml.run.local import RunPlan
from git_clearml.run.ownership import AT_WORK, ENDED_WELL, NO_TASK
from git_clearml.settings.code_paths import is_untracked_code
from git_clearml.settings.policy import Policy

if TYPE_CHECKING:
    from git_clearml.clearml.model import Result
    from git_clearml.git.remote_branch import RemoteBranch

_SHOWN = 10  # files named in a refusal
_OTHER = "its task names another commit"
_NONE = "its task has no commit: ClearML finds one for a script or a module, not for python -c or standard input"


@dataclass(frozen=True)
class Call:
    """One call of `run` on this machine, with all that it needs."""

    arguments: argparse.Namespace
    console: Console
    repository: Repository
    commit: Commit
    policy: Policy
    recording: RecordOptions

    def target(self) -> RemoteBranch | None:
        """The branch of a results commit: what is wrong with the flags is said before the run."""
        if self.recording.kind == "none":
            return None
        from git_clearml.record import record as records

        return records.find_target(self.repository, self.commit.hash, self.recording)


class Once(NamedTuple):
    """A command that was run once: its exit status; the record is None where it was not run.

    `accepted`: nothing that can be seen from here keeps it from verifying the commit. `interrupted` is the signal that
    wanted to end it, 0 for none.
    """

    status: int
    record: RunRecord | None = None
    plan: RunPlan | None = None
    accepted: bool = False
    interrupted: int = 0
    where: RemoteBranch | None = None


def once(call: Call, words: Sequence[str]) -> Once:
    """Runs a command once, where the working tree is the commit."""
    console, repository = call.console, call.repository
    plan = runs.plan(repository, call.commit, call.policy, words, os.environ)
    if plan.ignored and not plan.facts.ignored:
        console.warn(f"code that .gitignore hides: {listed(plan.ignored, _SHOWN)}; no record shows what is in it")
    if not plan.clean and not call.arguments.allow_dirty:
        return Once(_refuse(plan, console))
    if not plan.clean and call.recording.kind != "none":
        names = listed([*plan.facts.dirty, *plan.facts.untracked, *plan.facts.ignored], _SHOWN)
        raise UsageError(f"no run with uncommitted changes is recorded: {names}", "leave --record out")
    if call.arguments.dry_run:
        return Once(_show(plan, console))
    where = call.target()
    record, interrupted, unwritten = runs.execute(repository, plan, os.environ, console)
    summary, hindrance = _summary(repository, record, plan, unwritten)
    console.say(summary)
    if hindrance == NO_TASK:
        from git_clearml.verdict.hint import with_task_init  # late: a run that made one needs none of it

        console.say(f"hint: {with_task_init(shlex.join(redact_words(words)), call.policy)}")
    return Once(record.exit_status or 0, record, plan, not hindrance, interrupted, where)


def recorded(call: Call, ran: Sequence[Once]) -> int:
    """Records the tasks of runs in git where that is wished: 0, or 3 where those of good runs could not be.

    The tasks of several good runs are one record.
    """
    finished = [each for each in ran if each.record and each.plan]
    if call.recording.kind == "none" or not finished:
        return 0
    try:
        results = {}
        for succeeded in (True, False):
            parts = [_results(call, each) for each in finished if (each.status == 0) == succeeded]
            if parts:
                results[succeeded] = tuple(result for part in parts for result in part)
        from git_clearml.record import record as records

        for succeeded, tasks in results.items():
            records.record(
                call.repository,
                FinishedRun(call.commit.hash, tasks, succeeded),
                call.recording,
                target=finished[-1].where,
                environment=os.environ,
                say=lambda line: call.console.say(f"git clearml: {line}"),
                warn=call.console.warn,
            )
    except Error as error:
        call.console.fail(error)
        return 0 if all(each.status for each in finished) else 3
    return 0


def _results(call: Call, ran: Once) -> tuple[Result, ...]:
    """What the tasks of a run came to. Raises PublishFailed where it may not be recorded, as runs.results does."""
    record, plan = ran.record, ran.plan
    if record is None or plan is None:
        return ()
    if not runs.tasks_are_known(record):
        later = f"git clearml run --attach <task> {shlex.join(['--record', call.recording.kind])}"
        raise PublishFailed("not recorded: the server did not tell which tasks the run made", later)
    reason = _hindrance(record, plan)
    if ran.status == 0 and reason and record.tasks:
        changed = record.dirty or plan.facts.untracked or plan.facts.ignored or record.edited
        hint = "git status" if changed else "git clearml run -- python train.py"
        raise PublishFailed(f"not recorded: {reason}", hint)
    return tuple(runs.results(record, plan, os.environ, call.console))


def _refuse(plan: RunPlan, console: Console) -> int:
    """Says which files are in the way. Not an error: it is the answer of this gate, with status 1."""
    names = [*plan.facts.dirty, *(f"{path} (not tracked)" for path in plan.facts.untracked)]
    names += [f"{path} (ignored code)" for path in plan.facts.ignored]
    count = f"{len(names)} file{'s' if len(names) > 1 else ''}"
    message = f"not run: {count} differ{'' if len(names) > 1 else 's'} from commit {plan.commit.hash[:7]}: "
    outputs = any(not is_untracked_code(path, plan.policy) for path in plan.facts.untracked)
    advice = "; outputs belong in .gitignore, or in untracked-ok of the policy" if outputs else ""
    commit = "git add --all && git commit" if plan.facts.untracked else "git commit --all"
    refusal = Error(message + listed(names, _SHOWN) + advice, commit)
    if redact_words(plan.command) == plan.command:  # else it would not work as typed
        refusal.examples = (f"git clearml run --allow-dirty -- {shlex.join(plan.command)}",)
    console.fail(refusal)
    return 1


def _show(plan: RunPlan, console: Console) -> int:
    """The plan: the variables that the command would get, and the command."""
    shown = {name: value if len(value) <= 200 else value[:197] + "..." for name, value in sorted(plan.added.items())}
    lines = [f"{name}={shlex.quote(value)}" for name, value in shown.items()]
    console.product(Safe("\n".join(sanitize(line) for line in [*lines, shlex.join(redact_words(plan.command))])))
    return 0


def _summary(repository: Repository, record: RunRecord, plan: RunPlan, unwritten: str) -> tuple[str, str]:
    """What was recorded, and why it is good for nothing, "" where it is good."""
    where = "on the server" if plan.server else "offline"
    facts = [f"exit {record.exit_status}"]
    facts += [f'task "{sanitize(session.name, 40)}" {short_id(session.id)}, {where}' for session in record.sessions[:1]]
    if len(record.tasks) > 1:
        facts.append(f"{len(record.tasks) - 1} more tasks")
    if not runs.tasks_are_known(record):
        facts.append("which tasks it made is not known")
    reason = _hindrance(record, plan) or _against_its_task(repository, record, plan)
    if unwritten and not plan.server:
        reason = reason or f"it is not recorded: {unwritten}"
    waiting = any(status in AT_WORK for _, status in record.tasks)
    then = f"next: git clearml verify{' --wait: a task of it has not ended' if waiting else ''}"
    then = f"it will not verify: {sanitize(reason, 300)}" if reason else then
    what = "ran" if unwritten else "recorded the run of"
    return f"git clearml: {what} {record.commit[:7]} ({', '.join(facts)}); {then}", reason


def _against_its_task(repository: Repository, record: RunRecord, plan: RunPlan) -> str:
    """What the rules say against the run's task, "" where nothing speaks against it, or it is not known."""
    if not record.tasks:
        return ""
    from git_clearml.verdict import forecast  # late: a command that fails needs none of it

    try:
        return forecast.hindrance(repository, plan.commit, plan.policy, record)
    except (Error, OSError) as error:  # the command may have removed the repository
        return f"whether its task counts cannot be told: {error}"


def _hindrance(record: RunRecord, plan: RunPlan) -> str:
    """The first thing for which this run can be no evidence, "" when there is none to be seen from here."""
    elsewhere = [session for session in record.sessions if session.commit != record.commit]
    unsound = [status for _, status in record.tasks if status not in (*ENDED_WELL, *AT_WORK)]
    reasons = (
        (record.exit_status != 0, "the command failed"),
        (record.dirty, f"uncommitted changes in {listed(record.dirty)}"),
        (plan.facts.untracked, f"files that git does not track: {listed(plan.facts.untracked)}"),
        (plan.facts.ignored, f"code that .gitignore hides: {listed(plan.facts.ignored)}"),
        (record.edited, f"code changed during the run: {listed(record.edited)}"),
        (not record.tasks and runs.tasks_are_known(record), NO_TASK),
        (unsound, f"a task of it is {unsound[0] if unsound else ''}"),
        (elsewhere, _OTHER if any(session.commit for session in elsewhere) else _NONE),
    )
    return next((reason for true, reason in reasons if true), "")
