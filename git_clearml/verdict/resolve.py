"""Asks the evidence source for the tasks of commits and lets the policy judge them; asks more only where it must.

One question for a push that passes, however many commits. Only for commits that do not pass follow the dearer ones:
tasks of equivalent commits, all tasks with their diffs, and tasks that lost their commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from git_clearml.errors import UsageError
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Task
from git_clearml.settings.policy import Equivalence, Policy
from git_clearml.verdict import accepted, elsewhere, metric_rules, requirements, rules
from git_clearml.verdict.evidence import Answer, Evidence, TaggableEvidence
from git_clearml.verdict.judging import Judging
from git_clearml.verdict.model import Outcome, Verdict
from git_clearml.verdict.question import ANY, Question, Requirement, Scope
from git_clearml.verdict.search import Search

if TYPE_CHECKING:
    from git_clearml.verdict.merges import Candidates

_ONE_REQUEST = 500
"""Commits that one question can name in full (see query.patterns). Equal commits whose tasks cannot count only explain
a refusal: they are named as far as there is room beside the judged ones, and never make the question a longer one."""

_ONE_PATTERN = 1_800
"""Commits that one question can name at all, those beyond the first 500 by the first digits of their hashes."""


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
    scope: Scope = ANY,
) -> list[Verdict]:
    """A verdict for each question, in their order.

    `requirement` is asked where a policy has `runnable.required`, so that nobody who gives verdicts forgets it.
    Raises the errors of the evidence source, BadSetting for code-paths that match nothing, and HistoryMissing where a
    shallow clone cannot tell whether an earlier commit has the code that a requirement names.
    """
    answers: dict[Question, Verdict] = {}
    if scope.chosen and any(len(question.policy.require) > 1 for question in questions):
        raise UsageError("--task names one task, and the policy requires several", "leave --task out")
    if scope.chosen and questions:
        from git_clearml.verdict import chosen  # late: few ask for a task

        scope = scope._replace(chosen=chosen.whole_id(scope.chosen, evidence, questions[0].policy))
    for policy in dict.fromkeys(question.policy for question in questions):
        commits = list(dict.fromkeys(question.commit for question in questions if question.policy == policy))
        resolver = Resolver(repository, evidence, policy, commits, scope)
        for commit, verdict in resolver.verdicts().items():
            answers[Question(commit, policy)] = verdict
    verdicts = elsewhere.noted(repository, [answers[question] for question in questions])
    if any(question.policy.runnable.required for question in questions):
        return requirement(repository, questions, verdicts, evidence)
    return verdicts


class Resolver:
    """One policy's questions: what has been learned so far about which tasks and commits."""

    def __init__(
        self, repository: Repository, evidence: Evidence, policy: Policy, commits: Sequence[Commit], scope: Scope
    ) -> None:
        self._repository, self._evidence, self._policy = repository, evidence, policy
        self._commits, self._scope = commits, scope
        self._judging = Judging(repository, policy, commits, scope)
        self._search = Search(repository, evidence, asked := requirements.asked(policy), scope.since)
        self._elsewhere = elsewhere.Elsewhere(repository, asked, scope)
        self._needs_all = metric_rules.needs_all(policy) or bool((scope.chosen or scope.every_run) and policy.metrics)
        self._needs_older = self._needs_all or metric_rules.needs_all(policy, in_order=False)
        self._equal: list[str] = []  # commits of this clone whose runs count with those of the judged ones
        self._asked: set[str] = set()  # commits of which `_answer` has the passing tasks
        self._answer = Answer([])
        self._by_tree: list[Task] = []  # whose records name the tree of a commit
        self._candidates: dict[Commit, Candidates] = {}

    def verdicts(self) -> dict[Commit, Verdict]:
        """The verdicts on the commits, asked for in as few questions as it takes."""
        verdicts = self.passing()
        if unsettled := self._unsettled(verdicts):
            for commit, verdict in self._explained(unsettled).items():
                before = verdicts[commit]  # what was merged has been looked at as a whole before
                is_merge = before.equivalence is Equivalence.MERGE and not metric_rules.failed(verdict)
                verdicts[commit] = before if is_merge else verdict.seen_after(before)
        self._judging.check_history(verdicts)
        return verdicts

    def _unsettled(self, verdicts: Mapping[Commit, Verdict]) -> list[Commit]:
        return [commit for commit, verdict in verdicts.items() if not self._is_whole(commit, verdict)]

    def _is_whole(self, commit: Commit, verdict: Verdict) -> bool:
        """Is it a pass that no older task can change?"""
        if verdict.outcome is not Outcome.VERIFIED or not self._needs_older:
            return verdict.outcome is Outcome.VERIFIED
        same_code = self._judging.equivalents.of_same_code([commit])
        return self._search.first_has_all([commit.hash, *same_code, *self._equal])

    def passing(self) -> dict[Commit, Verdict]:
        """The verdicts as far as passes need: what is said of the others is not all that there is to say."""
        asked = [commit.hash for commit in self._judging.equivalents.with_ancestors(self._commits)]
        asked += self._judging.equivalents.of_same_code(self._commits, _ONE_PATTERN - len(asked))
        equals_count = self._policy.equivalence is not Equivalence.COMMIT
        if together := self._needs_all and equals_count:
            self._equal = self._judging.equivalents.equal_here(self._commits)
            asked += self._equal
        asked = list(dict.fromkeys(asked))
        by_id = self._scope.chosen and self._evidence.bounded  # an id costs a server nothing, whenever the task ran
        by_id = by_id and not self._policy.metrics  # those are of all tasks
        verdicts = self._by(self._commits, lambda few: self._chosen() if by_id else self._passing(asked, few=few))
        if together:  # or a bad run of this commit is hidden by a good one of an equal commit, or the other way round
            self._by_tree = self._search.of_trees(self._judging.equivalents.with_ancestors(self._commits))
            own = self._passing(asked, few=0).tasks
            verdicts = self._judging.verdicts(self._commits, _united(self._by_tree, own))
        unverified = _unverified(verdicts)
        if unverified and equals_count and not together:
            self._by_tree = self._search.of_trees(self._judging.equivalents.with_ancestors(unverified))
            verdicts |= self._judging.verdicts(unverified, self._by_tree)
            unverified = _unverified(verdicts)
        if unverified and equals_count and not together and (family := sorted(set(self._families(unverified)))):
            verdicts |= self._by(unverified, lambda few: self._search.passing(family, few=few))
            unverified = _unverified(verdicts)
        verdicts |= {commit: verdicts[commit]._replace(notes=()) for commit in unverified}
        if self._policy.merges == "clean" and self._scope.depth:
            good = [each for each in unverified if not (self._needs_older and metric_rules.failed(verdicts[each]))]
            verdicts |= self._merged(good) if good else {}  # a bad run of its own is not hidden by those of its halves
        since = self._search.first_since
        return {commit: verdict._replace(looked_back_to=since) for commit, verdict in verdicts.items()}

    def _by(self, commits: Sequence[Commit], ask: Callable[[int], Answer]) -> dict[Commit, Verdict]:
        """The verdicts by a few tasks, which the policy prefers; by all that may count where those do not suffice."""
        answer = ask(0 if self._needs_all else len(commits) * len(self._judging.ways))
        verdicts = self._judging.verdicts(commits, answer.tasks)
        if not answer.whole and not all(self._is_settled(verdict) for verdict in verdicts.values()):
            answer = ask(0)
            verdicts = self._judging.verdicts(commits, answer.tasks)
        return verdicts if answer.whole else {commit: verdict.of_more() for commit, verdict in verdicts.items()}

    def _is_settled(self, verdict: Verdict) -> bool:
        """Would no task that was not looked at make another verdict? Not even one of the commit itself."""
        by_results = any(part.equivalence is Equivalence.RESULTS for part in verdict.parts)
        own = by_results and self._search.passing([verdict.commit], few=1).tasks
        if own or any(part.task is None for part in verdict.parts):
            return False
        return all(
            not way.ranking.metric or (part.task is not None and rules.is_measured(part.task, way))
            for way, part in zip(self._judging.ways, verdict.parts, strict=True)
        )

    def _chosen(self) -> Answer:
        return Answer(self._evidence.of_ids([self._scope.chosen], self._policy))

    def _passing(self, names: Sequence[str], *, few: int) -> Answer:
        """The passing tasks of these commits, and in the same request of what they may be the merges of."""
        if not set(names) <= self._asked:
            self._asked = {*names}
            if self._policy.merges == "clean" and self._scope.depth:
                sources = self._sources(self._commits)
                self._asked |= {name for each in sources.values() for name in each.names}
            self._answer = self._search.passing([*names, *sorted(self._asked - set(names))], few=few)
        elif not few and not self._answer.whole:
            self._answer = self._search.passing(sorted(self._asked))
        others = self._asked - set(names)
        return self._answer._replace(tasks=[task for task in self._answer.tasks if task.commit not in others])

    def _sources(self, commits: Sequence[Commit]) -> dict[Commit, Candidates]:
        """What these may be the merges of."""
        from git_clearml.verdict import merges  # late: few policies want it

        if self._scope.accepted is None:
            branches = accepted.by_default(self._repository, self._policy)
            self._scope = self._scope._replace(accepted={commit.hash: branches for commit in self._commits})
        if new := [commit for commit in commits if commit not in self._candidates]:
            self._candidates |= merges.candidates(self._repository, new, self._scope)
        return {commit: self._candidates[commit] for commit in commits}

    def _merged(self, commits: Sequence[Commit]) -> dict[Commit, Verdict]:
        """The verdicts on those that are clean merges; of the others, why they are none."""
        from git_clearml.verdict import merges  # late: few policies want it

        def judge(sources: list[Commit], accepted: Mapping[str, Sequence[str]]) -> dict[Commit, Verdict]:
            scope = self._scope._replace(accepted=accepted, depth=self._scope.depth - 1)
            resolver = Resolver(self._repository, self._evidence, self._policy, sources, scope)
            resolver._asked, resolver._answer = self._asked, self._answer
            resolver._search, resolver._elsewhere = self._search, self._elsewhere
            verdicts = resolver.passing()
            if unsettled := resolver._unsettled(verdicts):  # what is verified, or pending, by itself has to be so here
                judged, tasks = resolver._found(unsettled, resolver._relatives(unsettled))
                judged |= resolver._without_commit([] if tasks else [*judged], judged)
                verdicts |= {commit: verdict.seen_after(verdicts[commit]) for commit, verdict in judged.items()}
            return verdicts

        sources = self._sources(commits)
        return merges.verdicts(self._repository, sources, self._scope.accepted or {}, judge)

    def _explained(self, commits: Sequence[Commit]) -> dict[Commit, Verdict]:
        """Judged again over every task of these commits and their equals, diffs looked at."""
        from git_clearml.verdict import reset_tasks  # late: a refusal alone wants it

        on_server = isinstance(self._evidence, TaggableEvidence) and not self._scope.chosen
        sessions = reset_tasks.recorded(self._repository, commits) if on_server else {}
        also = [session.id for session in sessions.values()]
        names = self._relatives(commits)
        verdicts, tasks = self._found(commits, names, also)
        bare = [name for name, verdict in verdicts.items() if verdict.outcome is Outcome.REJECTED]
        if bare and self._scope.chosen:
            from git_clearml.verdict import chosen  # late: few ask for a task

            refused = {commit: verdicts[commit] for commit in bare}
            return verdicts | chosen.elsewhere(refused, self._scope.chosen, self._evidence, self._policy)
        became = reset_tasks.findings({name: each for name, each in sessions.items() if name in bare}, tasks)
        for commit, finding in became.items():
            others = [near for near in verdicts[commit].near_misses if near.task.id != finding.task.id]
            verdicts[commit] = verdicts[commit]._replace(near_misses=(finding, *others))
        if bare and not became and not {task.commit for task in tasks} & set(names):  # else a 4th request
            verdicts |= self._without_commit(bare, verdicts)
        return verdicts | self._elsewhere.explained({commit: verdicts[commit] for commit in bare})

    def _without_commit(self, bare: Sequence[Commit], verdicts: Mapping[Commit, Verdict]) -> dict[Commit, Verdict]:
        """The verdicts on commits without a task, by recent tasks that lost their commit or have none yet."""
        if not bare:
            return {}
        from git_clearml.verdict import lost_tasks  # late: a refusal alone wants it

        lost = lost_tasks.of(self._repository, bare, self._search.recent(), requirements.asked(self._policy))
        judged = {commit: self._judging.verdicts([commit], tasks)[commit] for commit, tasks in lost.items()}
        return {
            commit: verdicts[commit]._replace(
                outcome=verdict.outcome, near_misses=verdict.near_misses, requirements=verdict.requirements
            )
            for commit, verdict in judged.items()
        }

    def _relatives(self, commits: Sequence[Commit]) -> list[str]:
        """The hashes of these commits, and of those whose tasks may count for them or explain a refusal."""
        asked = self._judging.equivalents.with_ancestors(commits)
        names = [commit.hash for commit in asked] + self._families(commits)
        if self._policy.equivalence is Equivalence.COMMIT:
            names = names[: max(len(asked), _ONE_REQUEST)]
        return list(dict.fromkeys(names))

    def _found(
        self, commits: Sequence[Commit], names: Sequence[str], also: Sequence[str] = ()
    ) -> tuple[dict[Commit, Verdict], list[Task]]:
        """The verdicts on commits by the tasks of these names, and the tasks that it took, with those of more ids."""
        verdicts: dict[Commit, Verdict] = {}
        tasks: list[Task] = []
        for (tasks, whole), since in self._every(commits, names, also):
            judged = self._judging.verdicts(commits, tasks)
            judged = judged if whole else {commit: verdict.of_more() for commit, verdict in judged.items()}
            verdicts = {commit: verdict._replace(looked_back_to=since) for commit, verdict in judged.items()}
            if not self._needs_older and not _unverified(verdicts):
                break
        return verdicts, tasks

    def _every(
        self, commits: Sequence[Commit], names: Sequence[str], also: Sequence[str]
    ) -> Iterator[tuple[Answer, str]]:
        """All tasks of these names, and since when, as Search.every has them; then those of the commits' trees, too."""
        tasks, since = self._by_tree, ""
        for answer, since in self._search.every(names, chosen=self._scope.chosen, also=also):
            tasks = _united(self._by_tree, answer.tasks)
            yield answer._replace(tasks=tasks), since
        if self._policy.equivalence is not Equivalence.COMMIT:
            for older in self._search.of_trees_before(self._judging.equivalents.with_ancestors(commits)):
                if older:
                    tasks = _united(older, tasks)
                    yield Answer(tasks), since

    def _families(self, commits: Sequence[Commit]) -> list[str]:
        """Hashes of commits that could be equivalent to these. Where equals cannot count nothing is asked."""
        counts = self._policy.equivalence is not Equivalence.COMMIT
        recent = self._elsewhere.commits_of(self._search.recent()) if counts else []
        wanted = range(len(self._judging.ways)) if self._needs_all else self._judging.unmet
        return self._judging.equivalents.families(commits, recent, wanted)


def _united(tasks: Sequence[Task], others: Sequence[Task]) -> list[Task]:
    """All of these: of a task that is among both, what the others have."""
    ids = {task.id for task in others}
    return [*others, *(task for task in tasks if task.id not in ids)]


def _unverified(verdicts: dict[Commit, Verdict]) -> list[Commit]:
    return [commit for commit, verdict in verdicts.items() if verdict.outcome is not Outcome.VERIFIED]
