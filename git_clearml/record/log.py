"""Commits with their tasks: those that the server tells of, and those that stand in the notes of this clone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone

from git_clearml.clearml import results as task_results
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.connect import connect
from git_clearml.clearml.model import Result
from git_clearml.errors import CannotDecide
from git_clearml.git.log import LogEntry
from git_clearml.git.repository import Repository
from git_clearml.record import note_lines
from git_clearml.record.model import CommitWithTasks, RecordedTask, together
from git_clearml.record.recorded import Recorded
from git_clearml.settings.policy import Best
from git_clearml.verdict import lookback, time_windows

ONE_QUERY = 500
"""Commits."""


class TaskSource:
    """Where the tasks of commits are looked up. `error` is what kept the server from telling, None if nothing did.

    `metrics` (TITLE/SERIES) are asked for, all where none are named. `timeout` is that of a query in seconds, None for
    no query: the notes alone. `tell` is called with the error as soon as there is one, `log` with what is asked.
    """

    def __init__(
        self,
        repository: Repository,
        metrics: Sequence[str],
        timeout: float | None,
        *,
        tell: Callable[[CannotDecide], None],
        log: Callable[[str], None],
    ) -> None:
        self._repository, self._recorded = repository, Recorded(repository)
        self._metrics, self._timeout, self._tell, self._log = metrics, timeout, tell, log
        self._api: ClearML | None = None
        self._seen: set[str] = set()
        self.commits = self.tasks = 0  # how many there were so far
        self.error: CannotDecide | None = None

    def close(self) -> None:
        """Lets go of the connection."""
        if self._api:
            self._api.close()

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of the metrics that no task had."""
        return sorted(set(names) - self._seen)

    def with_tasks(self, blocks: Iterator[list[LogEntry]]) -> Iterator[list[CommitWithTasks]]:
        """The commits with their tasks: the server's, then those on record that the server did not tell of."""
        for commits in blocks if self._timeout is None else _grouped(blocks):
            tasks = self.of([entry.commit for entry in commits])
            yield [CommitWithTasks(entry.commit, entry.short, entry.subject, tasks[entry.commit]) for entry in commits]

    def of(self, commits: Sequence[str]) -> dict[str, tuple[RecordedTask, ...]]:
        """The tasks of each of these commits, as `with_tasks` has them."""
        recorded, fetched = self._recorded.of(commits), self._fetched(commits)
        tasks = {commit: together(fetched.get(commit, ()), recorded.get(commit, ())) for commit in commits}
        self.commits += len(commits)
        self.tasks += sum(map(len, tasks.values()))
        self._seen |= {name for each in tasks.values() for task in each for name, _ in task.metrics}
        return tasks

    @property
    def at_once(self) -> int:
        """How many commits are best asked about together."""
        return 1 if self._timeout is None else ONE_QUERY

    def _fetched(self, commits: Sequence[str]) -> Mapping[str, tuple[RecordedTask, ...]]:
        """The tasks that the server has; {} when it cannot be asked, and then it is not asked again."""
        if self._timeout is None or self.error:
            return {}
        try:
            self._api = self._api or connect(os.environ, self._timeout, log=self._log)
            self._api.renew()
            now = datetime.now(timezone.utc)
            results: dict[str, list[Result]] = {}
            for window in lookback.windows(time_windows.start(self._repository.times(commits).values(), now), now):
                assert window.since
                part = task_results.of_commits(self._api, commits, window.since, window.until, metrics=self._metrics)
                results = {name: [*part.get(name, []), *results.get(name, [])] for name in {**part, **results}}
        except CannotDecide as error:
            self.error = error
            self._tell(error)
            return {}
        latest = {name: sorted(tasks, key=lambda task: (task.completed, task.task)) for name, tasks in results.items()}
        return {commit: tuple(map(note_lines.recorded_task, reversed(tasks))) for commit, tasks in latest.items()}


def _grouped(blocks: Iterator[list[LogEntry]]) -> Iterator[list[LogEntry]]:
    """The same commits, as many at a time as one query takes."""
    waiting: list[LogEntry] = []
    for block in blocks:
        waiting += block
        while len(waiting) >= ONE_QUERY:
            yield waiting[:ONE_QUERY]
            waiting = waiting[ONE_QUERY:]
    if waiting:
        yield waiting


def by_metric(commits: Sequence[CommitWithTasks], metric: str, best: Best) -> list[CommitWithTasks]:
    """By the best value of each commit's tasks, in the policy's direction for its own metric, else the greatest first.

    Commits without the metric come last; equals stay in git's order.
    """
    sign = -1 if (metric, best.direction) == (best.metric, "min") else 1

    def rank(commit: CommitWithTasks) -> tuple[bool, float]:
        values = [sign * value for task in commit.tasks for name, value in task.metrics if name == metric]
        return not values, -max(values, default=0.0)

    return sorted(commits, key=rank)
