"""`git clearml init`: looks, plans, and carries the plan out. What a plan is made of stands in init_plan.py."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from typing import NamedTuple

from git_clearml.base.files import umask, write_whole
from git_clearml.base.words import listed
from git_clearml.errors import UsageError
from git_clearml.git.repository import Repository
from git_clearml.hook import ci_file, init_hook, init_plan, init_situation
from git_clearml.hook.init_hook import HookPlan
from git_clearml.hook.init_plan import Planned
from git_clearml.hook.init_situation import Situation
from git_clearml.hook.install import InstallPlan, carry_out
from git_clearml.hook.owner import Owner
from git_clearml.hook.server_install import is_bare
from git_clearml.report.init import Change, Setup

_MANAGERS = {
    init_situation.HUSKY: Owner.HUSKY,
    **dict.fromkeys((*init_situation.LEFTHOOK, *init_situation.LEFTHOOK_LOCAL), Owner.LEFTHOOK),
}


class Plan(NamedTuple):
    """All that `init` is going to do. `setup` is what there is to show of it."""

    setup: Setup
    files: tuple[Planned, ...]
    hook: HookPlan
    top: str


def plan(repository: Repository, environment: Mapping[str, str], budget: float, log: Callable[[str], None]) -> Plan:
    """Looks around, asks the server for `budget` seconds at most, and changes nothing.

    Raises UsageError in a bare repository, which has no files and is pushed to.
    """
    if is_bare(repository):
        raise UsageError("a bare repository has no files to put a policy in", "git clearml install --server")
    if not repository.top:
        raise UsageError("this is git's own directory, and no working tree", "cd to the top of the working tree first")
    there = init_situation.look(repository, environment, budget, log=log)
    files = init_plan.plan(there)
    entered = frozenset(
        owner for each in files if not each.change.by_hand and (owner := _MANAGERS.get(each.change.path))
    )
    hook = init_hook.plan(repository, entered)
    changes = (hook.change, *(each.change for each in files))
    setup = Setup(tuple(_facts(there, changes)), changes, tuple(_hints(repository, there, changes)))
    return Plan(setup, tuple(files), hook, there.top)


def apply(repository: Repository, todo: Plan, environment: Mapping[str, str], wrote: Callable[[Change], None]) -> None:
    """Carries the plan out, and tells `wrote` of each file that is written.

    The hook is the first: from then on nothing is pushed unasked. Raises UsageError at the first one that cannot be
    written, or was changed by somebody else meanwhile; it and what follows is then as it was.
    """
    for number, change in enumerate(todo.setup.changes):
        if change.action == "unchanged":
            continue
        try:
            if number:
                _write(todo.top, todo.files[number - 1])
            else:
                carry_out(repository, InstallPlan(todo.hook.steps, todo.hook.change.says), environment)
        except OSError as error:
            hint = "check the owner and permissions of it and its directory, then: git clearml init"
            raise UsageError(f"{change.path} could not be written: {error.strerror}", hint) from None
        wrote(change)


def _write(top: str, planned: Planned) -> None:
    """One file, whole or not at all, with the permissions that it has."""
    name = planned.change.path
    path = os.path.join(top, name)
    if init_situation.content_of(top, name) != planned.before:
        raise UsageError(f"{name} has been changed meanwhile", "git clearml init")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if planned.before is None:
        mode = (0o777 if name == init_situation.HUSKY else 0o666) & ~umask()
    else:
        mode = os.stat(path).st_mode & 0o777
        if not os.access(path, os.W_OK):
            raise PermissionError(13, "it is read-only", path)
    write_whole(path, planned.after or b"", mode=mode, prefix=".git-clearml-")


def _facts(there: Situation, changes: tuple[Change, ...]) -> list[tuple[str, str]]:
    """What was found out, a line each."""
    facts = [("server", _server(there))]
    if there.recent.tasks:
        facts.append(("tasks", _tasks(there)))
    forge = f"{there.provider.shown}: " if there.provider else ""
    facts.append(("remote", f"{forge}{there.remote}" if there.remote else "none"))
    if there.branch:
        facts.append(("branch", f"{there.branch} ({there.branch_from})"))
    if managers := init_plan.manager_files(there):
        facts.append(("hooks", f"managed by way of {listed(managers)}"))
    return facts


def _server(there: Situation) -> str:
    if there.problem:
        return f"could not be asked: {there.problem}"
    return there.server or "none is configured; what git clearml run records in this clone counts"


def _tasks(there: Situation) -> str:
    tasks, days = there.recent.tasks, there.recent.days
    projects = list(dict.fromkeys(task.project for task in tasks))
    what = f"{len(tasks)} task{'s' * (len(tasks) > 1)} of this repository"
    return f"{what} in the last {days} days, in {listed(projects, 2)}"


def _hints(repository: Repository, there: Situation, changes: tuple[Change, ...]) -> list[str]:
    """What to do when all has been written."""
    names = [change.path for change in changes if change.lasting and change.action != "unchanged"]
    hints = []
    if names:
        force = "" if repository.run("check-ignore", "--quiet", "--", *names).status else "-f "
        hints.append(f"git add {force}{shlex.join(names)} && git commit -m 'Push what a ClearML task has run'")
    job = any(change.says.startswith("a CI job") and not change.by_hand for change in changes if change.path in names)
    if job and there.provider:
        hints.append(f"the CI job needs {ci_file.secrets_of(there.provider)}")
    if job and there.package.is_here_alone:
        hints.append("change where the CI job installs git-clearml from: here it was installed from a local directory")
    return hints
