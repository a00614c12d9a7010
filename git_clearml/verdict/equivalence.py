"""Which other commits are the judged ones, and in which sense: the same tree, the same code, a results commit's parent.

Read from this clone's objects. A commit that is not here is never guessed to be equal: its tree is known only where a
task's own run record names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from git_clearml.base.ids import is_hash
from git_clearml.errors import BadSetting
from git_clearml.git import changes
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Task
from git_clearml.run.ownership import belongs
from git_clearml.settings import code_paths
from git_clearml.settings.policy import Equivalence, Policy
from git_clearml.verdict import results_commits
from git_clearml.verdict.results_commits import Lineage
from git_clearml.verdict.rules import accepts_equivalence

_SHOWN = 3  # equal commits that only explain a refusal
_SAME_TREE = 50  # equivalent commits asked about per judged commit
_FAMILY = 450  # and under equivalence = "paths", which has no index to look them up in
_PAIRS = 20_000  # of trees compared
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
        self.recorded: dict[str, str] = {}  # trees of commits that are not here, as their tasks' records have them
        self._looked_up: set[str] = set()
        self._same_code: dict[tuple[str, str], bool] = {}
        self._history: list[Commit] | None = None
        self._of_tree: dict[str, list[Commit]] = {}

    def lineage(self, commit: Commit) -> Lineage:
        """What the commit stands on, where it writes clearml.lock; empty for any other."""
        return self._lineages.get(commit.hash, Lineage())

    def with_ancestors(self, commits: Sequence[Commit]) -> list[Commit]:
        """These commits, then those whose evidence is theirs too, because they are results commits."""
        ancestors = [ancestor for commit in commits for ancestor in self.lineage(commit).ancestors]
        return list(dict.fromkeys([*commits, *ancestors]))

    def learn(self, names: Iterable[str]) -> None:
        """Looks up the trees of these commits (full hashes), as far as this clone has them."""
        if unknown := set(names) - self._judged - set(self._trees) - self._looked_up:
            self._looked_up |= unknown
            self._trees |= self._repository.trees(unknown)

    def learn_recorded(self, tasks: Iterable[Task]) -> None:
        """Takes the trees of commits that this clone does not have from the run records of their tasks.

        From a record that is the task's own alone, and only where none says otherwise.
        """
        for task in tasks:
            name, record = task.commit, task.run
            if name in self._judged or name in self._trees or not record or not belongs(record, task):
                continue
            if is_hash(name) and is_hash(record.tree):
                known = self.recorded.setdefault(name, record.tree)
                self.recorded[name] = known if known == record.tree else ""

    def has(self, name: str) -> bool:
        """Is this a commit, other than the judged ones, whose tree is known?"""
        return name in self._trees or bool(self.recorded.get(name))

    def sense(self, commit: Commit) -> Callable[[str], Equivalence | None]:
        """In which sense another commit is this one, or the parent of this one if that is a results commit."""

        def of(name: str) -> Equivalence | None:
            senses = [self._sense(name, other) for other in self.with_ancestors([commit])]
            accepted = [accepts_equivalence(self._policy, sense) for sense in senses]
            if any(accepted) and not accepted[0]:
                return Equivalence.RESULTS
            return next((sense for sense in senses if sense), None)

        return of

    def families(self, commits: Sequence[Commit], recent: Iterable[str] = ()) -> list[str]:
        """Hashes of commits that could be equivalent to one of these: the same tree; under `paths` whatever is near.

        `recent` are the commits of recent tasks: those of them that are equivalent belong to the families too. A few
        git processes, however many commits. Raises BadSetting for code-paths that match nothing.
        """
        relatives, recent = self.with_ancestors(commits), sorted(set(recent))
        near = {commit: self._near(commit) for commit in relatives}
        if self._policy.equivalence is Equivalence.PATHS:
            self._check_code_paths(near)
        self.learn(recent)
        self.compare(relatives, recent)
        names: dict[str, None] = {}
        for commit in relatives:
            sense = self.sense(commit)
            names |= dict.fromkeys(near[commit])
            names |= dict.fromkeys(name for name in recent if name != commit.hash and sense(name))
        return list(names)

    def _near(self, commit: Commit) -> list[str]:
        """The newest commits of this clone that could be equivalent to this one, without it."""
        if self._history is None:
            self._history = self._repository.history(sorted(self._judged))
            for other in self._history:
                self._of_tree.setdefault(other.tree, []).append(other)
        if self._policy.equivalence is Equivalence.PATHS:
            others, most = self._history[: _FAMILY + 1], _FAMILY
        else:
            others = self._of_tree.get(commit.tree, [])
            most = _SHOWN if self._policy.equivalence is Equivalence.COMMIT else _SAME_TREE
        others = [other for other in others if other.hash != commit.hash][:most]
        self._trees |= {other.hash: other.tree for other in others}
        return [other.hash for other in others]

    def _sense(self, name: str, commit: Commit) -> Equivalence | None:
        if name == commit.hash:
            return Equivalence.COMMIT
        tree = self._trees.get(name) or self.recorded.get(name)
        if not tree:  # not here, or without its tree: two trees that are unknown are not equal
            return None
        if tree == commit.tree:
            return Equivalence.TREE
        if self._same_code.get((tree, commit.tree)):
            return Equivalence.PATHS
        return None

    def compare(self, commits: Iterable[Commit], names: Iterable[str]) -> None:
        """Looks up, under `paths`, whether the code of these commits differs from that of the named ones.

        A moved submodule is always code. One git process for all pairs, 20,000 at most: what has not been compared is
        not equal.
        """
        if self._policy.equivalence is not Equivalence.PATHS:
            return
        trees = [self._trees[name] for name in names if name in self._trees]
        relatives = self.with_ancestors(list(commits))
        pairs = dict.fromkeys((tree, commit.tree) for commit in relatives for tree in trees if tree != commit.tree)
        unknown = [pair for pair in pairs if all(pair) and pair not in self._same_code][:_PAIRS]
        same = dict.fromkeys(unknown, True)
        for number, change in changes.between(self._repository, unknown):
            if change.submodule or code_paths.is_code(change.path, self._policy):
                same[unknown[number]] = False
        self._same_code |= same

    def _check_code_paths(self, near: Mapping[Commit, Sequence[str]]) -> None:
        """A pattern that names no file anywhere is a typing error, and would make everything equal."""
        own = self._unmatched([commit.tree for commit in near])
        doubtful = [commit for commit in near if own[commit.tree]]
        around = {commit: [self._trees[name] for name in near[commit][:_TREES_SEARCHED]] for commit in doubtful}
        others = self._unmatched([tree for trees in around.values() for tree in trees])
        for commit, trees in around.items():
            missed = own[commit.tree].intersection(*(others[tree] for tree in trees))
            if pattern := next((pattern for pattern in self._policy.code_paths if pattern in missed), ""):
                message = f"code-paths: {pattern!r} matches no file at {commit.hash[:12]}"
                raise BadSetting(message, "fix the pattern in pyproject.toml")

    def _unmatched(self, trees: Iterable[str]) -> dict[str, set[str]]:
        """Tree -> the code-paths that name no file in it. One git process for all trees."""
        distinct = [tree for tree in dict.fromkeys(trees) if tree]
        missed = {tree: set(self._policy.code_paths) for tree in distinct}
        for number, change in changes.files(self._repository, distinct):
            left = missed[distinct[number]]
            left -= code_paths.naming(left, change.path)
        return missed
