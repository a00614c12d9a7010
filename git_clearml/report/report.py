"""Fetches what a report shows: a task's metrics, and those of the best task, of a commit or of another task."""

from __future__ import annotations

from dataclasses import replace

from git_clearml.base.ids import FIND_THE_ID, is_offline_id, is_short_id, is_uuid, short_id
from git_clearml.base.words import listed
from git_clearml.errors import UnknownRevision, UsageError
from git_clearml.git.repository import Repository
from git_clearml.model import Task
from git_clearml.report import best_tag, compare
from git_clearml.report.measures import MetricsReport
from git_clearml.report.rows import Selection, make_rows
from git_clearml.settings.policy import Policy
from git_clearml.verdict import resolve as verification
from git_clearml.verdict.evidence import Evidence
from git_clearml.verdict.model import Verdict
from git_clearml.verdict.question import Question

BEST = "best"
"""What `--against` calls the best task."""


def is_task_id(text: str) -> bool:
    """Could this be a task's id, or its first 8 digits or more? A shortened hash looks the same: ask git first."""
    return is_uuid(text) or is_short_id(text) or is_offline_id(text)


def check_against(repository: Repository, against: str) -> None:
    """Raises UnknownRevision for what is neither `best`, nor a commit, nor could be a task's id."""
    if against and against != BEST and not is_task_id(against):
        repository.resolve([against])


def of_verdict(
    repository: Repository,
    source: Evidence,
    verdict: Verdict,
    policy: Policy,
    *,
    against: str,
    otherwise: str = "",
    selection: Selection,
) -> MetricsReport:
    """The metrics of the verdict's task; without one, a report that has the verdict's outcome and no numbers."""
    task = verdict.task or compare.holder(verdict.runs, policy.ranking)
    if task is None:
        return MetricsReport(verdict.commit, verdict.outcome, verdict.outcome.status, notes=verdict.notes)
    report = of_task(repository, source, task, policy, against=against, otherwise=otherwise, selection=selection)
    notes = dict.fromkeys((*verdict.notes, *whose(verdict, task), *report.notes))
    return replace(
        report,
        commit=verdict.commit,
        outcome=verdict.outcome,
        status=verdict.outcome.status,
        notes=tuple(notes),
        measured=verdict.metrics,
    )


def whose(verdict: Verdict, task: Task) -> list[str]:
    """Of which requirement the task is, and which tasks are those of the others; nothing where there are none."""
    tasks = {each.name: each.verdict.task for each in verdict.requirements}
    own = next((name for name, other in tasks.items() if other and other.id == task.id), "")
    others = [f"{name} {short_id(other.id) if other else 'has none'}" for name, other in tasks.items() if name != own]
    return [f"this is the task of the requirement {own!r}; of the others: {listed(others)}"] if own and others else []


def of_task(
    repository: Repository,
    source: Evidence,
    task: Task,
    policy: Policy,
    *,
    against: str,
    otherwise: str = "",
    selection: Selection,
) -> MetricsReport:
    """The metrics of a task, next to those of `against`: best, a revision, a task's id, or "" for none.

    Where there is no such task they stand next to those of the commit `otherwise`, if this clone has it and a task has
    run it. Two requests, and those that it takes to find the other task. Raises UnknownRevision, UsageError and the
    errors of the source.
    """
    other, label, notes = _task_to_compare(repository, source, task, policy, against)
    column = "best" if against == BEST else "other"
    if other is None and otherwise and repository.trees([otherwise]):
        other, label, more_notes = _task_to_compare(repository, source, task, policy, otherwise)
        column, notes = "other", [*notes, *more_notes]
    other_metrics = source.metrics(other) if other else None
    rows, hidden, row_notes = make_rows(source.metrics(task), other_metrics, policy, selection)
    notes = [*task.notes, *notes, *row_notes]
    return MetricsReport(task.commit, None, 0, task, other, label, column, rows, hidden, tuple(notes))


def find_task(source: Evidence, identity: str, policy: Policy) -> Task:
    """The task of this id. Raises UsageError when there is none."""
    task = source.find(identity, policy)
    if task is None:
        raise UsageError(f"there is no task {identity}", FIND_THE_ID)
    return task


def _task_to_compare(
    repository: Repository, source: Evidence, task: Task, policy: Policy, against: str
) -> tuple[Task | None, str, list[str]]:
    """The task to compare with, what to call it, and why there is none."""
    if against == BEST:
        tagged = best_tag.find(source, policy, task.project)
        choose = compare.best_of if policy.best.metric else compare.holder
        best = choose(tagged, policy.ranking)
        label = f"the best task ({policy.best.tag})"
        return best, label, [] if best else [f"no best task yet: none is tagged {policy.best.tag!r}"]
    if not against:
        return None, "", []
    try:
        commit = repository.resolve([against])[0].commit
    except UnknownRevision:
        if not is_task_id(against):
            raise
        return find_task(source, against, policy), f"task {against}", []
    verdict = verification.verify(repository, source, [Question(commit, policy)], verification.tasks_only)[0]
    label = f"commit {commit.hash[:12]}"
    return verdict.task, label, [] if verdict.task else [f"no task counts for {label}: nothing to compare with"]
