"""Finds the branch that a results commit goes to: the one branch of the remote that contains the commit that ran."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Mapping

from git_clearml.base.ids import SIDE_REFS
from git_clearml.base.words import listed
from git_clearml.errors import Unreachable, UsageError
from git_clearml.git import remote as remotes
from git_clearml.git.remote import Remote
from git_clearml.git.remote_branch import HEADS, RemoteBranch, tracked
from git_clearml.git.repository import Repository

_LISTED = 20  # branches named in an error
_AT_ONCE = 200  # branches fetched by one git process
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-prune", "--no-recurse-submodules")


def find(repository: Repository, commit: str, *, branch: str = "", timeout: float) -> RemoteBranch:
    """Where the results of a commit (full hash) go. Asks the remote, and fetches what is needed to know.

    `branch` decides, whether it contains the commit or not; one that the remote lacks has to be a branch of this clone
    that does. Else the checked-out branch decides when it tracks a branch that contains the commit, else the only such
    branch. The remote is the one that git would push to.
    `timeout` in seconds, for each question. Raises UsageError when there is no such branch, or more than one of them,
    and Unreachable and TimedOut.
    """
    place = remotes.pushed_to(repository)
    if place is None:
        raise UsageError("no remote to push the results to", "git remote add origin <url>")
    listed_heads = remotes.branches(repository, place, timeout=timeout)
    heads = {ref.removeprefix(HEADS): tip for ref, tip in listed_heads.items() if not ref.startswith(SIDE_REFS)}
    if branch:
        name = branch.removeprefix(HEADS)
        if repository.run("check-ref-format", f"{HEADS}{name}")[0]:
            raise UsageError(f"not the name of a branch: {branch!r}", "--branch main")
        if name not in heads and not _is_here(repository, name, commit):
            raise _no_such_branch(place, name, heads, commit)
        return current(repository, RemoteBranch(place, name, ""), timeout=timeout)
    upstream = tracked(repository, place)
    if upstream in heads:
        target = current(repository, RemoteBranch(place, upstream, heads[upstream]), timeout=timeout)
        if remotes.contains(repository, [target.tip], commit):
            return target
    present = repository.trees(heads.values())
    missing = sorted(name for name, tip in heads.items() if tip not in present)
    for start in range(0, len(missing), _AT_ONCE):
        _fetch(repository, place, {name: heads[name] for name in missing[start : start + _AT_ONCE]}, timeout)
    return _only(
        place,
        {name: tip for name, tip in heads.items() if remotes.contains(repository, [tip], commit)},
        commit,
        remotes.branch(repository),
    )


def current(repository: Repository, target: RemoteBranch, *, timeout: float) -> RemoteBranch:
    """The target as it is now, its commit fetched. Raises Unreachable and TimedOut."""
    ref = f"{HEADS}{target.branch}"
    tip = remotes.at(repository, target.remote, ref, timeout=timeout)
    if tip and not repository.trees([tip]):
        _fetch(repository, target.remote, {target.branch: tip}, timeout)
    return target._replace(tip=tip)


def _is_here(repository: Repository, branch: str, commit: str) -> bool:
    """Has this clone such a branch, and does it contain the commit?"""
    status, out, _ = repository.run("rev-parse", "--verify", "--quiet", f"{HEADS}{branch}^{{commit}}")
    return not status and remotes.contains(repository, [out.decode("ascii").strip()], commit)


def _no_such_branch(remote: Remote, branch: str, heads: Iterable[str], commit: str) -> UsageError:
    near = difflib.get_close_matches(branch, heads)
    return UsageError(
        f"{remote.shown} has no branch {branch}{'; near it: ' if near else ''}{listed(near)}",
        f"git branch {branch} {commit[:12]}",
    )


def _fetch(repository: Repository, remote: Remote, heads: Mapping[str, str], timeout: float) -> None:
    """Gets these commits. It does not matter who does: another fetch of this clone may be at it."""
    result = remotes.run(repository, remote, _FETCH, [HEADS + name for name in heads], timeout=timeout)
    if result.status and set(heads.values()) - set(repository.trees(heads.values())):
        raise Unreachable(
            f"{remote.shown} does not send {listed(list(heads))}: {result.reason}", f"git fetch {remote.shown}"
        )


def _only(remote: Remote, containing: dict[str, str], commit: str, checked_out: str) -> RemoteBranch:
    """The one that contains the commit. `here`: the checked-out branch, the one to name where there is none."""
    if len(containing) == 1:
        [(branch, tip)] = containing.items()
        return RemoteBranch(remote, branch, tip)
    if not containing:
        raise UsageError(
            f"no branch of {remote.shown} contains {commit[:12]}, so there is none to push its results to",
            f"--branch {shlex.quote(checked_out) if checked_out else '<name>'}",
        )
    raise UsageError(
        f"{len(containing)} branches of {remote.shown} contain {commit[:12]}: {listed(sorted(containing), _LISTED)}",
        "--branch <name>",
    )
