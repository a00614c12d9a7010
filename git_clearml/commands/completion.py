"""`git clearml completion`: prints a completion for a shell, of `git-clearml` and of `git clearml`."""

from __future__ import annotations

import argparse
from typing import Any

from git_clearml.base.console import Console
from git_clearml.base.sanitize import Safe
from git_clearml.commands import completions


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Adds the command and its flags (design 11)."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "completion",
        help="a completion for your shell",
        description="Prints a completion for git-clearml and git clearml: commands, flags, revisions and task ids.",
    )
    parser.add_argument("shell", choices=completions.SHELLS, help="which shell")
    return parser


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Prints it. Returns the exit status."""
    console.product(Safe(completions.script(arguments.shell, arguments.whole)))
    return 0
