"""What judging asks of the checkout of a CI job: forge/fetch.py answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from git_clearml.model import Resolved
from git_clearml.verdict.model import Tip

SECONDS = 30.0  # for all network calls of one asking


class Checkout(Protocol):
    """What a CI job adds: which commit it is about, what was accepted before, and how to get what its clone lacks."""

    @property
    def head_urls(self) -> Sequence[str]:
        """The clone URLs of the repository that the judged commit comes from, a fork's for one."""

    def judged(self) -> Resolved:
        """The commit that the job is about. Raises CannotDecide where it cannot be fetched."""

    def accepted(self) -> Resolved | None:
        """The commit whose policy judges, None where nothing was accepted before. Raises CannotDecide."""

    @property
    def tips(self) -> tuple[Tip, ...]:
        """Which branch is at the judged commit, as the event says."""

    @property
    def notes(self) -> Sequence[str]:
        """What a reader of the verdict has to know of how its policy was found."""

    @property
    def accepted_branch(self) -> str:
        """The branch that has accepted that commit, "" where nobody says."""

    def deepen(self, commits: Iterable[str], depth: int) -> None:
        """Fetches so much of the history of these commits, which are here. Raises CannotDecide."""

    def ensure(self, commits: Iterable[str], *, depth: int = 1, timeout: float = SECONDS) -> None:
        """Fetches those of the commits (full hashes) that are missing, with so much history, in so many seconds.

        Raises CannotDecide.
        """

    def merged_by(self, commit: str) -> Sequence[int]:
        """The numbers of the pull requests that brought this commit, as the forge knows; none where it tells none."""

    def bring(self, commits: Sequence[str]) -> None:
        """Fetches these commits (full hashes), as far as the remote has them and time is left."""

    def fetch_pull_requests(self, numbers: Iterable[int]) -> None:
        """Fetches the heads of these pull requests, as far as the remote has them."""
