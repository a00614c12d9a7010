"""Plans how our pre-push hook gets where git looks, and away again; steps.apply carries a plan out.

A hook that is there already is kept and runs after ours; a framework's is left alone, and told how both can run.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from git_clearml.errors import UsageError
from git_clearml.git.repository import Repository
from git_clearml.hook import script, start
from git_clearml.hook.hooks_path import (
    HOOK,
    LEGACY,
    PREVIOUS,
    REPLACED,
    hooks_directory,
    own_hooks_command,
    shared_hooks_path,
)
from git_clearml.hook.owner import HookFile, Owner, read_hook
from git_clearml.hook.steps import Keep, Remove, Restore, Step, Write, apply, same_file


@dataclass(frozen=True)
class InstallPlan:
    """What will be done, in order, and what to say when it is done."""

    steps: tuple[Step, ...]
    says: str


def plan_install(repository: Repository, *, force: bool) -> InstallPlan:
    """How our hook gets where git looks. Raises UsageError where it must not, or could not without loss."""
    if shared := shared_hooks_path(repository):
        raise UsageError(
            f"core.hooksPath = {shared} is shared by all your repositories: a hook there would gate all their pushes",
            f"{own_hooks_command(repository)} && git clearml install",
        )
    directory = hooks_directory(repository)
    hook = read_hook(directory / HOOK)
    if hook.owner is Owner.OURS:
        return _plan_renewal(hook, force)
    if not hook.exists:
        return InstallPlan((Write(hook.path),), f"installed {hook.path}")
    if hook.owner is Owner.MANUAL:
        return InstallPlan((), f"{hook.path} already calls git-clearml")
    if hook.owner.is_framework and not force:
        return _plan_beside(hook, read_hook(directory / LEGACY))
    return displacing(hook, Write(hook.path), PREVIOUS, REPLACED, force=force)


def displacing(hook: HookFile, write: Write, previous: str, replaced: str, *, force: bool) -> InstallPlan:
    """Our hook in the place of another, which runs after it as `previous`, or with `force` no longer, as `replaced`.

    Raises UsageError where the first name is taken.
    """
    if force:
        kept = _free_name(hook.path.with_name(replaced), hook.path)
        says = f"installed {hook.path}; what was there is {kept.name} and no longer runs"
        return InstallPlan((Keep(hook.path, kept), write), says)
    kept = hook.path.with_name(previous)
    if os.path.lexists(kept) and not same_file(hook.path, kept):
        raise UsageError(
            f"{kept} is in the way: git-clearml's hook ran it, and {hook.path} has replaced that",
            shlex.join(["mv", str(kept), str(_free_name(kept.with_name(f"{previous}.old"), hook.path))]),
        )
    says = f"installed {hook.path}; the hook that was there runs after it, as {previous}"
    return InstallPlan((Keep(hook.path, kept), write), says)


def carry_out(repository: Repository, plan: InstallPlan, environment: Mapping[str, str]) -> None:
    """Puts the hook there, and writes down for it how git-clearml is started. Raises OSError."""
    apply(plan.steps)
    start.remember_python(repository.common_dir)
    start.remember(repository.common_dir, environment, shutil.which("git-clearml") or "")


def _plan_renewal(hook: HookFile, force: bool) -> InstallPlan:
    if hook.current and hook.executable:
        return InstallPlan((), f"{hook.path} is already installed")
    return renewing(hook, Write(hook.path), script.version(), "git clearml install --force", force=force)


def renewing(hook: HookFile, write: Write, version: int, command: str, *, force: bool) -> InstallPlan:
    """Our hook of this version in the place of an earlier one of ours, or with `force` of any.

    Raises UsageError where that is newer, or edited; `command` is the one with `force`.
    """
    if hook.version < version or hook.current or force:
        return InstallPlan((write,), f"renewed {hook.path}")
    words = "was installed by a newer git-clearml: upgrade, or replace it"
    words = words if hook.version > version else "has been edited; --force loses the edits"
    raise UsageError(f"{hook.path} {words}", command)


def _plan_beside(hook: HookFile, legacy: HookFile) -> InstallPlan:
    """A framework owns the file and would not know our hook. Says how both can run; writes nothing."""
    name = hook.owner.value
    if hook.owner.runs_legacy and legacy.owner is Owner.OURS:
        plan = _plan_renewal(legacy, force=False)
        says = plan.says if plan.steps else f"already installed: {name} runs it as {legacy.path}"
        return InstallPlan(plan.steps, says)
    if hook.owner.runs_legacy:
        raise UsageError(
            f"{hook.path} belongs to {name}, which runs git-clearml's hook first if that is installed before its own",
            beside(hook.owner),
        )
    words = "which would overwrite a change to it: call git-clearml from its configuration"
    raise UsageError(f"{hook.path} belongs to {name}, {words}", "git clearml install --manual")


def plan_beside_framework(repository: Repository) -> InstallPlan:
    """Our hook where pre-commit's or prek's runs it first, without calling theirs; one that it runs already runs after
    ours. Raises UsageError where that could not be."""
    directory = hooks_directory(repository)
    legacy, previous = directory / LEGACY, directory / PREVIOUS
    if os.path.lexists(legacy) and os.path.lexists(previous) and not same_file(legacy, previous):
        raise UsageError(f"{previous} is in the way", "git clearml install --manual")
    kept = (Keep(legacy, previous),) if os.path.lexists(legacy) else ()
    return InstallPlan((*kept, Write(legacy)), f"installed {legacy}")


def beside(owner: Owner) -> str:
    """The command that gets our hook where pre-commit or prek runs it first, with every ref of a push."""
    name = owner.value
    return f"{name} uninstall -t pre-push && git clearml install && {name} install -t pre-push"


def plan_uninstall(repository: Repository) -> InstallPlan:
    """How our hook goes, and what it displaced comes back. Strangers' hooks are not touched."""
    directory = hooks_directory(repository)
    hook, legacy = read_hook(directory / HOOK), read_hook(directory / LEGACY)
    if hook.owner.runs_legacy and legacy.owner is Owner.OURS:
        if read_hook(directory / PREVIOUS).exists:  # ours ran it; now pre-commit does
            return InstallPlan(
                (Restore(directory / PREVIOUS, legacy.path),), f"removed {legacy.path}; what ran after it is back"
            )
        return InstallPlan((Remove(legacy.path),), f"removed {legacy.path}; {hook.owner.value}'s own hook stays")
    if hook.owner is not Owner.OURS:
        left = f"; {PREVIOUS} is left there" if read_hook(directory / PREVIOUS).exists else ""
        return InstallPlan((), f"git-clearml's hook is not installed in {directory}{left}")
    return removing(hook, PREVIOUS, REPLACED)


def removing(hook: HookFile, previous: str, replaced: str) -> InstallPlan:
    """Our hook gone, and in its place again what `displacing` has kept under one of these names."""
    for kept in (hook.path.with_name(previous), _numbered(hook.path.with_name(replaced))[-1]):
        if os.path.lexists(kept):
            step = Restore(kept, hook.path)
            return InstallPlan((step,), f"removed {hook.path}; the hook that was there before is back")
    return InstallPlan((Remove(hook.path),), f"removed {hook.path}")


def _free_name(path: Path, source: Path) -> Path:
    """This path, or the same with the first number that is not taken; one that is `source` already will do."""
    taken = _numbered(path)
    if same_file(taken[-1], source) or not os.path.lexists(path):
        return taken[-1]
    return path.with_name(f"{path.name}.{len(taken)}")


def _numbered(path: Path) -> list[Path]:
    """This path, and those with a number that are there: the last one is the youngest."""
    paths = [path]
    while os.path.lexists(following := path.with_name(f"{path.name}.{len(paths)}")):
        paths.append(following)
    return paths
