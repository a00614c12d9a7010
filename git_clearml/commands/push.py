"""`git clearml push`: verify first, then `git push` with the same arguments.

git opens the connection to the remote before it runs a hook, and servers drop it when the hook takes long. Here the
questions are asked first; the hook of the push that follows answers from what was remembered.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from git_clearml.base.console import Console
from git_clearml.base.secrets import redact_words
from git_clearml.commands.hook_io import show
from git_clearml.errors import CannotDecide, UsageError
from git_clearml.hook.push_dry_run import planned_pushes
from git_clearml.hook.skip import read_skip
from git_clearml.settings import table as settings
from git_clearml.verdict.model import Outcome

if TYPE_CHECKING:
    from git_clearml.git.repository import Repository
    from git_clearml.hook.judge import JudgedPush
    from git_clearml.hook.ref_updates import Push

_FROM_JJ = "--from-jj"

TITLE = "verify, then git push"
DESCRIPTION = (
    "Verifies what git push would push, and pushes it. All arguments are handed to git push. With "
    "--from-jj as the first of them it pushes what `jj git push --dry-run` says on standard input."
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.usage = "git clearml push [<git push arguments>...]"
    parser.add_argument("arguments", nargs="*", metavar="<git push arguments>")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line, none of it read by argparse: everything belongs to git push."""
    return argparse.Namespace(
        command="push",
        arguments=list(words),
        run=run,
        quiet="-q" in words or "--quiet" in words,
        verbose="-v" in words or "--verbose" in words,
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Verifies, checks what the policy wants checked, pushes.

    Returns git push's status, or that of whatever kept us from pushing.
    """
    from git_clearml.git.repository import Repository
    from git_clearml.hook import pre_commit
    from git_clearml.run.child import Signals

    words: list[str] = arguments.arguments
    if words[:1] == [_FROM_JJ]:
        return _push_of_jj(words[1:], arguments, console)
    if any("--no-verify".startswith(word) and len(word) > len("--no-ver") for word in words):  # git takes it shortened
        is_showable = redact_words(words) == tuple(words)
        unchecked = ["git", "push", *(words if is_showable else ("--no-verify",))]
        raise UsageError("--no-verify would skip the check that this command exists for", shlex.join(unchecked))
    repository = Repository()
    skip = read_skip(os.environ.get(settings.SKIP, ""))
    if skip.line:
        console.announce(skip.line)
    hashes: list[str] = []
    status = 0 if skip.skipped else _judged(repository, words, console, hashes)
    if status:
        return status
    with Signals() as signals:
        return signals.run(["git", "push", *words], {**os.environ, **pre_commit.shown(hashes)}).status


def _push_of_jj(words: list[str], arguments: argparse.Namespace, console: Console) -> int:
    """Pushes what jj would push, remote by remote. The status is that of the first that could not be pushed."""
    from git_clearml.hook import jj

    pushes = jj.parse(sys.stdin.read())
    if not pushes:
        console.say("jj has nothing to push")
    for push in pushes:
        arguments.arguments = [*words, *push.words()]
        if status := run(arguments, console):
            return status
    return 0


def _judged(repository: Repository, words: Sequence[str], console: Console, shown: list[str]) -> int:
    """The status of what git push would push: 0 when all of it may go. `shown` gets the hashes told as verified."""
    from git_clearml.hook.judge import PushJudge

    judge = PushJudge(repository, os.environ, console)
    plan, checked = planned_pushes(repository, words), False
    for push in plan:
        judged = judge.judge(push)
        if judged.lacks_only_checks and not _is_dry_run(words):
            status, checked = _check(repository, push, judged, console), True
            if status:
                return status
            judged = judge.judge(push)
        show(judged.report, console)
        if judged.report.status:
            return judged.report.status
        if judged.report.outcome is Outcome.VERIFIED:
            shown += [update.local_hash for update in push.updates]
    if checked and planned_pushes(repository, words) != plan:  # a check takes minutes
        raise CannotDecide(
            "what git push would push has changed during the check, so nothing was pushed",
            shlex.join(["git", "clearml", "push", *words]),
        )
    return 0


def _is_dry_run(words: Sequence[str]) -> bool:
    """Do git push's arguments say --dry-run, or -n, also shortened or among other letters? A check is a launch."""
    for word in words:
        letters = "" if word.startswith("--") or not word.startswith("-") else word[1:].partition("o")[0]
        if "n" in letters or (len(word) > len("--d") and "--dry-run".startswith(word)):
            return True
    return False


def _check(repository: Repository, push: Push, judged: JudgedPush, console: Console) -> int:
    """Runs the remote checks that the policy wants, one after another; the status of the first that did not pass."""
    from git_clearml.agent.check import CheckOrder
    from git_clearml.commands import check_runnable
    from git_clearml.git import remote as remotes

    named = remotes.named(repository, push.remote)
    remote = named if named and named.url == push.url else remotes.Remote("", push.url)
    for commit, ruling in judged.missing_checks():
        order = CheckOrder(commit, ruling.policy.runnable, remote=remote)
        check = check_runnable.checked(repository, order, ruling.personal.remember, console)
        check_runnable.show(check, "text", console)
        if check.status:
            return check.status
    return 0
