"""`git clearml doctor`: check the installation, fix what can be fixed safely, see the gate refuse."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace

from git_clearml.base.console import Console
from git_clearml.base.words import listed
from git_clearml.commands import options
from git_clearml.doctor import bare, drill, examine, repairs
from git_clearml.doctor.examine import summary
from git_clearml.errors import Error, NotARepository
from git_clearml.git.repository import Repository
from git_clearml.hook import server_install
from git_clearml.render import doctor as view
from git_clearml.report.diagnosis import Check, Repaired, status_of

_BUDGET = 10.0  # seconds for the server's answers

failed = options.failed("doctor")

TITLE = "check the installation and suggest fixes"
DESCRIPTION = (
    "Looks at the hook, at what runs beside it, at the server, and at what makes ClearML record "
    "something else than what ran; in a bare repository at the git server's hook. Exit status 1 where a push could "
    "go ungated, or a task would record what is not so."
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fix", action="store_true", help="fix what is safe to fix, after showing what that is")
    parser.add_argument("--drill", action="store_true", help="push an untrained commit nowhere: is it refused?")
    options.add_format(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Prints every check. Exit status 1 when one of them failed."""
    checks = _checks()
    repaired = _fixed(arguments, console, checks) if arguments.fix else []
    if repaired:
        checks = _checks()
    if arguments.drill:
        checks.append(_drill(console))
    checks = [replace(check, message=console.redact(check.message), fix=console.redact(check.fix)) for check in checks]
    if arguments.format == "json":
        console.document(view.document(checks, repaired))
    elif arguments.format == "markdown":
        console.product(view.markdown(checks))
    else:
        shown = checks if console.verbose else summary(checks)
        width = view.WIDTH if console.is_terminal else 0
        console.product(view.text(shown, colour=console.colour, quiet=console.quiet, width=width))
    return status_of(checks, repaired)


def _checks() -> list[Check]:
    repository = _repository()
    if isinstance(repository, NotARepository):
        return examine.refused(repository, os.environ, _BUDGET)
    if server_install.is_bare(repository):
        return bare.examine(repository, os.environ, _BUDGET)
    return examine.clone(repository, os.environ, _BUDGET)


def _repository() -> Repository | NotARepository:
    """As it is now, or how git refuses the directory of somebody else. Raises NotARepository where there is none."""
    try:
        return Repository()
    except NotARepository as error:
        if "safe.directory" not in error.hint:
            raise
        return error


def _drill(console: Console) -> Check:
    repository = _repository()
    if isinstance(repository, NotARepository):
        return drill.unseen(repository)
    if server_install.is_bare(repository):
        return drill.run_on_server(repository, os.environ)
    if others := drill.runs_too(repository):
        console.say(f"git clearml: the drill is a push: {others} may run as well")
    return drill.run(repository, os.environ)


def _fixed(arguments: argparse.Namespace, console: Console, checks: Sequence[Check]) -> list[Repaired]:
    """Shows what would be repaired, asks where somebody can be asked, and does it. [] where nothing was done."""
    asks = console.can_ask and arguments.format == "text"
    planned = repairs.planned(checks, agreed=asks)
    left = [check.name for check in repairs.planned(checks, agreed=True) if check not in planned]
    if left:
        console.say(f"git clearml: beyond this repository, and only fixed at a terminal: {listed(left, 10)}")
    if not planned:
        more = " else" if left else ""
        console.say(f"git clearml: there is nothing{more} that can be fixed safely: each finding says what fixes it")
        return []
    for check in planned:
        console.announce(
            f"git clearml: {'would fix' if asks else 'fixing'} {check.name}: {check.repair and check.repair.plan}"
        )
    if asks and not console.agreed("fix these?"):
        console.say("git clearml: nothing was fixed")
        return []
    repaired = repairs.carry_out(planned)
    for each in repaired:
        if each.trouble:
            console.fail(Error(f"{each.name} could not be fixed: {each.trouble}"))
    return repaired
