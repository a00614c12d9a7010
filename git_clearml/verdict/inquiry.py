"""What has been learned so far of one policy's commits: shared by what looks for passes and what explains refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Task
from git_clearml.settings.policy import Equivalence, Policy
from git_clearml.verdict import accepted_half, metric_rules, missing_commits, requirements
from git_clearml.verdict.evidence import Answer, Evidence
from git_clearml.verdict.judging import Judging
from git_clearml.verdict.model import Outcome, Verdict
from git_clearml.verdict.question import Scope
from git_clearml.verdict.search import Search

if TYPE_CHECKING:
    from git_clearml.verdict.merges import Candidates

_ONE_REQUEST = 500
"""Commits that one question can name in full (see query.patterns). Equal commits whose tasks cannot count only explain
a refusal: they are named as far as there is room beside the judged ones, and never make the question a longer one."""


class Inquiry:
    """One policy's questions, and what their answers were.

    `needs_all`: could one more task turn a pass into a failure? `needs_older`: could one of another question?
    `equals_count`: may tasks of other commits count? `equal` are those of this clone whose runs count with those of
    the judged ones, `by_tree` the tasks whose records name the tree of a commit.
    """

    def __init__(
        self, repository: Repository, evidence: Evidence, policy: Policy, commits: Sequence[Commit], scope: Scope
    ) -> None:
        self.repository, self.evidence, self.policy = repository, evidence, policy
        self.commits, self.scope = commits, scope
        self.judging = Judging(repository, policy, commits, scope)
        self.asked_policy = requirements.asked(policy)
        self.search = Search(repository, evidence, self.asked_policy, scope.since)
        self.elsewhere = missing_commits.Elsewhere(repository, self.asked_policy, scope)
        self.needs_all = metric_rules.needs_all(policy) or bool((scope.chosen or scope.every_run) and policy.metrics)
        self.needs_older = self.needs_all or metric_rules.needs_all(policy, in_order=False)
        self.equals_count = policy.equivalence is not Equivalence.COMMIT
        self.equal: list[str] = []
        self.by_tree: list[Task] = []
        self._asked: set[str] = set()  # commits of which `_answer` has the passing tasks
        self._answer = Answer([])
        self._candidates: dict[Commit, Candidates] = {}

    def of_sources(self, sources: Sequence[Commit], accepted: Mapping[str, Sequence[str]]) -> Inquiry:
        """The same about what these commits may be the merges of: what has been asked for is not asked for again."""
        scope = self.scope._replace(accepted=accepted, depth=self.scope.depth - 1)
        inquiry = Inquiry(self.repository, self.evidence, self.policy, sources, scope)
        inquiry._asked, inquiry._answer = self._asked, self._answer
        inquiry.search, inquiry.elsewhere = self.search, self.elsewhere
        return inquiry

    @property
    def wants_merges(self) -> bool:
        """Do clean merges count, and is there any depth left to look into them?"""
        return self.policy.merges == "clean" and bool(self.scope.depth)

    def passing(self, names: Sequence[str], *, few: int) -> Answer:
        """The passing tasks of these commits, and in the same request of what they may be the merges of."""
        if not set(names) <= self._asked:
            self._asked = {*names}
            if self.wants_merges:
                sources = self.sources(self.commits)
                self._asked |= {name for each in sources.values() for name in each.names}
            self._answer = self.search.passing([*names, *sorted(self._asked - set(names))], few=few)
        elif not few and not self._answer.whole:
            self._answer = self.search.passing(sorted(self._asked))
        others = self._asked - set(names)
        return self._answer._replace(tasks=[task for task in self._answer.tasks if task.commit not in others])

    def sources(self, commits: Sequence[Commit]) -> dict[Commit, Candidates]:
        """What these may be the merges of."""
        from git_clearml.verdict import merges  # late: few policies want it

        if self.scope.accepted is None:
            branches = accepted_half.by_default(self.repository, self.policy)
            self.scope = self.scope._replace(accepted={commit.hash: branches for commit in self.commits})
        if new := [commit for commit in commits if commit not in self._candidates]:
            self._candidates |= merges.candidates(self.repository, new, self.scope)
        return {commit: self._candidates[commit] for commit in commits}

    def families(self, commits: Sequence[Commit]) -> list[str]:
        """Hashes of commits that could be equivalent to these. Where equals cannot count nothing is asked."""
        recent = self.elsewhere.commits_of(self.search.recent()) if self.equals_count else []
        wanted = range(len(self.judging.ways)) if self.needs_all else self.judging.unmet
        return self.judging.equivalents.families(commits, recent, wanted)

    def relatives(self, commits: Sequence[Commit]) -> list[str]:
        """The hashes of these commits, and of those whose tasks may count for them or explain a refusal."""
        own = self.judging.equivalents.with_ancestors(commits)
        names = [commit.hash for commit in own] + self.families(commits)
        if not self.equals_count:
            names = names[: max(len(own), _ONE_REQUEST)]
        return list(dict.fromkeys(names))

    def unsettled(self, verdicts: Mapping[Commit, Verdict]) -> list[Commit]:
        """The commits whose verdicts are no passes, or such as an older task could change."""
        return [commit for commit, verdict in verdicts.items() if not self._is_whole(commit, verdict)]

    def _is_whole(self, commit: Commit, verdict: Verdict) -> bool:
        if verdict.outcome is not Outcome.VERIFIED or not self.needs_older:
            return verdict.outcome is Outcome.VERIFIED
        same_code = self.judging.equivalents.of_same_code([commit])
        return self.search.first_has_all([commit.hash, *same_code, *self.equal])


def united(tasks: Sequence[Task], others: Sequence[Task]) -> list[Task]:
    """All of these: of a task that is among both, what the others have."""
    ids = {task.id for task in others}
    return [*others, *(task for task in tasks if task.id not in ids)]


def unverified(verdicts: Mapping[Commit, Verdict]) -> list[Commit]:
    """The commits whose verdicts are no passes."""
    return [commit for commit, verdict in verdicts.items() if verdict.outcome is not Outcome.VERIFIED]
