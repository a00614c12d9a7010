"""Which tasks without a commit could be of a commit: they lost theirs, or have none yet."""

from __future__ import annotations

import re
from collections.abc import Sequence

from git_clearml.clearml.entry_point import usual_paths
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Task
from git_clearml.settings.policy import Policy

_SHORTEST = 7  # digits of a hash, as git itself cuts it


def of(
    repository: Repository, commits: Sequence[Commit], tasks: Sequence[Task], policy: Policy
) -> dict[Commit, list[Task]]:
    """Those of the tasks that could be of each commit: of the policy's project, and of a script that the commit has.

    One git process. Raises CannotDecide.
    """
    lost = [task for task in tasks if not task.commit and policy.has_project(task.project)]
    paths = {task: usual_paths(task.entry_point, task.working_dir) for task in lost}
    places = [(commit.hash, path) for commit in commits for task in lost for path in paths[task]]
    files = repository.existing_files(places)
    return {
        commit: [
            task
            for task in lost
            if any((commit.hash, path) in files for path in paths[task]) or (policy.project and not paths[task])
        ]
        for commit in commits
    }


def means(text: str, commit: str) -> bool:
    """Is this the commit's hash cut, in capitals, with blanks or with something behind it? What somebody has put into
    CLEARML_VCS_COMMIT_ID may look so."""
    digits = re.match("[0-9a-f]*", text.strip().lower())
    name = digits[0] if digits else ""
    return text != commit and len(name) >= _SHORTEST and (commit.startswith(name) or name.startswith(commit))
