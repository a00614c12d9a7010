"""`git clearml uninstall`: our hook away again, and in its place what was there before."""

from __future__ import annotations

import argparse

from git_clearml.base.console import Console
from git_clearml.commands import install
from git_clearml.hook import install as plans
from git_clearml.hook import server_install, start, steps

TITLE = "remove the pre-push hook"
DESCRIPTION = "Removes our pre-push hook and puts back what was there. Other hooks are not touched."
add_flags = install.add_common_flags


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Uninstalls, or says what that would do. Returns the exit status."""
    repository = install.repository_of(arguments)
    if arguments.server is not None:
        plan = server_install.plan_uninstall(repository)
        return install.carried_out(plan, lambda: steps.apply(plan.steps), arguments, console)
    plan = plans.plan_uninstall(repository)

    def act() -> None:
        steps.apply(plan.steps)
        start.forget(repository.common_dir)

    return install.carried_out(plan, act, arguments, console)
