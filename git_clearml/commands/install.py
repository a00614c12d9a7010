"""`git clearml install`: the native pre-push hook, or a git server's, where git looks for it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

from git_clearml.base.console import Console
from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.commands import options
from git_clearml.errors import UsageError
from git_clearml.git.repository import Repository
from git_clearml.hook import install as plans
from git_clearml.hook import script, server_install, steps

TITLE = "install the pre-push hook"
DESCRIPTION = (
    "Installs the pre-push hook where git looks for it, or with --server the pre-receive hook of a git "
    "server. A hook that is there already runs after ours."
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="replace what is there instead of running it too")
    parser.add_argument("--manual", action="store_true", help="print what to paste into a hook of your own")
    add_common_flags(parser)


def add_common_flags(parser: argparse.ArgumentParser) -> None:
    """Those of `uninstall`, too."""
    parser.add_argument(
        "--server",
        nargs="?",
        const=".",
        metavar="DIR",
        help="the pre-receive hook of a bare repository that others push to (default: the current directory)",
    )
    options.add_dry_run(parser, "say what would be done")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Installs, or says what that would do. Returns the exit status."""
    if arguments.manual:
        console.product(Safe(script.MANUAL if arguments.server is None else server_install.content().decode()))
        return 0
    repository = repository_of(arguments)
    if arguments.server is None:
        plan = plans.plan_install(repository, force=arguments.force)
        return carried_out(plan, lambda: plans.carry_out(repository, plan, os.environ), arguments, console)
    plan = server_install.plan_install(repository, force=arguments.force)  # that hook says itself which Python runs it
    return carried_out(plan, lambda: steps.apply(plan.steps), arguments, console)


def repository_of(arguments: argparse.Namespace) -> Repository:
    """The repository that is meant. Raises UsageError where --server names none that others push to."""
    if arguments.server is None:
        return Repository()
    return server_install.checked(Repository(os.path.abspath(arguments.server)))


def carried_out(
    plan: plans.InstallPlan, act: Callable[[], None], arguments: argparse.Namespace, console: Console
) -> int:
    """Shows the plan, or lets `act` carry it out. Returns the exit status."""
    if arguments.dry_run:
        for step in plan.steps:
            console.product(sanitize(f"would {step}"))
        if not plan.steps:
            console.product(sanitize(f"nothing to do: {plan.says}"))
        return 0
    try:
        act()
    except OSError as error:
        message = f"the hook could not be changed: {error.strerror}: {error.filename}"
        raise UsageError(message, "check the owner and permissions of that directory") from None
    console.say(f"git clearml: {plan.says}")
    return 0
