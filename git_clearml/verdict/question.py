"""What is asked: a commit and the policy that judges it, what is known around it, and what must stand beside a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from git_clearml.git.repository import Repository
from git_clearml.model import Commit
from git_clearml.settings.policy import Policy
from git_clearml.verdict.evidence import Evidence
from git_clearml.verdict.model import Tip, Verdict


class Question(NamedTuple):
    """A commit to judge, and by which policy."""

    commit: Commit
    policy: Policy


class Scope(NamedTuple):
    """What narrows and what widens a question: the id of the only task that may count ("" for any), and further URLs of
    this repository.

    `accepted` are for a commit (by its hash) those that were accepted where it is to go, None where nobody says: then
    the remotes' default branches are. `tips`: where branches are that this clone may not know. `depth`: how far merges
    of merges are followed. `since`: when a task must have been updated to be looked at, None: as the commits say.
    `requests`: for a commit (by its hash) the numbers of the pull requests that brought it, where no message says.
    `every_run`: what the policy's metrics come to is compared, so that no verdict stands on some of the runs alone.
    `bring` fetches those of some commits that the remote has, None where nothing is to be fetched.
    """

    chosen: str = ""
    urls: tuple[str, ...] = ()
    accepted: Mapping[str, Sequence[str]] | None = None
    depth: int = 3
    since: datetime | None = None
    tips: tuple[Tip, ...] = ()
    requests: Mapping[str, Sequence[int]] = MappingProxyType({})
    every_run: bool = False
    bring: Callable[[Sequence[str]], None] | None = None


ANY = Scope()

Requirement = Callable[[Repository, Sequence[Question], Sequence[Verdict], Evidence], list[Verdict]]
"""What a policy wants beside a task: the verdicts on the questions, rejected where that is lacking.

Raises the errors of the evidence source."""
