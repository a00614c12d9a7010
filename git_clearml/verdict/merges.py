"""Which merges and squashes are exactly what git makes of a commit that was accepted and one that is verified.

Where `merges = "clean"`: what was run and reviewed, on what is there. What a commit's message says of where it comes
from only tells where to look: what counts is that the merge of the two has the very tree of the commit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from git_clearml.base.ids import is_hash
from git_clearml.git import merge_trees
from git_clearml.git import remote as remotes
from git_clearml.git.objects import parents_in
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Resolved
from git_clearml.settings.policy import Equivalence
from git_clearml.verdict.model import Outcome, Verdict
from git_clearml.verdict.question import Scope

_BASES = 20  # accepted commits that a squash is compared with
_SIDES = 5  # different sets of accepted commits in one question

# How forges name the pull request in the message of its merge: (#12), (!12), (pull request #12), group/project!12.
_NUMBER = re.compile(rb"\((?:pull request )?[#!](\d{1,9})\)|^See merge request \S*!(\d{1,9})$", re.MULTILINE)
_HEADS = ("refs/pull/{}/head", "refs/merge-requests/{}/head")

Accepted = Mapping[str, Sequence[str]]
"""For commits, by their hashes, the ones that were accepted where they are to go."""


class Source(NamedTuple):
    """A commit that may be the merge of two others: the one that was accepted, and the one that has run."""

    base: str
    head: str


class Candidates(NamedTuple):
    """The sources that a commit may have; `why` says what keeps it from having any, "" where that needs no words."""

    sources: tuple[Source, ...] = ()
    why: str = ""

    @property
    def names(self) -> set[str]:
        """The hashes of all commits that it may be made of."""
        return {name for source in self.sources for name in source}


def candidates(repository: Repository, commits: Sequence[Commit], scope: Scope) -> dict[Commit, Candidates]:
    """For each commit what it may be the merge of, as its parents and its message say, or else its forge.

    Two git processes.
    """
    accepted = scope.accepted or {}
    contents = repository.blobs(commit.hash for commit in commits)
    parents = {name: parents_in(content) for name, content in contents.items()}
    numbers = {name: pull_requests(content) or list(scope.requests.get(name, ())) for name, content in contents.items()}
    refs = repository.refs(sorted({ref for each in numbers.values() for number in each for ref in refs_of(number)}))
    result = dict.fromkeys(commits, Candidates())
    for commit in commits:
        own = parents[commit.hash]
        if len(own) == 2:
            result[commit] = Candidates((Source(own[0], own[1]), Source(own[1], own[0])))
        elif len(own) > 2:
            result[commit] = Candidates(why=f"it has {len(own)} parents, and only merges of two are made again")
        elif own and numbers[commit.hash]:
            names = [ref for number in numbers[commit.hash] for ref in refs_of(number)]
            heads = [refs[name] for name in names if name in refs]
            bases = dict.fromkeys([own[0], *accepted.get(commit.hash, ())][: _BASES + 1])
            why = "" if heads else f"the head of its pull request is not here (git fetch origin {names[0]}:{names[0]})"
            result[commit] = Candidates(tuple(Source(base, head) for head in heads for base in bases), why)
    return result


def pull_requests(content: bytes) -> list[int]:
    """The numbers of the pull requests that a commit object's message names, the last one first."""
    _, _, message = content.partition(b"\n\n")
    return list(dict.fromkeys(int(match[1] or match[2]) for match in reversed(list(_NUMBER.finditer(message)))))[:2]


def refs_of(number: int) -> list[str]:
    """The refs under which forges keep the head of a pull request."""
    return [form.format(number) for form in _HEADS]


def verdicts(
    repository: Repository,
    sources: Mapping[Commit, Candidates],
    accepted: Accepted,
    judge: Callable[[list[Commit], Accepted], Mapping[Commit, Verdict]],
) -> dict[Commit, Verdict]:
    """The verdicts on those of the commits that are clean merges; for the others, if there is one, the reason alone.

    `judge` gives the verdicts on what they may be merges of, given what was accepted for each of those.
    """
    peeled = repository.peel(sorted({name for each in sources.values() for name in each.names}))
    present = {each.commit.hash: each.commit for each in peeled if isinstance(each, Resolved)}
    before = _before(repository, sources, accepted)
    # Of what was accepted nobody asks whether it has run, unless there is nothing else that may have.
    wanted = {
        name
        for commit, candidates in sources.items()
        for name in (candidates.names - before[commit] or candidates.names)
        if name in present
    }
    judged = judge([present[name] for name in sorted(wanted)], _of_sources(sources, accepted)) if wanted else {}
    runs = {commit.hash: own for commit, own in judged.items() if own.outcome in (Outcome.VERIFIED, Outcome.PENDING)}
    usable = {
        commit: [
            each
            for each in candidates.sources
            if each.head in runs and (each.base in before[commit] or each.base in runs) and each.base in present
        ]
        for commit, candidates in sources.items()
    }
    merged = merge_trees.merges(repository, [source for each in usable.values() for source in each])
    result: dict[Commit, Verdict] = {}
    for commit, candidates in sources.items():
        whys, passed = [candidates.why], list[Verdict]()
        for source in usable[commit]:
            merge = merged.get(source, merge_trees.Merge(why="there are too many merges in this question"))
            if merge.tree and merge.tree == commit.tree != present[source.base].tree:
                passed.append(_accepted(commit, source, runs, source.base in before[commit]))
            whys.append(merge.why or _other_tree(commit, merge.tree))
        passed.sort(key=lambda verdict: verdict.outcome is Outcome.PENDING)
        result[commit] = passed[0] if passed else _none(commit, candidates, present, usable[commit], whys)
    return result


def _before(repository: Repository, sources: Mapping[Commit, Candidates], accepted: Accepted) -> dict[Commit, set[str]]:
    """For each commit those of its sources that were accepted where it is to go. A git for each set of those."""
    by_side: dict[tuple[str, ...], set[str]] = {}
    for commit, candidates in sources.items():
        by_side.setdefault(tuple(accepted.get(commit.hash, ())), set()).update(candidates.names)
    present = {side: reached(repository, names, side) for side, names in list(by_side.items())[:_SIDES]}
    return {
        commit: present.get(tuple(accepted.get(commit.hash, ())), set()) & candidates.names
        for commit, candidates in sources.items()
    }


def _of_sources(sources: Mapping[Commit, Candidates], accepted: Accepted) -> dict[str, Sequence[str]]:
    """What was accepted for each source: what was so for every commit that it may be a source of."""
    common: dict[str, Sequence[str]] = {}
    for commit, candidates in sources.items():
        for name in candidates.names:
            own = accepted.get(commit.hash, ())
            common[name] = [side for side in common.get(name, own) if side in own]
    return common


def _other_tree(commit: Commit, tree: str) -> str:
    if tree == commit.tree:
        return "it brings nothing of the verified commit to the other"
    return "it is not what git makes of the two: something was changed beside the merge"


def reached(repository: Repository, names: Iterable[str], accepted: Sequence[str]) -> set[str]:
    """Those of these commits that an accepted one is, or stands on. One git process."""
    names, tips = [name for name in names if is_hash(name)], [name for name in accepted if is_hash(name)]
    return set(names) - set(remotes.unreached(repository, tips, names)) if names and tips else set()


def _accepted(commit: Commit, source: Source, runs: Mapping[str, Verdict], on_accepted: bool) -> Verdict:
    """The verdict on a commit that is the merge of these: that on its halves, of which one may not have ended yet."""
    head, base = runs[source.head], runs.get(source.base)
    waits = head if head.outcome is Outcome.PENDING or on_accepted else base
    first = "was accepted before" if on_accepted else _has_run(base, " too")
    note = f"the clean merge of {source.base[:12]}, which {first}, and {source.head[:12]}, which {_has_run(head)}"
    if waits and waits.outcome is Outcome.PENDING:
        waiting = Verdict(commit.hash, Outcome.PENDING, notes=(note,), near_misses=waits.near_misses)
        return waiting._replace(requirements=waits.requirements)
    merged = head._replace(
        commit=commit.hash, rev="", refs=(), equivalence=Equivalence.MERGE, notes=(note, *head.notes), near_misses=()
    )
    return merged._replace(requirements=tuple(each.by(Equivalence.MERGE) for each in head.requirements))


def _has_run(verdict: Verdict | None, too: str = "") -> str:
    return "has not ended yet" if verdict and verdict.outcome is Outcome.PENDING else f"has run{too}"


def _none(
    commit: Commit, candidates: Candidates, present: Collection[str], usable: Sequence[Source], whys: Sequence[str]
) -> Verdict:
    """That a commit is no clean merge, and why, in one line."""
    absent = sorted(candidates.names.difference(present))
    if not usable and absent:
        note = f"no clean merge: {absent[0][:12]} is not in this clone (git fetch --unshallow)"
    elif not usable and candidates.sources:
        shown = " and ".join(dict.fromkeys(name[:12] for source in candidates.sources[:1] for name in source))
        note = f"no clean merge: of {shown} one must be verified, and the other accepted before or verified"
    else:
        why = next((why for why in reversed(whys) if why), "")
        note = f"no clean merge: {why}" if why else ""
    return Verdict(commit.hash, Outcome.REJECTED, notes=(note,) if note else ())
