"""Records in git what a run came to: as a note on its commit, or as a results commit after it. Never evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from git_clearml.base import secrets as redaction
from git_clearml.clearml.model import Result
from git_clearml.errors import Interrupted, UsageError
from git_clearml.git import commit as commits
from git_clearml.git import remote as remotes
from git_clearml.git.remote import Remote
from git_clearml.git.repository import Repository
from git_clearml.model import Commit
from git_clearml.record import branch as results_branch
from git_clearml.record import commit as results_commit
from git_clearml.record import notes
from git_clearml.record import tree as results_files
from git_clearml.record import unpushed as results_kept
from git_clearml.record.branch import Target
from git_clearml.record.commit import Options
from git_clearml.record.model import RecordOptions

_BUDGET = 120.0  # seconds for the network, as for all publishing


def target(repository: Repository, commit: Commit, recording: RecordOptions) -> Target | None:
    """The branch that a results commit will go to, asked before hours of work; None where none will be made.

    Raises UsageError for what cannot be recorded so (no branch, or more than one, contains the commit; no remote to
    push to; no such committer), and CannotDecide.
    """
    if recording.push:
        _remote(repository)
    if recording.kind != "commit":
        return None
    commits.identity(repository, recording.committer)
    return results_branch.find(repository, commit.hash, branch=recording.branch, timeout=_BUDGET)


def _remote(repository: Repository) -> Remote:
    """Where notes are pushed to. Raises UsageError where there is no remote."""
    remote = remotes.pushed_to(repository)
    if remote is None:
        raise UsageError("there is no remote to push the notes to", "git remote add origin <url>")
    return remote


def record(
    repository: Repository,
    commit: Commit,
    results: Sequence[Result],
    recording: RecordOptions,
    *,
    where: Target | None,
    succeeded: bool,
    environment: Mapping[str, str],
    say: Callable[[str], None],
    warn: Callable[[str], None],
) -> None:
    """Records the results as it is wished, a results commit on the branch `where`.

    What did not succeed is written into a note, never into a results commit; the note is pushed where the commit would
    have been. Raises PublishFailed and other Errors: what was written stays written.
    """
    if recording.kind == "none":
        return
    if not results:
        say("nothing to record: the run made no ClearML task")
        return
    if recording.kind == "commit" and succeeded:
        options = Options(
            add=recording.add,
            skip_ci=recording.skip_ci,
            committer=recording.committer,
            branch=recording.branch,
            before_push=recording.before_push,
            timeout=_BUDGET,
        )
        plan = results_commit.plan(repository, commit.hash, results, options, environment=environment, target=where)
        try:
            say(results_commit.execute(repository, plan, environment=environment, say=say, warn=warn).message)
        except (KeyboardInterrupt, Interrupted):
            _say_kept(repository, commit, where, warn)
            raise
        return
    secrets = redaction.secrets_in(environment)
    new = notes.record(repository, commit.hash, redaction.struck(tuple(results), secrets))
    say(f"recorded in the note of {commit.hash[:12]}" if new else f"the note of {commit.hash[:12]} says so already")
    if recording.kind == "commit":
        say("no results commit: the run did not succeed")
    if recording.push or recording.kind == "commit":
        remote = where.remote if where else _remote(repository)
        notes.push(repository, remote.name or remote.url, timeout=_BUDGET)
        say(f"pushed the notes to {remote.shown}")


def _say_kept(repository: Repository, commit: Commit, where: Target | None, warn: Callable[[str], None]) -> None:
    """Names the results commits of this commit that are on no remote, should the interruption have left one."""
    for _, name in results_kept.every(repository):
        found = results_files.lock_at(repository, name)
        if found and found.commit == commit.hash:
            remote, branch = (where.remote.name or "<remote>", where.branch) if where else ("<remote>", "<branch>")
            by_hand = f"git push {remote} {name[:12]}:{results_branch.HEADS}{branch}"
            warn(f"the results commit is kept, and not pushed: {name}; by hand: {by_hand}")
