"""`git clearml completion`: prints a completion for a shell, of `git-clearml` and of `git clearml`."""

from __future__ import annotations

import argparse

from git_clearml.base.console import Console
from git_clearml.base.sanitize import Safe
from git_clearml.commands import completion_scripts

TITLE = "a completion for your shell"
DESCRIPTION = "Prints a completion for git-clearml and git clearml: commands, flags, revisions and task ids."


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=completion_scripts.SHELLS, help="which shell")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Prints it. Returns the exit status."""
    console.product(Safe(completion_scripts.script(arguments.shell, arguments.whole)))
    return 0
