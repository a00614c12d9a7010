"""The policy of HEAD: can it be read, which refs does it gate, and does it let anything through by itself?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from git_clearml.base.words import listed
from git_clearml.doctor.advice import of_error
from git_clearml.errors import Error, UnknownRevision
from git_clearml.git.repository import Repository
from git_clearml.report.diagnosis import Check
from git_clearml.settings import load
from git_clearml.settings.policy import Policy
from git_clearml.settings.protection import protected


def examine(repository: Repository, environment: Mapping[str, str]) -> tuple[Check, Policy | None]:
    """What the policy of HEAD says, and it, where it can be read. A push is judged by the remote's, perhaps another."""
    try:
        head = repository.resolve(["HEAD"])
        ruling = load.rulings(repository, head, flags={}, environment=environment)[0]
    except UnknownRevision:
        words = "there is no commit yet, and so no policy: the strict defaults gate every branch"
        return Check("policy", "ok", words), Policy()
    except Error as error:
        return of_error("policy", "fail", error, "; every push is refused"), None
    return judged(ruling, _refs(repository) if ruling.policy.protect else ()), ruling.policy


def _refs(repository: Repository) -> list[str]:
    """The branches and tags that there are here, and the remotes' branches by the names that they have there."""
    places = ("refs/heads/", "refs/tags/", "refs/remotes/")
    listed = repository.run("for-each-ref", "--format=%(refname)", *places).lines
    remotes = [f"refs/remotes/{name}/" for name in repository.remotes()]
    refs = []
    for ref in listed:
        place = next((each for each in remotes if ref.startswith(each)), "")
        refs.append("refs/heads/" + ref.removeprefix(place) if place else ref)
    return refs


def judged(ruling: load.ResolvedPolicy, refs: Sequence[str] = ()) -> Check:
    """What a policy that can be read comes to, where there are these refs. Pure."""
    policy = ruling.policy
    gates = f"gates {listed(policy.protect)}" if policy.protect else "gates every branch"
    if ruling.warnings:
        return Check("policy", "warn", "; ".join(ruling.warnings))
    if policy.on_unreachable == "warn":
        words = 'on-unreachable = "warn": while the server is away, pushes go through unverified'
        return Check("policy", "warn", f"the policy {gates}, but has {words}")
    if policy.protect and refs and not any(protected(ref, policy) for ref in refs):
        return Check("policy", "warn", f"the policy of HEAD {gates}, and no branch or tag is called so")
    if ruling.origin == "defaults":
        return Check("policy", "ok", f"HEAD sets no policy in pyproject.toml: the strict default {gates}")
    return Check("policy", "ok", f"the policy of HEAD {gates}")
