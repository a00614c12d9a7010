"""Finds the commits whose evidence is a results commit's too: its parent, and what that stands on in the same way.

Everything is read from the objects themselves, in this clone. What is not here is never guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from git_clearml.errors import BadSetting, CannotDecide
from git_clearml.git.changes import Change
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Resolved
from git_clearml.settings import code_paths
from git_clearml.settings.policy import Equivalence, Policy
from git_clearml.settings.table import MOST_BYTES, merge, policy_of, pyproject_table
from git_clearml.verdict.model import Outcome, Verdict

MOST = 100  # results commits, one on top of the other
_FEW = 3  # that usually suffices


class Lineage(NamedTuple):
    """A results commit's parent, nearest first, then what that one stands on if it is a results commit too.

    `why` says what keeps a commit that writes clearml.lock from being a results commit, or that there are more of them
    below than are looked at.
    """

    ancestors: tuple[Commit, ...] = ()
    why: str = ""

    def noted(self, verdict: Verdict) -> Verdict:
        """The verdict on the commit, with what there is to say of one that writes clearml.lock."""
        if verdict.equivalence is Equivalence.RESULTS:
            return verdict._replace(notes=(*verdict.notes, self._note(verdict)))
        if verdict.outcome is Outcome.REJECTED and self.why:
            return verdict._replace(notes=(*verdict.notes, f"not a results commit: {self.why}"))
        return verdict

    def _note(self, verdict: Verdict) -> str:
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
    where no commit writes clearml.lock, none where none has it (see peel). Raises CannotDecide when git cannot read.
    """
    writers = _writers(repository, list(dict.fromkeys(commit.hash for commit in commits)))
    links = _links(repository, _chains(repository, writers), policy) if writers else {}
    return {commit.hash: _walk(commit.hash, links) for commit in commits if commit.hash in links}


def missing(repository: Repository, commits: Sequence[Commit]) -> list[str]:
    """The parents that this (shallow) clone lacks to tell whether these commits, or their parents, are results commits.

    For a CI job, whose checkout has one commit: once they are fetched there may be more. Raises CannotDecide.
    """
    writers = _writers(repository, list(dict.fromkeys(commit.hash for commit in commits)))
    chain = _chains(repository, writers) if writers else []
    parents = repository.parents(chain)
    only = {name: of_name[0] for name, of_name in parents.items() if len(of_name) == 1}
    trees = repository.trees(only.values())
    absent = []
    for name in writers:
        while name in only and only[name] in trees:
            name = only[name]
        absent += [only[name]] if name in only else []
    return list(dict.fromkeys(absent))


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
    names = [name for name in names if repository.locks.get(name) != ""]
    revs = (f"{rev}:{code_paths.LOCK}" for name in names for rev in (name, f"{name}^"))
    locks = repository.names_of(revs) if names else []
    return [name for name, own, before in zip(names, locks[0::2], locks[1::2], strict=True) if own and own != before]


def _chains(repository: Repository, writers: Sequence[str]) -> list[str]:
    """These, and what lies below them in an unbroken line of first parents that write clearml.lock too.

    As far as a lineage reaches. One git process, another where a line is longer than a few commits, and some for each
    place where a shallow clone says that history ends though what is below has been fetched.
    """
    chains: dict[str, None] = {}
    front, reach = list(writers), _FEW
    while front and len(chains) <= len(writers) * MOST:
        lines = _first_parents(repository, front, reach)
        longer, cut = [], []
        for writer, (commits, locks) in zip(front, lines, strict=True):
            end = next((step for step in range(reach) if not locks[step] or locks[step] == locks[step + 1]), reach)
            chains |= dict.fromkeys(commits[:end])
            if end == reach <= _FEW:
                longer.append(writer)
            elif 0 < end < reach and not commits[end]:
                cut.append(commits[end - 1])
        below = repository.parents(cut) if cut else {}
        beneath = [names[0] for names in below.values() if len(names) == 1 and names[0] not in chains]
        front, reach = [*longer, *_writers(repository, beneath)], MOST + 1  # one more than counts tells if that is all
    return list(chains)


def _first_parents(
    repository: Repository, names: Sequence[str], reach: int
) -> list[tuple[Sequence[str], Sequence[str]]]:
    """For each commit itself and its first parents, `reach` of them, and the clearml.lock of each; "" for none."""
    revs = [f"{name}~{step}{end}" for name in names for end in ("", f":{code_paths.LOCK}") for step in range(reach + 1)]
    objects, size = repository.names_of(revs), reach + 1
    starts = range(0, len(objects), 2 * size)
    return [(objects[start : start + size], objects[start + size : start + 2 * size]) for start in starts]


def _links(repository: Repository, names: Sequence[str], policy: Policy) -> dict[str, Commit | str]:
    """For each commit its parent when it is a results commit, else why not; "" where that needs no words."""
    parents = repository.parents(names)
    only = {name: of_name[0] for name, of_name in parents.items() if len(of_name) == 1}  # neither a root nor a merge
    wanted = list(dict.fromkeys([*only, *only.values()]))
    peeled = {
        name: resolved
        for name, resolved in zip(wanted, repository.peel(wanted), strict=True)
        if isinstance(resolved, Resolved) and resolved.commit.hash == name
    }
    rules = policies(repository, [peeled[parent] for parent in dict.fromkeys(only.values()) if parent in peeled])
    pairs = {
        name: (peeled[parent].commit.tree, peeled[name].commit.tree)
        for name, parent in only.items()
        if parent in rules and name in peeled
    }
    changed = _changed(repository, list(dict.fromkeys(pairs.values())))
    links: dict[str, Commit | str] = dict.fromkeys(names, "")
    for name, parent in only.items():
        if parent not in peeled:
            links[name] = f"its parent {parent[:12]} is not in this clone (git fetch --deepen=1)"
        elif parent not in rules:
            links[name] = f"the policy of its parent {parent[:12]} cannot be read"
        elif pairs.get(name) not in changed:  # a tree is missing: a partial clone, or a damaged one
            links[name] = f"its files cannot be compared with those of its parent {parent[:12]}"
        else:
            modes = [(change.path, change.before, change.after) for change in changed[pairs[name]]]
            links[name] = code_paths.not_results(modes, (rules[parent], policy)) or peeled[parent].commit
    return links


def _changed(repository: Repository, pairs: list[tuple[str, str]]) -> dict[tuple[str, str], list[Change]]:
    """What differs between the trees of each pair, without the pairs that cannot be read."""
    try:
        return repository.changes(pairs)
    except CannotDecide:
        half = len(pairs) // 2
        return {} if not half else _changed(repository, pairs[:half]) | _changed(repository, pairs[half:])


def policies(repository: Repository, commits: Sequence[Resolved]) -> dict[str, Policy]:
    """The policy in each commit's own pyproject.toml. One that cannot be read is left out."""
    readable = {}
    try:
        contents = repository.blobs(
            commit.policy_blob for commit in commits if repository.sizes.get(commit.policy_blob, 0) <= MOST_BYTES
        )
    except CannotDecide:
        return {}
    for resolved in commits:
        blob = resolved.policy_blob
        if blob and blob not in contents:
            continue
        try:
            where = f"pyproject.toml at {resolved.commit.hash[:12]}"
            table = pyproject_table(contents[blob], where) if blob else {}
            values, _ = merge(flags={}, environment={}, git_config=[], pyproject=table)
            readable[resolved.commit.hash] = policy_of(values)
        except BadSetting:
            continue
    return readable
