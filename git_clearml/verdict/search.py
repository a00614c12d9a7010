"""Asks an evidence source for the tasks of commits, and looks no further back in time than it has to."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone

from git_clearml.errors import TimedOut
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Task
from git_clearml.run.ownership import belongs
from git_clearml.settings.policy import Policy
from git_clearml.verdict import metric_rules, time_windows
from git_clearml.verdict.evidence import Answer, Evidence, RemoteEvidence
from git_clearml.verdict.time_windows import Window

_AT_ONCE = 0.3  # seconds for an answer of a server that has few tasks
_IN_NO_TIME = 0.05  # and for one about 112 days of a server of whose every task it can be asked in seconds


class Search:
    """One policy's questions to a source. `since` is when a task must have been updated to be looked at, None: as the
    commits' dates say. Every method may raise the errors of the source."""

    def __init__(self, repository: Repository, evidence: Evidence, policy: Policy, since: datetime | None) -> None:
        self._repository, self._evidence, self._policy, self._since = repository, evidence, policy, since
        self._now = datetime.now(timezone.utc)
        self._first = time_windows.first(self._now, since)
        self._newest: Answer | None = None

    @property
    def first_since(self) -> str:
        """The time, in ISO 8601, before which `passing` and `recent` have nothing; "" where they have everything."""
        return time_windows.looked_back_to([self._first]) if self._evidence.bounded else ""

    def passing(self, names: Sequence[str], *, few: int = 0) -> Answer:
        """The tasks of the last days, of these commits, that may count; `few` as for Evidence.passing."""
        return self._evidence.passing(names, self._policy, self._first, few=few)

    def first_has_all(self, names: Sequence[str]) -> bool:
        """Does `passing` look at every task of these commits? Not where one is older than the last days."""
        if not self._evidence.bounded or self._since:
            return True
        dates = self._dates(names)
        start = time_windows.start(dates, self._now)
        return len(dates) == len(names) and self._first.since is not None and start >= self._first.since

    def recent(self) -> list[Task]:
        """The newest tasks of whatever commit. Asked for once."""
        if self._newest is None:
            self._newest = self._evidence.recent(self._policy, self._first)
        return self._newest.tasks

    def may_pass(self, names: Sequence[str]) -> list[str]:
        """Those of these commits of which `passing` may have tasks. Where the newest are all there are, that tells."""
        if self._newest is None or not self._newest.whole:
            return list(names)
        commits = {task.commit for task in self._newest.tasks}
        return [name for name in names if name in commits]

    def every(
        self, names: Sequence[str], *, chosen: str = "", also: Sequence[str] = ()
    ) -> Iterator[tuple[Answer, str]]:
        """All tasks of these commits that have been looked at so far, and since when: more of them window by window.

        Of old commits the tasks come first whose ids this clone knows, which cost a server next to nothing, and of a
        short window those that may count: they suffice more often than not. `chosen` and `also` as for Evidence.all.
        Raises TimedOut with what has been looked at.
        """
        plan, tasks = self._windows(names), dict[str, Task]()
        needs_all = metric_rules.needs_all(self._policy, in_order=False)
        others: list[Task] = []  # runs that made no task
        if not needs_all and len(plan) > 1 and (ids := self._known_ids(names)):
            tasks = {task.id: task for task in self._evidence.of_ids(ids, self._policy)}
            yield Answer(list(tasks.values())), self.first_since
        for number, window in enumerate(plan):
            since = time_windows.looked_back_to(plan[: number + 1])
            try:
                if not needs_all and time_windows.is_short(window, self._first, self._now):
                    few = self._evidence.passing(
                        names, self._policy, window, few=0 if self._policy.ranking.metric else 1
                    )
                    more = {task.id: task for task in few.tasks}
                    yield few._replace(tasks=[*(tasks | more).values(), *others]), since
                answer = self._evidence.all(names, self._policy, window, chosen=chosen, also=also)
                also = ()
            except TimedOut as error:
                raise time_windows.unfinished(error, plan, number) from None
            tasks |= {task.id: task for task in answer if task.id}
            others += [task for task in answer if not task.id]
            yield Answer([*tasks.values(), *others]), since

    def of_trees(self, commits: Sequence[Commit]) -> list[Task]:
        """Tasks whose own record names a tree of these: for whoever has not got the commit that they ran.

        Those of the time in which most are run; `of_trees_before` has the others. What the record names is looked at
        again, as is whose record it is.
        """
        if not isinstance(self._evidence, RemoteEvidence):
            return []
        return self._bearing(self._evidence, commits, self._around(commits))

    def of_trees_before(self, commits: Sequence[Commit]) -> Iterator[list[Task]]:
        """Those of the time before, window by window, back to the first that a server can have.

        A server that answers at once is asked about ever longer times, one that takes no time about all there is.
        Raises TimedOut with what has been looked at.
        """
        if not isinstance(self._evidence, RemoteEvidence) or self._since:
            return
        following = self._around(commits)
        length: timedelta | None = time_windows.LONGEST
        while window := time_windows.earlier(following, length):
            began = time.monotonic()
            try:
                yield self._bearing(self._evidence, commits, window)
            except TimedOut as error:
                raise time_windows.unfinished_before(error, window, "tasks of the same tree") from None
            took = time.monotonic() - began
            longer = length * 4 if length and took < _AT_ONCE else time_windows.LONGEST
            following, length = window, None if took < _IN_NO_TIME else longer

    def _around(self, commits: Sequence[Commit]) -> Window:
        if self._since:
            return Window(self._since)
        return time_windows.before(self._dates([commit.hash for commit in commits]), self._now)

    def _bearing(self, evidence: RemoteEvidence, commits: Sequence[Commit], window: Window) -> list[Task]:
        trees = {commit.tree for commit in commits if commit.tree}
        tasks = evidence.of_trees(sorted(trees), self._policy, window)
        return [task for task in tasks if task.run and task.run.tree in trees and belongs(task.run, task)]

    def _windows(self, names: Sequence[str]) -> tuple[Window, ...]:
        if not self._evidence.bounded:
            return (Window(),)
        return time_windows.later([] if self._since else self._dates(names), self._now, self._since)

    def _dates(self, names: Sequence[str]) -> list[datetime]:
        """When these commits were made, as far as they are here."""
        times = self._repository.times(names)
        return [times[name] for name in names if name in times]

    def _known_ids(self, names: Sequence[str]) -> list[str]:
        from git_clearml.verdict import known_ids  # late: what is pushed is seldom that old

        return known_ids.of_commits(self._repository, names)
