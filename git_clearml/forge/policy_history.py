"""Where a service does not tell what a branch was at before a push: has the policy changed lately?

The commit before the pushed one judges then. If both were pushed at once, nobody has accepted its policy.
"""

from __future__ import annotations

import itertools
from typing import Any

from git_clearml.errors import BadSetting, CannotDecide
from git_clearml.forge.remote_refs import FETCH_SECONDS
from git_clearml.git.output import stdin_lines
from git_clearml.git.repository import Repository
from git_clearml.settings import table as settings
from git_clearml.settings.load import POLICY_FILE

_LOOKED_AT = 30  # commits: seldom are more pushed at once


def remarks(repository: Repository, judge: str, service: str) -> tuple[str, ...]:
    """What a reader of the verdict has to know of the policy of `judge`, the first parent of the commit that it judges.

    Nothing where the commits before it, as many as are ever pushed at once, have the same. Four git processes. Raises
    CannotDecide.
    """
    remark = f"{service} does not tell what the branch was at before the push, so the policy of {judge[:12]} judges"
    listed = repository.run("rev-list", "--first-parent", f"--max-count={_LOOKED_AT}", judge, "--")
    names = listed.lines if not listed.status else []
    if not names:
        return (f"{remark}; what it was before is not in this clone",)
    try:
        policies = _policies(repository, names)
    except CannotDecide:  # of a partial clone
        return (f"{remark}; what it was before is not in this clone",)
    for name, (policy, before) in zip(names, itertools.pairwise(policies), strict=False):
        if policy is None or policy != before:
            return (f"{remark}; {name[:12]} has changed it: if both were pushed at once, nobody has accepted it",)
    if len(names) < _LOOKED_AT and repository.parents(names[-1:])[names[-1]]:
        return (f"{remark}; what it was before {names[-1][:12]} is not in this clone",)
    return ()


def _policies(repository: Repository, commits: list[str]) -> list[Any]:
    """The policy's table in each of the commits; None for one that cannot be read."""
    blobs = repository.names_of(f"{commit}:{POLICY_FILE}" for commit in commits)
    if repository.is_partial:  # a clone without old contents, as CircleCI makes it; where that fails, reading says so
        names = stdin_lines(dict.fromkeys(blob for blob in blobs if blob))
        repository.run("cat-file", "--batch-check", stdin=names, timeout=FETCH_SECONDS, remote=True)
    small = [blob for blob in blobs if blob and repository.sizes.get(blob, 0) <= settings.MOST_BYTES]
    contents = repository.blobs(small)
    return [_table(contents.get(blob)) if blob else {} for blob in blobs]


def _table(content: bytes | None) -> Any:
    try:
        return None if content is None else settings.pyproject_table(content, POLICY_FILE)
    except (BadSetting, CannotDecide):
        return None
