"""What a git server wants of the policies in a push, beside what a clone does: evidence that others can look up, and a
policy that can be read once the push is through. Nobody is there to skip the gate for a push that repairs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from git_clearml.errors import BadSetting
from git_clearml.git.repository import Repository
from git_clearml.hook.gated_refs import GatedUpdate
from git_clearml.hook.ref_updates import RefUpdate
from git_clearml.model import Resolved
from git_clearml.settings import load as policies
from git_clearml.settings.load import ResolvedPolicy

OFFLINE = 'evidence = "offline" is for a clone with run records of its own; a git server has none'


_DEPTH = 5  # of symbolic refs that name symbolic refs, as in git


def with_targets(repository: Repository, updates: Sequence[RefUpdate]) -> list[RefUpdate]:
    """The updates, and those that they make at other refs by way of symbolic ones: of a `master` that is `main`, where
    `main` is and where `master` is then."""
    both, symbolic = list(updates), repository.symbolic_branches() if updates else {}
    for update in updates:
        refs = [update.remote_ref]
        for _ in range(_DEPTH):
            target = repository.symbolic_target(refs[-1])
            if not target:
                break
            refs.append(target)
        for _ in range(_DEPTH):
            refs += [ref for ref, target in symbolic.items() if target in refs and ref not in refs]
        both += [update._replace(remote_ref=ref) for ref in refs[1:]]
    return both


class UnusablePolicy(BadSetting):
    """That of a pushed commit: once it is accepted nobody could push any more."""


def by_the_server(
    repository: Repository, gated: Sequence[GatedUpdate], environment: Mapping[str, str]
) -> list[GatedUpdate]:
    """The updates, judged by the ClearML server's tasks alone.

    Raises BadSetting for a policy of the accepted side that nobody can push by, UnusablePolicy for a pushed commit's.
    """
    try:
        pushed = repository.peel([update.commit.hash for update in gated])
        commits = [each for each in pushed if isinstance(each, Resolved)]
        rulings = policies.rulings(repository, commits, flags={}, environment=environment)
        for commit, ruling in zip(commits, rulings, strict=True):
            _check(ruling, commit.commit.hash)
    except BadSetting as error:
        raise UnusablePolicy(error.message, error.hint) from None
    for update in gated:
        _check(update.ruling, update.ruling.origin)
    return [update._replace(ruling=_from_the_server(update.ruling)) for update in gated]


def _check(ruling: ResolvedPolicy, commit: str) -> None:
    if ruling.policy.evidence == "offline":
        raise BadSetting(f"{policies.POLICY_FILE} at {commit[:12]}: {OFFLINE}", 'write evidence = "server"')


def _from_the_server(ruling: ResolvedPolicy) -> ResolvedPolicy:
    """Without what has been decided by now: policies that differ in nothing else are one question."""
    return ruling._replace(policy=ruling.policy._replace(evidence="server", protect=()))
