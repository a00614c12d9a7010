"""Finds the best task, compares with it, and moves its tag.

The tag moves by atomic updates, and several of us may be at it at once. Everybody adds first, then takes the tag from
whatever comes later in the one total order of compare.py, and reads again until one task is left. The first in the
order loses the tag to nobody, so whoever writes last leaves exactly that one; what a killed process left behind is
repaired by the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from git_clearml.base.words import listed
from git_clearml.errors import BadSetting, CannotDecide, Error, PublishFailed, UsageError
from git_clearml.model import Problem, Task
from git_clearml.report import compare
from git_clearml.report.measures import Comparison, ComparisonOutcome
from git_clearml.settings.in_ci import in_ci
from git_clearml.settings.policy import Policy
from git_clearml.verdict.evidence import Evidence, RemoteEvidence
from git_clearml.verdict.metric_rules import unusable
from git_clearml.verdict.model import Outcome, Verdict

if TYPE_CHECKING:
    from git_clearml.report.compared_metrics import Place

_PAUSES = (0.0, 0.1, 0.2, 0.4, 0.8)  # seconds before each reading back; as many rounds
_NAME_THE_METRIC = "git clearml compare --metric TITLE/SERIES"


class MayWrite(NamedTuple):
    """May the best tag be written here, and if not, why."""

    allowed: bool
    why_not: str = ""


def check(policy: Policy) -> None:
    """Can these rules be asked about? Raises UsageError without a metric, BadSetting for names that cannot be asked."""
    if not policy.best.metric and not policy.metrics:
        raise UsageError("no metric to compare by: best.metric is not set in pyproject.toml", _NAME_THE_METRIC)
    if policy.best.metric and "/" not in policy.best.metric:
        raise BadSetting(f"best.metric = {policy.best.metric!r}: expected TITLE/SERIES", _NAME_THE_METRIC)
    check_tag(policy)


def check_tag(policy: Policy) -> None:
    """Raises BadSetting for a tag that the server would take for an operator [12]."""
    tag = policy.best.tag
    if not tag.strip() or tag.startswith(("-", "__$")):
        raise BadSetting(f"best.tag = {tag!r} cannot be looked up", "choose a tag that begins with a letter")


def find(source: Evidence, policy: Policy, project: str) -> list[Task]:
    """The tasks that bear the best tag, in the best task's project, the policy's, else `project`; sub-projects count.

    Without any project the best tasks of others on the same server would be ours. Raises the errors of the source.
    """
    check_tag(policy)
    scoped = policy._replace(project=policy.best.project or policy.project or project)
    tagged = source.tagged(policy.best.tag, scoped) if isinstance(source, RemoteEvidence) else []
    return [task for task in tagged if scoped.project or not task.project]


def compared(source: Evidence, verdict: Verdict, policy: Policy, place: Place | None = None) -> Comparison:
    """How the verdict's task stands against the best one, and the policy's `metrics` against their baselines (`place`
    says where those are looked up). Writes nothing.

    Raises UsageError, BadSetting and the errors of the source.
    """
    by_best, tagged = _compare_with_tagged(source, verdict, policy)
    return _with_metrics(source, verdict, policy, place, by_best, tagged)


def undecided(verdict: Verdict, policy: Policy, error: Error) -> Comparison:
    """The comparison that an error ended."""
    comparison = compare.without_task(verdict._replace(outcome=Outcome.UNDECIDED), policy)
    return replace(comparison, status=error.status, problems=(Problem.of(error),))


def may_write(pushes_to_base: bool | None, environment: Mapping[str, str], *, unmerged: bool) -> MayWrite:
    """May --tag-best write in this place (design 12), and if not, why. `pushes_to_base`: what the CI job does, None
    outside of a job that we know."""
    if unmerged or (not in_ci(environment) if pushes_to_base is None else pushes_to_base):
        return MayWrite(True)
    return MayWrite(False, "in CI the tag moves on pushes to the base branch, or with --tag-unmerged")


def move_best_tag(
    source: Evidence,
    verdict: Verdict,
    policy: Policy,
    place: Place | None = None,
    *,
    may_write: MayWrite,
    dry_run: bool = False,
    pause: Callable[[float], None] = time.sleep,
) -> Comparison:
    """Compares, and sees to it that exactly one task bears the best tag: what `--tag-best` does.

    Where it may not write and with `dry_run` it only says what it would do. A tag that
    could not be moved is a problem of the comparison and makes a pass status 3, but never hides a worse model.
    Raises UsageError for evidence that bears no tags, and otherwise as `compared` does.
    """
    if not isinstance(source, RemoteEvidence):
        raise UsageError("--tag-best needs a ClearML server; this evidence is local", "leave --tag-best out")
    by_best, tagged = _compare_with_tagged(source, verdict, policy)
    move = compare.plan(by_best, tagged, policy.best) if policy.best.metric else compare.TagMove()
    comparison, current = _with_metrics(source, verdict, policy, place, by_best, tagged), by_best.current
    if not move or current is None:
        return comparison
    if dry_run or not may_write.allowed:
        reason = f" ({may_write.why_not})" if may_write.why_not else ""
        return comparison.noted(f"would {_describe(move, policy.best.tag, 'take')}{reason}")
    try:
        tagged = _move(source, move, policy, current.project, pause)
    except CannotDecide as error:
        failure = PublishFailed(
            f"could not finish moving the tag {policy.best.tag!r}: {error.message}",
            error.hint or "the next --tag-best repairs what is left",
        )
        problem = Problem.of(failure)
        status = comparison.status or failure.status
        return replace(comparison, status=status, problems=(*comparison.problems, problem))
    bears_tag = any(task.id == current.id for task in tagged)
    comparison = replace(comparison, tagged=bears_tag).noted(_describe(move, policy.best.tag, "took"))
    if current.id in move.add_to and not bears_tag:
        winner = listed([task.id for task in tagged]) or "no task"
        return comparison.noted(f"the tag is on {winner} now: another --tag-best ran at the same time")
    return comparison


def _compare_with_tagged(source: Evidence, verdict: Verdict, policy: Policy) -> tuple[Comparison, list[Task]]:
    """The comparison, and every task that bears the tag."""
    check(policy)
    current = verdict.task
    if current is None:
        return compare.without_task(verdict, policy), []
    if not policy.best.metric:  # then there are `metrics`
        wanted = any(rule.against == "best" for rule in policy.metrics)
        tagged = find(source, policy, current.project) if wanted else []
        return Comparison(ComparisonOutcome.FIRST, 0, verdict.commit, current=current), tagged
    tagged = find(source, policy, current.project)
    comparison = compare.decide(current, compare.best_of(tagged, policy.best), policy.best)
    bears_tag = any(task.id == current.id for task in tagged)
    notes = [*comparison.notes, *_notes_on_tagged(tagged, current, comparison, policy), *verdict.notes]
    if comparison.outcome is ComparisonOutcome.MISSING and current.value is None:
        notes += _nearest_metrics(source, current, policy)
    if not isinstance(source, RemoteEvidence):
        notes.append("offline sessions have no tags: there is no best task to compare with")
    return replace(comparison, commit=verdict.commit, tagged=bears_tag, notes=tuple(notes)), tagged


def _with_metrics(
    source: Evidence, verdict: Verdict, policy: Policy, place: Place | None, by_best: Comparison, tagged: Sequence[Task]
) -> Comparison:
    """How the policy's metrics stand, where it has any; else what `[best]` alone says."""
    if verdict.task is None or place is None or not policy.metrics:
        return by_best
    from git_clearml.report import compared_metrics  # late: few policies have metrics

    best = (compare.best_of if policy.best.metric else compare.holder)(tagged, policy.ranking)
    shown = by_best if policy.best.metric else None
    return compared_metrics.of_verdict(source, verdict, policy, place, best, shown)


def _notes_on_tagged(tagged: Sequence[Task], current: Task, comparison: Comparison, policy: Policy) -> list[str]:
    """What a reader should know about the tasks that bear the tag."""
    notes = []
    if len(tagged) > 1:
        several = f"{len(tagged)} tasks have the tag {policy.best.tag!r}, only one should"
        notes.append(f"{several}: git clearml compare --tag-best repairs it")
    for task in tagged:
        problem = unusable(task.value, policy.best)
        if problem and task.id != current.id:
            notes.append(f"{policy.best.metric} of {task.id}, which has the tag, {problem}: it does not count as best")
    if comparison.best and comparison.best.id == current.id and comparison.outcome is ComparisonOutcome.EQUAL:
        notes.append("this task is the best one already")
    return notes


def _nearest_metrics(source: Evidence, current: Task, policy: Policy) -> list[str]:
    """What the task reported instead of the policy's metric, the nearest names first. Silent where that is unknown."""
    from difflib import get_close_matches

    try:
        measured = source.metrics(current)
    except CannotDecide:
        return []
    names = [metric.name for metric in measured if metric.is_own]
    near = get_close_matches(policy.best.metric, names, n=3, cutoff=0.0)
    more = f" and {len(names) - len(near)} more" if len(names) > len(near) else ""
    return [f"it reported {', '.join(near)}{more}" if near else "it reported no metrics"]


def _move(
    source: RemoteEvidence, move: compare.TagMove, policy: Policy, project: str, pause: Callable[[float], None]
) -> list[Task]:
    """Moves the tag and reads back until one task at most bears it; what is left.

    Raises PublishFailed when others keep moving it, and the errors of the source.
    """
    source.renew()
    source.move_tag(move.add_to, move.remove_from, policy.best.tag)
    for seconds in _PAUSES:
        pause(seconds)
        tagged = find(source, policy, project)
        keeper = compare.holder(tagged, policy.best)
        losing = [task.id for task in tagged if keeper and task.id != keeper.id]
        if not losing:
            return tagged
        source.move_tag((), losing, policy.best.tag)
    raise PublishFailed(f"others moved it too, {len(_PAUSES)} times in a row", "run it again")


def _describe(move: compare.TagMove, tag: str, take: str) -> str:
    """The plan as a sentence: `put the tag 'x' on a and take it from b`; `take` is that verb in the right tense."""
    parts = [f"put the tag {tag!r} on {listed(move.add_to)}"] if move.add_to else []
    if move.remove_from:
        parts.append(f"{take} {'it' if parts else f'the tag {tag!r}'} from {listed(move.remove_from)}")
    return " and ".join(parts)
