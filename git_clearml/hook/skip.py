"""`GIT_CLEARML_SKIP`: the one way around the hook, and it is loud. Pure.

hooks/pre-push answers it itself, with the same table; tests compare the two.
"""

from __future__ import annotations

SKIPS = ("1", "true", "yes")
DOES_NOT = ("", "0", "false")


def asked(value: str) -> tuple[bool, str]:
    """Is the check to be skipped, and the line to print about it ("" for none)."""
    if value in SKIPS:
        return True, f"git clearml: this push is not verified (GIT_CLEARML_SKIP={value})"
    if value in DOES_NOT:
        return False, ""
    return False, "git clearml: warning: GIT_CLEARML_SKIP does nothing with this value; 1, true or yes skip the check"
