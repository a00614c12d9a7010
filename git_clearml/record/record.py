"""Records in git what a run came to: as a note on its commit, or as a results commit after it. Never evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from git_clearml.clearml.conf_secrets import known_secrets
from git_clearml.errors import Interrupted, UsageError
from git_clearml.git import commit as commits
from git_clearml.git import remote as remotes
from git_clearml.git.remote import Remote
from git_clearml.git.remote_branch import HEADS, RemoteBranch
from git_clearml.git.repository import Repository
from git_clearml.record import branch as results_branch
from git_clearml.record import commit as results_commit
from git_clearml.record import notes, tree, unpushed
from git_clearml.record import push_commit as results_push
from git_clearml.record.model import FinishedRun, RecordOptions
from git_clearml.run.ownership import NO_TASK


def find_target(repository: Repository, commit: str, options: RecordOptions) -> RemoteBranch | None:
    """The branch that a results commit will go to, asked before hours of work; None where none will be made.

    Raises UsageError for options that cannot be met (no branch, or more than one, contains the commit; no remote to
    push to; no such committer), and CannotDecide.
    """
    if options.push:
        _remote(repository)
    if options.kind != "commit":
        return None
    commits.identity(repository, options.committer)
    return results_branch.find(repository, commit, branch=options.branch, timeout=options.timeout)


def record(
    repository: Repository,
    run: FinishedRun,
    options: RecordOptions,
    *,
    target: RemoteBranch | None,
    environment: Mapping[str, str],
    say: Callable[[str], None],
    warn: Callable[[str], None],
) -> None:
    """Records the results as the options say, a results commit on the branch `target`.

    What did not succeed is written into a note, never into a results commit; the note is pushed where the commit would
    have been. Raises PublishFailed and other Errors: what was written stays written.
    """
    if options.kind == "none":
        return
    if not run.results:
        say(f"nothing to record: {NO_TASK}")
        return
    if options.kind == "commit" and run.succeeded:
        plan = results_commit.plan(repository, run.commit, run.results, options, environment=environment, target=target)
        try:
            say(results_push.execute(repository, plan, environment=environment, say=say, warn=warn).message)
        except (KeyboardInterrupt, Interrupted):
            _name_unpushed(repository, run.commit, target, warn)
            raise
        return
    results = known_secrets(environment).redact(run.results)
    is_new = notes.record(repository, run.commit, results)
    short = run.commit[:12]
    say(f"recorded in the note of {short}" if is_new else f"already recorded in the note of {short}")
    if options.kind == "commit":
        say("no results commit: the run did not succeed")
    if options.push or options.kind == "commit":
        remote = target.remote if target else _remote(repository)
        notes.push(repository, remote.name or remote.url, timeout=options.timeout)
        say(f"pushed the notes to {remote.shown}")


def _remote(repository: Repository) -> Remote:
    """Where notes are pushed to. Raises UsageError where there is no remote."""
    remote = remotes.pushed_to(repository)
    if remote is None:
        raise UsageError("there is no remote to push the notes to", "git remote add origin <url>")
    return remote


def _name_unpushed(repository: Repository, ran: str, target: RemoteBranch | None, warn: Callable[[str], None]) -> None:
    """Names the results commits of this commit that are on no remote, should the interruption have left one."""
    for _, commit in unpushed.every(repository):
        lock = tree.lock_at(repository, commit)
        if lock and lock.commit == ran:
            remote, branch = (target.remote.name or "<remote>", target.branch) if target else ("<remote>", "<branch>")
            by_hand = f"git push {remote} {commit[:12]}:{HEADS}{branch}"
            warn(f"the results commit is kept, and not pushed: {commit}; by hand: {by_hand}")
