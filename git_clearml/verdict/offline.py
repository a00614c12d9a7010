"""Evidence without a server: the run records of this clone, and what ClearML's offline sessions say."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence

from git_clearml.base.ids import is_short_id
from git_clearml.base.secrets import redact_words
from git_clearml.clearml import offline as offline_sessions
from git_clearml.git.repository import Repository
from git_clearml.model import Curve, Diff, DiffKind, Metric, RunRecord, Session, Task
from git_clearml.run.record import Damaged
from git_clearml.run.store import RunStore
from git_clearml.settings.policy import Policy
from git_clearml.verdict import metric_rules
from git_clearml.verdict.evidence import Answer, the_only
from git_clearml.verdict.time_windows import Window

_RECENT = 500


class OfflineEvidence:
    """The tasks that `git clearml run` made here, and recorded in the common git directory.

    A session alone is no evidence: ClearML writes no status into it. So every task comes from a run record, and a
    session that no record names is not looked at.
    """

    identity = ""  # asking again costs no more than remembering

    def __init__(self, repository: Repository, *, environment: Mapping[str, str]) -> None:
        self._store = RunStore(repository.common_dir)
        self._environment = environment

    bounded = False

    def passing(self, commits: Sequence[str], policy: Policy, window: Window, *, few: int = 0) -> Answer:
        """Every task of these commits: here, the ones that fail cost no more than the ones that pass."""
        return Answer(self.all(commits, policy, window))

    def all(
        self, commits: Sequence[str], policy: Policy, window: Window, *, chosen: str = "", also: Sequence[str] = ()
    ) -> list[Task]:
        """Every task whose run was recorded at one of these commits. A session may name another commit."""
        return _tasks(self._store.of_commits(commits), policy)

    def of_ids(self, ids: Sequence[str], policy: Policy) -> list[Task]:
        """None: `all` has looked at every record."""
        return []

    def recent(self, policy: Policy, window: Window) -> Answer:
        """The tasks of the runs recorded last, whatever their commit: at most 500, the newest run first."""
        return Answer(_tasks(self._store.recent(_RECENT), policy)[:_RECENT], whole=False)

    def find(self, identity: str, policy: Policy) -> Task | None:
        """The task of this id among those of `recent`, None when it is not one of them."""
        tasks = self.recent(policy, Window()).tasks
        if is_short_id(identity.removeprefix("offline-")):
            return the_only([task for task in tasks if task.id.startswith(identity)], identity)
        return next((task for task in tasks if identity and task.id == identity), None)

    def metrics(self, task: Task) -> tuple[Metric, ...]:
        """What the task's session reported, as it lies on disk or as the run record remembers it."""
        record = task.run
        for session in record.sessions if record else ():
            if record and session.id == task.id:
                return (_current(session, record) if session.path else session).metrics
        return ()

    def curves(
        self, tasks: Sequence[Task], names: Sequence[tuple[str, str]]
    ) -> dict[str, dict[tuple[str, str], Curve]]:
        """The curves of the tasks' sessions, of those that lie on disk and are sound."""
        by_task = {}
        for task in tasks:
            for session in task.run.sessions if task.run else ():
                if task.run and session.id == task.id and session.path and not _current(session, task.run).damage:
                    by_task[task.id] = offline_sessions.curves(session.path, {*names})
        return by_task

    def open_ahead(self) -> None:
        """Nothing to do: there is no network."""

    def renew(self) -> None:
        """Nothing to do: there is no network, and so no budget."""

    def close(self) -> None:
        """Nothing to let go of."""


def _tasks(records: Iterable[RunRecord | Damaged], policy: Policy) -> list[Task]:
    return [task for record in records for task in of_record(record, policy)]


def of_record(record: RunRecord | Damaged, policy: Policy) -> list[Task]:
    """The tasks of a run. One that made none, or cannot be read, still gives a task: the verdict has to say so."""
    if isinstance(record, Damaged):
        damage = f"the run record {record.where} is damaged: {record.why}"
        return [Task("", "offline", name="run record", commit=record.commit, damage=damage)]
    plain = Task(
        "",
        "offline",
        name=shlex.join(redact_words(record.command)),
        status=_status(record),
        commit=record.commit,
        completed=record.ended,
        updated=record.ended or record.started,
        run=record,
    )
    recorded = {session.id: session for session in record.sessions}
    sessions = [_current(session, record) if session.path else session for session in recorded.values()]
    sessions += [Session(name, commit=record.commit) for name, _ in record.tasks if name not in recorded]
    return [_described(plain, session, policy) for session in sessions] or [plain]


def _status(record: RunRecord) -> str:
    """A word for the reader. The rules look at the record itself."""
    if record.exit_status is None:
        return "in_progress" if record.alive else "failed"
    return "completed" if record.exit_status == 0 else "failed"


def _current(recorded: Session, record: RunRecord) -> Session:
    """The session as it lies on disk; when ClearML's cache was cleared, as the record remembers it."""
    if not offline_sessions.exists(recorded.path):
        gone = "its offline session is gone: judged by what the run record keeps of it"
        return recorded._replace(notes=(*recorded.notes, gone))
    session = offline_sessions.read(recorded.path, record.offline_dir)
    if not session.damage and session.run != record.id:
        return session._replace(damage=f"the offline session {session.id} is not of the run that its record names")
    return session


def _described(plain: Task, session: Session, policy: Policy) -> Task:
    """The task of a session, or (it has no path) of a server, as far as the record knows that one."""
    record, diff = plain.run, session.diff
    if record is not None and not session.path:  # we gave ClearML the diff ourselves
        clean = not record.dirty
        diff = Diff(DiffKind.CLEAN) if clean else Diff(DiffKind.DIRTY, ", ".join(record.dirty[:3]))
    return plain._replace(
        id=session.id,
        name=session.name or plain.name,
        project=session.project,
        commit=plain.commit if session.damage else session.commit,
        repository=session.repository,
        entry_point=session.entry_point,
        working_dir=session.working_dir,
        diff=diff,
        value=metric_rules.value_of(session.metrics, policy.ranking),
        metrics=session.metrics if policy.metrics else (),
        damage=session.damage,
        notes=session.notes,
    )
