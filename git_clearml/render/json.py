"""Reports for programs: the shapes of design 11, schema 1. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from git_clearml.base.jsonvalue import finite
from git_clearml.errors import Error
from git_clearml.model import Problem, Task
from git_clearml.render import measured
from git_clearml.render.text import MOST_NEAR_MISSES
from git_clearml.report.measures import Comparison, MetricsReport, Row, Step
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.model import Finding, Verdict

if TYPE_CHECKING:
    from git_clearml.agent.model import Check


def verify(report: VerifyReport) -> dict[str, Any]:
    """`verify --format json`. Text of a server stands in it as it came: JSON cannot be tricked by it."""
    return document(
        "verify",
        report.status,
        report.problems,
        outcome=report.outcome.value,
        policy={"from": report.policy_from},
        commits=[_verdict(verdict) for verdict in report.verdicts],
        check_runnable=check(report.check) if report.check else None,
        compare=compare(report.comparison) if report.comparison else None,
        comment={"url": report.comment.url, "action": report.comment.action} if report.comment else None,
        looked_back_to=min((verdict.looked_back_to for verdict in report.verdicts), default="") or None,
        hint=report.hint or None,
        notes=list(report.notes),
    )


def compare(comparison: Comparison) -> dict[str, Any]:
    """`compare --format json`. A number that JSON has no word for (NaN, an infinity) is null; the notes name it."""
    return document(
        "compare",
        comparison.status,
        comparison.problems,
        outcome=comparison.outcome.in_json,
        commit=comparison.commit or None,
        metric=comparison.metric or None,
        direction=comparison.direction,
        current=_valued(comparison.current, comparison.current_value),
        best=_valued(comparison.best, comparison.best_value),
        delta=finite(comparison.delta),
        tolerance=comparison.tolerance,
        tagged=comparison.tagged,
        **({"metrics": measured.objects(comparison.metrics)} if comparison.metrics else {}),
        notes=list(comparison.notes),
    )


def check(shown: Check) -> dict[str, Any]:
    """`check-runnable --format json`. Lines of the log stand in it as they came, without control characters."""
    return document(
        "check-runnable",
        shown.status,
        shown.problems,
        outcome=shown.outcome.value,
        **_known(shown, "commit", "task", "url", "queue"),
        seconds_queued=round(shown.seconds_queued, 1),
        seconds_running=round(shown.seconds_running, 1),
        **_known(shown, "cause", "sentence"),
        log_tail=list(shown.log_tail),
        earlier=shown.earlier,
        left=list(shown.left),
        hint=shown.hint or None,
        notes=list(shown.notes),
    )


def report(shown: MetricsReport) -> dict[str, Any]:
    """`report --format json`. A number that JSON has no word for is null, and the row's note names it."""
    return document(
        "report",
        shown.status,
        shown.problems,
        outcome=shown.outcome.value if shown.outcome else None,
        commit=shown.commit or None,
        task=task_object(shown.task) if shown.task else None,
        against=task_object(shown.against) if shown.against else None,
        metrics=[row_object(row) for row in shown.rows],
        **({"spread": measured.spread(shown.measured)} if shown.measured else {}),
        **({} if shown.steps is None else {"steps": [_step(step) for step in shown.steps]}),
        hidden=shown.hidden,
        notes=list(shown.notes),
    )


def _step(step: Step) -> dict[str, Any]:
    metrics = [row_object(row) for row in step.rows]
    return {"task": task_object(step.task), "parent": step.parent, "archived": step.task.archived, "metrics": metrics}


def row_object(row: Row) -> dict[str, Any]:
    """A metric in the shape of design 11."""
    values = {name: finite(getattr(row, name)) for name in ("last", "min", "max", "best", "delta")}
    return {"metric": row.metric, "variant": row.variant, **values, "note": row.note or None}


def _valued(task: Task | None, value: float | None) -> dict[str, Any] | None:
    return {"task": task_object(task), "value": finite(value)} if task else None


def document(command: str, status: int, problems: Iterable[Problem | Error] = (), **fields: Any) -> dict[str, Any]:
    """A document of a command: what every one of them begins and ends with, and between that its own fields."""
    outcome = {"outcome": fields.pop("outcome")} if "outcome" in fields else {}
    errors = [{"code": problem.code, "message": problem.message} for problem in problems]
    return {"schema": 1, "command": command, **outcome, "exit_code": status, **fields, "errors": errors}


def _known(shown: object, *names: str) -> dict[str, Any]:
    """These attributes, null for one that is empty."""
    return {name: getattr(shown, name) or None for name in names}


def failed(command: str, error: Error) -> dict[str, Any]:
    """What a command prints when an error ended it before there was a report."""
    return document(command, error.status, [error], outcome="undecided", hint=error.hint or None)


def _verdict(verdict: Verdict) -> dict[str, Any]:
    document = {"commit": verdict.commit, "refs": list(verdict.refs), **_evidence(verdict)}
    if verdict.requirements:
        document["requirements"] = [
            {"name": each.name, **_evidence(each.verdict), "hint": each.hint or None} for each in verdict.requirements
        ]
    return document


def _evidence(verdict: Verdict) -> dict[str, Any]:
    """What a verdict rests on, that of a commit or of one requirement."""
    task = verdict.task
    return {
        "outcome": verdict.outcome.value,
        "task": task_object(task) if task else None,
        "equivalence": verdict.equivalence.value if verdict.equivalence else None,
        "evidence_commit": task.commit if task else None,
        "evidence": {"considered": verdict.considered, "accepted": verdict.accepted},
        "notes": list(verdict.notes),
        "near_misses": [_near_miss(finding) for finding in verdict.near_misses[:MOST_NEAR_MISSES]],
        **({"metrics": measured.objects(verdict.metrics)} if verdict.metrics else {}),
    }


def _near_miss(finding: Finding) -> dict[str, Any]:
    return {
        "task": task_object(finding.task),
        "reasons": [{"code": reason.code, "message": reason.message} for reason in finding.reasons],
    }


def task_object(task: Task) -> dict[str, Any]:
    """A task in the shape of design 11."""
    return {name: getattr(task, name) for name in ("id", "name", "project", "status", "source", "commit", "url")}
