"""Which updates of a push are gated, and by whose policy: that of the accepted side, which the push cannot loosen.

The accepted side of a ref is where the remote has it; of a ref that the remote lacks, the remote's default branch.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from git_clearml.errors import PolicyUnknown
from git_clearml.git import remote as remotes
from git_clearml.git.peel import NoCommit
from git_clearml.git.repository import Repository
from git_clearml.hook import default_branch
from git_clearml.hook.ref_updates import Push, RefUpdate, is_free_side_ref
from git_clearml.model import Commit, Resolved
from git_clearml.settings import load as policies
from git_clearml.settings.policy import Policy
from git_clearml.settings.protection import protected
from git_clearml.verdict import accepted_half


class GatedUpdate(NamedTuple):
    """A ref update that a policy gates, the commit it brings, and that policy.

    `is_lasting` where the old commit says whose policy it is, or this clone's ref of the remote's default branch: a
    remote that was asked, or was empty, may have moved on, and another remote's ref of the same URL unseen by the sh.
    """

    update: RefUpdate
    commit: Commit
    ruling: policies.ResolvedPolicy
    accepted: str  # the commit whose policy it is, "" where that has not been through the gate itself
    is_lasting: bool = True


def gated_updates(
    repository: Repository, push: Push, *, flags: Mapping[str, Any], environment: Mapping[str, str]
) -> list[GatedUpdate]:
    """The updates that bring a commit to a ref which their policy protects. The remote may be asked for its HEAD.

    Raises PolicyUnknown when the accepted commit is not here, BadSetting for a policy that cannot be understood.
    """
    maybe_new = push.by_pre_commit or any(update.creates for update in push.updates)
    fetched = default_branch.fetched(repository, push) if maybe_new else ""
    # of a new ref anything that exists stands for the remote's commit: it is not looked at
    pairs = ((each.local_hash, each.local_hash if each.creates else each.remote_hash) for each in push.updates)
    names = [name for pair in pairs for name in pair]
    *peeled, fetched_side, _ = repository.peel([*names, fetched or names[0], "HEAD"])  # HEAD for the hint of a refusal
    default = [fetched_side] if fetched and isinstance(fetched_side, Resolved) else []
    asked = functools.cache(
        lambda: default_branch.asked(repository, push, budget_of(repository, push, flags, environment))
    )
    lasts = bool(default) and fetched.startswith(f"refs/remotes/{push.remote}/")  # the sh looks at no other's
    commits, by_default, not_lasting = list[tuple[RefUpdate, Resolved, Resolved]](), set[RefUpdate](), set[RefUpdate]()
    for update, new, old in zip(push.updates, peeled[::2], peeled[1::2], strict=True):
        if new is NoCommit.OTHER_OBJECT:
            continue  # a tag of a blob or a tree: nothing that could have run
        if not isinstance(new, Resolved):
            raise PolicyUnknown(f"{update.local_ref} ({update.local_hash[:12]}) is not in this clone", "git fsck")
        if old is NoCommit.MISSING and not update.creates:
            raise _unknown(repository, push, update)
        if isinstance(old, Resolved) and not _is_new(repository, push, update, old):
            sides = [old]
        else:  # also where the remote has a tag of something else than a commit
            sides = default or asked() or [new]
            by_default.add(update)
            not_lasting |= set() if lasts and update.creates else {update}
        commits += [(update, new, side) for side in {side.policy_blob: side for side in sides}.values()]
    rulings = policies.rulings(repository, [side for *_, side in commits], flags=flags, environment=environment)
    judged = [(*each, ruling) for each, ruling in zip(commits, rulings, strict=True)]
    gated = [each for each in judged if _is_gated(repository, push, each[0], each[3].policy)]
    defaults = [(side, own.policy) for it, _, side, own in gated if it in by_default]
    behind = _behind_gates(repository, push, defaults, fetched if default else "")
    return [
        GatedUpdate(
            update,
            new.commit,
            ruling,
            "" if side is new else behind[side, ruling.policy] if update in by_default else side.commit.hash,
            is_lasting=update not in not_lasting,
        )
        for update, new, side, ruling in gated
    ]


def _unknown(repository: Repository, push: Push, update: RefUpdate) -> PolicyUnknown:
    return PolicyUnknown(
        f"{update.remote_ref} is at {update.remote_hash[:12]} on the remote, which is not in this clone; "
        "the policy that applies is unknown",
        default_branch.fetch_missing(repository, push, update.remote_ref),
    )


def _is_gated(repository: Repository, push: Push, update: RefUpdate, policy: Policy) -> bool:
    """In the repository that receives it refs are compared as its files are; a setting without a value is a yes."""
    if not push.received:
        return protected(update.remote_ref, policy)
    ignores_case = dict(repository.config()).get("core.ignorecase", "no").lower() in ("true", "yes", "on", "1", "")
    return protected(update.remote_ref, policy, ignores_case=ignores_case) and not is_free_side_ref(update, policy)


def budget_of(repository: Repository, push: Push, flags: Mapping[str, Any], environment: Mapping[str, str]) -> float:
    """The seconds for all network calls, as far as they can be known without a policy."""
    nothing = Resolved("", Commit("", ""), "")
    (ruling,) = policies.rulings(repository, [nothing], flags=flags, environment=environment)
    return ruling.personal.timeout or push.budget


def _behind_gates(
    repository: Repository, push: Push, defaults: Sequence[tuple[Resolved, Policy]], ref: str
) -> dict[tuple[Resolved, Policy], str]:
    """The commit of each default branch, "" where no gate stands before it: what anybody may push is no half of a merge
    that passes. It has to be at a branch that the policy protects, as last fetched: the one at `ref`, or any.
    A git for each that is another.
    """
    names = remotes.names_of(repository, push.remote, push.url) if defaults and not push.received else []
    places = ["refs/heads/"] if push.received else accepted_half.of_remotes(names)
    branch = next((ref.removeprefix(place) for place in places if ref.startswith(place)), "")
    return {
        (side, policy): commit
        if accepted_half.stands_behind_a_gate(repository, commit := side.commit.hash, policy, places, branch)
        else ""
        for side, policy in dict.fromkeys(defaults)
    }


def _is_new(repository: Repository, push: Push, update: RefUpdate, old: Resolved) -> bool:
    """Does the remote lack this ref? pre-commit does not say so: it names an ancestor that a remote has.

    Nobody has accepted that one's policy for this ref, unless it is where the ref was when last fetched.
    """
    if update.creates or not push.by_pre_commit:
        return update.creates
    branch = update.remote_ref.removeprefix("refs/heads/")
    names = remotes.names_of(repository, push.remote, push.url)
    return old.commit.hash not in repository.refs([f"refs/remotes/{name}/{branch}" for name in names]).values()
