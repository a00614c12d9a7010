"""`git clearml install`: the native pre-push hook, where git looks for it."""

from __future__ import annotations

import argparse
from typing import Any

from git_clearml.base.console import Console
from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.errors import UsageError
from git_clearml.hook import install as hook_files


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Adds the command and its flags (design 11)."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "install",
        help="install the pre-push hook",
        description="Installs the pre-push hook where git looks for it. A hook that is there already runs after ours.",
        allow_abbrev=False,
    )
    parser.add_argument("--force", action="store_true", help="replace what is there instead of running it too")
    parser.add_argument("--manual", action="store_true", help="print what to paste into a hook of your own")
    parser.add_argument("-n", "--dry-run", action="store_true", help="say what would be done")
    return parser


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Installs, or says what that would do. Returns the exit status."""
    if arguments.manual:
        console.product(Safe(hook_files.MANUAL))
        return 0
    from git_clearml.git.repository import Repository

    return carry_out(hook_files.plan_install(Repository(), force=arguments.force), arguments.dry_run, console)


def carry_out(plan: hook_files.Plan, dry_run: bool, console: Console) -> int:
    """Applies the plan and says so; with `dry_run` only prints it. Raises UsageError when the disk refuses."""
    if dry_run:
        for step in plan.steps:
            console.product(sanitize(f"would {step}"))
        if not plan.steps:
            console.product(sanitize(f"nothing to do: {plan.says}"))
        return 0
    try:
        hook_files.apply(plan.steps)
    except OSError as error:
        raise UsageError(
            f"the hook could not be changed: {error.strerror}: {error.filename}", "who owns that directory?"
        ) from None
    console.say(f"git clearml: {plan.says}")
    return 0
