"""Runs that this clone has on record and the server does not: evidence once `git clearml import` has sent them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from git_clearml.git.repository import Repository
from git_clearml.model import RecordedTask, Task
from git_clearml.run.store import RunStore
from git_clearml.settings.in_ci import in_ci
from git_clearml.settings.policy import Equivalence, Policy
from git_clearml.verdict import resolve
from git_clearml.verdict.evidence import Answer, Evidence, RemoteEvidence
from git_clearml.verdict.model import Finding, Outcome, Reason, Verdict
from git_clearml.verdict.near_miss import ONLY_HERE
from git_clearml.verdict.offline import OfflineEvidence
from git_clearml.verdict.question import Question, Scope
from git_clearml.verdict.time_windows import Window


def explained(
    repository: Repository,
    evidence: Evidence,
    questions: Sequence[Question],
    verdicts: Sequence[Verdict],
    scope: Scope,
    environment: Mapping[str, str],
) -> list[Verdict]:
    """The verdicts that a server's tasks came to; refusals with the local run that would verify the commit if it were
    there, by the same rules, as the nearest miss.

    Nothing more is asked of the server. In CI the records of a checkout are nobody's.
    """
    refused = [n for n, verdict in enumerate(verdicts) if verdict.outcome is Outcome.REJECTED]
    on_server = isinstance(evidence, RemoteEvidence) and not in_ci(environment)
    if not refused or not on_server or scope.chosen or not RunStore(repository.common_dir).recent(1):
        return list(verdicts)
    local = _AsImported(repository, environment=environment)
    again = [Question(questions[n].commit, _of_one(questions[n].policy)) for n in refused]
    answers = resolve.verify(repository, local, again, resolve.tasks_only, scope)
    explained = dict(zip(refused, answers, strict=True))
    return [_with_local(verdict, explained.get(n)) for n, verdict in enumerate(verdicts)]


def _with_local(verdict: Verdict, local: Verdict | None) -> Verdict:
    """The refusal with that of a local run which is not among its tasks: what is on the server is not sent again."""
    if local and verdict.requirements and local.requirements:
        return _with_local_parts(verdict, local)
    if local is None or local.outcome is not Outcome.VERIFIED or verdict.needs_check:
        return verdict
    there = {task.run.id for task in (*verdict.runs, *(near.task for near in verdict.near_misses)) if task.run}
    for task in (local.task, *local.runs):
        if task and task.run and task.run.id not in there:
            finding = Finding(task._replace(source="offline"), None, (Reason("no-task", ONLY_HERE),))
            return verdict._replace(near_misses=(finding, *verdict.near_misses))
    return verdict


def _of_one(policy: Policy) -> Policy:
    """The policy, to which one run is enough: others may be on the server."""
    return policy._replace(metrics=tuple(rule._replace(min_runs=1) for rule in policy.metrics))


def _with_local_parts(verdict: Verdict, local: Verdict) -> Verdict:
    """The same for each requirement that is not met: one may have run here, and another on the server."""
    parts = [
        each._replace(verdict=_with_local(each.verdict, own.verdict)) if each.outcome is Outcome.REJECTED else each
        for each, own in zip(verdict.requirements, local.requirements, strict=True)
    ]
    named = {near.task.id for near in verdict.near_misses}
    new = {near.task.id: near for part in parts for near in part.verdict.near_misses if near.task.id not in named}
    return verdict._replace(requirements=tuple(parts), near_misses=(*new.values(), *verdict.near_misses))


class _AsImported(OfflineEvidence):
    """The offline runs of this clone as a server would have them after their import."""

    def all(
        self, commits: Sequence[str], policy: Policy, window: Window, *, chosen: str = "", also: Sequence[str] = ()
    ) -> list[Task]:
        return [_imported(task) for task in super().all(commits, policy, window) if _is_session(task)]

    def recent(self, policy: Policy, window: Window) -> Answer:
        if policy.equivalence is Equivalence.COMMIT:  # no run of another commit counts: reading 500 records takes time
            return Answer([])
        tasks = super().recent(policy, window).tasks
        return Answer([_imported(task) for task in tasks if _is_session(task)], whole=False)


def _is_session(task: Task) -> bool:
    """Is it one that can be sent: of a run that ended well, with a session that is there, and whole?"""
    sessions = task.run.sessions if task.run and task.run.exit_status == 0 else ()
    return not task.damage and not task.notes and any(session.id == task.id and session.path for session in sessions)


def _imported(task: Task) -> Task:
    """The task as the import makes it."""
    run = task.run and task.run._replace(task=RecordedTask(task.id, "completed"), tasks=((task.id, "completed"),))
    return task._replace(source="server", status="completed", run=run)
