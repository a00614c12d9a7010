"""`git clearml verify`: is there evidence for these commits?

What judges is loaded after the connection to the server has begun.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from git_clearml.base.console import Console
from git_clearml.commands import options
from git_clearml.errors import Error, UsageError
from git_clearml.verdict import early_connection

_FLAGS = ("project", "task-name", "evidence", "equivalence", "merges", "on-unreachable", "timeout", "wait-timeout")

TITLE = "is there a completed, diff-free task for these commits?"
DESCRIPTION = "Tells for each commit whether a ClearML task ran exactly that code and completed."


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("revs", nargs="*", metavar="<rev>", help="commits to judge (default: the CI job's, else HEAD)")
    options.add_which_tasks(parser)
    parser.add_argument("--task", metavar="ID", help="only this task may count")
    parser.add_argument("--evidence", choices=("auto", "server", "offline"), help="where to look tasks up")
    parser.add_argument("--equivalence", choices=("commit", "tree", "paths"), help="which other commits' tasks count")
    parser.add_argument("--merges", choices=("strict", "clean"), help="does the clean merge of a verified commit count")
    parser.add_argument("--since", metavar="DATE", help="look at tasks last updated since then")
    parser.add_argument("--wait", action="store_true", help="ask again while the right task is queued or running")
    parser.add_argument("--wait-timeout", type=float, metavar="SECONDS", help="how long to wait (default: 3600)")
    parser.add_argument("--on-unreachable", choices=("block", "warn"), help="when the server cannot be reached")
    parser.add_argument("--policy-from", metavar="<rev>", help="judge by the policy in this commit")
    parser.add_argument("--add-tag", metavar="TAG", help="tag the accepted tasks, when every commit is verified")
    parser.add_argument("--compare", action="store_true", help="compare with the best task, or the policy's baselines")
    options.add_best_tag(parser)
    parser.add_argument("--check-runnable", action="store_true", help="prove that it runs on an agent, if none has yet")
    parser.add_argument("--comment", action="store_true", help="put the report on the pull request")
    parser.add_argument("--reports", metavar="DIR", help="write junit.xml and other files that CI services read")
    options.add_timeout(parser, "for judging (default: 30) and posting (120)")
    options.add_format(parser)
    options.add_dry_run(parser, "say what would be written, and do not write it")


def failed(error: Error) -> dict[str, Any]:
    from git_clearml.render import json as json_view
    from git_clearml.report import compose

    return json_view.verify(compose.undecided(error))


def unparsed(words: Sequence[str], error: Error) -> None:
    """Leaves report files that say so, where it can be told which directory was meant."""
    from git_clearml.commands import verify_output

    verify_output.of_unparsed(words, error)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Judges, tags, compares, posts, prints. Returns the worst of their statuses."""
    if arguments.reports is not None and not arguments.dry_run:
        from git_clearml.commands import verify_output

        return verify_output.whatever_comes(lambda: _verified(arguments, console), arguments.reports)
    return _verified(arguments, console)


def _verified(arguments: argparse.Namespace, console: Console) -> int:
    if arguments.add_tag is not None and not arguments.add_tag.strip():
        raise UsageError("--add-tag must not be empty", "--add-tag <tag>")
    flags = {key: getattr(arguments, key.replace("-", "_")) for key in _FLAGS}
    client = None
    if not (arguments.revs or arguments.task or arguments.since or arguments.policy_from):  # which may be wrong ones
        client = early_connection.begin(flags, os.environ)
    try:
        from git_clearml.commands.verification import Verification
        from git_clearml.forge import context as ci_context
        from git_clearml.git.repository import Repository

        repository = Repository()
        context, job = ci_context.detect(repository, os.environ, log=console.log, warn=console.warn)
        return Verification(repository, context._replace(ahead=client), job, arguments, flags, console).run()
    finally:
        if client is not None:
            client.close()
