"""Whose a run record on a server is. Pure.

A clone copies the properties of its origin, and a reset keeps them (contract/README.md 29): so a record is found on
tasks that no run of ours has made, and on ones that have been run again since.
"""

from __future__ import annotations

from git_clearml.model import OtherTasks, RecordedTask, RunRecord, Task

NO_TASK = "the run created no ClearML task"
AT_WORK = ("created", "queued", "in_progress")
"""The statuses of a task that has not ended, or not begun."""

ENDED_WELL = ("", "completed", "published")
"""Those of a task that has ended and may count; an offline session has none."""

_NAMED = 3  # other tasks that had not ended well


def belongs(record: RunRecord, task: Task) -> bool:
    """Is this the record of the very run of the task that the server has now?

    It must name the task's id and commit, and the task must not have started anew. A record that says
    nothing of its own task, from an earlier version of this program, names all tasks of its run and no start: a clone
    is told by those, and a task that was reset only by the agent that has run it.
    """
    if task.source == "offline":  # the task was read out of the record
        return True
    if record.commit != task.commit:
        return False
    status = dict(record.tasks).get(task.id) if record.task is None else record.task.status
    if status is None or (record.task and record.task.id != task.id):
        return False
    if record.task and record.task.started and record.task.started != task.started:
        return False
    again = task.by_agent or task.status in AT_WORK  # it had ended here, and then it was sent to an agent
    return status in AT_WORK or not again


def for_task(record: RunRecord, task: RecordedTask) -> RunRecord:
    """The record as one of the run's tasks bears it.

    It counts the others and names but a few that had not ended well: a sweep of 700 tasks has 700 records.
    """
    others = [(name, status) for name, status in record.tasks if name != task.id]
    unsound = [(name, status) for name, status in others if status not in ENDED_WELL]
    unfinished = sum(status in AT_WORK for _, status in unsound)
    counts = OtherTasks(len(others), len(unsound) - unfinished, unfinished)
    return record._replace(tasks=((task.id, task.status), *unsound[:_NAMED]), task=task, others=counts)
