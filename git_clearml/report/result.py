"""The metrics of one task that has run, as `git clearml report` shows them. Pure."""

from __future__ import annotations

from git_clearml.clearml.model import Result
from git_clearml.model import Task
from git_clearml.report.measures import MetricsReport
from git_clearml.report.rows import Selection, make_rows
from git_clearml.settings.policy import Policy


def task_of(result: Result, *, archived: bool = False) -> Task:
    """The task that came to this, without what only judging asks for."""
    return Task(
        result.task,
        "server",
        result.name,
        result.project,
        status=result.status,
        commit=result.commit,
        archived=archived,
        completed=result.completed,
        url=result.url,
    )


def of_result(result: Result, policy: Policy) -> MetricsReport:
    """The report of a task by itself, compared with none."""
    shown, hidden, notes = make_rows(result.metrics, None, policy, Selection())
    return MetricsReport(result.commit, None, 0, task_of(result), rows=shown, hidden=hidden, notes=notes)
