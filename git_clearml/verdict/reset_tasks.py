"""Tasks that ran a commit and that the server has no more as such: reset by a later Task.init, or deleted.

The SDK uses the last task of the same name on the same machine again, and a completed one too (contract/README.md 32).
This clone's own run records know which tasks ran its commits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from git_clearml.base.ids import is_uuid
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Session, Task
from git_clearml.run.store import RunStore
from git_clearml.verdict.model import Finding, Reason

_MOST = 10  # commits whose records are looked at
_KEPT = "Task.init(..., reuse_last_task_id=False), CLEARML_TASK_NO_REUSE=1 and git clearml run keep each task"


def recorded(repository: Repository, commits: Sequence[Commit]) -> dict[Commit, Session]:
    """The tasks on a server that the last runs of these commits have made, as this clone has them on record."""
    store = RunStore(repository.common_dir)
    sessions = {commit: _of_last_run(store, commit) for commit in commits[:_MOST]}
    return {commit: session for commit, session in sessions.items() if session is not None}


def findings(sessions: Mapping[Commit, Session], tasks: Sequence[Task]) -> dict[Commit, Finding]:
    """What has become of the recorded tasks, by those that the server has of their ids; nothing of one as it was."""
    now = {task.id: task for task in tasks}
    became = {}
    for commit, session in sessions.items():
        task = now.get(session.id)
        if reason := _what_became_of(task, commit):
            gone = Task(session.id, "recorded", session.name, session.project, commit=commit.hash)
            became[commit] = Finding(task or gone, None, (reason,))
    return became


def _of_last_run(store: RunStore, commit: Commit) -> Session | None:
    """The task on a server of the newest run of this commit that ended well, None for none."""
    records = [record for record in store.sound_of([commit.hash]) if record.exit_status == 0]
    sessions = [
        session
        for record in sorted(records, key=lambda record: record.ended)
        for session in record.sessions
        if not session.path and is_uuid(session.id) and session.commit == commit.hash
    ]
    return sessions[-1] if sessions else None


def _what_became_of(task: Task | None, commit: Commit) -> Reason | None:
    if task is None:
        return Reason("no-task", "ran this commit, and has been deleted from the server since")
    if task.commit == commit.hash:
        return None
    now = f"ran {task.commit[:12]} in its place" if task.commit else "uses it for something else"
    return Reason("other-commit", f"ran this commit, and was reset since: a later Task.init {now}; {_KEPT}")
