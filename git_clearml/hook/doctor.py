"""Finds what makes the gate less than it seems: hooks that do not run, refs that pre-commit hides, a deaf server."""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from git_clearml.clearml import config as clearml_conf
from git_clearml.errors import Error
from git_clearml.git.repository import Repository
from git_clearml.hook import install as hook_files
from git_clearml.settings import load as policies

_LFS = re.compile(rb"^[^#\n]*git[ -]lfs pre-push", re.MULTILINE)
_OURS = re.compile(rb"^[^#\n]*git[ -]clearml hook pre-push", re.MULTILINE)
_CONFIGURED = {
    "lefthook": [
        f"{dot}lefthook{local}.{end}"
        for dot in ("", ".")
        for local in ("", "-local")
        for end in ("yml", "yaml", "toml", "json")
    ],
    "overcommit": [".overcommit.yml"],
}
_SAVES_STDIN = re.compile(rb"\$\(cat\)|`cat`|\btee\b|mktemp")


@dataclass(frozen=True)
class Check:
    """One thing looked at. `state` is ok, warning or failed; a hint says how to mend it."""

    name: str
    state: str
    message: str
    hint: str = ""


def examine(repository: Repository, environment: Mapping[str, str], budget: float) -> list[Check]:
    """Every check, in the order in which a push meets them."""
    return [*_hooks(repository, environment), *_lfs(repository), *_server(environment, budget)]


def _hooks(repository: Repository, environment: Mapping[str, str]) -> list[Check]:
    """Is a hook of ours there and effective, what runs before and after it, and what does it not see?"""
    directory = hook_files.hooks_directory(repository)
    hook, legacy = hook_files.look(directory / "pre-push"), hook_files.look(directory / hook_files.LEGACY)
    checks = []
    if hook.owner == "ours":
        checks.append(_own_hook(hook, environment))
        previous = hook_files.look(directory / hook_files.PREVIOUS)
        if previous.owner:
            effect = "runs after ours" if previous.executable else "is not executable and does not run"
            checks.append(Check("hook order", "ok" if previous.executable else "warning", f"{previous.path} {effect}"))
    elif hook.owner == "pre-commit" and legacy.owner == "ours":
        checks.append(_own_hook(legacy, environment))
        checks.append(Check("hook order", "ok", "pre-commit's hook runs ours first, with every ref of a push"))
    elif hook.owner == "pre-commit":
        checks.append(_only_pre_commit(repository, environment))
    elif hook.owner in _CONFIGURED and _configured(repository, hook.owner):
        checks.append(Check("hook", "ok", f"{hook.owner}'s configuration calls git-clearml"))
    elif hook.owner == "manual":
        state, hint = ("ok", "") if hook.executable else ("failed", _chmod(hook.path))
        checks.append(Check("hook", state, f"{hook.path} calls git-clearml", hint))
    else:
        whose = "a foreign hook" if hook.owner == "foreign" else f"{hook.owner}'s"
        what = f"{hook.path} is {whose}" if hook.owner else f"no pre-push hook in {directory}"
        checks.append(Check("hook", "failed", f"{what}: pushes are not gated", "git clearml install"))
    return checks


def _configured(repository: Repository, framework: str) -> bool:
    """Does the configuration of a framework that owns the hook call us?"""
    texts = (_content(Path(repository.top or ".", name)) for name in _CONFIGURED[framework])
    return any(re.search(rb"git[ -]clearml hook pre-push", text) for text in texts)


def _own_hook(hook: hook_files.HookFile, environment: Mapping[str, str]) -> Check:
    if not hook.executable:
        return Check("hook", "failed", f"{hook.path} is not executable, so git ignores it", _chmod(hook.path))
    if not hook.current:
        return Check("hook", "warning", f"{hook.path} is not this version's", "git clearml install")
    if not shutil.which("git-clearml", path=environment.get("PATH", "")):
        return Check("hook", "failed", "the hook will not find git-clearml on PATH and refuse every push", "mend PATH")
    return Check("hook", "ok", f"{hook.path} is installed and effective")


def _only_pre_commit(repository: Repository, environment: Mapping[str, str]) -> Check:
    """pre-commit shows a hook one ref of a push, and none whose commits the remote has."""
    config = Path(repository.top or ".", ".pre-commit-config.yaml")
    try:
        configured = "clearml-verify" in config.read_text("utf-8", "replace")
    except OSError:
        configured = False
    if not configured:
        return Check(
            "hook", "failed", "pre-commit's hook does not run clearml-verify", "add it to .pre-commit-config.yaml"
        )
    both = "git clearml install says how both hooks run"
    blind = "only pre-commit's hook is installed, which shows one ref of a push and none that the remote has"
    if _protects(repository, environment):
        return Check("hook", "failed", f"{blind}; the policy names protected refs", both)
    return Check("hook", "warning", blind, both)


def _protects(repository: Repository, environment: Mapping[str, str]) -> bool:
    try:
        head = repository.resolve(["HEAD"])
        return bool(policies.rulings(repository, head, flags={}, environment=environment)[0].policy.protect)
    except Error:
        return False


def _lfs(repository: Repository) -> list[Check]:
    """Does git-lfs, where the repository uses it, still get the lines of a push?"""
    directory = hook_files.hooks_directory(repository)
    texts = {name: _content(directory / name) for name in ("pre-push", hook_files.PREVIOUS, hook_files.LEGACY)}
    with_lfs = [name for name, content in texts.items() if _LFS.search(content)]
    if not with_lfs:
        if not _uses_lfs(repository):
            return []
        message = "this repository uses git-lfs, but no hook uploads its files"
        return [Check("git-lfs", "failed", message, "git lfs install --local")]
    name = with_lfs[0]
    content = texts[name]
    both = _OURS.search(content) and hook_files.look(directory / name).owner != "ours"
    if both and not _SAVES_STDIN.search(content):
        message = f"{directory / name} runs git-lfs and git-clearml; the first of them reads all of stdin"
        hint = "lines=$(cat) first, then: printf '%s\\n' \"$lines\" | each of them"
        return [Check("git-lfs", "failed", message, hint)]
    return [Check("git-lfs", "ok", f"git lfs pre-push runs in {name} and gets its lines")]


def _uses_lfs(repository: Repository) -> bool:
    if not repository.top:
        return False
    return b"filter=lfs" in _content(Path(repository.top, ".gitattributes"))


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(65_536)
    except OSError:
        return b""


def _server(environment: Mapping[str, str], budget: float) -> list[Check]:
    """Do the credentials work, and how fast is the answer?"""
    try:
        server = clearml_conf.read_server(environment)
        if server is None:
            message = "no ClearML server is configured; evidence is this clone's own run records"
            return [Check("server", "warning", message, "run clearml-init, or set CLEARML_API_HOST and its keys")]
        from git_clearml.clearml.client import ClearML

        started = time.monotonic()
        with contextlib.closing(ClearML(server, budget, environment=environment)) as api:
            api.call("users.get_current_user", {})
    except Error as error:
        return [Check("server", "failed", error.message, error.hint)]
    took = 1000 * (time.monotonic() - started)
    return [
        Check("server", "ok", f"{server.api} accepts the credentials ({server.origin}) and answered in {took:.0f} ms")
    ]


def _chmod(path: Path) -> str:
    return f"chmod +x {path}"
