"""Side refs: `refs/heads/git-clearml/<short hash>-<random>`, where an agent finds a commit that is on no branch yet.

Each has a record, a small file in `<common git dir>/clearml/side-refs/`, written before the push starts: a kill may
leave a record too many, never a side ref that nobody knows of. Only refs of exactly this form are pushed or deleted.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import replace

from git_clearml.base import process as processes
from git_clearml.base.ids import SIDE_REFS
from git_clearml.base.secrets import without_credentials
from git_clearml.errors import CannotDecide, PublishFailed, TimedOut
from git_clearml.git import remote as remotes
from git_clearml.git import side_ref_record as records
from git_clearml.git.output import GitResult
from git_clearml.git.remote import Remote
from git_clearml.git.repository import Repository
from git_clearml.git.side_ref_record import SideRef, abandoned, recorded

__all__ = ["SideRef", "abandoned", "bind", "delete", "delete_named", "push", "recorded"]

_ASKING = 20.0  # seconds to ask what became of a push
_PUSHING = 600.0  # seconds for which a git that outlived us may be pushing


def push(
    repository: Repository,
    remote: Remote,
    commit: str,
    *,
    keeper: Callable[[SideRef | None], None] = lambda _: None,
    timeout: float = 120.0,
    needed: float = records.LONG_AGO,
    clock: Callable[[], float] = time.time,
) -> SideRef:
    """Pushes exactly this commit (full hash) to a new side ref, through every pre-push hook.

    `keeper` gets the ref before anything is sent, and None once it is certain that none of it is left. Without a task
    the ref is needed for so many seconds at most. Raises PublishFailed with the words of git or a hook, TimedOut after
    so many seconds: whether the ref arrived is then unknown, and its record stays, as it does when we are interrupted.
    """
    ref = f"{SIDE_REFS}{commit[:12]}-{secrets.token_hex(4)}"
    leaf = records.leaf_of(ref, commit)
    url, pid = without_credentials(remote.url), os.getpid()
    pid_started, now = processes.started(pid), float(clock())
    side_ref = SideRef(
        ref, remote.name or url, url, commit, "", pid, pid_started, processes.here(), now, now + needed, arriving=True
    )
    records.write(repository, side_ref)
    keeper(side_ref)
    hint = "push the branch; a check does without: git clearml check-runnable --as-diff"
    try:
        new = f"--force-with-lease={ref}:"
        pushed = remotes.push(repository, remote, f"{commit}:{ref}", new, timeout=timeout)
    except TimedOut as error:
        later = "the next check deletes the side ref if it did arrive"
        raise TimedOut(error.message, f"{hint}; {later}") from None
    except CannotDecide:  # git was not even started
        records.forget(repository, side_ref)
        keeper(None)
        raise
    except BaseException:
        if _taken_back(repository, remote, side_ref):
            keeper(None)
        raise
    side_ref = replace(side_ref, arriving=False)
    keeper(side_ref)
    if pushed.status:
        if _taken_back(repository, remote, side_ref):
            keeper(None)
        raise PublishFailed(f"the commit could not be pushed to {remote.shown}: {_why(pushed)}", hint)
    _forget_tracking(repository, leaf)
    return side_ref


def bind(repository: Repository, side_ref: SideRef, task: str, server: str = "") -> SideRef:
    """Notes in the record which task needs the ref: from now on it is not the process that keeps it alive.

    `server` is the API URL of the ClearML server that has the task.
    """
    bound = replace(side_ref, task=task, server=server)
    records.write(repository, bound)
    return bound


def delete(
    repository: Repository, side_ref: SideRef, *, timeout: float = 60.0, clock: Callable[[], float] = time.time
) -> None:
    """Deletes the ref from the remote, and then its record. One that is gone already is fine.

    Raises PublishFailed, TimedOut or Unreachable; the record stays then.
    """
    remote = _remote_of(repository, side_ref)
    there = delete_named(repository, remote, side_ref.ref, side_ref.commit, timeout=timeout)
    if side_ref.arriving and not there:
        hint = f"look later whether it is on {remote.shown}"
        raise PublishFailed(f"the push of {side_ref.ref} was cut short, and it may still arrive", hint)
    late = not side_ref.task and not records.is_alive(side_ref, clock()) and clock() - side_ref.created < _PUSHING
    if late and not there:
        return  # we were killed, and the git that we had started may still be pushing
    records.forget(repository, side_ref)


def delete_named(repository: Repository, remote: Remote, ref: str, commit: str, *, timeout: float = 60.0) -> bool:
    """Deletes a side ref that another clone may have made, if it is still at that commit; False when it was not there.

    Raises as `delete` does.
    """
    records.leaf_of(ref, commit)
    pushed = remotes.push(repository, remote, f":{ref}", f"--force-with-lease={ref}:{commit}", timeout=timeout)
    if not pushed.status:
        return True
    there = remotes.at(repository, remote, ref, timeout=_ASKING)
    if there == commit:
        why, hint = _why(pushed), f"git push {remote.shown} --delete {ref}"
        raise PublishFailed(f"{ref} could not be deleted from {remote.shown}: {why}", hint)
    if there:
        hint = f"if nobody needs it: git push {remote.shown} --delete {ref}"
        raise PublishFailed(f"{ref} on {remote.shown} was moved to {there[:12]}, and is left alone", hint)
    return False


def _taken_back(repository: Repository, remote: Remote, side_ref: SideRef) -> bool:
    """After a push that failed: no ref and no record, where that can be had; whether it could.

    Where git did not come to its end, the ref may still arrive after we have looked: then the record stays.
    """
    try:
        if remotes.at(repository, remote, side_ref.ref, timeout=_ASKING):
            delete_named(repository, remote, side_ref.ref, side_ref.commit, timeout=_ASKING)
        elif side_ref.arriving:
            return False
    except CannotDecide:
        return False
    records.forget(repository, side_ref)
    return True


def _why(pushed: GitResult) -> str:
    """Why a push failed: the remote's reason for refusing the ref, and the line that says more."""
    refusal = remotes.refusal(pushed)
    if refusal and pushed.reason.startswith("exit status"):
        return refusal
    return "; ".join(filter(None, (refusal, pushed.reason)))


def _remote_of(repository: Repository, side_ref: SideRef) -> Remote:
    """Where the ref was pushed to: a remote of today that has that URL, for its credentials, else the URL alone."""
    for remote in (remotes.named(repository, side_ref.remote), remotes.pushed_to(repository)):
        if remote and without_credentials(remote.url) == side_ref.url:
            return remote
    return Remote("", side_ref.url)


def _forget_tracking(repository: Repository, leaf: str) -> None:
    """Removes the tracking ref that git made for the pushed ref.

    pre-commit runs no hook for commits that a tracking ref reaches: ours would open its gate.
    """
    for ref in repository.run("for-each-ref", "--format=%(refname)").lines:
        if ref.endswith(f"/git-clearml/{leaf}"):
            repository.run("update-ref", "-d", ref)
