"""Evidence sources as the rest of the program sees them; server.py and offline.py are the two there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from git_clearml.base.ids import FIND_THE_ID
from git_clearml.base.words import listed
from git_clearml.errors import UsageError
from git_clearml.model import Curve, Metric, Task
from git_clearml.settings.policy import Policy
from git_clearml.verdict.time_windows import Window


class Answer(NamedTuple):
    """Tasks that may count; `whole` where there are no others."""

    tasks: list[Task]
    whole: bool = True


class Evidence(Protocol):
    """Where tasks are looked up: the server or this clone. Same question, same answer.

    `identity` is whom a verdict may be cached for, "" where caching gains nothing. Every method may raise the errors of
    the source, which are CannotDecide. The policy says which metric's value a task comes with.
    """

    identity: str

    bounded: bool
    """Is a question about a window all that the source can answer in time? Else it answers for all times."""

    def open_ahead(self) -> None:
        """Begins to connect, where there is a network between, for a question that is sure to come."""

    def passing(self, commits: Sequence[str], policy: Policy, window: Window, *, few: int = 0) -> Answer:
        """The tasks of these commits (full hashes) that may count; those that certainly do not may be left out.

        `few`: a few tasks will do for a start, for so many of the commits: those that the policy prefers (see
        rules.preference). 0 is for all.
        """

    def all(
        self, commits: Sequence[str], policy: Policy, window: Window, *, chosen: str = "", also: Sequence[str] = ()
    ) -> list[Task]:
        """Every task of these commits, whatever became of it, with its diff looked at, unless the one of the id
        `chosen` is wanted and not among them. Then those of the ids `also`, whatever they have run."""

    def of_ids(self, ids: Sequence[str], policy: Policy) -> list[Task]:
        """The tasks of these ids that may count, as `passing` has them."""

    def recent(self, policy: Policy, window: Window) -> Answer:
        """The newest tasks of whatever commit, 500 at most; their diffs need not have been looked at."""

    def find(self, identity: str, policy: Policy) -> Task | None:
        """The task of this id, or of these first digits of one, None when there is none. See `the_only`."""

    def metrics(self, task: Task) -> tuple[Metric, ...]:
        """Every metric that the task reported, by name."""

    def curves(
        self, tasks: Sequence[Task], names: Sequence[tuple[str, str]]
    ) -> dict[str, dict[tuple[str, str], Curve]]:
        """Task id -> (metric, variant) -> curve, for those of these names that there is a curve of, 500 at most."""

    def renew(self) -> None:
        """Gives the next questions a fresh budget for the network."""

    def close(self) -> None:
        """Lets go of the connection."""


def the_only(tasks: Sequence[Task], digits: str) -> Task | None:
    """The task whose id begins with these digits. Raises UsageError where several do."""
    if len(tasks) > 1:
        ids = listed([task.id for task in tasks])
        raise UsageError(f"several tasks begin with {digits}: {ids}", FIND_THE_ID)
    return tasks[0] if tasks else None


@runtime_checkable
class RemoteEvidence(Evidence, Protocol):
    """A server, whose tasks bear tags: the best task is one that bears the best tag, so only there is one.

    It finds tasks by the tree which their run recorded, too, for whoever has not got the commit.
    """

    def of_trees(self, trees: Sequence[str], policy: Policy, window: Window) -> list[Task]:
        """The tasks of these trees that may count, now or when they end; whose records they bear is not said."""

    def tagged(self, tag: str, policy: Policy) -> list[Task]:
        """The ended, unarchived tasks with this tag, in the policy's project when it names one."""

    def tag(self, ids: Sequence[str], tag: str) -> None:
        """Adds the tag to all of these tasks, or to none."""

    def move_tag(self, add_to: Sequence[str], remove_from: Sequence[str], tag: str) -> None:
        """Adds the tag to tasks, then takes it from others."""
