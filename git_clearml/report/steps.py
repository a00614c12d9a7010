"""Adds to a report what the steps of a pipeline measured: for a task that launched others on a server."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from git_clearml.clearml import steps
from git_clearml.report.measures import MetricsReport, Step
from git_clearml.report.result import task_of
from git_clearml.report.rows import Selection, make_rows
from git_clearml.settings.policy import Policy
from git_clearml.verdict.evidence import Evidence
from git_clearml.verdict.server import ServerEvidence


def with_steps(source: Evidence, report: MetricsReport, policy: Policy, selection: Selection) -> MetricsReport:
    """The report with the steps of its task, and what there is to say of them. See clearml/steps.py for the requests.

    Raises the errors of the source.
    """
    if report.task is None:
        return report
    if not isinstance(source, ServerEvidence):
        return replace(report, steps=(), notes=(*report.notes, "the steps of a pipeline are on a server alone"))
    recorded = steps.of_task(source.api, report.task.id)
    shown, hidden = [], 0
    for each in recorded.tasks:
        rows, more, _ = make_rows(each.result.metrics, None, policy, selection)
        hidden += more
        shown.append(Step(task_of(each.result, archived=each.archived), each.parent, each.path, rows))
    notes = (*report.notes, *_notes(recorded, shown))
    return replace(report, steps=tuple(shown), hidden=report.hidden + hidden, notes=notes)


def _notes(recorded: steps.Steps, shown: list[Step]) -> list[str]:
    if not recorded.is_pipeline:
        return [f"the task is no pipeline: ClearML has it as {recorded.kind or 'a task of no type'}"]
    statuses = Counter(step.task.status for step in shown)
    counts = ", ".join(f"{count:,} {status}" for status, count in sorted(statuses.items()))
    notes = [f"{len(shown):,} step{'' if len(shown) == 1 else 's'}{': ' + counts if shown else ''}"]
    if not recorded.whole:
        notes.append(f"there are more steps than the {len(shown):,} that are shown")
    if recorded.again:
        notes.append(f"left out: {recorded.again:,} other run{'' if recorded.again == 1 else 's'} of the pipeline")
    return notes
