"""Where git looks for hooks, and the names under which a pre-push hook may lie there."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from git_clearml.git.repository import Repository

HOOK = "pre-push"
_MOST = 1200  # characters of names in a hint

PREVIOUS = "pre-push.pre-clearml"
"""The hook that was there before ours; hooks/pre-push runs it after itself."""

REPLACED = "pre-push.replaced-by-clearml"
"""The hook that `install --force` took out of service; `uninstall` puts it back."""

LEGACY = "pre-push.legacy"
"""Where pre-commit and prek move a hook that they find, and run it from."""


def hooks_directory(repository: Repository) -> Path:
    """Where git looks for hooks here: `core.hooksPath` (relative to the top, `~` expanded), worktrees, submodules."""
    base = repository.top or repository.git_dir
    out = repository.read("-C", base, "rev-parse", "--git-path", "hooks").decode("utf-8", "surrogateescape")
    return Path(os.path.join(base, out.rstrip("\n")))


def shared_hooks_path(repository: Repository) -> str:
    """The `core.hooksPath` that a global or system setting gives to all repositories here, "" when there is none."""
    out = repository.run("config", "--show-scope", "--get", "core.hooksPath").stdout.decode("utf-8", "surrogateescape")
    scope, _, path = out.rstrip("\n").partition("\t")
    return path if scope in ("global", "system") else ""


def own_hooks_command(repository: Repository, name: str = "hooks") -> str:
    """The command that gives this repository a hooks directory of its own, of that name, quoted for a shell.

    The hooks of the shared directory run on: they are linked into it. One that bears the name of another there ends
    the command before anything has changed.
    """
    own = shlex.quote(os.path.join(repository.common_dir, name))
    command = f"git config --local core.hooksPath {own}"
    hooks = hooks_directory(repository)
    try:
        names = sorted(name for name in os.listdir(hooks) if not name.endswith(".sample"))
    except OSError:
        names = []
    links = " ".join(shlex.quote(os.path.join(hooks, name)) for name in names)
    if len(links) > _MOST:
        links = f"{shlex.quote(str(hooks))}/*"
    return f"mkdir -p {own} && ln -s {links} {own} && {command}" if links else command
