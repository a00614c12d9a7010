"""Moves the checked-out branch forward to where its remote branch is, and stays out of the way of what is there."""

from __future__ import annotations

import os
from collections.abc import Mapping

from git_clearml.base.words import listed
from git_clearml.git import remote as remotes
from git_clearml.git import remote_branch as remote_branches
from git_clearml.git.remote_branch import RemoteBranch
from git_clearml.git.repository import Repository

_REGULAR = "100644"
_MERGE = ("-c", "merge.verifySignatures=false", "-c", "merge.autoStash=false", "merge", "--ff-only", "--quiet")


def follow(repository: Repository, target: RemoteBranch, files: Mapping[str, tuple[str, str]]) -> str:
    """Moves the checked-out branch forward to the target, if it is that one's branch, files included.

    `files` are mode and object of paths in the target: they may differ from HEAD if they are on disk as they are there.
    Whatever else is in the way stays as it is, and what comes back says what to do; "" when nothing needs to be said.
    """
    branch = remotes.branch(repository)
    if not repository.top or not branch or not target.tip or not _is_the_branch_of(repository, branch, target):
        return ""
    head = repository.run("rev-parse", "HEAD").text
    if remotes.contains(repository, [head], target.tip):
        return ""
    if not remotes.contains(repository, [target.tip], head):
        return f"{branch} has commits that {target.shown} lacks: git pull --rebase gets the results"
    staged = _accept(repository, files)
    # What a checkout runs, hooks and filters, may need the network.
    merge = repository.run("-C", repository.top, *_MERGE, target.tip, remote=True)
    if not merge.status:
        return ""
    _restore(repository, target.tip, staged)
    in_the_way = listed([line[1:] for line in merge.stderr.split("\n") if line.startswith("\t")])
    reason = f"{merge.reason} {in_the_way}".rstrip()
    return f"{branch} does not follow: {reason}; git pull gets the results"


def _is_the_branch_of(repository: Repository, branch: str, target: RemoteBranch) -> bool:
    """Does this branch track the target, or, where it tracks nothing, bear its name?"""
    if not dict(repository.config()).get(f"branch.{branch}.merge"):
        return branch == target.branch
    return remote_branches.tracked(repository, target.remote) == target.branch


def _accept(repository: Repository, files: Mapping[str, tuple[str, str]]) -> dict[str, bytes]:
    """Tells the index that those files which are on disk as they are in the commit are just that.

    Or git would refuse to overwrite them. What the index had of each of them, as `git ls-files --stage -z` says it.
    """
    before = {}
    for path, (mode, name) in files.items():
        place = os.path.join(repository.top, path)
        if mode != _REGULAR or os.path.islink(place) or not os.path.isfile(place):
            continue
        on_disk = repository.run("-C", repository.top, "hash-object", f"--path={path}", "--", path)
        if not on_disk.status and on_disk.text == name:
            words = ("-C", repository.top, "--literal-pathspecs", "ls-files", "--stage", "-z", "--", path)
            before[path] = repository.read(*words)
            repository.run("-C", repository.top, "update-index", "--add", "--cacheinfo", f"{mode},{name},{path}")
    return before


def _restore(repository: Repository, commit: str, before: Mapping[str, bytes]) -> None:
    """Makes the index say of these paths what it said before `_accept`."""
    absent = "0" * len(commit)
    for path, staged in before.items():
        gone = f"0 {absent}\t{path}\0".encode("utf-8", "surrogateescape")
        repository.run("-C", repository.top, "update-index", "-z", "--index-info", stdin=gone + staged)
