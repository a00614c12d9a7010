"""Is a hook of ours there and effective, what runs before and after it, and what does it not see?"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from git_clearml.errors import Error, UsageError
from git_clearml.git.repository import Repository
from git_clearml.hook import start
from git_clearml.hook.hooks_path import HOOK, LEGACY, PREVIOUS, hooks_directory, shared_hooks_path
from git_clearml.hook.install import InstallPlan, beside, carry_out, plan_beside_framework, plan_install
from git_clearml.hook.owner import CALLS_US, CALLS_US_ANYWHERE, HookFile, Owner, head_of, read_hook
from git_clearml.report.diagnosis import Check, Level, Repair
from git_clearml.settings import load as policies

_LFS = re.compile(rb"^[^#\n]*git[ -]lfs pre-push", re.MULTILINE)
_CONFIGURATIONS = {
    Owner.LEFTHOOK: [
        f"{dot}lefthook{local}.{end}"
        for dot in ("", ".")
        for local in ("", "-local")
        for end in ("yml", "yaml", "toml", "json")
    ],
    Owner.OVERCOMMIT: [".overcommit.yml"],
    Owner.PRE_COMMIT: [".pre-commit-config.yaml"],
    Owner.PREK: [".pre-commit-config.yaml", ".pre-commit-config.yml", "prek.toml"],
}
_USES_STDIN = re.compile(rb"use_stdin\"?\s*[:=]\s*true")  # lefthook gives a command no standard input without
_SAVES_STDIN = re.compile(rb"\$\(cat\)|`cat`|\btee\b|mktemp")


def examine(repository: Repository, environment: Mapping[str, str]) -> list[Check]:
    """The hook, what runs beside it, and git-lfs where that is used."""
    return [*_hooks(repository, environment), *_lfs(repository)]


def _hooks(repository: Repository, environment: Mapping[str, str]) -> list[Check]:
    directory = hooks_directory(repository)
    hook, legacy = read_hook(directory / HOOK), read_hook(directory / LEGACY)
    if hook.owner is Owner.OURS:
        return [_own_hook(repository, hook, environment), *_previous(read_hook(directory / PREVIOUS))]
    if hook.owner.runs_legacy and legacy.owner is Owner.OURS:
        order = f"{hook.owner.value}'s hook runs ours first, with every ref of a push"
        return [_own_hook(repository, legacy, environment), Check("hook-order", "ok", order)]
    if hook.owner.runs_legacy:
        return [_only_pre_commit(repository, hook.owner, environment)]
    if hook.owner in _CONFIGURATIONS and _configured(repository, hook.owner):
        if hook.owner is Owner.LEFTHOOK and not _configured(repository, hook.owner, _USES_STDIN):
            words = "lefthook's configuration calls git-clearml without use_stdin: true, so it gets no lines of a push"
            return [Check("hook", "fail", words, "git clearml install --manual")]
        words = f"{hook.owner.value}'s configuration calls git-clearml; doctor --drill shows whether it works"
        return [Check("hook", "ok", words)]
    if hook.owner is Owner.MANUAL:
        if not hook.executable:
            return [_without_bit("hook", "fail", hook.path, "gates nothing")]
        return [Check("hook", "ok", f"{hook.path} calls git-clearml; doctor --drill shows whether it works")]
    return [_no_hook(repository, environment, hook)]


def _previous(previous: HookFile) -> list[Check]:
    """The hook that ours runs after itself."""
    if not previous.exists:
        return []
    if previous.executable:
        return [Check("hook-order", "ok", f"{previous.path} runs after ours")]
    return [_without_bit("hook-order", "warn", previous.path, "does not run")]


def _without_bit(name: str, level: Level, path: Path, so: str) -> Check:
    """A hook that git, or ours, passes over. A `chmod` by hand follows links, and so does this."""
    repair = Repair(f"make {path} executable", lambda: path.chmod(path.stat().st_mode | 0o111))
    return Check(name, level, f"{path} is not executable, so it {so}", f"chmod +x {shlex.quote(str(path))}", repair)


def _no_hook(repository: Repository, environment: Mapping[str, str], hook: HookFile) -> Check:
    """Nothing gates a push. Where all repositories share one hooks directory, git does not look into this one's."""
    whose = "another program's hook" if hook.owner is Owner.FOREIGN else f"{hook.owner.value}'s"
    message = f"{hook.path} is {whose}" if hook.exists else f"no pre-push hook in {hook.path.parent}"
    if shared := shared_hooks_path(repository):
        message += f" (core.hooksPath = {shared}, shared by all your repositories)"
    message += ": pushes are not gated"
    if hook.owner in (Owner.HUSKY, Owner.LEFTHOOK):
        return Check("hook", "fail", message, "git clearml init")  # which puts us into its configuration
    return Check("hook", "fail", message, *_way_in(repository, environment))


def _way_in(repository: Repository, environment: Mapping[str, str]) -> tuple[str, Repair | None]:
    """The command by which our hook gets where it runs: `install`, after what that wants to be done first."""
    try:
        plan = plan_install(repository, force=False)
    except UsageError as refusal:
        install = "" if "git clearml install" in refusal.hint else " && git clearml install"
        return refusal.hint + install, None
    return "git clearml install", _installing(repository, environment, plan)


def _installing(repository: Repository, environment: Mapping[str, str], plan: InstallPlan) -> Repair:
    steps = ", ".join(str(step) for step in plan.steps)
    return Repair(steps, partial(carry_out, repository, plan, environment))


def _configured(repository: Repository, framework: Owner, pattern: re.Pattern[bytes] = CALLS_US_ANYWHERE) -> bool:
    """Does the configuration of a framework that owns the hook say so: call us, unless asked for something else?"""
    texts = (head_of(Path(repository.top or ".", name)) for name in _CONFIGURATIONS[framework])
    return any(pattern.search(text) for text in texts)


def _own_hook(repository: Repository, hook: HookFile, environment: Mapping[str, str]) -> Check:
    if not hook.executable:
        return _without_bit("hook", "fail", hook.path, "gates nothing")
    if not hook.current:
        words = f"{hook.path} is from another version of git-clearml"
        return Check("hook", "warn", words, *_way_in(repository, environment))
    on_path = shutil.which("git-clearml", path=environment.get("PATH", ""))
    if not on_path and not start.remembered_python(repository.common_dir):
        return Check(
            "hook",
            "fail",
            "the hook will not find git-clearml on PATH, and will refuse every push",
            f'export PATH={shlex.quote(os.path.dirname(sys.executable))}:"$PATH"',
        )
    return Check("hook", "ok", f"{hook.path} is installed and effective")


def _only_pre_commit(repository: Repository, manager: Owner, environment: Mapping[str, str]) -> Check:
    """pre-commit, or prek, shows a hook one ref of a push, and none whose commits the remote has."""
    name, both = manager.value, beside(manager)
    try:
        repair = _installing(repository, environment, plan_beside_framework(repository))
    except UsageError:
        repair = None
    texts = [head_of(Path(repository.top or ".", config)) for config in _CONFIGURATIONS[manager]]
    if not any(b"clearml-verify" in text or CALLS_US_ANYWHERE.search(text) for text in texts):
        message = f"{name}'s hook does not run clearml-verify: pushes are not gated"
        return Check("hook", "fail", message, both, repair)
    blind = f"only {name}'s hook is installed: it sees one ref of a push, and none whose commit the remote has"
    if _protects(repository, environment):
        return Check("hook", "fail", f"{blind}; the policy names protected refs", both, repair)
    return Check("hook", "warn", blind, both, repair)


def _protects(repository: Repository, environment: Mapping[str, str]) -> bool:
    try:
        head = repository.resolve(["HEAD"])
        return bool(policies.rulings(repository, head, flags={}, environment=environment)[0].policy.protect)
    except Error:
        return False


def _lfs(repository: Repository) -> list[Check]:
    """Does git-lfs, where the repository uses it, still get the lines of a push?"""
    directory = hooks_directory(repository)
    texts = {name: head_of(directory / name) for name in (HOOK, PREVIOUS, LEGACY)}
    with_lfs = [name for name, content in texts.items() if _LFS.search(content)]
    if not with_lfs:
        if not repository.top or b"filter=lfs" not in head_of(Path(repository.top, ".gitattributes")):
            return []
        message = "this repository uses git-lfs, but no hook uploads its files"
        return [Check("git-lfs", "fail", message, "git lfs install --local")]
    name = with_lfs[0]
    content = texts[name]
    both = CALLS_US.search(content) and read_hook(directory / name).owner is not Owner.OURS
    if both and not _SAVES_STDIN.search(content):
        message = (
            f"{directory / name} runs git-lfs and git-clearml: whichever comes first reads "
            "all of stdin; give each a copy: lines=$(cat)"
        )
        return [Check("git-lfs", "fail", message, "git clearml install --manual")]
    return [Check("git-lfs", "ok", f"git lfs pre-push runs in {name} and gets its lines")]
