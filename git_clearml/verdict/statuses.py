"""Which of ClearML's task statuses count as success, which may yet, and what is said of the others. Pure."""

from __future__ import annotations

from datetime import datetime

from git_clearml.base.words import ago
from git_clearml.model import Task
from git_clearml.settings.policy import Policy
from git_clearml.verdict.model import Reason

ENDED_WELL = ("completed", "published")
"""What a task must be to count. `published` hides what it was before: see `reasons`."""


def counting(policy: Policy) -> tuple[str, ...]:
    """The statuses of tasks that count under this policy."""
    return ENDED_WELL if policy.published == "accept" else ("completed",)


def reasons(task: Task, policy: Policy, now: datetime, notes: list[str]) -> list[Reason]:
    """Rule 2 of design 6: why the task's status keeps it from counting, [] when it does not; may add a note.

    Of an offline session the run record knows the end (rule 6): ClearML writes no status into it.
    """
    if task.source == "offline" or task.status == "completed":
        return []
    if task.status == "published":
        if policy.published == "reject":
            return [Reason("published", 'published, and the policy says published = "reject"')]
        if not task.completed:
            return [Reason("published", "published without having completed")]
        notes.append("published: its success is not on record")
        return []
    if task.status == "in_progress":
        iteration = f", iteration {task.iteration}" if task.iteration else ""
        return [Reason("running", f"still running{iteration}")]
    ran = task.run is not None and task.run.task is not None and task.run.task.id == task.id
    when = ago(task.completed or task.updated, now)
    code, message = {
        "queued": ("queued", "still queued"),
        "created": ("created", "reset after it had run" if ran else "created, but never run"),
        "failed": ("failed", f"failed {when}".rstrip()),
        "stopped": ("stopped", f"was stopped {when}".rstrip()),
        "closed": ("closed", "closed, which says nothing about success"),
    }.get(task.status, ("closed", f"has the unknown status {task.status!r}"))
    return [Reason(code, message)]
