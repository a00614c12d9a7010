"""Which updates of a push are gated, and by whose policy: that of the accepted side, which the push cannot loosen.

The accepted side of a ref is where the remote has it; of a ref that the remote lacks, the remote's default branch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from git_clearml.errors import PolicyUnknown
from git_clearml.git.peel import NoCommit
from git_clearml.git.repository import Repository
from git_clearml.hook.ref_updates import Push, RefUpdate, protected
from git_clearml.model import Commit, Resolved
from git_clearml.settings import load as policies


@dataclass(frozen=True)
class GatedUpdate:
    """A ref update that the policy gates, the commit it brings, and that policy."""

    update: RefUpdate
    commit: Commit
    ruling: policies.ResolvedPolicy


def gated_updates(
    repository: Repository, push: Push, *, flags: Mapping[str, Any], environment: Mapping[str, str]
) -> list[GatedUpdate]:
    """The updates that bring a commit to a ref which their policy protects.

    Raises PolicyUnknown when the remote's old commit is not here, BadSetting for a policy that cannot be understood.
    """
    default = _default_branch(repository, push)
    names = [name for update in push.updates for name in (update.local_hash, _old(update))]
    peeled = repository.peel(names)
    commits: list[tuple[RefUpdate, Resolved, Resolved]] = []
    for update, new, old in zip(push.updates, peeled[::2], peeled[1::2], strict=True):
        if new is NoCommit.OTHER_OBJECT:
            continue  # a tag of a blob or a tree: nothing that could have run
        if not isinstance(new, Resolved):
            raise PolicyUnknown(f"{update.local_ref} ({update.local_hash[:12]}) is not in this clone", "git fsck")
        if old is NoCommit.MISSING and not update.creates:
            raise PolicyUnknown(
                f"{update.remote_ref} is at {update.remote_hash[:12]} on the remote, which is not in this clone; "
                "the policy that applies is unknown",
                f"git fetch {push.remote or 'origin'}",
            )
        ancestor = old if isinstance(old, Resolved) and not update.creates else new
        accepted = default or ancestor if _is_new(repository, push, update, ancestor) else ancestor
        commits.append((update, new, accepted))
    sides = [accepted for _, _, accepted in commits]
    rulings = policies.rulings(repository, sides, flags=flags, environment=environment)
    return [
        GatedUpdate(update, new.commit, ruling)
        for (update, new, _), ruling in zip(commits, rulings, strict=True)
        if protected(update.remote_ref, ruling.policy)
    ]


def _old(update: RefUpdate) -> str:
    """The remote's commit; for a new ref anything that exists, since it is not looked at."""
    return update.local_hash if update.creates else update.remote_hash


def _is_new(repository: Repository, push: Push, update: RefUpdate, old: Resolved) -> bool:
    """Does the remote lack this ref? pre-commit does not say so: it names an ancestor that a remote has.

    Nobody has accepted that one's policy for this ref, unless it is where the ref was when last fetched.
    """
    if update.creates or not push.by_pre_commit:
        return update.creates
    branch = update.remote_ref.removeprefix("refs/heads/")
    (fetched,) = repository.peel([f"refs/remotes/{_remote_name(repository, push)}/{branch}"])
    return not (isinstance(fetched, Resolved) and fetched.commit == old.commit)


def _default_branch(repository: Repository, push: Push) -> Resolved | None:
    """The remote's default branch as last fetched."""
    name = _remote_name(repository, push)
    if not name:
        return None
    peeled = repository.peel([f"refs/remotes/{name}/{branch}" for branch in ("HEAD", "main", "master")])
    return next((commit for commit in peeled if isinstance(commit, Resolved)), None)


def _remote_name(repository: Repository, push: Push) -> str:
    """The name of the remote that is pushed to, "" for a URL that belongs to none."""
    name = push.remote
    if name == push.url or not name:
        names = {
            value: key.removeprefix("remote.").rpartition(".")[0]  # a remote's name may hold dots
            for key, value in repository.config()
            if key.startswith("remote.") and key.endswith((".url", ".pushurl"))
        }
        name = names.get(push.url, "")
    return name
