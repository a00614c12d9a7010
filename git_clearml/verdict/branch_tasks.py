"""Which commits tasks will run that wait for a branch, as `clearml-task --branch` makes them for agents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from git_clearml.git import url
from git_clearml.git.repository import Repository
from git_clearml.model import Task
from git_clearml.verdict.model import Tip
from git_clearml.verdict.rules import waits_for_branch


def tips(repository: Repository, tasks: Iterable[Task], ends: Sequence[Tip]) -> dict[str, frozenset[str]]:
    """For those of the tasks that wait for a branch, by their ids, where that is.

    On the remotes as last fetched, which is where an agent takes it from. Of one that no remote is known to have a CI
    job's event or a push may tell (`known`), else where it is here. One git process.
    """
    waiting = [task for task in tasks if waits_for_branch(task)]
    local, remote = repository.branch_tips(task.branch for task in waiting)
    result = {}
    for task in waiting:
        of_branch = frozenset(tip.commit for tip in ends if tip.branch == task.branch and _is_of(task, tip))
        result[task.id] = remote.get(task.branch) or of_branch or local.get(task.branch, frozenset())
    return result


def _is_of(task: Task, tip: Tip) -> bool:
    """Does the task take the branch from where it is said to be? A branch of a fork is none of ours."""
    return not tip.urls or url.normalise(task.repository) in {url.normalise(each) for each in tip.urls}
