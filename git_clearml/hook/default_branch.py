"""What was accepted where a push makes a new ref: the default branch of the repository that is pushed to.

Of a remote as last fetched, where this clone knows it; else the remote is asked. Nobody guesses: a branch `main` may be
anybody's. A git server looks at its own HEAD.
"""

from __future__ import annotations

import time

from git_clearml.base.ids import SIDE_REFS
from git_clearml.errors import CannotDecide, PolicyUnknown
from git_clearml.git import remote as remotes
from git_clearml.git.remote import Remote
from git_clearml.git.repository import Repository
from git_clearml.hook.ref_updates import Push
from git_clearml.model import Resolved


def fetched(repository: Repository, push: Push) -> str:
    """This clone's ref of the remote's default branch, "" where it does not know which that is. It may dangle.

    On a git server the object at HEAD, "" where that names a branch which is not there.
    """
    if push.received:  # `HEAD` alone could be any ref of that name, refs/tags/HEAD for one
        head = repository.run("show-ref", "--verify", "--hash", "HEAD")
        return "" if head.status else head.text
    for name in remotes.names_of(repository, push.remote, push.url):
        target = repository.symbolic_target(f"refs/remotes/{name}/HEAD")
        if target.startswith(f"refs/remotes/{name}/"):  # else it is a branch which the remote calls HEAD
            return target
    return ""


def asked(repository: Repository, push: Push, timeout: float) -> list[Resolved]:
    """The commit at the remote's HEAD, as the remote says.

    Where its HEAD names a branch that it does not have, all branches that it has: what is new has to please each of
    them. None where it has no branch either, and so has accepted nothing. `timeout` is in seconds. Raises PolicyUnknown
    where nobody tells, or a commit is not here.
    """
    if push.received:
        return _own_branches(repository)
    remote = _remote(repository, push)
    if remote is None:
        return []
    deadline = time.monotonic() + timeout
    try:
        head = remotes.at(repository, remote, "HEAD", timeout=timeout)
        left = max(0.1, deadline - time.monotonic())
        refs = {"HEAD": head} if head else remotes.branches(repository, remote, timeout=left)
    except CannotDecide as error:
        raise PolicyUnknown(f"the policy that applies is unknown: {error.message}", error.hint) from None
    refs = {ref: name for ref, name in refs.items() if not ref.startswith(SIDE_REFS)}
    sides = []
    for (ref, name), commit in zip(refs.items(), repository.peel(list(refs.values())), strict=True):
        if not isinstance(commit, Resolved):
            raise PolicyUnknown(
                f"{ref} of {remote.shown} is at {name[:12]}, which is not in this clone; "
                "the policy that applies is unknown",
                fetch_it(repository, remote, ref),
            )
        sides.append(commit)
    return sides


def _own_branches(repository: Repository) -> list[Resolved]:
    """The commits at all branches of a git server whose HEAD names none of them."""
    listed = repository.run("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/").lines
    refs = dict(line.rsplit(" ", 1) for line in listed if not line.startswith(SIDE_REFS))
    sides = []
    for ref, commit in zip(refs, repository.peel(list(refs.values())), strict=True):
        if not isinstance(commit, Resolved):
            raise PolicyUnknown(f"the commit at {ref} is missing; the policy that applies is unknown", "git fsck")
        sides.append(commit)
    return sides


def fetch_missing(repository: Repository, push: Push, ref: str) -> str:
    """The command that brings here what the remote has at this ref (its full name)."""
    if push.received:
        return "git fsck"
    return fetch_it(repository, _remote(repository, push) or Remote("origin", ""), ref)


def fetch_it(repository: Repository, remote: Remote, ref: str) -> str:
    """The same for this remote, and for its HEAD too, whichever branches the remote's settings ask for."""
    patterns = [value for key, value in repository.config() if key == f"remote.{remote.name}.fetch"]
    all_branches = remote.name and any(pattern.lstrip("+").startswith("refs/heads/*:") for pattern in patterns)
    comes_along = all_branches and (ref == "HEAD" or ref.startswith("refs/heads/"))
    return f"git fetch {remote.shown}" + ("" if comes_along else f" {ref}")


def _remote(repository: Repository, push: Push) -> Remote | None:
    """The remote to ask. A hook manager may hide which it is: then the one that git would push to.

    None where nothing is pushed: pre-commit, started by hand.
    """
    if push.url or push.remote:
        name = next(iter(remotes.names_of(repository, push.remote, push.url)), "")
        unnamed = Remote(name, push.url or push.remote)
        return remotes.named(repository, name) or unnamed if name and push.url in ("", name) else unnamed
    if push.by_pre_commit:
        return None
    remote = remotes.pushed_to(repository)
    if remote is None:
        raise PolicyUnknown(
            "the policy that applies is unknown: nothing says which remote is pushed to, as git tells its hooks",
            'git clearml hook pre-push "$@"',
        )
    return remote
