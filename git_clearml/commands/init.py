"""`git clearml init`: finds out and writes the policy, the hook and the CI job; asks before it writes."""

from __future__ import annotations

import argparse
import os

from git_clearml.base.console import Console
from git_clearml.base.sanitize import Safe
from git_clearml.commands import options
from git_clearml.errors import Error, Interrupted, UsageError
from git_clearml.git.repository import Repository
from git_clearml.hook import init
from git_clearml.hook.init import Plan
from git_clearml.render import init as view

_BUDGET = 10.0  # seconds for the server's answers

failed = options.failed("init", changes=[])

TITLE = "set up the policy, the hook and the CI job"
DESCRIPTION = (
    "Looks at the repository, its remote, its hooks and its recent tasks on the server, shows a plan, "
    "and writes it when you agree: the policy into pyproject.toml, the pre-push hook, an entry for pre-commit, "
    "prek, husky or lefthook, and a CI job. Nothing that is there is overwritten; called twice it changes nothing."
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="write without asking")
    options.add_dry_run(parser, "show the plan and write nothing")
    options.add_format(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Shows the plan, asks, writes. Exit status 1 where something is left to do by hand, or the answer was no."""
    repository = Repository()
    plan = init.plan(repository, os.environ, _BUDGET, console.log)
    plan = plan._replace(setup=console.redact(plan.setup))
    status = 1 if plan.setup.is_left else 0
    if plan.setup.is_done or arguments.dry_run:
        return _show(plan, arguments, console, status)
    if not arguments.yes:
        if refused := _unasked(arguments, console):
            _show(plan, arguments, console, refused.status, refused)
            console.fail(refused)
            return refused.status
        _show(plan, arguments, console, 0)
        if not console.agreed("write this?"):
            console.say("git clearml: nothing was written")
            return 1
    written: list[str] = []
    try:
        init.apply(repository, plan, os.environ, lambda change: written.append(change.path))
    except UsageError as error:
        if written:
            error.message = f"{error.message}; written before: {', '.join(written)}"
        raise
    except (KeyboardInterrupt, Interrupted):
        console.say(f"git clearml: written so far: {', '.join(written) or 'nothing'}")
        raise
    if arguments.yes:
        _show(plan, arguments, console, status, written=True)
    elif arguments.format == "text":
        console.say(f"git clearml: wrote {', '.join(written)}")
    for hint in plan.setup.hints if arguments.format == "text" else ():
        console.say(f"next: {hint}")
    return status


def _unasked(arguments: argparse.Namespace, console: Console) -> UsageError | None:
    """Why nobody can be asked here; None where somebody can."""
    if console.can_ask and arguments.format == "text":
        return None
    why = f"--format {arguments.format} asks nobody" if console.can_ask else "there is no terminal to ask at"
    return UsageError(f"nothing was written: {why}", "git clearml init --yes")


def _show(
    plan: Plan,
    arguments: argparse.Namespace,
    console: Console,
    status: int,
    error: Error | None = None,
    *,
    written: bool = False,
) -> int:
    if arguments.format == "json":
        console.document(view.document(plan.setup, status, written=written, error=error))
    elif arguments.format == "markdown":
        console.product(view.markdown(plan.setup, planned=not written))
    else:
        console.product(Safe(view.text(plan.setup, planned=not written, whole=console.verbose)))
    return status
