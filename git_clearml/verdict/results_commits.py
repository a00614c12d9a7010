"""Finds the commits whose evidence is a results commit's too: its parent, and what that stands on in the same way.

Everything is read from the objects themselves, in this clone. What is not here is never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from git_clearml.errors import BadSetting, CannotDecide
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Resolved
from git_clearml.settings import code_paths
from git_clearml.settings.policy import Policy
from git_clearml.settings.table import merge, policy_of, pyproject_table
from git_clearml.verdict.model import Verdict

MOST = 100  # results commits, one on top of the other


class Lineage(NamedTuple):
    """A results commit's parent, nearest first, then what that one stands on if it is a results commit too.

    `why` says what keeps a commit that writes clearml.lock from being a results commit, or that there are more of them
    below than are looked at.
    """

    ancestors: tuple[Commit, ...] = ()
    why: str = ""

    def note(self, verdict: Verdict) -> str:
        """What a reader of a verdict that rests on the ancestors has to know."""
        ran = verdict.task.commit if verdict.task else ""
        hashes = [ancestor.hash for ancestor in self.ancestors]
        place = hashes.index(ran) if ran in hashes else -1
        if place == 0:
            return f"a results commit: its parent {ran[:12]} has run"
        if place > 0:
            return f"a results commit: {ran[:12]} has run, and only results changed in the {place + 1} commits since"
        return f"a results commit: what it stands on has run as {ran[:12]}"


def of(repository: Repository, commits: Sequence[Commit], policy: Policy) -> dict[str, Lineage]:
    """The lineage of each of these commits that writes clearml.lock, by its hash.

    What a results commit may touch must be in its parent's policy and in `policy`, which judges it. One git process
    where no commit writes clearml.lock. Raises CannotDecide when git cannot read the commits.
    """
    links: dict[str, Commit | str] = {}
    front = {commit.hash for commit in commits}
    for _ in range(MOST + 1):  # one more tells whether that is all
        writers = _writers(repository, sorted(front - links.keys()))
        if not writers:
            break
        more = _links(repository, writers, policy)
        links |= more
        front = {parent.hash for parent in more.values() if isinstance(parent, Commit)}
    return {commit.hash: _walk(commit.hash, links) for commit in commits if commit.hash in links}


def missing(repository: Repository, commits: Sequence[Commit]) -> list[str]:
    """The parents that this (shallow) clone lacks to tell whether these commits, or their parents, are results commits.

    For a CI job, whose checkout has one commit: once they are fetched there may be more. Raises CannotDecide.
    """
    front = [commit.hash for commit in commits]
    for _ in range(MOST):
        parents = repository.parents(_writers(repository, front)).values()
        names = list(dict.fromkeys(names[0] for names in parents if len(names) == 1))
        trees = repository.trees(names)
        if absent := [name for name in names if name not in trees]:
            return absent
        front = names
    return []


def _walk(name: str, links: dict[str, Commit | str]) -> Lineage:
    ancestors: list[Commit] = []
    end = links[name]
    while isinstance(end, Commit) and len(ancestors) < MOST:
        ancestors.append(end)
        end = links.get(end.hash, "")
    if isinstance(end, Commit):
        return Lineage(tuple(ancestors), f"it stands on more than {MOST} of them, and no more are checked")
    return Lineage(tuple(ancestors), "" if ancestors else end)


def _writers(repository: Repository, names: Sequence[str]) -> list[str]:
    """Those that have another clearml.lock than their (first) parent. Quick, and only good for leaving commits out."""
    revs = (f"{rev}:{code_paths.LOCK}" for name in names for rev in (name, f"{name}^"))
    locks = repository.names_of(revs) if names else []
    return [name for name, own, before in zip(names, locks[0::2], locks[1::2], strict=True) if own and own != before]


def _links(repository: Repository, names: Sequence[str], policy: Policy) -> dict[str, Commit | str]:
    """For each commit its parent when it is a results commit, else why not; "" where that needs no words."""
    parents = repository.parents(names)
    only = {name: of_name[0] for name, of_name in parents.items() if len(of_name) == 1}  # neither a root nor a merge
    peeled = dict(zip(only.values(), repository.peel(list(only.values())), strict=True))
    rules = policies(repository, [resolved for resolved in peeled.values() if isinstance(resolved, Resolved)])
    links: dict[str, Commit | str] = dict.fromkeys(names, "")
    for name, parent in only.items():
        resolved, own = peeled[parent], rules.get(parent)
        if not isinstance(resolved, Resolved) or resolved.commit.hash != parent:
            links[name] = f"its parent {parent[:12]} is not in this clone (git fetch --deepen=1)"
        elif own is None:
            links[name] = f"the policy of its parent {parent[:12]} cannot be read"
        else:
            links[name] = _why_not(repository, name, parent, (own, policy)) or resolved.commit
    return links


def _why_not(repository: Repository, name: str, parent: str, rules: Iterable[Policy]) -> str:
    try:
        return code_paths.not_results(repository.changed_modes(parent, name), rules)
    except CannotDecide:  # a tree is missing: a partial clone, or a damaged one
        return f"its files cannot be compared with those of its parent {parent[:12]}"


def policies(repository: Repository, commits: Sequence[Resolved]) -> dict[str, Policy]:
    """The policy in each commit's own pyproject.toml. One that cannot be read is left out."""
    try:
        contents = repository.blobs(commit.policy_blob for commit in commits)
    except CannotDecide:
        return {}
    readable = {}
    for resolved in commits:
        blob = resolved.policy_blob
        try:
            where = f"pyproject.toml at {resolved.commit.hash[:12]}"
            table = pyproject_table(contents[blob], where) if blob else {}
            values, _ = merge(flags={}, environment={}, git_config=[], pyproject=table)
            readable[resolved.commit.hash] = policy_of(values)
        except BadSetting:
            continue
    return readable
