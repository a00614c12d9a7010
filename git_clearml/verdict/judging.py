"""Makes verdicts of tasks: learns from git what the rules need to know of them, and lets the policy judge.

Asks no evidence source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone

from git_clearml.errors import HistoryMissing
from git_clearml.git import url
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Task
from git_clearml.settings.policy import Equivalence, Policy
from git_clearml.verdict import requirements, rules
from git_clearml.verdict.entry_points import EntryPoints
from git_clearml.verdict.equivalence import EquivalentCommits
from git_clearml.verdict.model import Outcome, Tip, Verdict
from git_clearml.verdict.question import Scope
from git_clearml.verdict.run_rules import siblings_of


class Judging:
    """What has been learned so far about the commits of one policy, and the tasks that may be theirs.

    `ways`: the policies of which each needs a task. `unmet`: the numbers of those that some of the commits which were
    judged last do not meet.
    """

    def __init__(self, repository: Repository, policy: Policy, commits: Sequence[Commit], scope: Scope) -> None:
        self._repository, self._policy, self._scope = repository, policy, scope
        self.ways = requirements.ways(policy)
        self.equivalents = EquivalentCommits(repository, policy, commits, self.ways)
        self._entries = EntryPoints(repository)
        self._seen: dict[tuple[str, str], Task] = {}
        self.unmet = set(range(len(self.ways)))

    def verdicts(self, commits: Iterable[Commit], tasks: Sequence[Task]) -> dict[Commit, Verdict]:
        """The verdicts on these commits by these tasks; where the policy has requirements, by all those before too.

        One of them may be met by what was found first, and another by what was looked for because of it.
        """
        if self._policy.require:
            for task in tasks:  # without an id, runs are told from each other by their own
                self._seen[task.id, "" if task.id else task.run.id if task.run else task.damage] = task
            tasks = list(self._seen.values())
        facts = self._facts(tasks)
        by_commit: dict[str, list[Task]] = {}
        for task in tasks:
            by_commit.setdefault(task.commit, []).append(task)
        others = [name for name in by_commit if self.equivalents.has(name)]
        commits = list(commits)
        self.equivalents.compare(commits, [*others, *(tip for each in facts.tips.values() for tip in each)])
        verdicts = {commit: self._verdict(commit, by_commit, others, facts) for commit in commits}
        parts = [pair for verdict in verdicts.values() for pair in enumerate(verdict.parts)]
        self.unmet = {number for number, part in parts if part.outcome is not Outcome.VERIFIED}
        return verdicts

    def check_history(self, verdicts: Mapping[Commit, Verdict]) -> None:
        """Raises HistoryMissing where a requirement with code of its own is not met in a shallow clone."""
        for commit, verdict in verdicts.items():
            for each, part in zip(self._policy.require, verdict.parts, strict=False):
                if each.code_paths and part.outcome is Outcome.REJECTED and self._repository.is_shallow:
                    raise HistoryMissing(
                        f"no task of {commit.hash[:12]} counts as {each.name!r}, and whether one of an earlier commit "
                        "with the same code does is not known: this clone is shallow",
                        "git fetch --unshallow",
                    )

    def _verdict(
        self, commit: Commit, by_commit: dict[str, list[Task]], others: Sequence[str], facts: rules.Facts
    ) -> Verdict:
        verdicts = []
        for number, way in enumerate(self.ways):
            sense = self.equivalents.sense(commit, number)
            own = by_commit.get(commit.hash, []) + by_commit.get("", [])
            equal = [task for name in others if name != commit.hash and sense(name) for task in by_commit[name]]
            tasks = requirements.concerning(own + equal, way, self.ways)
            verdict = rules.judge(commit, tasks, way, facts, equivalent=sense, chosen=self._scope.chosen)
            verdicts.append(self.equivalents.lineage(commit).noted(verdict))
        return requirements.combined(self._policy, verdicts)

    def _facts(self, tasks: Sequence[Task]) -> rules.Facts:
        self.equivalents.learn(task.commit for task in tasks if task.commit)
        if any(way.equivalence is not Equivalence.COMMIT for way in self.ways):
            self.equivalents.learn_recorded(tasks)
        self._entries.learn(tasks, self.equivalents.recorded)
        tips = self._tips(tasks)
        self.equivalents.learn(tip for each in tips.values() for tip in each)
        now, siblings, entries = datetime.now(timezone.utc), siblings_of(tasks), self._entries
        return rules.Facts(self._names(tasks), frozenset(entries.files), now, siblings, entries.elsewhere, tips)

    def _tips(self, tasks: Iterable[Task]) -> dict[str, frozenset[str]]:
        """For the tasks that wait for a branch (`clearml-task --branch` makes such) where it is, by their ids.

        On the remotes as last fetched, which is where an agent takes it from. Of one that no remote is known to have a
        CI job's event or a push may tell, else where it is here. One git process.
        """
        waiting = [task for task in tasks if rules.waits_for_branch(task)]
        local, remote = self._repository.branch_tips(task.branch for task in waiting)
        tips = {}
        for task in waiting:
            ends = [tip for tip in self._scope.tips if tip.branch == task.branch and _is_of(task, tip)]
            of_branch = frozenset(tip.commit for tip in ends)
            tips[task.id] = remote.get(task.branch) or of_branch or local.get(task.branch, frozenset())
        return tips

    def _names(self, tasks: Sequence[Task]) -> frozenset[str]:
        """What this repository is called; only a server's tasks are compared with it."""
        on_server = any(task.source == "server" for task in tasks)
        return self._repository.names((*self._scope.urls, *self._policy.repositories)) if on_server else frozenset()


def _is_of(task: Task, tip: Tip) -> bool:
    """Does the task take the branch from where it is said to be? A branch of a fork is none of ours."""
    return not tip.urls or url.normalise(task.repository) in {url.normalise(each) for each in tip.urls}
