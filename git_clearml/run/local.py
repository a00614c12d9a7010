"""A run from its beginning to its end: look, run the command, look again, write it down."""

from __future__ import annotations

import getpass
import os
import secrets
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import NamedTuple

from git_clearml.base import process as processes
from git_clearml.base.console import Console
from git_clearml.clearml import conf_file
from git_clearml.clearml import config as clearml_conf
from git_clearml.clearml import offline as offline_sessions
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.config import Server
from git_clearml.clearml.model import Result
from git_clearml.errors import BadSetting, CannotDecide, Error
from git_clearml.git import ignored as ignored_files
from git_clearml.git import remote as remotes
from git_clearml.git import worktree
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, RunRecord, Session
from git_clearml.run import environment as run_environment
from git_clearml.run import tasks as run_tasks
from git_clearml.run.child import Signals
from git_clearml.run.record import LISTED
from git_clearml.run.store import RunStore
from git_clearml.settings.policy import Policy

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_BUDGET = 30.0  # seconds of network after a run
_MOST_PATHS = 1000  # of a kind in a record
_UNKNOWN = "its tasks on the server are not known"


@dataclass(frozen=True)
class RunPlan:
    """What a run will do. `refusal` lists why it may not start: the paths that differ, and those git does not know."""

    commit: Commit
    policy: Policy
    command: tuple[str, ...]
    server: Server | None  # None: ClearML works offline
    facts: run_environment.RunFacts
    added: dict[str, str]  # variables for the command
    before: worktree.WorktreeState
    ignored: tuple[str, ...]  # code that .gitignore hides

    @property
    def clean(self) -> bool:
        return not self.facts.dirty and not self.facts.untracked and not self.facts.ignored


def plan(
    repository: Repository, commit: Commit, policy: Policy, command: Sequence[str], environment: Mapping[str, str]
) -> RunPlan:
    """Looks at the working tree and at ClearML's configuration; changes nothing.

    Raises NotConfigured and BadSetting for a ClearML configuration that cannot be used, CannotDecide when git fails.
    """
    server = None if run_environment.wants_offline(environment) else clearml_conf.read_server(environment)
    before = worktree.read_state(repository, commit)
    dirty, untracked = tuple(before.changed), before.not_ok(policy)
    ignored = ignored_files.code(repository, dict(before.submodules), policy)
    refused = ignored if policy.ignored_code == "refuse" else ()
    if server and (dirty or untracked or refused):
        _demand_diffs(environment)
    facts = run_environment.RunFacts(
        run=secrets.token_hex(16),
        url=remotes.fetch_url(repository),
        commit=commit.hash,
        branch=remotes.branch(repository),
        top=repository.top,
        host=socket.gethostname(),
        dirty=dirty,
        untracked=untracked,
        ignored=refused,
        diff=worktree.diff_text(repository, commit) if dirty else "",
    )
    logged = conf_file.sdk_value(environment, "development", "log_os_environments")
    added = run_environment.additions(facts, environment, logged, offline=server is None)
    return RunPlan(commit, policy, tuple(command), server, facts, added, before, ignored)


def _demand_diffs(environment: Mapping[str, str]) -> None:
    """Raises BadSetting where the SDK would store no diff at all: a dirty run would look clean on the server."""
    stored = conf_file.sdk_value(environment, "development", "store_uncommitted_code_diff")
    if stored is False or str(stored).strip().lower() in ("false", "no", "off", "0"):
        raise BadSetting(
            "clearml.conf says store_uncommitted_code_diff: false, and so the server would show this run as clean",
            "set sdk.development.store_uncommitted_code_diff to true, or commit your changes",
        )


class Executed(NamedTuple):
    """A run that has ended. `interrupted` is the signal by which somebody wanted to end it, and us; 0 for none.

    `unwritten` says why its record is not in this clone, "" where it is.
    """

    record: RunRecord
    interrupted: int = 0
    unwritten: str = ""


def execute(repository: Repository, plan: RunPlan, environment: Mapping[str, str], console: Console) -> Executed:
    """Runs the command and records the run. Whatever goes wrong with the record is a warning: the command has run.

    A signal to us goes to the command (see processes); we end after it, with the record written.
    """
    writer, offline_dir = _Writer(repository, plan, console), offline_sessions.offline_dir(environment)
    record = _opened(plan, offline_dir)
    with Signals() as signals:
        writer.write(record)
        ended = signals.run(plan.command, run_environment.of_child(environment, plan.added))
        if ended.problem:
            console.warn(ended.problem)
        record = record._replace(ended=_now(), exit_status=ended.status)
        record = _with_sessions(_with_changes(record, repository, plan), console)
        writer.write(record)
    if plan.server:
        record = _with_server_tasks(record, writer, plan.server, environment, console)
    return Executed(record, next((number for number in signals.seen if number in _ENDING), 0), writer.problem)


def _opened(plan: RunPlan, offline_dir: str) -> RunRecord:
    """The record as it is before the command starts. Untracked files that count stand first: long lists are cut."""
    allowed = [path for path in plan.before.untracked if path not in set(plan.facts.untracked)]
    return RunRecord(
        id=plan.facts.run,
        commit=plan.commit.hash,
        tree=plan.commit.tree,
        command=plan.command,
        host=socket.gethostname(),
        user=_user(),
        pid=os.getpid(),
        pid_started=processes.started(os.getpid()),
        started=_now(),
        dirty=tuple(plan.facts.dirty)[:_MOST_PATHS],
        untracked=(*plan.facts.untracked, *allowed)[:_MOST_PATHS],
        allowed_by=plan.policy.untracked_ok if len(plan.before.untracked) > LISTED else (),
        ignored=plan.ignored,
        submodules=plan.before.submodules,
        offline_dir=offline_dir,
    )


def _with_changes(record: RunRecord, repository: Repository, plan: RunPlan) -> RunRecord:
    """What the files look like now, still compared with the commit that was recorded, wherever HEAD is by now."""
    try:
        after = worktree.read_state(repository, plan.commit)
    except (Error, OSError) as error:  # the command may have removed the repository: not known is not clean
        return record._replace(edited=("(unknown)",), notes=(*record.notes, f"could not look again: {error}"))
    changes = worktree.changes_between(plan.before, after, plan.policy)
    edited, wrote = changes.edited[:_MOST_PATHS], changes.wrote[:_MOST_PATHS]
    return record._replace(edited=edited, wrote=wrote)


def _with_sessions(record: RunRecord, console: Console) -> RunRecord:
    """The offline sessions that bear our marker: a script may also choose offline mode by itself."""
    since = datetime.fromisoformat(record.started).timestamp()
    sessions, unreadable = offline_sessions.of_run(record.offline_dir, record.id, since)
    if not sessions:
        for session in unreadable:  # one of them may be ours: it cannot say
            console.warn(session.damage)
        record = record._replace(notes=(*record.notes, *(session.damage for session in unreadable)))
    return record._replace(sessions=tuple(sessions), tasks=tuple((session.id, "") for session in sessions))


def _with_server_tasks(
    record: RunRecord, writer: _Writer, server: Server, environment: Mapping[str, str], console: Console
) -> RunRecord:
    """The record with the tasks that the server has of this run, written here and onto each of them."""
    api = ClearML(server, _BUDGET, environment=environment, log=console.log)
    reported = None
    try:
        reported = run_tasks.find(api, record)
        sessions = (*record.sessions, *(task.session for task in reported))
        tasks = (*record.tasks, *((task.session.id, task.status) for task in reported))
        record = record._replace(sessions=sessions, tasks=tasks)
        writer.write(record)
        for task in (each for each in reported if each.session.commit == record.commit):
            api.renew()  # a sweep has hundreds of them
            run_tasks.attach(api, task, record)
    except CannotDecide as error:
        console.warn(f"the run could not be recorded on the server: {error.message}")
        if reported is None:
            record = record._replace(notes=(*record.notes, f"{_UNKNOWN}: {error.message}"))
            writer.write(record)
    finally:
        api.close()
    return record


def tasks_are_known(record: RunRecord) -> bool:
    """Did the server tell which tasks the run made? Else `tasks` has only what ran offline."""
    return not any(note.startswith(_UNKNOWN) for note in record.notes)


def results(record: RunRecord, plan: RunPlan, environment: Mapping[str, str], console: Console) -> list[Result]:
    """What the run's tasks came to: as the server has it, of offline sessions as the record has it.

    Raises the errors of ClearML.call.
    """
    from git_clearml.clearml import results as task_results

    offline = "completed" if record.exit_status == 0 else "failed"
    results = [of_session(session, offline) for session in record.sessions if session.path]
    on_server = [session.id for session in record.sessions if not session.path]
    if plan.server and on_server:
        api = ClearML(plan.server, _BUDGET, environment=environment, log=console.log)
        try:
            results += task_results.of_tasks(api, on_server)
        finally:
            api.close()
    return results


class _Writer:
    """Writes the record of a run, again where there is more to say. `problem` says why it could not; "" for it did."""

    def __init__(self, repository: Repository, plan: RunPlan, console: Console) -> None:
        self._store, self._console = RunStore(repository.common_dir), console
        self._then = "only its task on the server can verify it" if plan.server else "will never verify"
        self.problem = ""

    def write(self, record: RunRecord) -> None:
        """Says once what stands in the way: the command runs, whatever it is."""
        before, self.problem = self.problem, ""
        try:
            self._store.write(record)
        except OSError as error:
            self.problem = str(error.strerror or error)
            if not before:
                self._console.warn(f"this run is NOT RECORDED and {self._then}: {self.problem}")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user id without a name, in a container
        return str(os.getuid())


def of_session(session: Session, status: str) -> Result:
    """A task of a local run that no server knows, as the run record has it."""
    metrics = tuple(sorted(session.metrics, key=lambda metric: (metric.metric, metric.variant)))
    return Result(session.id, session.name, session.project, status, "", session.commit, metrics=metrics)
