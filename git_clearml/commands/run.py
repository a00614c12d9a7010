"""`git clearml run`: runs a command at a clean commit and records the run."""

from __future__ import annotations

import argparse
import os
import shlex
from typing import TYPE_CHECKING, Any

from git_clearml.base.console import Console
from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.base.secrets import redact_words
from git_clearml.base.words import listed
from git_clearml.commands import run_flags
from git_clearml.errors import Error, NotARepository, PublishFailed, UsageError
from git_clearml.git.repository import Repository
from git_clearml.model import RunRecord
from git_clearml.record.model import FinishedRun, RecordOptions
from git_clearml.run import local as runs
from git_clearml.run.local import RunPlan
from git_clearml.run.ownership import AT_WORK, ENDED_WELL
from git_clearml.settings import load as policies
from git_clearml.settings.code_paths import is_untracked_code

if TYPE_CHECKING:
    from git_clearml.git.remote_branch import RemoteBranch

_SHOWN = 10  # files named in a refusal
_DESCRIPTION = """\
Runs the command when the working tree is exactly the commit, tells ClearML so, and records how it ended. Everything
from the command's first word on belongs to the command. The exit status is the command's own."""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Adds `run` to the sub-parsers and returns its parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "run",
        help="run a command at a clean commit and record the run",
        description=_DESCRIPTION,
        usage="git clearml run [<options>] [--] <command>...",
        allow_abbrev=False,
    )
    run_flags.add(parser)
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="<command>", help="the command and its arguments")
    parser.set_defaults(words=[])  # also what stands after `--`
    return parser


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Runs the command line's command; its exit status, or 1 when the working tree is not the commit.

    Raises UsageError without a command, and what runs.plan raises: before the command starts.
    """
    words = arguments.words
    if run_flags.on_queue(arguments):
        from git_clearml.commands import run_on_queue  # late: a run here needs none of it

        return run_on_queue.run(arguments, words, console)
    run_flags.refuse_alone(arguments)
    recording = run_flags.record_options(arguments)
    if not words:
        raise UsageError("no command given", "git clearml run -- python train.py")
    repository = Repository()
    if not repository.top:
        raise NotARepository("this repository is bare: there is nothing to run", "run in a clone with a working tree")
    [head] = repository.resolve(["HEAD"])
    [ruling] = policies.rulings(repository, [head], flags={}, environment=os.environ)
    for warning in ruling.warnings:
        console.warn(warning)
    plan = runs.plan(repository, head.commit, ruling.policy, words, os.environ)
    if plan.ignored and not plan.facts.ignored:
        console.warn(f"code that .gitignore hides: {listed(plan.ignored, _SHOWN)}; no record shows what is in it")
    if not plan.clean and not arguments.allow_dirty:
        return _refuse(plan, console)
    if not plan.clean and recording.kind != "none":
        words = listed([*plan.facts.dirty, *plan.facts.untracked, *plan.facts.ignored], _SHOWN)
        raise UsageError(f"no run with uncommitted changes is recorded: {words}", "commit first, or leave --record out")
    if arguments.dry_run:
        return _show(plan, console)
    where = _target(repository, plan, recording)
    record = runs.execute(repository, plan, os.environ, console)
    console.say(_summary(repository, record, plan))
    return _recorded(repository, record, plan, recording, where, console)


def _target(repository: Repository, plan: RunPlan, recording: RecordOptions) -> RemoteBranch | None:
    """The branch of a results commit: what is wrong with the flags is said before the run."""
    if recording.kind == "none":
        return None
    from git_clearml.record import record as records

    return records.find_target(repository, plan.commit.hash, recording)


def _recorded(
    repository: Repository,
    record: RunRecord,
    plan: RunPlan,
    recording: RecordOptions,
    where: RemoteBranch | None,
    console: Console,
) -> int:
    """Records the run's tasks in git where that is wished. The exit status: the command's, else whether it could be."""
    status = record.exit_status or 0
    if recording.kind == "none":
        return status
    from git_clearml.record import record as records

    try:
        if not runs.tasks_are_known(record):
            later = f"when it answers again: git clearml run --attach <task> --record {recording.kind}"
            raise PublishFailed("not recorded: the server did not tell which tasks the run made", later)
        reason = _hindrance(record, plan)
        if status == 0 and reason and record.tasks:
            raise PublishFailed(f"not recorded: {reason}", "commit first, then run again")
        records.record(
            repository,
            FinishedRun(plan.commit.hash, tuple(runs.results(record, plan, os.environ, console)), status == 0),
            recording,
            target=where,
            environment=os.environ,
            say=lambda line: console.say(f"git clearml: {line}"),
            warn=console.warn,
        )
    except Error as error:
        console.fail(error)
        return status or 3
    return status


def _refuse(plan: RunPlan, console: Console) -> int:
    """Says which files are in the way. Not an error: it is the answer of this gate, with status 1."""
    names = [*plan.facts.dirty, *(f"{path} (not tracked)" for path in plan.facts.untracked)]
    names += [f"{path} (ignored code)" for path in plan.facts.ignored]
    count = f"{len(names)} file{'s' if len(names) > 1 else ''}"
    message = f"not run: {count} differ{'' if len(names) > 1 else 's'} from commit {plan.commit.hash[:7]}: "
    commit = "git add --all && git commit" if plan.facts.untracked else "git commit --all"
    again = f", or: git clearml run --allow-dirty -- {shlex.join(plan.command)}"
    hint = commit + (again if redact_words(plan.command) == plan.command else "")  # it has to work as typed
    if any(not is_untracked_code(path, plan.policy) for path in plan.facts.untracked):
        hint = f"outputs belong in .gitignore, or in untracked-ok of the policy; else {hint}"
    console.fail(Error(message + listed(names, _SHOWN), hint))
    return 1


def _show(plan: RunPlan, console: Console) -> int:
    """The plan: the variables that the command would get, and the command."""
    shown = {name: value if len(value) <= 200 else value[:197] + "..." for name, value in sorted(plan.added.items())}
    lines = [f"{name}={shlex.quote(value)}" for name, value in shown.items()]
    console.product(Safe("\n".join(sanitize(line) for line in [*lines, shlex.join(redact_words(plan.command))])))
    return 0


def _summary(repository: Repository, record: RunRecord, plan: RunPlan) -> str:
    """What was recorded, and whether it is good for anything."""
    where = "on the server" if plan.server else "offline"
    facts = [f"exit {record.exit_status}"]
    facts += [f'task "{sanitize(session.name, 40)}" {_short(session.id)}, {where}' for session in record.sessions[:1]]
    if len(record.tasks) > 1:
        facts.append(f"{len(record.tasks) - 1} more tasks")
    if not runs.tasks_are_known(record):
        facts.append("which tasks it made is not known")
    reason = _hindrance(record, plan) or _against_its_task(repository, record, plan)
    waiting = any(status in AT_WORK for _, status in record.tasks)
    then = f"next: git clearml verify{' --wait: a task of it has not ended' if waiting else ''}"
    then = f"it will not verify: {sanitize(reason, 300)}" if reason else then
    return f"git clearml: recorded the run of {record.commit[:7]} ({', '.join(facts)}); {then}"


def _short(task: str) -> str:
    return task.removeprefix("offline-")[:8]


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
        (not record.tasks and runs.tasks_are_known(record), "the command created no ClearML task"),
        (unsound, f"a task of it is {unsound[0] if unsound else ''}"),
        (elsewhere, "its task names another commit"),
    )
    return next((reason for true, reason in reasons if true), "")
