"""Pushes a results commit to its branch, made anew on top of whatever others push there meanwhile.

The working tree and the index are left as they are, until the branch that is checked out follows the one that was
pushed.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from git_clearml.base import shell
from git_clearml.errors import CannotDecide, Interrupted, PublishFailed
from git_clearml.git import fast_forward
from git_clearml.git import remote as remotes
from git_clearml.git.remote_branch import HEADS, RemoteBranch
from git_clearml.git.repository import Repository
from git_clearml.record import branch as results_branch
from git_clearml.record import commit as results_commit
from git_clearml.record import tree, unpushed
from git_clearml.record.commit import ResultsPlan
from git_clearml.record.unpushed import Unpushed

_ATTEMPTS = 5  # pushes to a branch that somebody else moves
# What a remote says when somebody else's push was a moment quicker (git's refs.c, and GitHub).
_RACES = ("[rejected]", "lock", "failed to update ref", "already exists", "incorrect old value")
_MOST_LINES = 20  # of what a hook or the remote said


class PushAction(Enum):
    """What became of a results commit."""

    PUSHED = "pushed"
    UNCHANGED = "unchanged"  # the results are on the branch already
    REFUSED = "refused"  # a task that did not complete has no results


@dataclass(frozen=True)
class PushOutcome:
    """What became of the results, in a sentence; `commit` is where they are, "" where they are nowhere."""

    action: PushAction
    message: str
    commit: str = ""


def execute(
    repository: Repository,
    plan: ResultsPlan,
    *,
    environment: Mapping[str, str],
    say: Callable[[str], None],
    warn: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> PushOutcome:
    """Commits and pushes. Called again with the same plan after a kill, wherever that was, it ends the same.

    Raises Unpushed when the commit could not be pushed, CannotDecide when none could be made, and Interrupted.
    """
    if plan.target is None:
        return PushOutcome(PushAction.REFUSED, plan.refusal)
    for warning in plan.warnings:
        warn(warning)
    push = _ResultsPush(repository, plan, plan.target, environment, say, clock)
    try:
        return push.run(sleep)
    except Unpushed:
        raise
    except CannotDecide as error:
        if not push.commit:
            raise
        raise Unpushed(error.message, error.hint, push.commit) from None


class _ResultsPush:
    """One plan on its way to the remote. `commit` is the results commit, "" while there is none."""

    def __init__(
        self,
        repository: Repository,
        plan: ResultsPlan,
        target: RemoteBranch,
        environment: Mapping[str, str],
        say: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._repository, self._plan, self._target = repository, plan, target
        self._environment, self._say, self._clock = environment, say, clock
        self._deadline = clock() + plan.options.timeout
        self._before_push = plan.options.before_push
        self.commit = ""

    def run(self, sleep: Callable[[float], None]) -> PushOutcome:
        target = self._first_target()
        for attempt in range(_ATTEMPTS):
            parent = self._parent(target)
            if commit := results_commit.recorded(self._repository, self._plan, parent):
                return self._finish(PushAction.UNCHANGED, commit, target)
            self.commit = results_commit.make(self._repository, self._plan, parent, target)
            self._run_before_push()
            refusal = self._push(target)
            newer = self._current_target() if refusal else target
            if not refusal or newer.tip == self.commit:  # pushed, even if the answer got lost
                return self._finish(PushAction.PUSHED, self.commit, target._replace(tip=self.commit))
            if newer.tip == target.tip and not any(word in refusal for word in _RACES):
                raise Unpushed(f"{target.shown} does not take the results: {refusal}", self._by_hand(), self.commit)
            self._say(f"{target.shown} moved before the results were pushed; trying again")
            sleep(0.2 * attempt)
            target = newer
        moved = f"{target.shown} moved during each of {_ATTEMPTS} push attempts"
        raise Unpushed(moved, self._by_hand(), self.commit)

    def _first_target(self) -> RemoteBranch:
        """The branch as it is now. Where the remote does not tell, the commit is made on what it was when planned."""
        try:
            return self._current_target()
        except CannotDecide:
            self.commit = results_commit.make(self._repository, self._plan, self._parent(self._target), self._target)
            raise

    def _seconds_left(self) -> float:
        return max(1.0, self._deadline - self._clock())

    def _current_target(self) -> RemoteBranch:
        return results_branch.current(self._repository, self._target, timeout=self._seconds_left())

    def _by_hand(self) -> str:
        remote = self._target.remote.name or "<remote>"
        return f"fix that, then git push {remote} {self.commit[:12]}:{HEADS}{self._target.branch}"

    def _parent(self, target: RemoteBranch) -> str:
        """The commit that the results go on top of. Raises PublishFailed when the branch has lost the one that ran."""
        commit = self._plan.commit
        if target.tip and remotes.contains(self._repository, [target.tip], commit):
            return target.tip
        if not self._plan.options.branch:
            later = "git clearml run --attach <task> --record commit --branch <name>"
            raise PublishFailed(f"{target.shown} does not contain {commit[:12]} any more", later)
        if not target.tip or remotes.contains(self._repository, [commit], target.tip):
            return commit  # the push brings it along
        self._say(f"{target.shown} does not contain {commit[:12]}: the results will stand on other code")
        return target.tip

    def _run_before_push(self) -> None:
        """Runs the command that comes before the push, once; what it prints is no product of ours."""
        if not self._before_push:
            return
        started = self._clock()
        self._say(f"before the push: {self._before_push[:200]}")
        status = shell.run_shell(self._before_push, self._environment)
        self._deadline += self._clock() - started
        if -status in (signal.SIGINT, signal.SIGTERM):
            raise Interrupted(128 - status)
        if status:
            message = f"nothing was pushed, because {self._before_push!r} ended with exit status {status}"
            raise Unpushed(message, self._by_hand(), self.commit)
        self._before_push = ""

    def _push(self, target: RemoteBranch) -> str:
        """Pushes; "" when it went through, else why not."""
        ref = f"{self.commit}:{HEADS}{target.branch}"
        pushed = remotes.push(self._repository, target.remote, ref, timeout=self._seconds_left())
        if not pushed.status:
            return ""
        refusal = remotes.refusal(pushed)
        if "[rejected]" not in refusal:
            for line in [line for line in pushed.stderr.split("\n") if line.strip()][:_MOST_LINES]:
                self._say(line[:300])
        return refusal or pushed.reason

    def _finish(self, action: PushAction, commit: str, target: RemoteBranch) -> PushOutcome:
        """Lets the checked-out branch follow, and forgets what was kept and is on the remote now."""
        ran, lock = self._plan.commit, tree.lock_at(self._repository, commit)
        for ref, kept in unpushed.every(self._repository):
            kept_lock = tree.lock_at(self._repository, kept)
            if kept_lock is None or kept_lock.commit != ran:
                continue
            if results_commit.covers(lock, ran, kept_lock.results) and tree.has(self._repository, commit, kept):
                unpushed.forget(self._repository, ref, kept)
        files = tree.entries(self._repository, target.tip, self._plan.paths) if target.tip else {}
        if note := fast_forward.follow(self._repository, target, files):
            self._say(note)
        words = "are on" if action is PushAction.PUSHED else "were already on"
        return PushOutcome(action, f"the results of {ran[:12]} {words} {target.shown}: {commit[:12]}", commit)
