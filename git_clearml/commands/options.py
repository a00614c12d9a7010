"""What several commands have: flags, each worded once, and the JSON of a call that ended before there was anything."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

from git_clearml.errors import Error


def failed(command: str, **lists: list[Any]) -> Callable[[Error], dict[str, Any]]:
    """Makes the JSON of such a call of a command; `lists` are those that it always has."""

    def document(error: Error) -> dict[str, Any]:
        from git_clearml.render import json as json_view  # late: only errors need it

        return {**json_view.failed(command, error), **lists}

    return document


def whence_tasks(without_a_server: str) -> str:
    """The command that shows tasks where none were shown: the server's, else what makes one here."""
    from git_clearml.clearml.config import read_server  # late: a hint alone needs it

    try:
        return "git clearml log --fetch" if read_server(os.environ) else without_a_server
    except Error:
        return "git clearml doctor"


def add_rev(parser: argparse.ArgumentParser) -> None:
    """The commit to judge, "" for the one that applies."""
    parser.add_argument("rev", nargs="?", default="", metavar="<rev>", help="commit (default: the CI job's, else HEAD)")


def add_which_tasks(parser: argparse.ArgumentParser) -> None:
    """Which tasks count."""
    parser.add_argument("--project", metavar="NAME", help="tasks of this project and its sub-projects count")
    parser.add_argument("--task-name", metavar="NAME", help="tasks of exactly this name count")


def add_best_tag(parser: argparse.ArgumentParser) -> None:
    """Whether the best tag may move."""
    parser.add_argument("--tag-best", action="store_true", help="give the task the best tag if it is the best")
    parser.add_argument("--tag-unmerged", action="store_true", help="let --tag-best do so in CI before the merge")


def add_timeout(parser: argparse.ArgumentParser, help_text: str = "for all network calls (default: 30)") -> None:
    """The budget of the network, in seconds; None where the setting or the default applies."""
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help=help_text)


def add_format(parser: argparse.ArgumentParser, *forms: str, note: str = "") -> None:
    """How to print, by default as text; without `forms`: text, markdown or json."""
    choices = forms or ("text", "markdown", "json")
    parser.add_argument("--format", choices=choices, default="text", help=f"default: text{note}")
    if "json" in choices:
        add_json(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    """The short form of --format json."""
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="short for --format json")


def add_dry_run(parser: argparse.ArgumentParser, help_text: str) -> None:
    """Only say what would be done."""
    parser.add_argument("-n", "--dry-run", action="store_true", help=help_text)
