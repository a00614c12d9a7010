"""Which pager git would show its log in, and whether in colours."""

from __future__ import annotations

import os
from collections.abc import Mapping

from git_clearml.git.repository import Repository
from git_clearml.git.runner import Runner

_NO = ("false", "no", "off", "0", "never")
_YES = ("true", "yes", "on", "1", "")


def command(repository: Repository, environment: Mapping[str, str]) -> str:
    """The shell command of the pager for `git log`, "" for none (git-config(1): pager.<cmd>, core.pager)."""
    wanted = dict(repository.config()).get("pager.log", "true")
    if wanted.lower() in _NO or environment.get("TERM") == "dumb":
        return ""
    return default(environment, repository) if wanted.lower() in _YES else wanted


def default(environment: Mapping[str, str], runner: Runner | None = None) -> str:
    """The pager that git takes where nothing else is said for a command; it need not be in a repository."""
    if environment.get("TERM") == "dumb":
        return ""
    pager = (runner or Runner(os.sep)).run("var", "GIT_PAGER").text
    return "" if pager == "cat" else pager


def wants_colours(repository: Repository) -> bool:
    """Does nothing in git's configuration turn the colours of `git log` off?"""
    config = dict(repository.config())
    return config.get("color.diff", config.get("color.ui", "auto")).lower() not in _NO
