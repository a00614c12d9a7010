"""`GIT_CLEARML_SKIP`: the one way around the hook, and it is loud. Pure.

hooks/pre-push answers it itself, with the same table; tests compare the two.
"""

from __future__ import annotations

from typing import NamedTuple

SKIPS = ("1", "true", "yes")
DOES_NOT = ("", "0", "false")


SHOWN = "_GIT_CLEARML_SHOWN"
"""The hashes that `git clearml push` has told as verified: the hook of the push that follows does not repeat them."""


DRILL = "_GIT_CLEARML_DRILL"
"""The file that a hook tells what came out, in a push of `git clearml doctor --drill`; it remembers nothing then."""


class Skip(NamedTuple):
    """Is the check to be skipped, and the line to print about it ("" for none)."""

    skipped: bool
    line: str


def read_skip(value: str) -> Skip:
    """What the variable's value asks for."""
    if value in SKIPS:
        return Skip(True, f"git clearml: this push is not verified (GIT_CLEARML_SKIP={value})")
    if value in DOES_NOT:
        return Skip(False, "")
    return Skip(
        False, "git clearml: warning: GIT_CLEARML_SKIP has no effect with this value; 1, true or yes skip the check"
    )
