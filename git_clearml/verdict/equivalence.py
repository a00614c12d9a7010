"""Which other commits are the judged ones, and in which sense: the same tree, the same code, a results commit's parent.

Everything is read from this clone's objects. A commit that is not here is never guessed to be equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from git_clearml.errors import BadSetting
from git_clearml.git.repository import Repository
from git_clearml.model import Commit
from git_clearml.settings import code_paths
from git_clearml.settings.policy import Equivalence, Policy
from git_clearml.verdict import results_commits
from git_clearml.verdict.results_commits import Lineage
from git_clearml.verdict.rules import accepts_equivalence

_SHOWN = 3  # equal commits that only explain a refusal
_SAME_TREE = 50  # equivalent commits asked about per judged commit
_FAMILY = 450  # and under equivalence = "paths", which has no index to look them up in
_TREES_SEARCHED = 20  # for a pattern of code-paths that the judged commit has no file for


class EquivalentCommits:
    """The commits that are the judged ones in some sense of this policy. Raises CannotDecide when git cannot read."""

    def __init__(self, repository: Repository, policy: Policy, judged: Sequence[Commit]) -> None:
        self._repository, self._policy = repository, policy
        self._judged = {commit.hash for commit in judged}
        self._lineages = results_commits.of(repository, judged, policy)
        self._trees = {
            ancestor.hash: ancestor.tree for lineage in self._lineages.values() for ancestor in lineage.ancestors
        }
        self._same_code: dict[tuple[str, str], bool] = {}
        self._history: list[Commit] | None = None

    def lineage(self, commit: Commit) -> Lineage:
        """What the commit stands on, where it writes clearml.lock; empty for any other."""
        return self._lineages.get(commit.hash, Lineage())

    def with_ancestors(self, commits: Sequence[Commit]) -> list[Commit]:
        """These commits, then those whose evidence is theirs too, because they are results commits."""
        ancestors = [ancestor for commit in commits for ancestor in self.lineage(commit).ancestors]
        return list(dict.fromkeys([*commits, *ancestors]))

    def learn(self, names: Iterable[str]) -> None:
        """Looks up the trees of these commits (full hashes), as far as this clone has them."""
        if unknown := set(names) - self._judged - set(self._trees):
            self._trees |= self._repository.trees(unknown)

    def has(self, name: str) -> bool:
        """Is this a commit of this clone, other than the judged ones, whose tree is known?"""
        return name in self._trees

    def sense(self, commit: Commit) -> Callable[[str], Equivalence | None]:
        """In which sense another commit is this one, or the parent of this one if that is a results commit."""

        def of(name: str) -> Equivalence | None:
            senses = [self._sense(name, other) for other in self.with_ancestors([commit])]
            accepted = [accepts_equivalence(self._policy, sense) for sense in senses]
            if any(accepted) and not accepted[0]:
                return Equivalence.RESULTS
            return next((sense for sense in senses if sense), None)

        return of

    def family(self, commit: Commit, recent: Iterable[str] = ()) -> list[str]:
        """Hashes of commits that could be equivalent: the same tree; under `paths` whatever is near.

        `recent` are the commits of recent tasks: those of them that are equivalent belong to the family too. Raises
        BadSetting for code-paths that match nothing.
        """
        if self._history is None:
            self._history = self._repository.history(sorted(self._judged))
        others = [other for other in self._history if other.hash != commit.hash]
        if self._policy.equivalence is Equivalence.PATHS:
            names = [other.hash for other in others[:_FAMILY]]
            self._check_code_paths(commit, names)
        else:
            most = _SHOWN if self._policy.equivalence is Equivalence.COMMIT else _SAME_TREE
            names = [other.hash for other in others if other.tree == commit.tree][:most]
        self._trees |= {other.hash: other.tree for other in others if other.hash in set(names)}
        if unseen := set(recent) - set(names) - {commit.hash}:
            self._trees |= self._repository.trees(unseen - set(self._trees))
            names += [name for name in sorted(unseen) if self.sense(commit)(name)]
        return names

    def _sense(self, name: str, commit: Commit) -> Equivalence | None:
        if name == commit.hash:
            return Equivalence.COMMIT
        tree = self._trees.get(name)
        if not tree:  # not here, or without its tree: two trees that are unknown are not equal
            return None
        if tree == commit.tree:
            return Equivalence.TREE
        if self._policy.equivalence is Equivalence.PATHS and self._code_is_same(name, commit):
            return Equivalence.PATHS
        return None

    def _code_is_same(self, name: str, commit: Commit) -> bool:
        """Does everything that differs lie outside the code? A moved submodule is always code."""
        pair = (name, commit.hash)
        if pair not in self._same_code:
            self._same_code[pair] = not any(
                submodule or code_paths.is_code(path, self._policy)
                for path, submodule in self._repository.changed_paths(name, commit.hash)
            )
        return self._same_code[pair]

    def _check_code_paths(self, commit: Commit, names: Sequence[str]) -> None:
        """A pattern that names no file anywhere is a typing error, and would make everything equal."""
        own = self._repository.paths(commit.tree)
        if not code_paths.unmatched(self._policy, own):
            return
        others = (self._repository.paths(name) for name in names[:_TREES_SEARCHED])
        if pattern := code_paths.unmatched(self._policy, own, *others):
            raise BadSetting(
                f"code-paths: {pattern!r} matches no file at {commit.hash[:12]}", "fix the pattern in pyproject.toml"
            )
