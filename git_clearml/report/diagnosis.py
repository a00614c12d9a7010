"""What `git clearml doctor` has looked at: each check with its level, and the one command that fixes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Repair:
    """What `--fix` does. `plan` says it ("write ..."); `act` does it, and raises OSError or Error where it cannot.

    `outside`: it reaches beyond this repository, into the user's own files.
    """

    plan: str
    act: Callable[[], object]
    outside: bool = False


@dataclass(frozen=True)
class Check:
    """One thing looked at. `fail`: a push could go ungated, or a plain `Task.init` would record what is not so; `warn`:
    `git clearml run` or the gate sees through it (design 11). `fix` is a command that works as typed, "" for none."""

    name: str
    level: Level
    message: str
    fix: str = ""
    repair: Repair | None = None


@dataclass(frozen=True)
class Repaired:
    """What became of a repair: `trouble` is "" where it was done."""

    name: str
    plan: str
    trouble: str = ""


def status_of(checks: Sequence[Check], repaired: Sequence[Repaired] = ()) -> int:
    """The exit status that these come to."""
    return 1 if any(check.level == "fail" for check in checks) or any(each.trouble for each in repaired) else 0
