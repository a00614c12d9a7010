"""A drill (`git clearml doctor --drill`): the hook judges as ever, tells the drill what came out, remembers nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import NamedTuple

from git_clearml.base.files import read_limited
from git_clearml.hook.skip import DRILL

NO_LINES = "no-lines"
"""What stands there in the place of an outcome where a hook was asked about nothing."""

_MOST = 10_000  # bytes


class Told(NamedTuple):
    """What `git clearml hook` came to in a drill: an outcome, or NO_LINES, and the exit status."""

    outcome: str
    status: int


def is_on(environment: Mapping[str, str]) -> bool:
    """Is this push a drill?"""
    return bool(environment.get(DRILL))


def tell(environment: Mapping[str, str], outcome: str, status: int) -> None:
    """Tells the drill, where this is one, what came out. What cannot be written is not seen by it."""
    if is_on(environment):
        with contextlib.suppress(OSError), open(environment[DRILL], "a", encoding="ascii") as file:
            file.write(f"{outcome} {status}\n")


def told(path: str) -> list[Told]:
    """All that hooks have told."""
    content = read_limited(path, _MOST)
    lines = (
        [] if isinstance(content, str) else [line.split(" ") for line in content.decode("ascii", "replace").split("\n")]
    )
    return [Told(words[0], int(words[1])) for words in lines if len(words) == 2 and words[1].isdecimal()]
