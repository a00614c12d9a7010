"""The tasks that a policy requires of each commit, `[[require]]`: who counts for which, and what they add up to. Pure.

Each requirement is a policy of its own: the general one, narrowed by what the requirement says. A commit is verified
where it is verified by each of them.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence

from git_clearml.model import Task
from git_clearml.settings.policy import Equivalence, Policy, Require
from git_clearml.verdict import rules
from git_clearml.verdict.model import Finding, Measured, Outcome, RequirementVerdict, Verdict


def ways(policy: Policy) -> tuple[Policy, ...]:
    """The policies that tasks are judged by: one for each requirement, or the policy itself where it has none."""
    return tuple(_narrowed(policy, each) for each in policy.require) or (policy,)


def _narrowed(policy: Policy, require: Require) -> Policy:
    """The policy of one requirement. Its own code-paths say what is the same code, whatever `equivalence` says."""
    if require.code_paths:
        policy = policy._replace(equivalence=Equivalence.PATHS, code_paths=require.code_paths)
    first = policy.require[0].name
    measured = [rule for rule in policy.metrics if (rule.requirement or first) == require.name]
    return policy._replace(
        require=(),
        metrics=tuple(rule._replace(requirement="") for rule in measured),
        project=require.project or policy.project,
        task_name=require.task_name or policy.task_name,
        entry_point=require.entry_point,
    )


def _measured(policy: Policy, verdicts: Sequence[Verdict]) -> tuple[Measured, ...]:
    """What the policy's metrics came to, in its order: each was measured by the requirement that it is about."""
    results = {
        (each.name, result.rule): result
        for each, verdict in zip(policy.require, verdicts, strict=True)
        for result in verdict.metrics
    }
    first = policy.require[0].name
    return tuple(
        results[rule.requirement or first, rule._replace(requirement="")]._replace(rule=rule) for rule in policy.metrics
    )


def asked(policy: Policy) -> Policy:
    """The policy by which tasks are asked for, all requirements' at once: it narrows nothing that one of them leaves
    open."""
    narrowed = ways(policy)
    return policy._replace(
        project=_common(way.project for way in narrowed), task_name=_common(way.task_name for way in narrowed)
    )


def _common(names: Iterable[str]) -> str:
    distinct = set(names)
    return distinct.pop() if len(distinct) == 1 else ""


def concerning(tasks: Iterable[Task], way: Policy, others: Sequence[Policy]) -> list[Task]:
    """The tasks without those that are plainly another requirement's: a training that failed is no evaluation."""
    if len(others) < 2:
        return list(tasks)
    return [task for task in tasks if _fits(task, way) or not any(_fits(task, other) for other in others)]


def _fits(task: Task, way: Policy) -> bool:
    """Is it one of the requirement's tasks, whatever became of it? Of a run without a task only the command tells."""
    if task.id:
        return not rules.another_kind(task, way)
    command = task.run.command if task.run else ()
    own = posixpath.normpath(way.entry_point)
    return not way.entry_point or not command or any(posixpath.normpath(word) == own for word in command)


def combined(policy: Policy, verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of a commit over those of the policy's requirements, in their order; the only one without any.

    Its task is the first requirement's. 1 beats 3 beats 4 beats 0; near misses are those of what is worst, first.
    """
    if not policy.require:
        return verdicts[0]
    outcome = Outcome.worst([verdict.outcome for verdict in verdicts])
    unmet = sorted(
        (verdict for verdict in verdicts if verdict.outcome is not Outcome.VERIFIED),
        key=lambda verdict: list(Outcome).index(verdict.outcome),
    )
    near: dict[tuple[str, str], Finding] = {}
    for finding in (finding for verdict in unmet for finding in verdict.near_misses):
        near.setdefault((finding.task.id, finding.task.run.id if finding.task.run else ""), finding)
    first, passed = verdicts[0], outcome is Outcome.VERIFIED
    return Verdict(
        first.commit,
        outcome,
        task=first.task if passed else None,
        equivalence=first.equivalence if passed else None,
        considered=max(verdict.considered for verdict in verdicts),
        accepted=min(verdict.accepted for verdict in verdicts),
        near_misses=tuple(near.values()),
        metrics=_measured(policy, verdicts),
        runs=tuple(dict.fromkeys(task for verdict in verdicts for task in verdict.runs)),
        requirements=tuple(
            RequirementVerdict(each.name, verdict, each.entry_point)
            for each, verdict in zip(policy.require, verdicts, strict=True)
        ),
    )
