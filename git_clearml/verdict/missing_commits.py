"""Commits that only some clones have: what a CI job fetches of them, and what a verdict that hangs on one says.

A task without a run record of its own names its commit and not that commit's tree, so only who has the commit can tell
whether it is the same code (docs/design-notes.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from git_clearml.base.ids import is_hash
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Task
from git_clearml.run.ownership import belongs
from git_clearml.settings.policy import Equivalence, Policy
from git_clearml.verdict import statuses
from git_clearml.verdict.model import ONLY_HERE, Finding, Outcome, Reason, Verdict
from git_clearml.verdict.question import Scope

_MOST = 8  # commits that are fetched, each by its hash: one that the remote lacks would end a fetch of several
_TOLD = 3
_BY_COMMIT = (Equivalence.TREE, Equivalence.PATHS, Equivalence.MERGE)


class Elsewhere:
    """What one policy's questions need of commits that this clone lacks."""

    def __init__(self, repository: Repository, policy: Policy, scope: Scope) -> None:
        self._repository, self._policy, self._scope = repository, policy, scope
        self._likely: list[Task] | None = None  # tasks that may count if their commits were here

    def commits_of(self, tasks: Sequence[Task]) -> list[str]:
        """The commits of these tasks, the newest first, after a CI job has fetched those that may count.

        Once, and those of the judged branch before others. What a task says of its branch is a guess, and decides no
        more than that.
        """
        if self._scope.bring is not None and self._likely is None:
            names = self._repository.names((*self._scope.urls, *self._policy.repositories))
            likely: dict[str, Task] = {}
            for task in sorted(tasks, key=lambda task: not self._is_on_branch(task)):
                if self._may_count(task, names):
                    likely.setdefault(task.commit, task)
            present = self._repository.trees(likely)
            self._likely = [task for commit, task in likely.items() if commit not in present][:_MOST]
            self._scope.bring([task.commit for task in self._likely])
        return [task.commit for task in tasks if task.commit]

    def _may_count(self, task: Task, names: frozenset[str]) -> bool:
        policy = self._policy
        return (
            is_hash(task.commit)
            and task.status in statuses.counting(policy)
            and not (task.archived or task.is_check)
            and policy.has_project(task.project)
            and policy.task_name in ("", task.name)
            and (self._repository.name_of(task.repository) in names if task.repository else policy.allow_no_repository)
        )

    def _is_on_branch(self, task: Task) -> bool:
        return any(task.branch in (tip.branch, f"origin/{tip.branch}") for tip in self._scope.tips)

    def explained(self, refused: Mapping[Commit, Verdict]) -> dict[Commit, Verdict]:
        """The verdicts, with tasks of the judged branch of which nothing tells whether they ran the same code."""
        lost = [task for task in self._likely or () if self._is_on_branch(task)]
        present = self._repository.trees(task.commit for task in lost)
        what = "a commit that neither this clone nor the remote has: whether that is the same code, nothing tells"
        near = tuple(
            Finding(task, None, (Reason("other-commit", f"ran {task.commit[:12]}, {what}"),))
            for task in lost
            if task.commit not in present
        )
        return {
            commit: verdict._replace(near_misses=(*verdict.near_misses, *near[:_TOLD]))
            for commit, verdict in refused.items()
        }


def noted(repository: Repository, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts; those that hang on what no remote has, and no record tells, say so. One git process at most."""
    doubtful = {part.task.commit for verdict in verdicts for part in _by_their_commit(verdict) if part.task}
    if not doubtful or not repository.remotes():
        return list(verdicts)
    pushed = dict.fromkeys(verdict.commit for verdict in verdicts)
    listed = repository.run("rev-list", *sorted(doubtful), "--not", "--remotes", "--tags", *pushed, "--")
    only_here = doubtful & set(listed.lines)
    return [_noted(verdict, only_here) for verdict in verdicts]


def _noted(verdict: Verdict, only_here: set[str]) -> Verdict:
    notes = []
    for part in _by_their_commit(verdict):
        if part.task and part.task.commit in only_here:
            remedy = "records the tree of what it runs" if part.equivalence is Equivalence.TREE else "runs this one"
            notes.append(f"{ONLY_HERE} {part.task.commit[:12]}: CI will ask again; git clearml run {remedy}")
    return verdict._replace(notes=(*verdict.notes, *dict.fromkeys(notes))) if notes else verdict


def _by_their_commit(verdict: Verdict) -> list[Verdict]:
    """The parts of a pass that can be told only where the task's commit is."""
    return [part for part in verdict.parts if verdict.outcome is Outcome.VERIFIED and _needs_the_commit(part)]


def _needs_the_commit(verdict: Verdict) -> bool:
    task = verdict.task
    if task is None or task.source != "server":
        return False
    recorded = task.run is not None and belongs(task.run, task) and is_hash(task.run.tree)
    return verdict.equivalence in _BY_COMMIT and not (verdict.equivalence is Equivalence.TREE and recorded)
