"""`git clearml show`: what a task ran, with what, and what came out."""

from __future__ import annotations

import argparse
import os
from typing import Any

from git_clearml.agent.requirement import passed_check
from git_clearml.base.console import Console
from git_clearml.commands import options
from git_clearml.errors import Error
from git_clearml.forge import context as ci_context
from git_clearml.git.repository import Repository
from git_clearml.render import history as view
from git_clearml.report import history
from git_clearml.report import subject as subjects
from git_clearml.verdict import session as judgement


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Adds the command and its flags (design 11)."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "show",
        help="what a task ran, with what, and what came out",
        description="Prints what is on record of a task: its code, packages, parameters, metrics, and what it made.",
        allow_abbrev=False,
    )
    parser.add_argument("subject", nargs="?", default="", metavar="<task>|<rev>", help="default: the task of HEAD")
    options.add_timeout(parser)
    options.add_format(parser, "text", "json")
    return parser


def failed(error: Error) -> dict[str, Any]:
    """The JSON of a call that ended before there was anything to show."""
    from git_clearml.render import json as json_view

    return json_view.failed("show", error)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Finds the task, asks for all that is on record of it, prints. Returns the exit status."""
    repository = Repository()
    context, job = ci_context.detect(repository, os.environ, log=console.log, warn=console.warn)
    revs, identity = subjects.parse(repository, arguments.subject, in_job=job is not None)
    request = judgement.VerifyRequest(revs, {"timeout": arguments.timeout})
    session = judgement.prepare(repository, request, context, passed_check)
    try:
        policy = session.rulings[0].policy
        task, note = subjects.find_task(session, identity)
        shown = history.of_task(repository, session.source(policy.evidence), task, policy)
    finally:
        session.close()
    if note:
        console.say(f"git clearml: {console.redact(note)[:300]}")
    shown = console.redact(shown)
    if arguments.format == "json":
        console.document(view.history_json(shown))
    else:
        console.product(view.history_text(shown))
    return 0
