"""Which tasks without a commit could be of a commit: they lost theirs, or have none yet."""

from __future__ import annotations

from collections.abc import Sequence

from git_clearml.clearml.entry_point import usual_paths
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Task
from git_clearml.settings.policy import Policy


def of(
    repository: Repository, commits: Sequence[Commit], tasks: Sequence[Task], policy: Policy
) -> dict[Commit, list[Task]]:
    """Those of the tasks that could be of each commit: of the policy's project, and of a script that the commit has.

    One git process. Raises CannotDecide.
    """
    project = policy.project
    lost = [task for task in tasks if not task.commit]
    lost = [task for task in lost if not project or (task.project + "/").startswith(project + "/")]
    paths = {task: usual_paths(task.entry_point, task.working_dir) for task in lost}
    places = [(commit.hash, path) for commit in commits for task in lost for path in paths[task]]
    files = repository.existing_files(places)
    return {
        commit: [
            task
            for task in lost
            if any((commit.hash, path) in files for path in paths[task]) or (project and not paths[task])
        ]
        for commit in commits
    }
