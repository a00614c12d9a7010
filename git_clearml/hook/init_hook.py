"""How git comes to run our hook in this clone, beside whatever manages hooks here; and how it gets there."""

from __future__ import annotations

import os
from typing import NamedTuple

from git_clearml.errors import UsageError
from git_clearml.git.repository import Repository
from git_clearml.hook.hooks_path import HOOK, LEGACY, PREVIOUS, hooks_directory, shared_hooks_path
from git_clearml.hook.install import beside, plan_beside_framework, plan_install
from git_clearml.hook.owner import HookFile, Owner, read_hook
from git_clearml.hook.steps import Keep, Step
from git_clearml.report.init import Action, Change


class HookPlan(NamedTuple):
    """The change, and the steps to it."""

    change: Change
    steps: tuple[Step, ...] = ()


def plan(repository: Repository, entered: frozenset[Owner]) -> HookPlan:
    """What makes git run our hook here. `entered` are the programs whose configuration has our entry, or gets it."""
    directory = hooks_directory(repository)
    hook, legacy = read_hook(directory / HOOK), read_hook(directory / LEGACY)
    name = _shown(repository, str(hook.path))
    if not shared_hooks_path(repository):
        if ".husky" in directory.parts and not hook.exists:
            hook = HookFile(hook.path, Owner.HUSKY)
        if hook.owner in entered and not hook.owner.runs_legacy:
            return HookPlan(Change(name, "unchanged", f"{hook.owner.value} runs ours", lasting=False))
        if hook.owner.runs_legacy and legacy.owner is not Owner.OURS:
            name = _shown(repository, str(legacy.path))
            return _beside(repository, name, hook.owner, exists=legacy.exists)
    try:
        installing = plan_install(repository, force=False)
    except UsageError as refusal:
        hint = refusal.hint
        command = hint if "git clearml install" in hint else f"{hint} && git clearml install"
        why = refusal.message.replace(f"{hook.path} ", "it ")  # its name stands before
        return HookPlan(Change(name, "unchanged", "the pre-push hook", f"{command}\n", by_hand=why, lasting=False))
    action: Action = "unchanged" if not installing.steps else "changed" if hook.exists else "created"
    says = "the pre-push hook" if installing.steps else "it is installed already"
    if any(isinstance(step, Keep) for step in installing.steps):
        says += f"; the one that is there runs after it, as {PREVIOUS}"
    return HookPlan(Change(name, action, says, lasting=False), installing.steps)


def _beside(repository: Repository, name: str, manager: Owner, *, exists: bool) -> HookPlan:
    """pre-commit and prek run a pre-push.legacy first, whoever has put it there; ours sees every ref of a push."""
    says = f"the pre-push hook, which {manager.value}'s runs first"
    try:
        steps = plan_beside_framework(repository).steps
    except UsageError as refusal:
        why = f"{refusal.message}: {manager.value} runs another hook already"
        return HookPlan(Change(name, "unchanged", says, beside(manager) + "\n", by_hand=why, lasting=False))
    return HookPlan(Change(name, "changed" if exists else "created", says, lasting=False), steps)


def _shown(repository: Repository, path: str) -> str:
    """A path as seen from the top of the working tree, where it lies below that."""
    top = os.path.realpath(repository.top)
    real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    return os.path.relpath(real, top) if real.startswith(top + os.sep) else path
