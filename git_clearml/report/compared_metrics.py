"""Finds what the policy's `[[metrics]]` are to be compared with, and who has accepted what is worse: design 14."""

from __future__ import annotations

import math
from typing import NamedTuple

from git_clearml.git.commit import trailers
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Task
from git_clearml.report import baselines
from git_clearml.report.baselines import Baseline
from git_clearml.report.measures import Comparison
from git_clearml.settings.policy import Equivalence, MetricRule, Policy
from git_clearml.verdict import resolve
from git_clearml.verdict.evidence import Evidence
from git_clearml.verdict.model import Verdict
from git_clearml.verdict.question import Question

THE_BEST = "the best task"


class Place(NamedTuple):
    """Where a commit is compared: its repository, and the accepted commit that a CI job names, "" for none."""

    repository: Repository
    base: str = ""


def of_verdict(
    source: Evidence, verdict: Verdict, policy: Policy, place: Place, best: Task | None, by_best: Comparison | None
) -> Comparison:
    """How a verified commit's metrics stand. `best` is the best task, None where there is none; `by_best` how the
    commit stands against it by `[best]`.

    Where a metric is compared with the base all of its runs are asked for: one request, one more for each window of an
    old one. Raises the errors of the source, and CannotDecide.
    """
    ours = {task.id for task in verdict.runs}
    bases, notes = _of_base(source, verdict, policy, place)
    lines = []
    for rule, of_base in zip(policy.metrics, bases, strict=True):
        of_best = Baseline() if best and best.id in ours else baselines.of_task(best, rule, THE_BEST)
        lines.append({"best": of_best, "base": of_base}.get(rule.against, Baseline()))
    if best and best.id in ours:
        notes = [*notes, "a task of this commit is the best one already"]
    results = [baselines.compared(result, line) for result, line in zip(verdict.metrics, lines, strict=True)]
    if policy.accept_trailer and any(result.code == "metric-worse" for result in results):
        reasons, void = _acceptances(place.repository, verdict, policy)
        results = [baselines.accepted(result, reasons) for result in results]
        worse = [result.rule.metric for result in results if result.code == "metric-worse"]
        notes = [*notes, *(void if worse else ())]
        notes += [f"if that is meant, a trailer accepts it: {baselines.TRAILER}: {metric}: <why>" for metric in worse]
    return baselines.comparison(verdict, results, lines, policy, by_best).noted(*notes)


def _acceptances(repository: Repository, verdict: Verdict, policy: Policy) -> tuple[dict[str, str], list[str]]:
    """Metric -> why it may be worse, as the commit's trailers have it; and what is meant to be one and accepts nothing.

    Those of the commit that has run count where the judged one is no more than its results commit or its clean merge.
    """
    commits = [verdict.commit]
    if verdict.task and verdict.equivalence in (Equivalence.RESULTS, Equivalence.MERGE):
        commits.append(verdict.task.commit)
    names = [rule.metric for rule in policy.metrics]
    reasons: dict[str, str] = {}
    void: list[str] = []
    for commit in commits:
        of_commit = trailers(repository, commit, baselines.TRAILER)
        reasons = baselines.acceptances(of_commit.values, names) | reasons
        void += [f"not in the last paragraph of {commit[:12]}'s message: {line}" for line in of_commit.elsewhere]
        void += [
            f"no metric of the policy, or no reason: {line}"
            for line in of_commit.values
            if not baselines.acceptances([line], names)
        ]
    return reasons, [f"{baselines.TRAILER} accepts nothing, {each}" for each in void]


def _of_base(source: Evidence, verdict: Verdict, policy: Policy, place: Place) -> tuple[list[Baseline], list[str]]:
    """For each metric what the base commit's tasks have, and why there is nothing."""
    nothing = [Baseline() for _ in policy.metrics]
    rules = [rule for rule in policy.metrics if rule.against == "base"]
    if not rules:
        return nothing, []
    base = place.base or _base_here(place.repository, verdict.commit)
    trees = place.repository.trees([base]) if base else {}
    if not trees:
        return nothing, ["there is no base commit here to compare with"]
    unlimited = tuple(map(_unlimited, rules))
    question = Question(Commit(base, trees[base]), policy._replace(metrics=unlimited))
    source.renew()
    its = resolve.verify(place.repository, source, [question], resolve.tasks_only)[0]
    whose = f"the base {base[:12]}"
    if not its.runs:
        return nothing, [f"no task counts for {whose}: nothing to compare with"]
    results = iter(its.metrics)
    return [
        baselines.of_runs(its, next(results), whose) if rule.against == "base" else Baseline()
        for rule in policy.metrics
    ], []


def _unlimited(rule: MetricRule) -> MetricRule:
    """The rule without what it demands of a model. A limit that nothing can exceed has every run looked at, else the
    best of those that were found first would be the baseline, and easy to reach."""
    at_most, at_least = (math.inf, None) if rule.direction == "max" else (None, -math.inf)
    return rule._replace(at_least=at_least, at_most=at_most, min_runs=1)


def _base_here(repository: Repository, commit: str) -> str:
    """Where the commit left a remote's default branch, as last fetched; of one that lies on it the first parent.

    "" where there is no such commit here.
    """
    for tip in repository.default_branches():
        base = repository.run("merge-base", commit, tip).text
        if base and base != commit:
            return base
    return repository.run("rev-parse", "--verify", "--quiet", f"{commit}^1").text
