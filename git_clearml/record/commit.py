"""Commits what tasks came to: `clearml.lock` and the files named, on top of a remote's branch, and pushes that.

The commit is made from objects alone. The working tree and the index are left as they are, until the branch that is
checked out follows the one that was pushed.

Its parent is the branch's newest commit: the one that ran, or what has been pushed on top of that. So a branch that
moved needs no rebase but a new commit, and the gate takes that by the evidence of its parent (see lineage).
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from git_clearml.base import secrets as redaction
from git_clearml.base.words import listed
from git_clearml.clearml.model import Result
from git_clearml.errors import CannotDecide, Interrupted, PublishFailed
from git_clearml.git import commit as commits
from git_clearml.git import remote as remotes
from git_clearml.git.repository import Repository
from git_clearml.git.runner import lines
from git_clearml.record import branch as results_branch
from git_clearml.record import lockfile as lock
from git_clearml.record import tree as results_files
from git_clearml.record import unpushed as results_kept
from git_clearml.record.branch import Target
from git_clearml.record.tree import Change
from git_clearml.record.unpushed import Kept
from git_clearml.settings import code_paths as code

_TRIES = 5  # pushes of a branch that somebody else moves
_MOST_LOCKS = 100  # commits since the run among which ours may be already
_ENDED = ("completed", "published")
# What a remote says when somebody else's push was a moment quicker (git's refs.c, and GitHub).
_RACES = ("[rejected]", "lock", "failed to update ref", "already exists", "incorrect old value")
_STDERR = 2
_SHOWN = 20  # lines of what a hook or the remote said


@dataclass(frozen=True)
class Options:
    """What the command line says. `add` are files and directories; `timeout` is for the network, in seconds."""

    add: tuple[str, ...] = ()
    suffix: str = "-results"
    skip_ci: bool = False
    committer: str = ""
    branch: str = ""
    before_push: str = ""
    remote: str = ""
    timeout: float = 120.0


@dataclass(frozen=True)
class Plan:
    """What will be committed, and where. `refusal` says why nothing is, "" when it can be."""

    commit: str
    results: tuple[Result, ...] = ()
    target: Target | None = None
    message: str = ""
    changes: tuple[Change, ...] = ()
    options: Options = Options()
    warnings: tuple[str, ...] = ()
    refusal: str = ""

    def lines(self) -> list[str]:
        """The plan for --dry-run."""
        if self.target is None:
            return [f"would commit nothing: {self.refusal}"]
        names = listed([code.LOCK, *(change.path for change in self.changes)], 10)
        first = f"would commit {names} as {self.message.splitlines()[0]!r}"
        before = [f"would run {self.options.before_push!r}"] if self.options.before_push else []
        return [first, *before, f"would push it to {self.target.shown}"]


@dataclass(frozen=True)
class Done:
    """What became of it: `action` is pushed, unchanged (it is there already) or refused; `commit` is where it is."""

    action: str
    message: str
    commit: str = ""

    @property
    def status(self) -> int:
        """The exit status: a task that did not complete has no results."""
        return 1 if self.action == "refused" else 0


def plan(
    repository: Repository,
    commit: str,
    results: Sequence[Result],
    options: Options,
    *,
    environment: Mapping[str, str],
    target: Target | None = None,
) -> Plan:
    """What to commit of these tasks, all of one run at `commit` (full hash). Makes objects, but no ref and no file.

    `target` is where it goes if that was asked before (results_branch.find). A task that did not complete has no
    results: then nothing is committed. Raises UsageError for options that cannot be met, and the errors of `find`.
    """
    unfit = [f"task {one.task} is {one.status or 'in no known state'}" for one in results if one.status not in _ENDED]
    if unfit or not results:
        return Plan(commit, refusal=f"{listed(unfit) or 'there is no task'}, which is no result")
    commits.identity(repository, options.committer)  # complain before anything is asked
    changes = results_files.added(repository, commit, options.add)
    where = target or results_branch.find(
        repository, commit, remote=options.remote, branch=options.branch, timeout=options.timeout
    )
    secrets = redaction.secrets_in(environment)
    return Plan(
        commit,
        tuple(replace(redaction.struck(one, secrets), task=one.task, commit=one.commit) for one in results),
        where,
        _message(repository, commit, options),
        changes,
        options,
        results_files.warnings(repository, commit, changes),
    )


def execute(
    repository: Repository,
    plan: Plan,
    *,
    environment: Mapping[str, str],
    say: Callable[[str], None],
    warn: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Done:
    """Commits and pushes. Done again with the same plan after a kill, wherever that was, it ends the same.

    Raises Kept when the commit could not be pushed, CannotDecide when none could be made, and Interrupted.
    """
    if plan.target is None:
        return Done("refused", plan.refusal)
    for warning in plan.warnings:
        warn(warning)
    execution = _Execution(repository, plan, plan.target, environment, say, clock, sleep)
    try:
        return execution.run()
    except Kept:
        raise
    except CannotDecide as error:
        if not execution.made:
            raise
        raise Kept(error.message, error.hint, execution.made) from None


class _Execution:
    """One plan on its way to the remote. `made` is the results commit, "" while there is none."""

    def __init__(
        self,
        repository: Repository,
        plan: Plan,
        target: Target,
        environment: Mapping[str, str],
        say: Callable[[str], None],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._repository, self._plan, self._target = repository, plan, target
        self._environment, self._say, self._clock, self._sleep = environment, say, clock, sleep
        self._deadline = clock() + plan.options.timeout
        self._unprepared = bool(plan.options.before_push)
        self.made = ""

    def run(self) -> Done:
        target, refusal = self._first(), ""
        for attempt in range(_TRIES):
            parent = self._parent(target)
            if there := self._recorded(parent):
                return self._finished("unchanged", there, target)
            self.made = self._commit(parent, target)
            self._prepare()
            refusal = self._push(target)
            newer = self._asked() if refusal else target
            if not refusal or newer.tip == self.made:  # pushed, even if the answer got lost
                return self._finished("pushed", self.made, replace(target, tip=self.made))
            if newer.tip == target.tip and not any(word in refusal for word in _RACES):
                raise Kept(f"{target.shown} does not take the results: {refusal}", self._by_hand(), self.made)
            self._say(f"somebody else was quicker to push to {target.shown}; once more")
            self._sleep(0.2 * attempt)
            target = newer
        raise Kept(f"{_TRIES} pushes to {target.shown} came too late: {refusal}", self._by_hand(), self.made)

    def _first(self) -> Target:
        """The branch as it is now. Where the remote does not tell, the commit is made on what it was when planned."""
        try:
            return self._asked()
        except CannotDecide:
            self.made = self._commit(self._parent(self._target), self._target)
            raise

    def _left(self) -> float:
        return max(1.0, self._deadline - self._clock())

    def _asked(self) -> Target:
        return results_branch.current(self._repository, self._target, timeout=self._left())

    def _by_hand(self) -> str:
        where = self._target.remote.name or "<remote>"
        return f"git push {where} {self.made[:12]}:{results_branch.HEADS}{self._target.branch}, once that is mended"

    def _parent(self, target: Target) -> str:
        """The commit that the results go on top of. Raises PublishFailed when the branch has lost the one that ran."""
        commit = self._plan.commit
        if target.tip and remotes.contains(self._repository, [target.tip], commit):
            return target.tip
        if not self._plan.options.branch:
            raise PublishFailed(f"{target.shown} does not contain {commit[:12]} any more", "name a branch: --branch")
        if not target.tip or remotes.contains(self._repository, [commit], target.tip):
            return commit  # the push brings it along
        self._say(f"{target.shown} does not contain {commit[:12]}: the results will stand on other code")
        return target.tip

    def _recorded(self, parent: str) -> str:
        """The commit since the run that has recorded just this, "" for none."""
        words = ("--full-history", f"--max-count={_MOST_LOCKS}", f"{self._plan.commit}..{parent}", "--", code.LOCK)
        for name in lines(self._repository.read("-C", self._root, "rev-list", *words)):
            if self._covers(results_files.lock_at(self._repository, name), self._plan.results):
                there = results_files.entries(self._repository, name, [change.path for change in self._plan.changes])
                if all(there[change.path] == change.after for change in self._plan.changes):
                    return name
        return ""

    def _covers(self, there: lock.Lock | None, results: Sequence[Result]) -> bool:
        """Does a lock say all that these results of our commit say?"""
        commit = self._plan.commit
        if there is None or there.commit != commit:
            return False
        return lock.to_text(commit, lock.merged(there, commit, results)) == lock.to_text(commit, there.results)

    def _commit(self, parent: str, target: Target) -> str:
        """The results commit on top of `parent`, kept under a ref.

        Raises Kept for a file that somebody else changed in another way; the commit then stands on the one that ran.
        """
        changes, commit = self._plan.changes, self._plan.commit
        there = results_files.entries(self._repository, parent, [change.path for change in changes])
        clash = [one.path for one in changes if there[one.path] not in (one.before, one.after)]
        onto = commit if clash else parent
        results = lock.merged(results_files.lock_at(self._repository, onto), commit, self._plan.results)
        text = lock.to_text(commit, results).encode("utf-8")
        blob = self._git("hash-object", "-w", "--stdin", stdin=text)
        files = {change.path: change.after for change in changes} | {code.LOCK: (results_files.PLAIN, blob)}
        tree = results_files.tree(self._repository, onto, files)
        message, committer = self._plan.message, self._plan.options.committer
        made = results_kept.before(self._repository, tree, onto, message)
        made = made or commits.make(self._repository, tree, onto, message, committer)
        results_kept.keep(self._repository, made)
        if clash:
            raise Kept(
                f"{listed(clash)} has been changed on {target.shown} in another way since the run",
                f"git switch {target.branch}, then git cherry-pick {made[:12]} and resolve it",
                made,
            )
        return made

    def _prepare(self) -> None:
        """Runs the command that comes before the push, once; what it prints is no product of ours."""
        if not self._unprepared:
            return
        command, started = self._plan.options.before_push, self._clock()
        self._say(f"before the push: {command[:200]}")
        process = None
        try:
            process = subprocess.Popen(["sh", "-c", command], env=dict(self._environment), stdout=_STDERR)
            status = process.wait()
        finally:
            if process and process.poll() is None:  # we are being ended
                process.terminate()
                process.wait()
        self._deadline += self._clock() - started
        if -status in (signal.SIGINT, signal.SIGTERM):
            raise Interrupted(128 - status)
        if status:
            said = f"nothing was pushed, because {command!r} ended with exit status {status}"
            raise Kept(said, self._by_hand(), self.made)
        self._unprepared = False

    def _push(self, target: Target) -> str:
        """Pushes; "" when it went through, else why not."""
        words = ["push", "--porcelain", "--no-follow-tags", "--recurse-submodules=no"]
        ref = f"{self.made}:{results_branch.HEADS}{target.branch}"
        pushed = remotes.run(self._repository, target.remote, words, [ref], timeout=self._left(), pushing=True)
        if not pushed.status:
            return ""
        reason = remotes.refusal(pushed)
        if "[rejected]" not in reason:
            for line in [line for line in pushed.stderr.split("\n") if line.strip()][:_SHOWN]:
                self._say(line[:300])
        return reason or pushed.reason

    def _finished(self, action: str, commit: str, target: Target) -> Done:
        """Lets the checked-out branch follow, and forgets what was kept and is on the remote now."""
        there = results_files.lock_at(self._repository, commit)
        for ref, name in results_kept.every(self._repository):
            found = results_files.lock_at(self._repository, name)
            ours = found is not None and found.commit == self._plan.commit and self._covers(there, found.results)
            if ours and results_files.has(self._repository, commit, name):
                results_kept.forget(self._repository, ref, name)
        paths = [code.LOCK, *(change.path for change in self._plan.changes)]
        if note := results_files.follow(self._repository, target, paths):
            self._say(note)
        words = "are on" if action == "pushed" else "were already on"
        return Done(action, f"the results of {self._plan.commit[:12]} {words} {target.shown}: {commit[:12]}", commit)

    @property
    def _root(self) -> str:
        return self._repository.top or self._repository.git_dir

    def _git(self, *words: str, stdin: bytes | None = None, env: dict[str, str] | None = None) -> str:
        return self._repository.read(*words, stdin=stdin, env=env).decode("utf-8", "surrogateescape").strip()


def _message(repository: Repository, commit: str, options: Options) -> str:
    """The message of the commit that ran, with the suffix at the end of its subject."""
    subject, *body = commits.message_of(repository, commit).split("\n\n")
    parts = [(subject or commit[:12]) + options.suffix, *body, *(["[skip ci]"] if options.skip_ci else [])]
    return "\n\n".join(parts) + "\n"
