"""A drill (`git clearml doctor --drill`): the hook judges as ever, tells the drill what came out, remembers nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from git_clearml.base.files import read_limited
from git_clearml.hook.skip import DRILL

NO_LINES = "no-lines"
"""What stands there in the place of an outcome where a hook was asked about nothing."""

_MOST = 10_000  # bytes


def tell(environment: Mapping[str, str], outcome: str, status: int) -> None:
    """Tells the drill, where this is one, what came out. What cannot be written is not seen by it."""
    if environment.get(DRILL):
        with contextlib.suppress(OSError), open(environment[DRILL], "a", encoding="ascii") as file:
            file.write(f"{outcome} {status}\n")


def told(path: str) -> list[str]:
    """The outcomes that hooks have told, or NO_LINES."""
    content = read_limited(path, _MOST)
    lines = [] if isinstance(content, str) else content.decode("ascii", "replace").split("\n")
    words = [line.split(" ") for line in lines]
    return [each[0] for each in words if len(each) == 2 and each[1].isdecimal()]
