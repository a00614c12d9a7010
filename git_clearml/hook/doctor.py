"""Finds what makes the gate less than it seems: hooks that do not run, refs that pre-commit hides, a deaf server."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from git_clearml.clearml import config as clearml_conf
from git_clearml.errors import Error, UsageError
from git_clearml.git.repository import Repository
from git_clearml.hook import interpreter
from git_clearml.hook.install import beside, plan_install
from git_clearml.hook.owner import CALLS_US, CALLS_US_ANYWHERE, HookFile, Owner, read_head, read_hook
from git_clearml.hook.place import HOOK, LEGACY, PREVIOUS, hooks_directory, shared_hooks_path
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
_SAVES_STDIN = re.compile(rb"\$\(cat\)|`cat`|\btee\b|mktemp")

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Diagnosis:
    """One thing looked at; a hint says how to fix it."""

    name: str
    state: State
    message: str
    hint: str = ""


def examine(repository: Repository, environment: Mapping[str, str], budget: float) -> list[Diagnosis]:
    """Every check, in the order in which a push meets them; `budget` is the server's, in seconds."""
    return [*_hooks(repository, environment), *_lfs(repository), *server(environment, budget)]


def _hooks(repository: Repository, environment: Mapping[str, str]) -> list[Diagnosis]:
    """Is a hook of ours there and effective, what runs before and after it, and what does it not see?"""
    directory = hooks_directory(repository)
    hook, legacy = read_hook(directory / HOOK), read_hook(directory / LEGACY)
    if hook.owner is Owner.OURS:
        return [_own_hook(repository, hook, environment), *_previous(read_hook(directory / PREVIOUS))]
    if hook.owner.runs_legacy and legacy.owner is Owner.OURS:
        order = f"{hook.owner.value}'s hook runs ours first, with every ref of a push"
        return [_own_hook(repository, legacy, environment), Diagnosis("hook order", "ok", order)]
    if hook.owner.runs_legacy:
        return [_only_pre_commit(repository, hook.owner, environment)]
    if hook.owner in _CONFIGURATIONS and _configured(repository, hook.owner):
        return [Diagnosis("hook", "ok", f"{hook.owner.value}'s configuration calls git-clearml")]
    if hook.owner is Owner.MANUAL:
        if not hook.executable:
            return [Diagnosis("hook", "failed", f"{hook.path} is not executable, so git ignores it", _chmod(hook.path))]
        return [Diagnosis("hook", "ok", f"{hook.path} calls git-clearml")]
    return [_no_hook(repository, hook)]


def _previous(previous: HookFile) -> list[Diagnosis]:
    """The hook that ours runs after itself."""
    if not previous.exists:
        return []
    if previous.executable:
        return [Diagnosis("hook order", "ok", f"{previous.path} runs after ours")]
    words = f"{previous.path} is not executable and does not run"
    return [Diagnosis("hook order", "warning", words, _chmod(previous.path))]


def _no_hook(repository: Repository, hook: HookFile) -> Diagnosis:
    """Nothing gates a push. Where all repositories share one hooks directory, git does not look into this one's."""
    whose = "a foreign hook" if hook.owner is Owner.FOREIGN else f"{hook.owner.value}'s"
    message = f"{hook.path} is {whose}" if hook.exists else f"no pre-push hook in {hook.path.parent}"
    if shared := shared_hooks_path(repository):
        message += f" (core.hooksPath = {shared}, shared by all your repositories)"
    return Diagnosis("hook", "failed", f"{message}: pushes are not gated", _way_in(repository))


def _way_in(repository: Repository) -> str:
    """The command by which our hook gets where it runs: `install`, after what that wants to be done first."""
    try:
        plan_install(repository, force=False)
    except UsageError as refusal:
        install = "" if "git clearml install" in refusal.hint else " && git clearml install"
        return refusal.hint + install
    return "git clearml install"


def _configured(repository: Repository, framework: Owner) -> bool:
    """Does the configuration of a framework that owns the hook call us?"""
    texts = (_content(Path(repository.top or ".", name)) for name in _CONFIGURATIONS[framework])
    return any(CALLS_US_ANYWHERE.search(text) for text in texts)


def _own_hook(repository: Repository, hook: HookFile, environment: Mapping[str, str]) -> Diagnosis:
    if not hook.executable:
        return Diagnosis("hook", "failed", f"{hook.path} is not executable, so git ignores it", _chmod(hook.path))
    if not hook.current:
        return Diagnosis("hook", "warning", f"{hook.path} is from another version of git-clearml", _way_in(repository))
    on_path = shutil.which("git-clearml", path=environment.get("PATH", ""))
    if not on_path and not interpreter.remembered(repository.common_dir):
        return Diagnosis(
            "hook",
            "failed",
            "the hook will not find git-clearml on PATH, and will refuse every push",
            f'export PATH={shlex.quote(os.path.dirname(sys.executable))}:"$PATH"',
        )
    return Diagnosis("hook", "ok", f"{hook.path} is installed and effective")


def _only_pre_commit(repository: Repository, manager: Owner, environment: Mapping[str, str]) -> Diagnosis:
    """pre-commit, or prek, shows a hook one ref of a push, and none whose commits the remote has."""
    name, both = manager.value, beside(manager)
    texts = [_content(Path(repository.top or ".", config)) for config in _CONFIGURATIONS[manager]]
    if not any(b"clearml-verify" in text or CALLS_US_ANYWHERE.search(text) for text in texts):
        return Diagnosis("hook", "failed", f"{name}'s hook does not run clearml-verify: pushes are not gated", both)
    blind = f"only {name}'s hook is installed: it shows one ref of a push, and none that the remote has"
    if _protects(repository, environment):
        return Diagnosis("hook", "failed", f"{blind}; the policy names protected refs", both)
    return Diagnosis("hook", "warning", blind, both)


def _protects(repository: Repository, environment: Mapping[str, str]) -> bool:
    try:
        head = repository.resolve(["HEAD"])
        return bool(policies.rulings(repository, head, flags={}, environment=environment)[0].policy.protect)
    except Error:
        return False


def _lfs(repository: Repository) -> list[Diagnosis]:
    """Does git-lfs, where the repository uses it, still get the lines of a push?"""
    directory = hooks_directory(repository)
    texts = {name: _content(directory / name) for name in (HOOK, PREVIOUS, LEGACY)}
    with_lfs = [name for name, content in texts.items() if _LFS.search(content)]
    if not with_lfs:
        if not _uses_lfs(repository):
            return []
        message = "this repository uses git-lfs, but no hook uploads its files"
        return [Diagnosis("git-lfs", "failed", message, "git lfs install --local")]
    name = with_lfs[0]
    content = texts[name]
    both = CALLS_US.search(content) and read_hook(directory / name).owner is not Owner.OURS
    if both and not _SAVES_STDIN.search(content):
        message = f"{directory / name} runs git-lfs and git-clearml: whichever comes first reads all of stdin"
        hint = "lines=$(cat) first, then: printf '%s\\n' \"$lines\" | each of them"
        return [Diagnosis("git-lfs", "failed", message, hint)]
    return [Diagnosis("git-lfs", "ok", f"git lfs pre-push runs in {name} and gets its lines")]


def _uses_lfs(repository: Repository) -> bool:
    if not repository.top:
        return False
    return b"filter=lfs" in _content(Path(repository.top, ".gitattributes"))


def _content(path: Path) -> bytes:
    """The beginning of a file, nothing where it cannot be read."""
    try:
        return read_head(path)
    except OSError:
        return b""


def server(environment: Mapping[str, str], budget: float) -> list[Diagnosis]:
    """Do the credentials work, and how fast is the answer?"""
    try:
        configured = clearml_conf.read_server(environment)
        if configured is None:
            message = "no ClearML server is configured: evidence is this clone's own run records"
            return [Diagnosis("server", "warning", message, "clearml-init")]
        from git_clearml.clearml.client import ClearML

        started = time.monotonic()
        with contextlib.closing(ClearML(configured, budget, environment=environment)) as api:
            api.call("users.get_current_user", {})
    except Error as error:
        return [Diagnosis("server", "failed", error.message, error.hint)]
    took = 1000 * (time.monotonic() - started)
    words = f"{configured.api} accepts the credentials ({configured.origin}) and answered in {took:.0f} ms"
    return [Diagnosis("server", "ok", words)]


def _chmod(path: Path) -> str:
    return f"chmod +x {shlex.quote(str(path))}"
