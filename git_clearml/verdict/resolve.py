"""Asks the evidence source for the tasks of commits and lets the policy judge them; asks more only where it must.

One question for a push that passes, however many commits. Only for commits that do not pass follow the dearer ones:
tasks of equivalent commits, all tasks with their diffs, and tasks that lost their commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from git_clearml.clearml.entry_point import entry_paths
from git_clearml.errors import BadSetting
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Task
from git_clearml.settings import code_paths as code
from git_clearml.settings.policy import Equivalence, Policy
from git_clearml.verdict import results_commits as lineage
from git_clearml.verdict import rules as policy
from git_clearml.verdict.evidence import Evidence
from git_clearml.verdict.model import Outcome, Verdict

_ONE_REQUEST = 500  # commits
_SHOWN = 3  # equal commits that only explain a refusal
_SAME_TREE = 50  # equivalent commits asked about per judged commit
_FAMILY = 450  # and under equivalence = "paths", which has no index to look them up in
_LOOKED_AT = 20  # trees searched for a pattern of code-paths that the judged commit has no file for


@dataclass(frozen=True)
class Question:
    """A commit to judge, and by which policy."""

    commit: Commit
    policy: Policy


Requirement = Callable[[Repository, Sequence[Question], Sequence[Verdict], Evidence], list[Verdict]]
"""What a policy wants beside a task: the verdicts on the questions, rejected where that is lacking.

Raises the errors of the evidence source."""


def tasks_only(
    repository: Repository, questions: Sequence[Question], verdicts: Sequence[Verdict], evidence: Evidence
) -> list[Verdict]:
    """The requirement of whoever looks for tasks and gates nothing by them: none."""
    return list(verdicts)


def verify(
    repository: Repository,
    evidence: Evidence,
    questions: Sequence[Question],
    requirement: Requirement,
    *,
    chosen: str = "",
    urls: Sequence[str] = (),
) -> list[Verdict]:
    """A verdict for each question, in their order.

    `requirement` is asked where a policy has `runnable.required`, so that nobody who gives verdicts forgets it.
    `chosen` is the id of the only task that may count; `urls` are further names of this repository, such as the one
    that is pushed to. Raises the errors of the evidence source, and BadSetting for code-paths that match nothing.
    """
    answers: dict[Question, Verdict] = {}
    for one in dict.fromkeys(question.policy for question in questions):
        commits = list(dict.fromkeys(question.commit for question in questions if question.policy == one))
        for commit, verdict in _Inquiry(repository, evidence, one, chosen, urls).verdicts(commits).items():
            answers[Question(commit, one)] = verdict
    verdicts = [answers[question] for question in questions]
    if any(question.policy.runnable.required for question in questions):
        return requirement(repository, questions, verdicts, evidence)
    return verdicts


class _Inquiry:
    """One policy's questions: what has been learned so far about which tasks and commits."""

    def __init__(
        self, repository: Repository, evidence: Evidence, rules: Policy, chosen: str, urls: Sequence[str]
    ) -> None:
        self._repository, self._evidence, self._policy, self._chosen = repository, evidence, rules, chosen
        self._urls = urls
        self._files: set[tuple[str, str]] = set()
        self._trees: dict[str, str] = {}
        self._same_code: dict[tuple[str, str], bool] = {}
        self._asked: set[str] = set()
        self._lineages: dict[str, lineage.Lineage] = {}
        self._history: list[Commit] | None = None
        self._newest: list[Task] | None = None

    def verdicts(self, commits: Sequence[Commit]) -> dict[Commit, Verdict]:
        self._asked.update(commit.hash for commit in commits)
        self._lineages = lineage.of(self._repository, commits, self._policy)
        everyone = self._with_ancestors(commits)
        self._trees |= {one.hash: one.tree for found in self._lineages.values() for one in found.ancestors}
        tasks = self._evidence.passing([one.hash for one in everyone], self._policy)
        verdicts = self._judge(commits, tasks)
        if self._policy.equivalence is not Equivalence.COMMIT and (open_ := _unverified(verdicts)):
            family = {name for commit in self._with_ancestors(open_) for name in self._family(commit, recent=True)}
            if family:
                verdicts |= self._judge(open_, self._evidence.passing(sorted(family), self._policy))
        if open_ := _unverified(verdicts):
            verdicts |= self._explained(open_)
        return verdicts

    def _with_ancestors(self, commits: Sequence[Commit]) -> list[Commit]:
        """These commits, then those whose evidence is theirs too, because they are results commits."""
        none = lineage.Lineage()
        above = [one for commit in commits for one in self._lineages.get(commit.hash, none).ancestors]
        return list(dict.fromkeys([*commits, *above]))

    def _explained(self, commits: Sequence[Commit]) -> dict[Commit, Verdict]:
        """Judged again over every task of these commits and their equals, diffs looked at."""
        recent = self._policy.equivalence is not Equivalence.COMMIT
        asked = self._with_ancestors(commits)
        names = [one.hash for one in asked] + [name for one in asked for name in self._family(one, recent=recent)]
        if not recent:  # equals that cannot count only explain; they are not worth another request
            names = names[: max(len(asked), _ONE_REQUEST)]
        tasks = self._evidence.all(list(dict.fromkeys(names)), self._policy)
        verdicts = self._judge(commits, tasks)
        for commit, verdict in verdicts.items():
            if verdict.outcome is Outcome.REJECTED and not verdict.near_misses and not tasks:  # else a 4th request
                lost = self._judge([commit], [task for task in self._recent() if self._may_have_lost(task, commit)])
                verdicts[commit] = replace(verdict, near_misses=lost[commit].near_misses)
        return verdicts

    def _may_have_lost(self, task: Task, commit: Commit) -> bool:
        """Is this a task without a commit that could be of this one: same project, and a script that it has?"""
        if task.commit:
            return False
        if self._policy.project and not (task.project + "/").startswith(self._policy.project + "/"):
            return False
        paths = entry_paths(task.entry_point, task.working_dir)
        if not paths:
            return bool(self._policy.project)
        return bool(self._repository.existing_files((commit.hash, path) for path in paths))

    def _judge(self, commits: Iterable[Commit], tasks: Sequence[Task]) -> dict[Commit, Verdict]:
        places = [(task.commit, path) for task in tasks for path in entry_paths(task.entry_point, task.working_dir)]
        self._files |= self._repository.existing_files(place for place in places if place not in self._files)
        if unknown := {task.commit for task in tasks if task.commit} - self._asked - set(self._trees):
            self._trees |= self._repository.trees(unknown)
        facts = policy.Facts(self._names(tasks), frozenset(self._files), datetime.now(timezone.utc))
        by_commit: dict[str, list[Task]] = {}
        for task in tasks:
            by_commit.setdefault(task.commit, []).append(task)
        others = [name for name in by_commit if name in self._trees]
        verdicts = {}
        for commit in commits:
            same = self._equivalent(commit)
            own = by_commit.get(commit.hash, []) + by_commit.get("", [])
            equal = [task for name in others if name != commit.hash and same(name) for task in by_commit[name]]
            verdict = policy.judge(commit, own + equal, self._policy, facts, equivalent=same, chosen=self._chosen)
            verdicts[commit] = self._with_lineage(verdict)
        return verdicts

    def _with_lineage(self, verdict: Verdict) -> Verdict:
        """The verdict with what there is to say of a commit that writes clearml.lock."""
        found = self._lineages.get(verdict.commit, lineage.Lineage())
        if verdict.equivalence is Equivalence.RESULTS:
            return replace(verdict, notes=(*verdict.notes, found.note(verdict)))
        if verdict.outcome is Outcome.REJECTED and found.why:
            return replace(verdict, notes=(*verdict.notes, f"not a results commit: {found.why}"))
        return verdict

    def _names(self, tasks: Sequence[Task]) -> frozenset[str]:
        return self._repository.names(self._urls) if any(task.source == "server" for task in tasks) else frozenset()

    def _equivalent(self, commit: Commit) -> Callable[[str], Equivalence | None]:
        """In which sense another commit is this one, or the parent of this one if that is a results commit."""

        def sense(name: str) -> Equivalence | None:
            found = [self._sense(name, one) for one in self._with_ancestors([commit])]
            if not policy.admits(self._policy, found[0]) and any(policy.admits(self._policy, one) for one in found):
                return Equivalence.RESULTS
            return next((one for one in found if one), None)

        return sense

    def _sense(self, name: str, commit: Commit) -> Equivalence | None:
        """In which sense one commit is another. A commit that this clone does not have never is."""
        if name == commit.hash:
            return Equivalence.COMMIT
        tree = self._trees.get(name)
        if tree is None:
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
                submodule or code.is_code(path, self._policy)
                for path, submodule in self._repository.changed_paths(name, commit.hash)
            )
        return self._same_code[pair]

    def _family(self, commit: Commit, *, recent: bool) -> list[str]:
        """Hashes of commits that could be equivalent: the same tree; under `paths` whatever is near."""
        if self._history is None:
            self._history = self._repository.history(sorted(self._asked))
        others = [one for one in self._history if one.hash != commit.hash]
        if self._policy.equivalence is Equivalence.PATHS:
            names = [one.hash for one in others[:_FAMILY]]
            self._check_code_paths(commit, names)
        else:
            most = _SHOWN if self._policy.equivalence is Equivalence.COMMIT else _SAME_TREE
            names = [one.hash for one in others if one.tree == commit.tree][:most]
        self._trees |= {one.hash: one.tree for one in others if one.hash in set(names)}
        if recent:
            unseen = {task.commit for task in self._recent() if task.commit} - set(names) - {commit.hash}
            self._trees |= self._repository.trees(unseen - set(self._trees))
            names += [name for name in sorted(unseen) if self._equivalent(commit)(name)]
        return names

    def _check_code_paths(self, commit: Commit, names: Sequence[str]) -> None:
        """A pattern that names no file anywhere is a typing error, and would make everything equal."""
        own = self._repository.paths(commit.tree)
        if not code.unmatched(self._policy, own):
            return
        pattern = code.unmatched(self._policy, own, *(self._repository.paths(name) for name in names[:_LOOKED_AT]))
        if pattern:
            raise BadSetting(
                f"code-paths: {pattern!r} matches no file at {commit.hash[:12]}", "mend the pattern in pyproject.toml"
            )

    def _recent(self) -> list[Task]:
        if self._newest is None:
            self._newest = self._evidence.recent(self._policy)
        return self._newest


def _unverified(verdicts: dict[Commit, Verdict]) -> list[Commit]:
    return [commit for commit, verdict in verdicts.items() if verdict.outcome is not Outcome.VERIFIED]
