"""An error of ours as a check: its hint is the fix where it is a command, else a part of the message. Pure."""

from __future__ import annotations

from collections.abc import Callable

from git_clearml.clearml.config import CHECK, DOCTOR
from git_clearml.errors import BadAnswer, Error
from git_clearml.report.diagnosis import Check, Level

_PROGRAMS = ("git", "export", "unset", "chmod", "clearml-init", "pip", "mv", "mkdir", "pre-commit", "prek")


def guarded(name: str, look: Callable[[], list[Check]]) -> list[Check]:
    """What was looked at; a warning of this name where an error ended that."""
    try:
        return look()
    except Error as error:
        return [of_error(name, "warn", error)]


def of_error(name: str, level: Level, error: Error, more: str = "", *, address: str = "") -> Check:
    """The check that an error comes to; `more` stands behind what happened. `address`: where the server's is from."""
    hint = _on_the_way(error, address) if error.hint == DOCTOR else error.hint
    if hint.partition(" ")[0] in _PROGRAMS:
        return Check(name, level, error.message + more, hint)
    return Check(name, level, f"{error.message}{': ' if hint else ''}{hint}{more}")


def _on_the_way(error: Error, address: str) -> str:
    """What there is to check where a server cannot be spoken to: whatever else hints at doctor is read here."""
    if not address:
        return ""
    up = "" if isinstance(error, BadAnswer) else "is the server up? "
    return up + CHECK.format(address)
