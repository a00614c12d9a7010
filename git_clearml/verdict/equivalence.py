"""Which other commits are the judged ones, and in which sense: the same tree, the same code, a results commit's parent.

Read from this clone's objects. A commit that is not here is never guessed to be equal: its tree is known only where a
task's own run record names it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from git_clearml.base.ids import is_hash
from git_clearml.errors import BadSetting, CannotDecide
from git_clearml.git import changes
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Task
from git_clearml.run.ownership import belongs
from git_clearml.settings import code_paths
from git_clearml.settings.policy import Equivalence, Policy
from git_clearml.verdict import results_commits
from git_clearml.verdict.results_commits import Lineage
from git_clearml.verdict.rules import accepts_equivalence
from git_clearml.verdict.same_code import IsCode, SameCode

_SHOWN = 3  # equal commits that only explain a refusal
_SAME_TREE = 50  # equivalent commits asked about per judged commit
_FAMILY = 450  # and under equivalence = "paths", which has no index to look them up in
_TOUCHING = 600  # commits that touch what requirements name, where the newest are not all of the history
_TREES_SEARCHED = 20  # for a pattern of code-paths that the judged commit has no file for


class EquivalentCommits:
    """The commits that are the judged ones in some sense of this policy. Raises CannotDecide when git cannot read."""

    def __init__(
        self, repository: Repository, policy: Policy, judged: Sequence[Commit], ways: Sequence[Policy]
    ) -> None:
        self._repository, self._policy, self._ways = repository, policy, ways
        self._own = [number for number, each in enumerate(policy.require) if each.code_paths]
        self._code = SameCode(repository, [self._is_code(number) for number in range(len(self._ways))])
        self._newest: list[Commit] | None = None
        self._mistyped: dict[int, BadSetting] = {}  # by way
        self._judged = {commit.hash for commit in judged}
        self._lineages = results_commits.of(repository, judged, policy)
        self._trees = {
            ancestor.hash: ancestor.tree for lineage in self._lineages.values() for ancestor in lineage.ancestors
        }
        if self._own:  # what one commit of a push has run may be what another one needs
            self._trees |= {commit.hash: commit.tree for commit in judged}
        self.recorded: dict[str, str] = {}  # trees of commits that are not here, as their tasks' records have them
        self._looked_up: set[str] = set()
        self._history: list[Commit] | None = None
        self._of_tree: dict[str, list[Commit]] = {}

    def _is_code(self, way: int) -> IsCode | None:
        """What the policy that asks calls code: a requirement what its own patterns name, and nothing else."""
        policy = self._ways[way]
        if policy.equivalence is not Equivalence.PATHS:
            return None
        if way in self._own:
            return lambda change: code_paths.is_named(policy.code_paths, change.path, is_plain=change.plain)
        return lambda change: change.submodule or code_paths.is_code(change.path, policy, is_plain=change.plain)

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
                earlier = self.recorded.setdefault(name, record.tree)
                self.recorded[name] = earlier if earlier == record.tree else ""

    def has(self, name: str) -> bool:
        """Is this a commit, other than the judged ones, whose tree is known?"""
        return name in self._trees or bool(self.recorded.get(name))

    def sense(self, commit: Commit, way: int = 0) -> Callable[[str], Equivalence | None]:
        """In which sense another commit is this one, or the parent of this one if that is a results commit.

        `way` is the number of the policy that asks, where several do.
        """

        def of(name: str) -> Equivalence | None:
            senses = [self._sense(name, other, way) for other in self.with_ancestors([commit])]
            accepted = [accepts_equivalence(self._ways[way], sense) for sense in senses]
            if any(accepted) and not accepted[0]:
                return Equivalence.RESULTS
            return next((sense for sense in senses if sense), None)

        return of

    def of_same_code(self, commits: Sequence[Commit], most: int = _FAMILY) -> list[str]:
        """Hashes of the newest commits with the code of one of these, as requirements name it: so many at most.

        Five git processes at most, none where no requirement names its code. Patterns that match nothing make nothing
        equal, and `families` tells of them.
        """
        if not self._own or most <= 0:
            return []
        relatives = self.with_ancestors(commits)
        if self._newest is None:
            self._newest = self._repository.history([commit.hash for commit in commits], most=_FAMILY)
            self._trees |= {other.hash: other.tree for other in self._newest}
            self._newest += self._unchanged_since(relatives, self._own)
            try:
                self._look_for_typing_errors(relatives, self._newest)
                self._code.learn(commit.tree for commit in (*relatives, *self._newest))
            except CannotDecide:  # what a partial clone lacks is asked for where it matters
                return []
        return self._with_code_of(relatives, self._newest, self._own)[:most]

    def _with_code_of(self, relatives: Sequence[Commit], others: Iterable[Commit], ways: Sequence[int]) -> list[str]:
        """Those of the others that are none of these, and have the code of one of them as a requirement names it."""
        codes = {(way, self._code.digest(commit.tree, way)) for commit in relatives for way in ways}
        wanted = {(way, digest) for way, digest in codes if digest}
        own = {commit.hash for commit in relatives}
        return [
            other.hash
            for other in others
            if other.hash not in own and any((way, self._code.digest(other.tree, way)) in wanted for way in ways)
        ]

    def _unchanged_since(self, relatives: Sequence[Commit], ways: Sequence[int]) -> list[Commit]:
        """The commits since which the code that requirements name has not changed, however long ago, and others.

        One git process; none where all of the history is among the newest commits. git's own patterns are nearly ours:
        what it finds is compared as any other commit. Those of requirements that are met already would hide others.
        """
        if len(self._newest or ()) < _FAMILY:
            return []
        patterns = [pattern for way in ways for pattern in self._ways[way].code_paths if not pattern.startswith("!")]
        paths = [_pathspec(pattern) for pattern in patterns]
        touching = self._repository.touching([commit.hash for commit in relatives], paths, _TOUCHING)
        self._trees |= {commit.hash: commit.tree for commit in touching}
        return touching

    def _look_for_typing_errors(self, judged: Sequence[Commit], newest: Sequence[Commit]) -> None:
        """Notes which requirements have patterns that name no file, here or nearby: they would make everything equal.

        One git process, and another where a pattern names none in the first of these commits.
        """
        missed = self._unmatched([judged[0].tree])[judged[0].tree]
        if missed:
            around = [commit.tree for commit in (*judged[1:_TREES_SEARCHED], *newest[:_TREES_SEARCHED])]
            missed = missed.intersection(*self._unmatched(around).values())
        for number in self._own:
            if error := _typing_error(self._ways[number], missed, judged[0]):
                self._mistyped[number] = error

    def families(self, commits: Sequence[Commit], recent: Iterable[str] = (), unmet: Collection[int] = ()) -> list[str]:
        """Hashes of commits that could be equivalent to one of these: the same tree; under `paths` whatever is near.

        `recent` are the commits of recent tasks: those of them that are equivalent belong to the families too. So do
        those that have the code of one of the requirements of the numbers `unmet`. A few git processes, however many
        commits. Raises BadSetting for code-paths that match nothing.
        """
        if self._mistyped:
            raise next(iter(self._mistyped.values()))
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
        if own := [way for way in self._own if way in unmet]:
            others = dict.fromkeys([*self._unchanged_since(relatives, own), *(self._newest or ())])
            self._code.learn(commit.tree for commit in (*relatives, *others))
            names = dict.fromkeys([*self._with_code_of(relatives, others, own), *names])
        return list(names)

    def equal_here(self, commits: Sequence[Commit]) -> list[str]:
        """Commits of this clone that are equal to one of these, by the policy's equivalence. A few git processes, none
        where no other commit counts."""
        if self._policy.equivalence is Equivalence.COMMIT:
            return []
        names = self.families(commits)
        self.compare(commits, names)
        senses = [self.sense(commit, way) for commit in commits for way in range(len(self._ways))]
        return [name for name in names if any(sense(name) for sense in senses)]

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

    def _sense(self, name: str, commit: Commit, way: int) -> Equivalence | None:
        if name == commit.hash:
            return Equivalence.COMMIT
        tree = self._trees.get(name) or self.recorded.get(name)
        if not tree:  # not here, or without its tree: two trees that are unknown are not equal
            return None
        if tree == commit.tree:
            return Equivalence.TREE
        if way not in self._mistyped and self._code.same(tree, commit.tree, way):
            return Equivalence.PATHS
        return None

    def compare(self, commits: Iterable[Commit], names: Iterable[str]) -> None:
        """Looks up, under `paths`, whether the code of these commits differs from that of the named ones.

        A moved submodule is always code. One git process for all trees, 20,000 at most: what has not been compared is
        not equal.
        """
        trees = [self._trees[name] for name in names if name in self._trees]
        if trees:
            self._code.learn([*(commit.tree for commit in self.with_ancestors(list(commits))), *trees])

    def _check_code_paths(self, near: Mapping[Commit, Sequence[str]]) -> None:
        """A pattern that names no file anywhere is a typing error, and would make everything equal."""
        own = self._unmatched([commit.tree for commit in near])
        doubtful = [commit for commit in near if own[commit.tree]]
        around = {commit: [self._trees[name] for name in near[commit][:_TREES_SEARCHED]] for commit in doubtful}
        others = self._unmatched([tree for trees in around.values() for tree in trees])
        for commit, trees in around.items():
            missed = own[commit.tree].intersection(*(others[tree] for tree in trees))
            if error := _typing_error(self._policy, missed, commit):
                raise error

    def _unmatched(self, trees: Iterable[str]) -> dict[str, set[str]]:
        """Tree -> the code-paths that name no file in it; of a requirement also all of them, where they name none
        together. One git process for all trees."""
        distinct = [tree for tree in dict.fromkeys(trees) if tree]
        patterns = {pattern for way in (self._policy, *self._ways) for pattern in way.code_paths}
        missed = {tree: patterns.copy() for tree in distinct}
        empty = {tree: {self._ways[way].code_paths for way in self._own} for tree in distinct}
        for number, change in changes.files(self._repository, distinct):
            if left := missed[distinct[number]]:
                left -= code_paths.naming(left, change.path, is_plain=change.plain)
            if none := empty[distinct[number]]:
                none -= {each for each in none if code_paths.is_named(each, change.path, is_plain=change.plain)}
        return {tree: left | {_all_of(each) for each in empty[tree]} for tree, left in missed.items()}


def _pathspec(pattern: str) -> str:
    """One of our patterns as git's."""
    path = pattern.removeprefix("./").removeprefix("/")
    return f":(glob,top){path}{'**' if path.endswith('/') else ''}"


def _all_of(patterns: Sequence[str]) -> str:
    return ", ".join(patterns)


def _typing_error(way: Policy, missed: set[str], commit: Commit) -> BadSetting | None:
    pattern = next((each for each in (*way.code_paths, _all_of(way.code_paths)) if each in missed), "")
    if not pattern:
        return None
    return BadSetting(
        f"code-paths: {pattern!r} matches no file at {commit.hash[:12]}", "fix the pattern in pyproject.toml"
    )
