"""Makes the results commit: `clearml.lock` and the files named, on top of a branch. From objects alone.

Its parent is the branch's newest commit: the one that ran, or what has been pushed on top of that. So a branch that
moved needs no rebase but a new commit, and the gate takes that by the evidence of its parent (verdict/results_commits).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from git_clearml.base.words import listed
from git_clearml.clearml.conf_secrets import known_secrets
from git_clearml.clearml.model import Result
from git_clearml.git import commit as commits
from git_clearml.git.output import lines
from git_clearml.git.remote_branch import RemoteBranch
from git_clearml.git.repository import Repository
from git_clearml.record import branch as results_branch
from git_clearml.record import lockfile, tree, unpushed
from git_clearml.record.model import RecordOptions
from git_clearml.record.tree import Change
from git_clearml.record.unpushed import Unpushed
from git_clearml.settings.code_paths import LOCK
from git_clearml.verdict.statuses import ENDED_WELL

_MOST_LOCKS = 100  # commits since the run among which the results may be already


@dataclass(frozen=True)
class ResultsPlan:
    """What will be committed, and where. `refusal` says why nothing is, "" when it can be."""

    commit: str
    results: tuple[Result, ...] = ()
    target: RemoteBranch | None = None
    message: str = ""
    changes: tuple[Change, ...] = ()
    options: RecordOptions = field(default_factory=RecordOptions)
    warnings: tuple[str, ...] = ()
    refusal: str = ""

    @property
    def paths(self) -> list[str]:
        """Every file of the results commit."""
        return [LOCK, *(change.path for change in self.changes)]


def plan(
    repository: Repository,
    commit: str,
    results: Sequence[Result],
    options: RecordOptions,
    *,
    environment: Mapping[str, str],
    target: RemoteBranch | None = None,
) -> ResultsPlan:
    """What to commit of these tasks, all of one run at `commit` (full hash). Makes objects, but no ref and no file.

    `target` is where it goes if that was asked before (branch.find). A task that did not complete has no results: then
    nothing is committed. Raises UsageError for options that cannot be met, and the errors of `find`.
    """
    if refusal := no_results(results):
        return ResultsPlan(commit, refusal=refusal)
    commits.identity(repository, options.committer)  # complain before anything is asked
    changes = tree.added(repository, commit, options.add)
    destination = target or results_branch.find(repository, commit, branch=options.branch, timeout=options.timeout)
    secrets = known_secrets(environment)
    return ResultsPlan(
        commit,
        tuple(replace(secrets.redact(result), task=result.task, commit=result.commit) for result in results),
        destination,
        message(commit, commits.message_of(repository, commit), options),
        changes,
        options,
        tree.warnings(repository, commit, changes),
    )


def no_results(results: Sequence[Result]) -> str:
    """Why these tasks have no results to commit, "" where they have. Pure."""
    unfit = [
        f"task {result.task} is {result.status or 'in no known state'}"
        for result in results
        if result.status not in ENDED_WELL
    ]
    return "" if results and not unfit else f"{listed(unfit) or 'there is no task'}, which is no result"


def message(commit: str, original: str, options: RecordOptions) -> str:
    """The message of the commit that ran, with the suffix at the end of its subject. Pure."""
    subject, *body = original.split("\n\n")
    parts = [(subject or commit[:12]) + options.suffix, *body, *(["[skip ci]"] if options.skip_ci else [])]
    return "\n\n".join(parts) + "\n"


def covers(lock: lockfile.Lock | None, commit: str, results: Sequence[Result]) -> bool:
    """Does a lock say all that these results of the commit say? Pure."""
    if lock is None or lock.commit != commit:
        return False
    merged = lockfile.merged(lock, commit, results)
    return lockfile.to_text(commit, merged) == lockfile.to_text(commit, lock.results)


def recorded(repository: Repository, plan: ResultsPlan, parent: str) -> str:
    """The commit between the one that ran and `parent` that has recorded just this, "" for none."""
    words = ("--full-history", f"--max-count={_MOST_LOCKS}", f"{plan.commit}..{parent}", "--", LOCK)
    root = repository.top or repository.git_dir  # the path is seen from there
    for commit in lines(repository.read("-C", root, "rev-list", *words)):
        if covers(tree.lock_at(repository, commit), plan.commit, plan.results):
            files = tree.entries(repository, commit, [change.path for change in plan.changes])
            if all(files[change.path] == change.after for change in plan.changes):
                return commit
    return ""


def make(repository: Repository, plan: ResultsPlan, parent: str, target: RemoteBranch) -> str:
    """The results commit on top of `parent`, kept under a ref.

    Raises Unpushed for a file that somebody else changed in another way; the commit then stands on the one that ran.
    """
    files = tree.entries(repository, parent, [change.path for change in plan.changes])
    clash = [change.path for change in plan.changes if files[change.path] not in (change.before, change.after)]
    onto = plan.commit if clash else parent
    results = lockfile.merged(tree.lock_at(repository, onto), plan.commit, plan.results)
    content = lockfile.to_text(plan.commit, results).encode("utf-8")
    blob = repository.read("hash-object", "-w", "--stdin", stdin=content).decode("ascii").strip()
    changed = {change.path: change.after for change in plan.changes} | {LOCK: (tree.PLAIN, blob)}
    name = tree.make(repository, onto, changed)
    commit = unpushed.same_as(repository, name, onto, plan.message)
    commit = commit or commits.make(repository, name, onto, plan.message, plan.options.committer)
    unpushed.keep(repository, commit)
    if clash:
        raise Unpushed(
            f"{listed(clash)} has been changed on {target.shown} in another way since the run",
            f"git switch {shlex.quote(target.branch)} && git cherry-pick {commit[:12]}",
            commit,
        )
    return commit
