"""The notes of this clone, `refs/notes/clearml`: which tasks ran a commit, for people to see. Never evidence.

They are merged here and not by `git notes merge -s cat_sort_uniq`, though both read each other's notes: git moves the
ref without a look at whether another process has moved it meanwhile, so that one of two recorders at once is lost, it
wants a committer's name, and the union that it makes of two notes may be longer than is ever read again.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from git_clearml.base.ids import is_hash
from git_clearml.clearml.model import Result
from git_clearml.errors import CannotDecide, PublishFailed, UnknownRevision
from git_clearml.git import notes_ref
from git_clearml.git import remote as remotes
from git_clearml.git.notes_ref import REF, Changes, Note
from git_clearml.git.remote import Remote
from git_clearml.git.repository import Repository
from git_clearml.record import note_lines
from git_clearml.record.model import RecordedTask

_FETCHED = "refs/clearml/notes"  # where a remote's notes come in: no notes ref, so that nothing shows it
# What git and GitHub say when somebody else's push was a moment quicker (git's builtin/send-pack.c and refs.c).
_RACES = ("[rejected]", "cannot lock ref", "failed to lock", "failed to update ref", "incorrect old value")


class Notes:
    """The notes as they are now; those of a commit are read when they are asked for. Two git processes to make."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._notes = notes_ref.by_commit(notes_ref.files(repository, notes_ref.tip_of(repository)))

    def of(self, commits: Iterable[str]) -> dict[str, tuple[RecordedTask, ...]]:
        """The tasks on record for each of these commits that has any, the one that completed last first."""
        tasks_by_commit = {}
        wanted = [note for commit in dict.fromkeys(commits) for note in self._notes.get(commit, ())]
        for batch in notes_ref.batches(wanted):
            contents = notes_ref.contents(self._repository, batch)
            for commit in dict.fromkeys(note.commit for note in batch):
                lines = b"\n".join(contents.get(note.blob, b"") for note in self._notes[commit])
                if tasks := note_lines.tasks(lines):
                    tasks_by_commit[commit] = tasks
        return tasks_by_commit

    def task(self, identity: str) -> tuple[str, RecordedTask] | None:
        """The commit that has this task on record, and what is recorded of it."""
        for commit, tasks in self.of(self._notes).items():
            if task := next((task for task in tasks if task.task == identity), None):
                return commit, task
        return None


def record(
    repository: Repository,
    commit: str,
    results: Sequence[Result],
    *,
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Writes the results into the note of a commit (its full hash). False when they are on record already.

    A task that is there gets its line replaced. Raises PublishFailed when git cannot write.
    """
    if not is_hash(commit):
        raise UnknownRevision(
            f"not the full hash of a commit: {commit[:80]!r}", f"git rev-parse {shlex.quote(commit[:80])}"
        )
    moment = now().isoformat(timespec="milliseconds")
    lines = [note_lines.line(note_lines.recorded_task(result, moment)) for result in results]
    names = ", ".join(result.task for result in results[:3]) + (", ..." if len(results) > 3 else "")

    def changes(tip: str) -> Changes:
        tree = notes_ref.files(repository, tip)
        mine = [note for note in tree if note.commit == commit]
        contents = list(notes_ref.contents(repository, mine).values())
        new = _unrecorded(lines, contents)
        return notes_ref.change(tree, mine, commit, note_lines.union([*contents, *new])) if new else {}

    return notes_ref.write(repository, changes, f"git clearml: record {names} of {commit[:12]}", sleep=sleep)


def push(
    repository: Repository,
    remote: str,
    *,
    timeout: float,
    tries: int = 10,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Pushes the notes, merged with the remote's where another machine was first. False when there are none.

    `remote` is a name, or a URL; `timeout` in seconds, for all of it. Raises PublishFailed.
    """
    deadline, destination = clock() + timeout, _remote(repository, remote)
    by_hand = f"git push {destination.shown} {REF}"
    for attempt in range(tries):
        if not notes_ref.tip_of(repository):
            return False
        refusal = _pushed(repository, destination, deadline - clock())
        if not refusal:
            return True
        if clock() >= deadline:
            raise PublishFailed(f"the notes could not be pushed within {timeout:g} s", by_hand)
        if not any(word in refusal for word in _RACES):
            raise PublishFailed(f"the notes could not be pushed: {refusal}", by_hand)
        sleep(0.1 * attempt)
        pull(repository, remote, timeout=deadline - clock(), sleep=sleep)
    raise PublishFailed(f"the remote's notes changed during each of {tries} push attempts", "try again")


def pull(repository: Repository, remote: str, *, timeout: float, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Merges the remote's notes into ours: of each task the newest line. False when it has none, or none that are new.

    Raises PublishFailed.
    """
    theirs = _fetched(repository, _remote(repository, remote), timeout)
    if not theirs or _contains(repository, REF, theirs):
        return False
    tree = notes_ref.files(repository, theirs)

    def changes(tip: str) -> Changes:
        return _merged(repository, notes_ref.files(repository, tip), tree)

    ours = notes_ref.tip_of(repository)
    if (not ours or _contains(repository, theirs, ours)) and _moved(repository, theirs, ours):
        return True
    message = "git clearml: merge the notes of another clone"
    return notes_ref.write(repository, changes, message, merged=theirs, sleep=sleep)


def _merged(repository: Repository, ours: Sequence[Note], theirs: Sequence[Note]) -> Changes:
    """What to write into our tree so that it says what both say."""
    have = notes_ref.by_commit(ours)
    new = {
        commit: (have.get(commit, []), notes)
        for commit, notes in notes_ref.by_commit(theirs).items()
        if not {note.blob for note in notes} <= {note.blob for note in have.get(commit, [])}
    }
    contents = notes_ref.contents(repository, [note for pair in new.values() for notes in pair for note in notes])
    changes: Changes = {}
    for commit, (mine, notes) in new.items():
        content = note_lines.union(contents.get(note.blob, b"") for note in [*mine, *notes])
        changes |= notes_ref.change(ours, mine or notes[:1], commit, content)
    return changes


def _unrecorded(lines: Iterable[bytes], contents: Iterable[bytes]) -> list[bytes]:
    """The lines that say something which these notes do not: not only that they were written later."""
    recorded = {replace(task, recorded="") for content in contents for task in note_lines.tasks(content)}
    return [
        line for line in lines if any(replace(task, recorded="") not in recorded for task in note_lines.tasks(line))
    ]


def _contains(repository: Repository, descendant: str, commit: str) -> bool:
    return repository.run("merge-base", "--is-ancestor", commit, descendant)[0] == 0


def _moved(repository: Repository, to: str, old: str) -> bool:
    """Moves our notes forward, unless somebody else has moved them meanwhile."""
    return repository.run("update-ref", "-m", "git clearml: fetch", REF, to, old or "0" * len(to))[0] == 0


def _fetched(repository: Repository, remote: Remote, timeout: float) -> str:
    """The remote's notes commit, now in this clone; "" when it has none. Raises PublishFailed."""
    words = (
        "fetch", "--quiet", "--no-tags", "--no-prune", "--no-recurse-submodules", "--no-write-fetch-head", "--refmap=",
    )  # fmt: skip
    try:
        fetched = remotes.run(repository, remote, words, [f"+{REF}:{_FETCHED}"], timeout=max(0.1, timeout))
    except CannotDecide as error:
        raise PublishFailed(f"the remote's notes could not be fetched: {error.message}", error.hint) from None
    if fetched.status and "couldn't find remote ref" in fetched.stderr:
        return ""
    locked = any(word in fetched.stderr for word in (".lock", "cannot lock ref"))  # by another fetch of this clone
    if fetched.status and not locked:
        raise PublishFailed(
            f"the remote's notes could not be fetched: {fetched.reason}", f"git fetch {remote.shown} {REF}"
        )
    return notes_ref.tip_of(repository, _FETCHED)


def _pushed(repository: Repository, remote: Remote, timeout: float) -> str:
    """Tries once: "" when the remote has our notes, else what it or git said."""
    try:
        pushed = remotes.push(repository, remote, f"{REF}:{REF}", timeout=max(0.1, timeout))
    except CannotDecide as error:
        return error.message
    return "" if not pushed.status else remotes.refusal(pushed) or pushed.reason


def _remote(repository: Repository, name: str) -> Remote:
    """Where a push to this name, or URL, goes: the notes are fetched from there, too."""
    return remotes.named(repository, name) or Remote("", name)
