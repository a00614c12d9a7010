"""`git clearml install` and `git clearml uninstall`: the native pre-push hook, where git looks for it."""

from __future__ import annotations

import argparse
from typing import Any

from git_clearml.base.console import Console
from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.commands import options
from git_clearml.errors import UsageError
from git_clearml.hook import install as plans
from git_clearml.hook import interpreter, shipped, steps


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Adds `install` and its flags (design 11)."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "install",
        help="install the pre-push hook",
        description="Installs the pre-push hook where git looks for it. A hook that is there already runs after ours.",
        allow_abbrev=False,
    )
    parser.add_argument("--force", action="store_true", help="replace what is there instead of running it too")
    parser.add_argument("--manual", action="store_true", help="print what to paste into a hook of your own")
    options.add_dry_run(parser, "say what would be done")
    return parser


def add_uninstall_parser(commands: Any) -> argparse.ArgumentParser:
    """Adds `uninstall` and its flags (design 11)."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "uninstall",
        help="remove the pre-push hook",
        description="Removes our pre-push hook and puts back what was there. Other hooks are not touched.",
        allow_abbrev=False,
    )
    options.add_dry_run(parser, "say what would be done")
    return parser


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Installs or uninstalls, or says what that would do. Returns the exit status."""
    if arguments.command == "install" and arguments.manual:
        console.product(Safe(shipped.MANUAL))
        return 0
    from git_clearml.git.repository import Repository

    repository = Repository()
    if arguments.command == "install":
        plan = plans.plan_install(repository, force=arguments.force)
    else:
        plan = plans.plan_uninstall(repository)
    if arguments.dry_run:
        return _show(plan, console)
    try:
        steps.apply(plan.steps)
        if arguments.command == "install":
            interpreter.remember(repository.common_dir)
        else:
            interpreter.forget(repository.common_dir)
    except OSError as error:
        message = f"the hook could not be changed: {error.strerror}: {error.filename}"
        raise UsageError(message, "check the owner and permissions of that directory") from None
    console.say(f"git clearml: {plan.says}")
    return 0


def _show(plan: plans.InstallPlan, console: Console) -> int:
    for step in plan.steps:
        console.product(sanitize(f"would {step}"))
    if not plan.steps:
        console.product(sanitize(f"nothing to do: {plan.says}"))
    return 0
