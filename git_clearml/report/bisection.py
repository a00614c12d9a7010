"""Which commit made a metric worse: the numbers of a range of commits, and where they fall. Trains nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from git_clearml.errors import CannotDecide, HistoryMissing, UsageError
from git_clearml.git import log as history
from git_clearml.git.log import Node
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Metric, Problem, Task
from git_clearml.record.model import RecordedTask
from git_clearml.record.recorded import Recorded
from git_clearml.report import falls
from git_clearml.report.falls import Falls
from git_clearml.settings.policy import Best, MetricRule, Policy
from git_clearml.verdict.evidence import Evidence
from git_clearml.verdict.metric_rules import measure
from git_clearml.verdict.range_tasks import RangeTasks, same_code
from git_clearml.verdict.requirements import ways
from git_clearml.verdict.statuses import ENDED_WELL

BisectionOutcome = Literal["found", "none", "undecided"]
STATUS: Mapping[BisectionOutcome, int] = {"found": 0, "none": 1, "undecided": 3}
_ONE_REQUEST = 1_800  # commits
_MOST = 50_000
_GROWTH = 5


@dataclass(frozen=True)
class Limit:
    """What is worse: a value on the wrong side of `worse_than`. `rule` says of which metric, and of several runs which
    counts; what else it demands of a model is no question here."""

    rule: MetricRule
    worse_than: float

    def is_worse(self, value: float) -> bool:
        return value < self.worse_than if self.rule.direction == "max" else value > self.worse_than


@dataclass(frozen=True)
class Bisection:
    """What has been learned. `nodes` are the range by hash, parents before children; `tasks` those whose value counts.

    `good` is "" where nobody named one; then the range is what no commit with a good number stands on. `says` tells
    what there is to say where no fall was found; `train` is the commit whose number would tell most.
    """

    limit: Limit
    good: str
    bad: str
    nodes: Mapping[str, Node] = field(default_factory=dict)
    tasks: Mapping[str, Task] = field(default_factory=dict)
    falls: Falls = field(default_factory=Falls)
    outcome: BisectionOutcome = "undecided"
    says: str = ""
    train: str = ""
    before: tuple[str, ...] = ()  # the nearest commits below the first fall that have a number
    nearby: Mapping[str, Node] = field(default_factory=dict)  # commits that are named and lie outside of the range
    problems: tuple[Problem, ...] = ()

    @property
    def status(self) -> int:
        """The exit status."""
        return 3 if self.problems else STATUS[self.outcome]

    @property
    def without_number(self) -> list[str]:
        """The commits of the range that have none."""
        return [commit for commit in self.nodes if commit not in self.tasks]

    @property
    def left(self) -> list[str]:
        """The commits of which one made the first fall: one where nothing is hidden."""
        first = self.falls.first
        return [*first.hidden, first.commit] if first else []


class Bisector:
    """Looks for the fall. `evidence` makes the source of tasks, which may raise CannotDecide, as that may itself."""

    def __init__(self, repository: Repository, policy: Policy, limit: Limit, evidence: Callable[[], Evidence]) -> None:
        self._repository, self._limit, self._evidence = repository, limit, evidence
        self._policy = _asking(policy, limit.rule)
        self._recorded = Recorded(repository)
        self._source: Evidence | None = None
        self._problems: list[Problem] = []

    def close(self) -> None:
        """Lets go of the connection."""
        if self._source:
            self._source.close()

    def bisect(self, good: str, bad: str, *, bad_is_named: bool, again: str) -> Bisection:
        """The commits between two (full hashes); without `good` what lies above the last ones that are not worse.

        `again` is the command, without revisions, for hints. Raises UsageError where these two are not what they are
        called, and HistoryMissing where a shallow clone may lack the answer.
        """
        if good:
            return self._between(good, bad, bad_is_named=bad_is_named, again=again)
        most = _ONE_REQUEST
        while True:
            nodes = {node.commit: node for node in history.graph(self._repository, [bad], most=most)}
            tasks = self._tasks(nodes)
            worse, parents = self._worse(tasks), _parents(nodes, all_are_good=False)
            below = falls.ancestors(parents, [name for name, is_worse in worse.items() if not is_worse])
            cut = any(name not in nodes for node in nodes.values() if node.commit not in below for name in node.parents)
            if not cut or most >= _MOST or self._problems:
                break
            most *= _GROWTH
        above = {name: node for name, node in nodes.items() if name not in below}
        result = self._result(nodes, parents, tasks, worse, bad)
        self._check_history(result.left)
        if not below and result.falls.falls:
            says = f"no commit with a value is better, of {len(nodes):,} down from {nodes[bad].short}"
            result = replace(result, falls=Falls(), outcome="none", says=says, train="", before=())
        return replace(result, nodes=above, nearby=nodes)

    def _between(self, good: str, bad: str, *, bad_is_named: bool, again: str) -> Bisection:
        nodes = {node.commit: node for node in history.graph(self._repository, [bad, f"^{good}"], most=_MOST)}
        [end] = history.graph(self._repository, [good], most=1)
        if not nodes:
            if good == bad:
                raise UsageError(f"{end.short} cannot be good and bad", again)
            swapped = f"{again} {bad[:12]} {good[:12]}"
            raise UsageError(f"the good commit {end.short} comes after the bad one, {bad[:7]}", swapped)
        ends = self._ends(good, bad, end)
        tasks = self._tasks({**ends, **nodes})
        worse = self._worse(tasks)
        for name, node in ends.items():
            if worse.get(name):
                where = f"the good commit {node.short}" if name == good else f"{node.short}, where the branches part"
                raise UsageError(f"{self._limit.rule.metric} is already worse at {where}: {tasks[name].value}", again)
        if bad_is_named and bad not in worse:
            worse[bad] = True  # whoever calls it bad has a reason
        result = self._result(nodes, _parents(nodes), tasks, worse, bad)
        self._check_history(result.left)
        return replace(result, good=good, nearby={**ends, **nodes})

    def _ends(self, good: str, bad: str, end: Node) -> dict[str, Node]:
        """The commit that is good; where the bad one does not stand on it also those on which both do. As in git
        bisect these are taken for good, unless a number says otherwise. One git process more for such."""
        bases = self._repository.run("merge-base", "--all", good, bad).lines
        others = [name for name in bases if name != good]
        return {good: end} | {
            node.commit: node for name in others for node in history.graph(self._repository, [name], most=1)
        }

    def _check_history(self, commits: Sequence[str]) -> None:
        """Raises HistoryMissing where a shallow clone ends at one of the commits of which one made the metric fall."""
        if commits and self._repository.is_shallow:
            named = self._repository.parents(commits)
            wanted = {name for each in named.values() for name in each}
            if wanted - self._repository.trees(wanted).keys():
                raise HistoryMissing(
                    f"this clone is shallow, and the metric may have fallen before {commits[0][:12]}",
                    "git fetch --unshallow",
                )

    def _result(
        self,
        nodes: Mapping[str, Node],
        parents: falls.Parents,
        tasks: Mapping[str, Task],
        worse: Mapping[str, bool],
        bad: str,
    ) -> Bisection:
        fall = falls.find(parents, worse)
        result = Bisection(self._limit, "", bad, nodes, tasks, fall, problems=tuple(self._problems))
        first = fall.first
        if first:
            before = tuple(falls.nearest(parents, first.commit, worse))
            outcome: BisectionOutcome = "undecided" if first.hidden else "found"
            train = falls.halving(parents, first) if first.hidden else ""
            return replace(result, outcome=outcome, train=train, before=before)
        if not tasks:
            return replace(result, says=f"no commit has a value of {self._limit.rule.metric}")
        if bad not in tasks:
            return replace(result, says=f"{nodes[bad].short} has no value, and no commit with a worse one is on record")
        return replace(result, outcome="none", says=f"it is {tasks[bad].value} at {nodes[bad].short}, not worse")

    def _worse(self, tasks: Mapping[str, Task]) -> dict[str, bool]:
        return {name: self._limit.is_worse(task.value) for name, task in tasks.items() if task.value is not None}

    def _tasks(self, nodes: Mapping[str, Node]) -> dict[str, Task]:
        """Commit -> the task whose value is that of the commit."""
        times = {Commit(node.commit, node.tree): node.committer_date for node in nodes.values()}
        in_range = RangeTasks(self._repository, self._policy, times)
        self._problems = []
        try:
            self._source = self._source or self._evidence()
            self._source.renew()
            in_range.ask(self._source)
        except CannotDecide as error:
            self._problems.append(Problem.of(error))
        names = same_code(self._repository, self._policy, list(times), _parents(nodes))
        accepted = _by_name(in_range.accepted(), names)
        recorded: dict[str, list[Task]] = {}
        if self._limit.rule.value == "last":  # all that a note has
            on_record = self._recorded.of(nodes)
            recorded = _by_name({name: self._measured(name, each) for name, each in on_record.items()}, names)
        chosen: dict[str, Task] = {}
        for commit, name in names.items():
            task = self._chosen(accepted.get(name, [])) or self._chosen(recorded.get(name, []))
            if task:
                chosen[commit] = task
        return chosen

    def _measured(self, commit: str, entries: Iterable[RecordedTask]) -> list[Task]:
        """The tasks on record that ended well, with their values."""
        return [
            entry.as_task(commit)._replace(metrics=_named(self._limit.rule.metric, dict(entry.metrics)))
            for entry in entries
            if entry.status in ENDED_WELL
            and self._policy.task_name in ("", entry.name)
            and self._policy.has_project(entry.project)
        ]

    def _chosen(self, tasks: Sequence[Task]) -> Task | None:
        """The task whose value is the commit's, with that value; None where no task has one that can be used."""
        measured = measure(self._limit.rule, tasks)
        task = next((task for task in tasks if task.id == measured.task), None)
        return task and task._replace(value=measured.value)


def _asking(policy: Policy, rule: MetricRule) -> Policy:
    """The policy by which tasks count: of several requirements the one whose tasks the metric is about."""
    narrowed = ways(policy)
    way = next((way for way in narrowed if any(each.metric == rule.metric for each in way.metrics)), narrowed[0])
    best = Best(rule.metric, rule.direction, rule.value, zero_is_a_value=rule.zero_is_a_value)
    return way._replace(best=best, metrics=(rule,))


def _named(metric: str, values: Mapping[str, float]) -> tuple[Metric, ...]:
    title, _, series = metric.rpartition("/")
    return (Metric(title, series, *[values[metric]] * 3),) if metric in values else ()


def _by_name(tasks: Mapping[str, Sequence[Task]], names: Mapping[str, str]) -> dict[str, list[Task]]:
    """The tasks by the names that commits share whose tasks count for each other."""
    grouped: dict[str, list[Task]] = {}
    for commit, each in tasks.items():
        grouped.setdefault(names[commit], []).extend(each)
    return grouped


def _parents(nodes: Mapping[str, Node], *, all_are_good: bool = True) -> dict[str, tuple[str, ...]]:
    """The parents of each; without those outside of the range where nobody says that those are good."""
    return {
        name: tuple(parent for parent in node.parents if all_are_good or parent in nodes)
        for name, node in nodes.items()
    }
