"""`git clearml install` and `uninstall`: the native pre-push hook, or a git server's, where git looks for it."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from git_clearml.base.console import Console
from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.commands import options
from git_clearml.errors import UsageError
from git_clearml.hook import install as plans
from git_clearml.hook import shipped, start, steps

if TYPE_CHECKING:
    from git_clearml.git.repository import Repository


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Adds `install` and its flags (design 11)."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "install",
        help="install the pre-push hook",
        description="Installs the pre-push hook where git looks for it, or with --server the pre-receive hook of a git "
        "server. A hook that is there already runs after ours.",
    )
    parser.add_argument("--force", action="store_true", help="replace what is there instead of running it too")
    parser.add_argument("--manual", action="store_true", help="print what to paste into a hook of your own")
    _add_server(parser)
    options.add_dry_run(parser, "say what would be done")
    return parser


def add_uninstall_parser(commands: Any) -> argparse.ArgumentParser:
    """Adds `uninstall` and its flags (design 11)."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "uninstall",
        help="remove the pre-push hook",
        description="Removes our pre-push hook and puts back what was there. Other hooks are not touched.",
    )
    _add_server(parser)
    options.add_dry_run(parser, "say what would be done")
    return parser


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--server",
        nargs="?",
        const=".",
        metavar="DIR",
        help="the pre-receive hook of a bare repository that others push to (default: the current directory)",
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Installs or uninstalls, or says what that would do. Returns the exit status."""
    if arguments.command == "install" and arguments.manual:
        from git_clearml.hook import server_install

        console.product(Safe(shipped.MANUAL if arguments.server is None else server_install.content().decode()))
        return 0
    from git_clearml.git.repository import Repository

    repository = Repository("" if arguments.server is None else os.path.abspath(arguments.server))
    plan = _plan(repository, arguments)
    if arguments.dry_run:
        return _show(plan, console)
    try:
        if arguments.server is None and arguments.command == "install":
            plans.carry_out(repository, plan, os.environ)
        else:
            steps.apply(plan.steps)  # a git server's hook says itself which Python runs it
        if arguments.server is None and arguments.command == "uninstall":
            start.forget(repository.common_dir)
    except OSError as error:
        message = f"the hook could not be changed: {error.strerror}: {error.filename}"
        raise UsageError(message, "check the owner and permissions of that directory") from None
    console.say(f"git clearml: {plan.says}")
    return 0


def _plan(repository: Repository, arguments: argparse.Namespace) -> plans.InstallPlan:
    if arguments.server is not None:
        from git_clearml.hook import server_install

        server_install.checked(repository)
        if arguments.command == "install":
            return server_install.plan_install(repository, force=arguments.force)
        return server_install.plan_uninstall(repository)
    if arguments.command == "install":
        return plans.plan_install(repository, force=arguments.force)
    return plans.plan_uninstall(repository)


def _show(plan: plans.InstallPlan, console: Console) -> int:
    for step in plan.steps:
        console.product(sanitize(f"would {step}"))
    if not plan.steps:
        console.product(sanitize(f"nothing to do: {plan.says}"))
    return 0
