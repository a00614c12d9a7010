"""The tasks that count for the commits of a whole range: one question for all of them, each judged as `verify` would.

Only for looking at a history. What gates is asked in `resolve`, which also explains what does not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from git_clearml.git import changes
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Task
from git_clearml.settings import code_paths
from git_clearml.settings.policy import Equivalence, Policy
from git_clearml.verdict import lookback, results_commits, rules
from git_clearml.verdict import time_windows as spans
from git_clearml.verdict.entry_points import EntryPoints
from git_clearml.verdict.evidence import Evidence
from git_clearml.verdict.run_rules import siblings_of
from git_clearml.verdict.time_windows import Window


class RangeTasks:
    """What has been asked so far: `tasks` are by id those of these commits that may count."""

    def __init__(self, repository: Repository, policy: Policy, times: Mapping[Commit, datetime]) -> None:
        self._repository, self._policy, self._times = repository, policy, times
        self.tasks: dict[str, Task] = {}

    def ask(self, evidence: Evidence) -> None:
        """Asks for them all: one request for 1,800 commits of the last months, one more for each earlier window.

        Raises the errors of the source; what has been answered until then stays.
        """
        names = [commit.hash for commit in self._times]
        now = datetime.now(timezone.utc)
        start = spans.start(self._times.values(), now)
        for window in lookback.windows(start, now) if evidence.bounded else [Window()]:
            for task in evidence.passing(names, self._policy, window).tasks:
                self.tasks[task.id or f"run of {task.commit}"] = task

    def accepted(self) -> dict[str, list[Task]]:
        """Commit -> the tasks that `verify` would accept for it, as far as their own commits go (see `same_code`)."""
        tasks, commits = list(self.tasks.values()), {commit.hash for commit in self._times}
        entries = EntryPoints(self._repository)
        entries.learn(tasks)
        names = self._repository.names(self._policy.repositories) if tasks else frozenset()
        now = datetime.now(timezone.utc)
        facts = rules.Facts(names, frozenset(entries.files), now, siblings_of(tasks), entries.elsewhere)
        accepted: dict[str, list[Task]] = {}
        for task in tasks:
            if task.commit in commits and rules.examine(task, self._policy, facts, Equivalence.COMMIT).accepted:
                accepted.setdefault(task.commit, []).append(task)
        return accepted


def same_code(
    repository: Repository, policy: Policy, commits: Sequence[Commit], parents: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Commit -> a name that all commits share whose tasks count for each other under this policy.

    Those of one tree or, of neighbours, the same code, where the policy says so; a results commit and its parent
    always. `commits` are parents before children. A few git processes. Raises CannotDecide.
    """
    lineages = results_commits.of(repository, commits, policy)
    pairs = dict[tuple[str, str], None]()
    trees = {commit.hash: commit.tree for commit in commits}
    if policy.equivalence is Equivalence.PATHS:
        for commit in commits:
            pairs |= {(trees[name], commit.tree): None for name in parents[commit.hash] if name in trees}
    differing = set[tuple[str, str]]()
    numbered = [pair for pair in pairs if pair[0] != pair[1]]
    for number, change in changes.between(repository, numbered):
        if change.submodule or code_paths.is_code(change.path, policy, is_plain=change.plain):
            differing.add(numbered[number])
    equal = pairs.keys() - differing
    names: dict[str, str] = {}
    for commit in commits:
        own = commit.hash if policy.equivalence is Equivalence.COMMIT else commit.tree
        same = [name for name in parents[commit.hash] if (trees.get(name, ""), commit.tree) in equal]
        lineage = lineages.get(commit.hash)
        above = [ancestor.hash for ancestor in lineage.ancestors[:1]] if lineage else []
        names[commit.hash] = next((names[name] for name in (*above, *same) if name in names), own)
    return names
