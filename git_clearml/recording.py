"""Records in git what a run came to: as a note on its commit, or as a results commit after it. Never evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from git_clearml import notes, remotes
from git_clearml.errors import UsageError
from git_clearml.launches import Wish
from git_clearml.model import Commit, Session
from git_clearml.repository import Repository
from git_clearml.results import Result

_BUDGET = 120.0  # seconds for the network, as for all publishing


def record(
    repository: Repository,
    commit: Commit,
    results: Sequence[Result],
    wish: Wish,
    *,
    succeeded: bool,
    say: Callable[[str], None],
) -> None:
    """Records the results as it is wished; what did not succeed is written into a note, never into a results commit.

    Raises PublishFailed and other Errors: what was written stays written.
    """
    if wish.kind == "none" or not results:
        return
    if wish.kind == "commit" and succeeded:
        from git_clearml import results_commit  # late: only this needs it

        results_commit.record(repository, commit, results, wish, say=say)
        return
    new = notes.record(repository, commit.hash, results)
    say(f"recorded in the note of {commit.hash[:12]}" if new else f"the note of {commit.hash[:12]} says so already")
    if wish.kind == "commit":
        say("no results commit: the run did not succeed")
    if wish.push:
        remote = remotes.pushed_to(repository)
        if remote is None:
            raise UsageError("there is no remote to push the notes to", "git remote add origin <url>")
        notes.push(repository, remote.name or remote.url, timeout=_BUDGET)
        say(f"pushed the notes to {remote.shown}")


def of_session(session: Session, status: str) -> Result:
    """A task of a local run that no server knows, as the run record has it."""
    metrics = tuple(sorted(session.metrics, key=lambda one: (one.metric, one.variant)))
    return Result(session.id, session.name, session.project, status, "", session.commit, metrics=metrics)
