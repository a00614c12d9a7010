"""`git clearml show`: what a task ran, with what, and what came out."""

from __future__ import annotations

import argparse

from git_clearml.base.console import Console
from git_clearml.commands import options, recorded
from git_clearml.git.repository import Repository
from git_clearml.render import history as view
from git_clearml.report import history

failed = options.failed("show")

TITLE = "what a task ran, with what, and what came out"
DESCRIPTION = "Prints what is on record of a task: its code, packages, parameters, metrics, and what it made."


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("subject", nargs="?", default="", metavar="<task>|<rev>", help="default: the task of HEAD")
    options.add_timeout(parser)
    options.add_format(parser, "text", "json")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Finds the task, asks for all that is on record of it, prints. Returns the exit status."""
    repository = Repository()
    looked_up = recorded.look_up(repository, arguments.subject, arguments.timeout, console, needs_commit=False)
    shown = console.redact(history.of_task(repository, *looked_up))
    if arguments.format == "json":
        console.document(view.history_json(shown))
    else:
        console.product(view.history_text(shown))
    return 0
