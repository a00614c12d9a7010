"""Connects to the server while git is loaded and asked, where what lies here says that the server will be.

That is a guess from files, good for a connection and for nothing else: what is judged, and whether anybody is asked,
is for git to say. Where it is wrong (a pyproject.toml that is not the commit's) the connection is closed again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from git_clearml.base.files import read_limited
from git_clearml.clearml.config import read_server
from git_clearml.errors import Error
from git_clearml.settings import table as settings
from git_clearml.settings.in_ci import in_ci

if TYPE_CHECKING:
    from git_clearml.clearml.client import ClearML

_BUDGET = 30.0  # seconds; whoever asks has a budget of its own
_ELSEWHERE = (
    "GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY", "GIT_CEILING_DIRECTORIES",
    "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT", "GIT_CONFIG_SYSTEM",
    "GIT_TEST_ASSUME_DIFFERENT_OWNER",
)  # fmt: skip
_MOST = 1_000_000  # bytes of a file of git's


def begin(flags: Mapping[str, Any], environment: Mapping[str, str]) -> ClearML | None:
    """A client that connects, for whoever asks about HEAD with these flags to take over, or to close; None where it is
    not as good as certain that the server will be asked."""
    if in_ci(environment) or any(environment.get(name) for name in _ELSEWHERE):
        return None  # another policy decides, another repository, or nobody's
    try:
        server = read_server(environment) if _asks(Path.cwd(), flags, environment) else None
    except (Error, OSError):
        return None  # it is told where it matters
    if server is None:
        return None
    from git_clearml.clearml.client import ClearML

    api = ClearML(server, _BUDGET, environment=environment)
    api.open_ahead()
    return api


def _asks(directory: Path, flags: Mapping[str, Any], environment: Mapping[str, str]) -> bool:
    """Is there a commit at HEAD, and does the policy beside it want the server? Raises OSError and BadSetting."""
    top = next((place for place in (directory, *directory.parents) if os.path.lexists(place / ".git")), None)
    if top is None or top.stat().st_uid != os.geteuid() or not _has_head(top / ".git"):
        return False
    home = environment.get("HOME") or "/nowhere"
    own = (environment.get("GIT_CONFIG_GLOBAL") or f"{home}/.gitconfig", f"{home}/.config/git/config")
    configs = (top / ".git" / "config", *map(Path, own))
    if any(b"[clearml" in _content(path).lower() for path in configs):
        return False  # a setting of ours may be a wrong one
    policy_file = top / "pyproject.toml"
    content = read_limited(policy_file, settings.MOST_BYTES) if policy_file.exists() else b""
    if isinstance(content, str):
        return False
    pyproject = settings.pyproject_table(content, str(policy_file))
    values, _ = settings.merge(flags=flags, environment=environment, git_config=(), pyproject=pyproject)
    return settings.policy_of(values).evidence != "offline"


def _has_head(git_dir: Path) -> bool:
    """Does a plain git directory of ours have a commit checked out? Of any other nothing is known."""
    if not git_dir.is_dir() or git_dir.stat().st_uid != os.geteuid():
        return False
    head = _content(git_dir / "HEAD").decode("utf-8", "replace").strip()
    ref = head.removeprefix("ref: ")
    return ref == head or (git_dir / ref).exists() or f" {ref}\n".encode() in _content(git_dir / "packed-refs")


def _content(path: Path) -> bytes:
    content = read_limited(path, _MOST)
    return b"" if isinstance(content, str) else content
