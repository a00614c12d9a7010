"""What may be the accepted half of a clean merge: only what a gate stands before, in the hook, in CI and by hand."""

from __future__ import annotations

from collections.abc import Sequence

from git_clearml.git.repository import Repository
from git_clearml.settings.policy import Policy
from git_clearml.settings.protection import protected


def stands_behind_a_gate(
    repository: Repository, commit: str, policy: Policy, places: Sequence[str], branch: str = ""
) -> bool:
    """Is this commit at a branch that the policy protects? What anybody may push unseen is no half of a merge.

    `branch` is where somebody says that it is, "" for nobody; else those below `places` are looked at, which are what
    refs begin with: a remote's as last fetched, or a git server's own.
    One git process, and none where every branch is protected or no merge counts.
    """
    if policy.merges != "clean" or not policy.protect:
        return True
    if branch and protected(f"refs/heads/{branch}", policy):
        return True
    words = ("for-each-ref", f"--points-at={commit}", "--format=%(refname)")
    refs = repository.run(*words, *places).lines if places else []
    branches = [ref.removeprefix(place) for place in places for ref in refs if ref.startswith(place)]
    return any(protected(f"refs/heads/{branch}", policy) for branch in branches if branch != "HEAD")


def by_default(repository: Repository, policy: Policy) -> list[str]:
    """Where nobody says what was accepted: the default branches of all remotes, as last fetched."""
    places, tips = of_remotes(repository.remotes()), repository.default_branches()
    return [tip for tip in tips if stands_behind_a_gate(repository, tip, policy, places)]


def of_remotes(names: Sequence[str]) -> list[str]:
    """What the refs begin with that these remotes' branches were fetched to."""
    return [f"refs/remotes/{name}/" for name in names]
