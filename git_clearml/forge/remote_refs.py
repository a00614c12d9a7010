"""Where a ref of a job's repository is now: git tells, and where git may not ask, the forge."""

from __future__ import annotations

from git_clearml.base.ids import is_hash
from git_clearml.errors import CannotDecide
from git_clearml.forge.api import Ask
from git_clearml.git import remote as remotes
from git_clearml.git.repository import Repository

FETCH_SECONDS = 60.0
FETCH_ALL = "check out with fetch-depth: 0 (actions/checkout), GIT_DEPTH: 0 (GitLab), clone: depth: full (Bitbucket)"

NAME_IT = "set COMMIT_ID to the full hash of the commit to judge"


class NotFetched(CannotDecide):
    """Something that this clone does not have and the remote does not provide."""

    code = "unknown-revision"


class NoSuchRef(NotFetched):
    """The remote lacks a ref, and says so."""


def at(repository: Repository, ref: str, ask: Ask | None, timeout: float = FETCH_SECONDS) -> str:
    """The object that the remote's ref (its full name, or HEAD) is at.

    Raises NotFetched where there is no such ref, or nobody tells.
    """
    try:
        return _by_git(repository, ref, timeout)
    except NotFetched:
        if ask is None:
            raise
        try:
            name = ask(lambda forge: forge.ref_at(ref))
        except CannotDecide:
            name = ""
        if not is_hash(name):
            raise
        return name


def remote_name(repository: Repository) -> str:
    """`origin`, as every checkout step calls it, else the first remote; "" for none."""
    names = repository.remotes()
    return "origin" if "origin" in names else next(iter(names), "")


def _by_git(repository: Repository, ref: str, timeout: float) -> str:
    name = remote_name(repository)
    where = remotes.named(repository, name, push=False)
    if where is None:
        raise NotFetched(f"cannot look up {ref}: this clone has no remote", FETCH_ALL)
    try:
        commit = remotes.at(repository, where, ref, timeout=timeout)
    except CannotDecide as error:
        raise NotFetched(f"cannot look up {ref} on {name}: {error.message}", FETCH_ALL) from None
    if not commit:
        raise NoSuchRef(f"{name} has no {ref}", NAME_IT)
    return commit
