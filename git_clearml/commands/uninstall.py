"""`git clearml uninstall`: our hook goes, what it displaced comes back."""

from __future__ import annotations

import argparse
from typing import Any

from git_clearml.base.console import Console
from git_clearml.commands.install import carry_out
from git_clearml.hook import install as hook_files


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Adds the command and its flags (design 11)."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "uninstall",
        help="remove the pre-push hook",
        description="Removes our pre-push hook and puts back what was there. Other hooks are not touched.",
        allow_abbrev=False,
    )
    parser.add_argument("-n", "--dry-run", action="store_true", help="say what would be done")
    return parser


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Uninstalls, or says what that would do. Returns the exit status."""
    from git_clearml.git.repository import Repository

    return carry_out(hook_files.plan_uninstall(Repository()), arguments.dry_run, console)
