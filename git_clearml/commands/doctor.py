"""`git clearml doctor`: check the installation and suggest fixes."""

from __future__ import annotations

import argparse
import os
from typing import Any

from git_clearml.base.console import Console
from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.commands import options
from git_clearml.errors import Error

_BUDGET = 10.0  # seconds for the server's answer
_MARKS = {"ok": "ok  ", "warning": "warn", "failed": "FAIL"}


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Adds the command and its flags (design 11)."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor",
        help="check the installation and suggest fixes",
        description="Looks at the hook, at what runs beside it, and at the server; in a bare repository at the git "
        "server's hook. Changes nothing.",
        allow_abbrev=False,
    )
    options.add_format(parser, "text", "json")
    return parser


def failed(error: Error) -> dict[str, Any]:
    """The JSON of a call that could not look."""
    from git_clearml.render import json as json_view

    return json_view.failed("doctor", error)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Prints every check. Exit status 1 when one of them failed."""
    from git_clearml.git.repository import Repository
    from git_clearml.hook import around, doctor, server_doctor, server_install

    repository = Repository()
    diagnosis = server_doctor if server_install.is_bare(repository) else doctor
    checks = [*diagnosis.examine(repository, os.environ, _BUDGET), *around.examine(repository, os.environ)]
    status = 1 if any(check.state == "failed" for check in checks) else 0
    if arguments.format == "json":
        from dataclasses import asdict

        rows = [asdict(check) for check in checks]
        document = {"schema": 1, "command": "doctor", "exit_code": status, "checks": rows, "errors": []}
        console.document(document)
        return status
    for check in checks:
        if not (console.quiet and check.state == "ok"):
            console.product(Safe(f"{_MARKS[check.state]}  {check.name}: {sanitize(check.message, 300)}"))
            if check.hint:
                console.product(Safe(f"      hint: {sanitize(check.hint, 2000)}"))
    return status
