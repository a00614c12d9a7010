"""`git clearml push`: verify first, then `git push` with the same arguments.

git opens the connection to the remote before it runs a hook, and servers drop it when the hook takes long. Here the
questions are asked first; the hook of the push that follows answers from what was remembered.
"""

from __future__ import annotations

import argparse
import os
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from git_clearml.base.console import Console
from git_clearml.commands.hook import show
from git_clearml.errors import CannotDecide, UsageError
from git_clearml.hook import ref_updates as prepush
from git_clearml.hook import skip
from git_clearml.report.model import VerifyReport
from git_clearml.settings import table as settings

if TYPE_CHECKING:
    from git_clearml.git.repository import Repository
    from git_clearml.hook.judge import Push


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Adds the command (design 11). Its arguments are git push's; see `parse`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "push",
        help="verify, then git push",
        description="Verifies what git push would push, and pushes it. All arguments are handed to git push.",
        usage="git clearml push [<git push arguments>...]",
        allow_abbrev=False,
    )
    parser.add_argument("arguments", nargs="*", metavar="<git push arguments>")
    return parser


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
    from git_clearml.base.process import Signals
    from git_clearml.git.repository import Repository

    words: list[str] = arguments.arguments
    if any("--no-verify".startswith(word) and len(word) > len("--no-ver") for word in words):  # git takes it shortened
        raise UsageError("--no-verify goes around what git clearml push is for", "git push --no-verify")
    repository = Repository()
    skipped, line = skip.asked(os.environ.get(settings.SKIP, ""))
    if line:
        console.announce(line)
    status = 0 if skipped else _judged(repository, words, console)
    if status:
        return status
    with Signals() as signals:
        return signals.run(["git", "push", *words], os.environ).status


def _judged(repository: Repository, words: Sequence[str], console: Console) -> int:
    """The status of what git push would push: 0 when all of it may go."""
    from git_clearml.hook import judge as pushes

    plan, checked = _planned(repository, words), False
    for push in plan:
        report = pushes.judge(repository, push, environment=os.environ, log=console.log, warn=console.warn)
        if pushes.lacks_only_checks(report) and not _is_dry_run(words):
            status, checked = _prove(repository, push, report, console), True
            if status:
                return status
            report = pushes.judge(repository, push, environment=os.environ, log=console.log, warn=console.warn)
        show(report, console)
        if report.status:
            return report.status
    if checked and _planned(repository, words) != plan:  # a check takes minutes
        raise CannotDecide(
            "what git push would push has changed during the check, so nothing was pushed", "git clearml push again"
        )
    return 0


def _is_dry_run(words: Sequence[str]) -> bool:
    """Do git push's arguments say --dry-run, or -n, also shortened or among other letters? A check is a launch."""
    for word in words:
        letters = "" if word.startswith("--") or not word.startswith("-") else word[1:].partition("o")[0]
        if "n" in letters or (len(word) > len("--d") and "--dry-run".startswith(word)):
            return True
    return False


def _prove(repository: Repository, push: Push, report: VerifyReport, console: Console) -> int:
    """Runs the remote checks that the policy wants, one after another; the status of the first that did not pass."""
    from git_clearml.commands import check_runnable
    from git_clearml.git import remote as remotes
    from git_clearml.hook import judge as pushes

    named = remotes.named(repository, push.remote)
    remote = named if named and named.url == push.url else remotes.Remote("", push.url)
    for commit, ruling in pushes.demands(repository, push, report, environment=os.environ):
        check = check_runnable.checked(repository, commit, ruling, check_runnable.CheckOptions(remote=remote), console)
        check_runnable.show(check, "text", console)
        if check.status:
            return check.status
    return 0


_CAPTURE = """#!/bin/sh
printf '%s\\n%s\\n' "$1" "$2" >{place}/remote.$$
cat >{place}/lines.$$
"""


def _planned(repository: Any, words: Sequence[str]) -> list[Any]:
    """What git push would push, told by git itself: a dry run whose hook writes down what hooks are told.

    One Push for each URL of the remote. Raises CannotDecide when git cannot say.
    """
    from git_clearml.hook import judge as pushes

    with tempfile.TemporaryDirectory(prefix="git-clearml-") as place:
        hook = Path(place, "pre-push")
        hook.write_text(_CAPTURE.format(place=shlex.quote(place)))
        hook.chmod(0o700)
        dry_run = ("-c", f"core.hooksPath={place}", "push", "--dry-run", *words)
        result = repository.run(*dry_run, remote=True, may_ask=True)
        told = sorted(Path(place).glob("remote.*"))
        if result.status and not told:
            raise CannotDecide(f"git push would fail: {result.reason}", "git push")
        if not told:  # it runs on every push; not where programs may not be run
            raise CannotDecide(
                f"git push --dry-run ran no hook in {tempfile.gettempdir()}", "set TMPDIR to another place"
            )
        planned = []
        for path in told:
            remote, url = path.read_text("utf-8", "surrogateescape").split("\n")[:2]
            text = path.with_name(path.name.replace("remote", "lines")).read_text("utf-8", "surrogateescape")
            planned.append(pushes.Push(remote, url, tuple(prepush.parse_lines(text))))
        return planned
