"""What a run that has just ended will come to: whether one of its tasks verifies the commit, by the same rules."""

from __future__ import annotations

from datetime import datetime, timezone

from git_clearml.git.repository import Repository
from git_clearml.model import Commit, RunRecord, Task
from git_clearml.run.store import RunStore
from git_clearml.settings.policy import Equivalence, Policy
from git_clearml.verdict import offline, requirements, rules
from git_clearml.verdict.entry_points import EntryPoints
from git_clearml.verdict.model import Outcome
from git_clearml.verdict.run_rules import siblings_of


def hindrance(repository: Repository, commit: Commit, policy: Policy, record: RunRecord) -> str:
    """Why no task of the run will verify its commit, "" when one will or may.

    Asks git alone, and of metrics the sessions that lie here, of this run and of others. What a server adds to a task
    later (an archive, a project) is not known yet. Raises CannotDecide.
    """
    tasks = [_where_it_is(task, record) for task in offline.of_record(record, policy)]
    if policy.metrics and all(session.path for session in record.sessions):
        for other in RunStore(repository.common_dir).of_commits([commit.hash]):
            if not isinstance(other, RunRecord) or other.id != record.id:
                tasks += offline.of_record(other, policy)
    else:
        policy = policy._replace(metrics=())
    entries = EntryPoints(repository)
    entries.learn(tasks)
    names, moment = repository.names(policy.repositories), datetime.now(timezone.utc)
    facts = rules.Facts(names, frozenset(entries.files), moment, siblings_of(tasks), entries.elsewhere)
    exactly = {commit.hash: Equivalence.COMMIT}
    verdicts = [rules.judge(commit, tasks, way, facts, equivalent=exactly.get) for way in requirements.ways(policy)]
    if any(verdict.outcome in (Outcome.VERIFIED, Outcome.PENDING) or not verdict.near_misses for verdict in verdicts):
        return ""
    verdict = min(
        verdicts, key=lambda each: len(each.near_misses[0].reasons)
    )  # the requirement that it comes nearest to
    why = "; ".join(reason.message for reason in verdict.near_misses[0].reasons)
    return why if verdict.fails_metrics else f"its task {why}"


def _where_it_is(task: Task, record: RunRecord) -> Task:
    """The task as its server has it: a run knows it by its id and its status alone."""
    on_server = {session.id for session in record.sessions if not session.path}
    if task.id not in on_server:
        return task
    return task._replace(source="server", status=dict(record.tasks).get(task.id, ""))
