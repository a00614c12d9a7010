"""Looks for the tasks that make commits pass, by as few questions as it takes; what it refuses it does not explain."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from git_clearml.model import Commit
from git_clearml.settings.policy import Equivalence
from git_clearml.verdict import rules
from git_clearml.verdict.evidence import Answer
from git_clearml.verdict.inquiry import Inquiry, united, unverified
from git_clearml.verdict.model import Verdict

_ONE_PATTERN = 1_800
"""Commits that one question can name at all, those beyond the first 500 by the first digits of their hashes."""


def by_tasks(inquiry: Inquiry) -> dict[Commit, Verdict]:
    """The verdicts on the commits as far as passes need: what is said of the others is not all that there is to say."""
    commits, equivalents = inquiry.commits, inquiry.judging.equivalents
    names = [commit.hash for commit in equivalents.with_ancestors(commits)]
    names += equivalents.of_same_code(commits, _ONE_PATTERN - len(names))
    if inquiry.needs_all and inquiry.equals_count:
        return _of_every_run(inquiry, names)
    by_id = inquiry.scope.chosen and inquiry.evidence.bounded  # an id costs a server nothing, whenever the task ran
    by_id = by_id and not inquiry.policy.metrics  # those are of all tasks
    names = list(dict.fromkeys(names))
    verdicts = _judged(inquiry, commits, lambda few: _chosen(inquiry) if by_id else inquiry.passing(names, few=few))
    if inquiry.equals_count:
        verdicts |= _of_equals(inquiry, unverified(verdicts))
    return verdicts


def _of_every_run(inquiry: Inquiry, own: Sequence[str]) -> dict[Commit, Verdict]:
    """By all tasks of the commits and of their equals: or a bad run of one is hidden by a good one of the other."""
    commits = inquiry.commits
    inquiry.equal = inquiry.judging.equivalents.equal_here(commits)
    names = list(dict.fromkeys([*own, *inquiry.equal]))
    answer = inquiry.passing(names, few=0)
    inquiry.by_tree = inquiry.search.of_trees(inquiry.judging.equivalents.with_ancestors(commits))
    return inquiry.judging.verdicts(commits, united(inquiry.by_tree, answer.tasks))


def _of_equals(inquiry: Inquiry, commits: Sequence[Commit]) -> dict[Commit, Verdict]:
    """By tasks whose run recorded the tree of one of these commits, then by those of commits that are equal to it."""
    if not commits:
        return {}
    inquiry.by_tree = inquiry.search.of_trees(inquiry.judging.equivalents.with_ancestors(commits))
    verdicts = inquiry.judging.verdicts(commits, inquiry.by_tree)
    left = unverified(verdicts)
    if left and (family := inquiry.search.may_pass(sorted(set(inquiry.families(left))))):
        verdicts |= _judged(inquiry, left, lambda few: inquiry.search.passing(family, few=few))
    return verdicts


def _judged(inquiry: Inquiry, commits: Sequence[Commit], ask: Callable[[int], Answer]) -> dict[Commit, Verdict]:
    """The verdicts by a few tasks, which the policy prefers; by all that may count where those do not suffice."""
    judging = inquiry.judging
    answer = ask(0 if inquiry.needs_all else len(commits) * len(judging.ways))
    verdicts = judging.verdicts(commits, answer.tasks)
    if not answer.whole and not all(_is_settled(inquiry, verdict) for verdict in verdicts.values()):
        answer = ask(0)
        verdicts = judging.verdicts(commits, answer.tasks)
    return verdicts if answer.whole else {commit: verdict.of_more() for commit, verdict in verdicts.items()}


def _is_settled(inquiry: Inquiry, verdict: Verdict) -> bool:
    """Would no task that was not looked at make another verdict? Not even one of the commit itself."""
    by_results = any(part.equivalence is Equivalence.RESULTS for part in verdict.parts)
    own = by_results and inquiry.search.passing([verdict.commit], few=1).tasks
    if own or any(part.task is None for part in verdict.parts):
        return False
    return all(
        not way.ranking.metric or (part.task is not None and rules.is_measured(part.task, way))
        for way, part in zip(inquiry.judging.ways, verdict.parts, strict=True)
    )


def _chosen(inquiry: Inquiry) -> Answer:
    return Answer(inquiry.evidence.of_ids([inquiry.scope.chosen], inquiry.policy))
