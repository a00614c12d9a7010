"""Rule 6 of design 6: what `git clearml run` saw for itself, and what has become of the run's other tasks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from git_clearml.base.words import listed
from git_clearml.clearml.diff import UNTRACKED
from git_clearml.model import RunRecord, Task
from git_clearml.run.ownership import AT_WORK, ENDED_WELL, NO_TASK, belongs
from git_clearml.settings.code_paths import is_untracked_code, untracked_ok
from git_clearml.settings.policy import Policy
from git_clearml.verdict.model import Reason

_GONE = "gone"  # no task that was asked for: it may have been deleted


class Siblings(NamedTuple):
    """What is known now of the tasks of runs: each task's status by its id; by a run's id the ids of those of its tasks
    that had not ended when it did."""

    statuses: Mapping[str, str] = {}
    unfinished: Mapping[str, frozenset[str]] = {}


def siblings_of(tasks: Iterable[Task]) -> Siblings:
    """What these tasks of a server say of each other. A copied record makes no task one of the run."""
    statuses, unfinished = dict[str, str](), dict[str, frozenset[str]]()
    for task in tasks:
        if task.source == "server":
            statuses[task.id] = task.status
            run = task.run
            if run and run.task and run.task.status in AT_WORK and belongs(run, task):
                unfinished[run.id] = unfinished.get(run.id, frozenset()) | {task.id}
    return Siblings(statuses, unfinished)


def reasons(task: Task, policy: Policy, siblings: Siblings, notes: list[str]) -> list[Reason]:
    """Why the task's run keeps it from counting, [] when it does not; may add a note.

    A record of another task, or of what the task was before a reset, is none.
    """
    record = task.run
    if record is None or not belongs(record, task):
        ended = task.status not in ("queued", "in_progress")  # the record comes with the run's end
        on_agent = task.launched and task.by_agent  # a clone of exactly the commit: what a record would tell of it
        if policy.require_run_record and ended and not task.damage and not on_agent:
            foreign = "" if record is None else ": its run record is of another task, or from before it was reset"
            return [Reason("no-task", f"was not made by git clearml run, which the policy requires{foreign}")]
        return []
    if record.alive and record.exit_status is None:  # what speaks against it already will not go away
        return [Reason("running", "its run is still in progress"), *record_reasons(record, policy)]
    against = [] if task.id or task.damage else [Reason("no-task", NO_TASK)]
    if record.exit_status is None:
        against.append(Reason("run-failed", "the run was killed before it ended"))
    elif record.exit_status != 0:
        against.append(Reason("run-failed", f"the command ended with exit status {record.exit_status}"))
    against += record_reasons(record, policy)
    against = against or _of_others(record, task, siblings)
    if not against:
        notes.append(f"verified by a {'local ' if task.source == 'offline' else ''}run record")
    return against


def record_reasons(record: RunRecord, policy: Policy) -> list[Reason]:
    """What a run record says against the working tree that it found."""
    against = []
    if record.dirty:
        against.append(_dirty(record))
    untracked = [path for path in record.untracked if not untracked_ok(path, policy)]
    if untracked:
        outputs = not all(is_untracked_code(path, policy) for path in untracked)
        advice = "; outputs belong in .gitignore, or in untracked-ok" if outputs else ""
        against.append(Reason("untracked-files", f"ran with untracked files: {listed(untracked)}{advice}"))
    elif looser := [pattern for pattern in record.allowed_by if pattern not in policy.untracked_ok]:
        message = f"ran with untracked files that are not all on record, where {listed(looser)} was in untracked-ok"
        against.append(Reason("untracked-files", message))
    if policy.ignored_code == "refuse" and record.ignored is None:
        against.append(Reason("ignored-code", "ran before code that .gitignore hides was looked for"))
    elif policy.ignored_code == "refuse" and record.ignored:
        against.append(Reason("ignored-code", f"ran with code that .gitignore hides: {listed(record.ignored)}"))
    if record.edited:
        against.append(Reason("dirty", f"code changed during the run: {listed(record.edited)}"))
    return against


def each_once(task: Task, recorded: list[Reason], seen: list[Reason]) -> tuple[list[Reason], list[Reason]]:
    """What the task's diff and its run record say against it, without what both say: the one that says more says it.

    `recorded` is what the diff says, `seen` what the run saw of the working tree.
    """
    if not task.run or not task.diff or [reason.code for reason in recorded] != ["dirty"]:
        return recorded, seen
    if task.diff.summary.startswith(UNTRACKED) and {"untracked-files", "ignored-code"} & {each.code for each in seen}:
        return [], seen
    dirty, summary = task.run.dirty, task.diff.summary
    if all(path in summary for path in dirty[:3]) or f" and {len(dirty) - 3} more" in summary:
        seen = [reason for reason in seen if reason != _dirty(task.run)]
    return recorded, seen


def _dirty(record: RunRecord) -> Reason:
    return Reason("dirty", f"ran with uncommitted changes in {listed(record.dirty)}")


def _of_others(record: RunRecord, task: Task, siblings: Siblings) -> list[Reason]:
    """All tasks of a run must have ended well; those that had not ended with it are looked at again."""
    if record.task and not record.others.unsound and not record.others.unfinished:
        return []
    now = _others_now(record, task, siblings)
    bad = [name for name, status in now.items() if status not in (*ENDED_WELL, *AT_WORK, _GONE)]
    if bad or record.others.unsound:
        return [Reason("run-failed", f"another task of the run did not end well{_named(bad)}")]
    for status, code, word in (("in_progress", "running", "running"), ("queued", "queued", "queued")):
        if names := [name for name in now if now[name] == status]:
            return [Reason(code, f"another task of its run is still {word}{_named(names)}")]
    others = record.others.unfinished if record.task else len(now)
    if sum(status in ENDED_WELL for status in now.values()) < others:
        names = [name for name, status in now.items() if status not in ENDED_WELL]
        return [Reason("run-failed", f"another task had not ended when its run did, nor has it since{_named(names)}")]
    return []


def _named(names: Sequence[str]) -> str:
    return f" ({', '.join(names[:3])})" if names else ""


def _others_now(record: RunRecord, task: Task, siblings: Siblings) -> dict[str, str]:
    """The statuses of the run's other tasks, as far as their ids are known: those that had not ended as they are now.

    Of a record in this clone, which no server's task is asked with, the task's own status counts too.
    """
    then = {name: status for name, status in record.tasks if name != task.id or task.source == "offline"}
    if record.task:
        then |= dict.fromkeys(siblings.unfinished.get(record.id, frozenset()) - {task.id, *then}, "queued")
    return {name: siblings.statuses.get(name, _GONE) if status in AT_WORK else status for name, status in then.items()}
