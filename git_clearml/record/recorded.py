"""The tasks that this clone has on record: in its notes, and in the clearml.lock of its branches. Never evidence."""

from __future__ import annotations

from collections.abc import Iterable

from git_clearml.base.jsonvalue import Malformed
from git_clearml.git.repository import Repository
from git_clearml.record import lockfile, note_lines
from git_clearml.record.model import RecordedTask, together
from git_clearml.record.notes import Notes
from git_clearml.settings.code_paths import LOCK

_MOST = 1_000  # versions of clearml.lock, the newest
_BYTES = 1_000_000  # of one


class Recorded:
    """The records as they are now. Three git processes to make, and some more where a branch has a clearml.lock."""

    def __init__(self, repository: Repository) -> None:
        self._notes, self._locks = Notes(repository), _locks(repository)

    def of(self, commits: Iterable[str]) -> dict[str, tuple[RecordedTask, ...]]:
        """The tasks on record for each of these commits that has any, the one that completed last first.

        Of a task that is in both the note counts: it can be written again.
        """
        names = list(dict.fromkeys(commits))
        tasks = self._notes.of(names)
        for name in names if self._locks else ():
            if name in self._locks:
                tasks[name] = together(tasks.get(name, ()), self._locks[name])
        return tasks


def _locks(repository: Repository) -> dict[str, list[RecordedTask]]:
    """Commit -> the tasks that some clearml.lock has of it, the newest record of each."""
    tips = dict.fromkeys(repository.run("for-each-ref", "--format=%(objectname)", "refs/heads", "refs/remotes").lines)
    tips["HEAD"] = None
    locks = repository.names_of(f"{tip}:{LOCK}" for tip in tips)
    with_lock = [tip for tip, lock in zip(tips, locks, strict=True) if lock]
    if not with_lock:
        return {}
    words = ("rev-list", f"--max-count={_MOST}", "--full-history", *with_lock, "--", f":(top,literal){LOCK}")
    commits = repository.run(*words).lines
    blobs = repository.names_of(f"{commit}:{LOCK}" for commit in commits)
    contents = repository.blobs(blob for blob in dict.fromkeys(blobs) if 0 < repository.sizes.get(blob, 0) <= _BYTES)
    times = repository.times(commits)
    tasks: dict[str, dict[str, RecordedTask]] = {}
    for commit, blob in zip(commits, blobs, strict=True):  # the newest first
        try:
            lock = lockfile.from_text(contents[blob].decode("utf-8", "replace")) if blob in contents else None
        except Malformed:  # anybody who can push can have written it
            continue
        for result in lock.results if lock else ():
            task = note_lines.recorded_task(result, times[commit].isoformat(timespec="seconds"))
            tasks.setdefault(result.commit, {}).setdefault(result.task, task)
    return {commit: list(by_id.values()) for commit, by_id in tasks.items()}
