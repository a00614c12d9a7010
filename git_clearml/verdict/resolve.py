"""Asks the evidence source for the tasks of commits and lets the policy judge them; asks more only where it must.

One question for a push that passes, however many commits. Only for commits that do not pass follow the dearer ones:
tasks of equivalent commits, all tasks with their diffs, and tasks that lost their commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from git_clearml.errors import UsageError
from git_clearml.git.repository import Repository
from git_clearml.model import Commit
from git_clearml.settings.policy import Equivalence
from git_clearml.verdict import metric_rules, missing_commits, passes
from git_clearml.verdict.evidence import Evidence
from git_clearml.verdict.inquiry import Inquiry, unverified
from git_clearml.verdict.model import Verdict
from git_clearml.verdict.question import ANY, Question, Requirement, Scope


def tasks_only(
    repository: Repository, questions: Sequence[Question], verdicts: Sequence[Verdict], evidence: Evidence
) -> list[Verdict]:
    """The requirement of whoever looks for tasks and gates nothing by them: none."""
    return list(verdicts)


def verify(
    repository: Repository,
    evidence: Evidence,
    questions: Sequence[Question],
    requirement: Requirement,
    scope: Scope = ANY,
) -> list[Verdict]:
    """A verdict for each question, in their order.

    `requirement` is asked where a policy has `runnable.required`, so that nobody who gives verdicts forgets it.
    Raises the errors of the evidence source, BadSetting for code-paths that match nothing, and HistoryMissing where a
    shallow clone cannot tell whether an earlier commit has the code that a requirement names.
    """
    answers: dict[Question, Verdict] = {}
    if scope.chosen and any(len(question.policy.require) > 1 for question in questions):
        raise UsageError("--task names one task, and the policy requires several", "leave --task out")
    if scope.chosen and questions:
        from git_clearml.verdict import chosen_task  # late: few ask for a task

        scope = scope._replace(chosen=chosen_task.whole_id(scope.chosen, evidence, questions[0].policy))
    for policy in dict.fromkeys(question.policy for question in questions):
        commits = list(dict.fromkeys(question.commit for question in questions if question.policy == policy))
        for commit, verdict in _verdicts(Inquiry(repository, evidence, policy, commits, scope)).items():
            answers[Question(commit, policy)] = verdict
    verdicts = missing_commits.noted(repository, [answers[question] for question in questions])
    if any(question.policy.runnable.required for question in questions):
        return requirement(repository, questions, verdicts, evidence)
    return verdicts


def _verdicts(inquiry: Inquiry) -> dict[Commit, Verdict]:
    """The verdicts on the commits, asked for in as few questions as it takes."""
    verdicts = _passing(inquiry)
    if unsettled := inquiry.unsettled(verdicts):
        from git_clearml.verdict import refusals  # late: passes need none of it

        for commit, verdict in refusals.explained(inquiry, unsettled).items():
            before = verdicts[commit]  # what was merged has been looked at as a whole before
            is_merge = before.equivalence is Equivalence.MERGE and not metric_rules.failed(verdict)
            verdicts[commit] = before if is_merge else verdict.seen_after(before)
    inquiry.judging.check_history(verdicts)
    return verdicts


def _passing(inquiry: Inquiry) -> dict[Commit, Verdict]:
    """The verdicts by tasks of the commits, and of what these are the merges of."""
    verdicts = passes.by_tasks(inquiry)
    left = unverified(verdicts)
    verdicts |= {commit: verdicts[commit]._replace(notes=()) for commit in left}
    if inquiry.wants_merges:
        good = [each for each in left if not (inquiry.needs_older and metric_rules.failed(verdicts[each]))]
        verdicts |= _merged(inquiry, good) if good else {}  # a bad run of its own is not hidden by those of its halves
    since = inquiry.search.first_since
    return {commit: verdict._replace(looked_back_to=since) for commit, verdict in verdicts.items()}


def _merged(inquiry: Inquiry, commits: Sequence[Commit]) -> dict[Commit, Verdict]:
    """The verdicts on those that are clean merges; of the others, why they are none."""
    from git_clearml.verdict import merges  # late: few policies want it

    def judge(sources: list[Commit], accepted: Mapping[str, Sequence[str]]) -> dict[Commit, Verdict]:
        its = inquiry.of_sources(sources, accepted)
        verdicts = _passing(its)
        if unsettled := its.unsettled(verdicts):  # what is verified, or pending, by itself has to be so here
            from git_clearml.verdict import refusals

            judged = refusals.of_sources(its, unsettled)
            verdicts |= {commit: verdict.seen_after(verdicts[commit]) for commit, verdict in judged.items()}
        return verdicts

    sources = inquiry.sources(commits)
    return merges.verdicts(inquiry.repository, sources, inquiry.scope.accepted or {}, judge)
