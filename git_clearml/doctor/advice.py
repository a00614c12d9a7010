"""An error of ours as a check: its hint is the fix where it is a command, else a part of the message. Pure."""

from __future__ import annotations

from git_clearml.errors import Error
from git_clearml.report.diagnosis import Check, Level

_PROGRAMS = ("git", "export", "unset", "chmod", "clearml-init", "pip", "mv", "mkdir", "pre-commit", "prek")


def of_error(name: str, level: Level, error: Error, more: str = "") -> Check:
    """The check that an error comes to; `more` stands behind what happened."""
    hint = error.hint
    if hint.partition(" ")[0] in _PROGRAMS:
        return Check(name, level, error.message + more, hint)
    return Check(name, level, f"{error.message}{': ' if hint else ''}{hint}{more}")
