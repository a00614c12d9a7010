"""Side refs: `refs/heads/git-clearml/<short hash>-<random>`, where an agent finds a commit that is on no branch yet.

Each has a record, a small file in `<common git dir>/clearml/side-refs/`, written before the push starts: a kill may
leave a record too many, never a side ref that nobody knows of. Only refs of exactly this form are pushed or deleted.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace

from git_clearml import processes, remotes, repository_urls
from git_clearml.errors import CannotDecide, TimedOut
from git_clearml.prepush import SIDE_REFS
from git_clearml.remotes import Remote
from git_clearml.repository import Repository, is_hash
from git_clearml.run_store import read_limited

_LEAF = re.compile(r"([0-9a-f]{12})-[0-9a-f]{8}")
_TASK = re.compile(r"[A-Za-z0-9_-]{0,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MOST = 20_000  # bytes of a record
_ASKING = 20.0  # seconds to ask what became of a push
_PUSHING = 600.0  # seconds for which a git that outlived us may be pushing
_LONG_AGO = 86400.0  # seconds after which a process that cannot be told from another counts as gone
# Whatever is configured for ordinary pushes, nothing but the one ref is sent.
_ALONE = ("push", "--porcelain", "--no-follow-tags", "--recurse-submodules=no")


class NotPushed(CannotDecide):
    """The remote, a hook or the network kept a side ref from being made."""

    code = "publish-failed"


class NotDeleted(CannotDecide):
    """A side ref is still on the remote."""

    code = "publish-failed"


@dataclass(frozen=True)
class SideRef:
    """A side ref, and whose it is.

    `remote` is the remote's name, or its URL where it has none, and `url` where it was pushed to; both without
    credentials. `task` is the id of the task that needs it, "" while only the process does that made it. `host` is
    `processes.here()`, `created` in seconds since 1970.
    """

    ref: str
    remote: str
    url: str
    commit: str
    task: str = ""
    pid: int = 0
    pid_started: str = ""
    host: str = ""
    created: float = 0.0


def push(
    repository: Repository,
    remote: Remote,
    commit: str,
    *,
    timeout: float = 120.0,
    clock: Callable[[], float] = time.time,
) -> SideRef:
    """Pushes exactly this commit (full hash) to a new side ref, through every pre-push hook.

    Raises NotPushed with the words of git or a hook, TimedOut after so many seconds: whether the ref arrived is then
    unknown, and its record stays, as it does when we are interrupted.
    """
    ref = f"{SIDE_REFS}{commit[:12]}-{secrets.token_hex(4)}"
    leaf = _leaf(ref, commit)
    url, pid = repository_urls.without_credentials(remote.url), os.getpid()
    born, now = processes.started(pid), float(clock())
    made = SideRef(ref, remote.name or url, url, commit, "", pid, born, processes.here(), now)
    _write(repository, made)
    command = [*_ALONE, f"--force-with-lease={ref}:"]  # it must be new
    hint = "push the branch, or use --as-diff"
    try:
        status, out, err = remotes.ask(repository, remote, command, [f"{commit}:{ref}"], timeout=timeout, pushing=True)
    except TimedOut as error:
        later = "the next check deletes the side ref if it did arrive"
        raise TimedOut(error.message, f"{hint}; {later}") from None
    except CannotDecide:  # git was not even started
        _forget(repository, made)
        raise
    except BaseException:
        _take_back(repository, remote, made, ended=False)
        raise
    if status:
        _take_back(repository, remote, made, ended=True)
        raise NotPushed(f"the commit could not be pushed to {remote.shown}: {_why(out, err, status)}", hint)
    _forget_tracking(repository, leaf)
    return made


def bind(repository: Repository, side_ref: SideRef, task: str) -> SideRef:
    """Notes in the record which task needs the ref: from now on it is not the process that keeps it alive."""
    bound = replace(side_ref, task=task)
    _write(repository, bound)
    return bound


def delete(
    repository: Repository, side_ref: SideRef, *, timeout: float = 60.0, clock: Callable[[], float] = time.time
) -> None:
    """Deletes the ref from the remote, and then its record. One that is gone already is fine.

    Raises NotDeleted, TimedOut or Unreachable; the record stays then.
    """
    remote = _remote_of(repository, side_ref)
    there = _deleted(repository, remote, side_ref.ref, side_ref.commit, timeout)
    late = not side_ref.task and not _lives(side_ref, clock()) and clock() - side_ref.created < _PUSHING
    if late and not there:
        return  # we were killed, and the git that we had started may still be pushing
    _forget(repository, side_ref)


def delete_named(repository: Repository, remote: Remote, ref: str, commit: str, *, timeout: float = 60.0) -> None:
    """Deletes a side ref that another clone may have made, if it is still at that commit. Raises as `delete` does."""
    _deleted(repository, remote, ref, commit, timeout)


def _deleted(repository: Repository, remote: Remote, ref: str, commit: str, timeout: float) -> bool:
    """Deletes the ref; False when it was not there. Raises as `delete` does."""
    _leaf(ref, commit)
    command = [*_ALONE, f"--force-with-lease={ref}:{commit}"]
    status, out, err = remotes.ask(repository, remote, command, [f":{ref}"], timeout=timeout, pushing=True)
    if not status:
        return True
    there = remotes.at(repository, remote, ref, timeout=_ASKING)
    if there == commit:
        why, hint = _why(out, err, status), f"git push {remote.shown} --delete {ref}"
        raise NotDeleted(f"{ref} could not be deleted from {remote.shown}: {why}", hint)
    if there:
        hint = f"if nobody needs it: git push {remote.shown} --delete {ref}"
        raise NotDeleted(f"{ref} on {remote.shown} was moved to {there[:12]}, and is left alone", hint)
    return False


def recorded(repository: Repository) -> list[SideRef]:
    """The side refs that this clone has pushed and not deleted, the oldest first. What is no record of ours is not."""
    directory = _directory(repository)
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    leaves = [name.removesuffix(".json") for name in names if name.endswith(".json")]
    found = [_read(os.path.join(directory, f"{leaf}.json"), leaf) for leaf in leaves if _LEAF.fullmatch(leaf)]
    return sorted((one for one in found if one), key=lambda one: (one.created, one.ref))


def abandoned(repository: Repository, *, host: str, now: float) -> list[SideRef]:
    """The recorded side refs that no task needs and whose process, of this host (`processes.here()`), has ended."""
    return [one for one in recorded(repository) if not one.task and one.host == host and not _lives(one, now)]


def _lives(side_ref: SideRef, now: float) -> bool:
    started = processes.started(side_ref.pid)
    if side_ref.pid_started:
        return started == side_ref.pid_started
    return bool(started) and now - side_ref.created < _LONG_AGO  # when it started was not to be learned


def _take_back(repository: Repository, remote: Remote, side_ref: SideRef, *, ended: bool) -> None:
    """After a push that failed: no ref and no record, where that can be had.

    Where git did not come to its `ended`, the ref may still arrive after we have looked: then the record stays.
    """
    with contextlib.suppress(CannotDecide):
        if remotes.at(repository, remote, side_ref.ref, timeout=_ASKING):
            delete_named(repository, remote, side_ref.ref, side_ref.commit, timeout=_ASKING)
        elif not ended:
            return
        _forget(repository, side_ref)


def _why(out: str, err: str, status: int) -> str:
    """Why a push failed: the remote's reason for refusing the ref, and the line that says more."""
    refused = [line.rpartition("\t")[2].strip() for line in out.splitlines() if line.startswith("!\t")]
    words = [*refused[:1], remotes.said(err, status)]
    return "; ".join(word for word in words if not (refused and word.startswith("exit status")))


def _leaf(ref: str, commit: str) -> str:
    """The last part of a side ref's name. Raises CannotDecide for a ref that is none, or not of this commit."""
    found = _LEAF.fullmatch(ref.removeprefix(SIDE_REFS))
    if not ref.startswith(SIDE_REFS) or not found or not is_hash(commit) or not commit.startswith(found[1]):
        raise CannotDecide(f"{ref[:200]!r} is no side ref of commit {commit[:64]!r}", "it is left alone")
    return found[0]


def _remote_of(repository: Repository, side_ref: SideRef) -> Remote:
    """Where the ref was pushed to: a remote of today that has that URL, for its credentials, else the URL alone."""
    for remote in (remotes.named(repository, side_ref.remote), remotes.pushed_to(repository)):
        if remote and repository_urls.without_credentials(remote.url) == side_ref.url:
            return remote
    return Remote("", side_ref.url)


def _forget_tracking(repository: Repository, leaf: str) -> None:
    """Removes the tracking ref that git made for the pushed ref.

    pre-commit runs no hook for commits that a tracking ref reaches: ours would open its gate.
    """
    status, out, _ = repository.run("for-each-ref", "--format=%(refname)")
    for ref in out.decode("utf-8", "surrogateescape").splitlines():
        if ref.endswith(f"/git-clearml/{leaf}") and not status:
            repository.run("update-ref", "-d", ref)


def _directory(repository: Repository) -> str:
    return os.path.join(repository.common_dir, "clearml", "side-refs")


def _write(repository: Repository, side_ref: SideRef) -> None:
    """Writes the record whole, under another name, and renames it. Raises CannotDecide where it cannot be kept."""
    directory = _directory(repository)
    path = os.path.join(directory, f"{_leaf(side_ref.ref, side_ref.commit)}.json")
    temporary = ""
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=directory, prefix=".new-")  # mode 0600
        with os.fdopen(handle, "w", encoding="ascii") as file:
            json.dump(asdict(side_ref), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise CannotDecide(
            f"the record of a side ref cannot be written to {directory}: {error.strerror}",
            "mend that, or push the branch: without its record the side ref would never be deleted",
        ) from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _forget(repository: Repository, side_ref: SideRef) -> None:
    """Removes the record. Where that fails, the next sweep finds the ref gone and tries again."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(_directory(repository), f"{_leaf(side_ref.ref, side_ref.commit)}.json"))


def _read(path: str, leaf: str) -> SideRef | None:
    """The record in a file; None for one that is damaged, or does not belong where it lies."""
    content = read_limited(path, _MOST)
    if isinstance(content, str):
        return None
    try:
        document = json.loads(content)
        found = SideRef(**{one.name: document[one.name] for one in fields(SideRef)})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    texts = (found.ref, found.remote, found.url, found.commit, found.task, found.pid_started, found.host)
    if not all(isinstance(text, str) and not _CONTROL.search(text) for text in texts):
        return None
    if type(found.pid) is not int or type(found.created) is not float or not math.isfinite(found.created):
        return None
    try:
        return found if _leaf(found.ref, found.commit) == leaf and _TASK.fullmatch(found.task) else None
    except CannotDecide:
        return None
