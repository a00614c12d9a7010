"""Variables by which a hook is not run, or runs and asks nothing: they may be set for a shell, and forgotten. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from git_clearml.hook.owner import Owner
from git_clearml.hook.skip import read_skip
from git_clearml.report.diagnosis import Check
from git_clearml.settings.table import SKIP

_OFF = ("0", "false")
_ALL = {Owner.HUSKY: "HUSKY", Owner.LEFTHOOK: "LEFTHOOK", Owner.OVERCOMMIT: "OVERCOMMIT_DISABLE"}


def examine(environment: Mapping[str, str], owner: Owner, *, ours_first: bool) -> list[Check]:
    """`owner` is whose the hook is that git runs; `ours_first`: it runs our native one, which none of theirs turns off.

    husky: HUSKY=0; lefthook: LEFTHOOK=0 or false; overcommit: OVERCOMMIT_DISABLE=1; pre-commit and prek: SKIP, a list
    of hooks (each in its own documentation).
    """
    value = environment.get(SKIP, "")
    skip = read_skip(value)
    if skip.skipped:
        return [_set(f"{SKIP}={value} is set here: pushes are not verified", SKIP)]
    checks = []
    name = _ALL.get(owner, "")
    if name and (environment.get(name) in _OFF or (name == "OVERCOMMIT_DISABLE" and environment.get(name) == "1")):
        checks.append(_set(f"{name}={environment[name]} is set here: {owner.value} runs no hooks", name))
    if owner.runs_legacy and not ours_first and "clearml-verify" in environment.get("SKIP", "").split(","):
        checks.append(_set(f"SKIP names clearml-verify: {owner.value} does not run it", "SKIP"))
    if skip.line and not checks:
        words = f"{SKIP} is set to a value without effect: only 1, true and yes skip the check"
        return [Check("skip", "warn", words, f"unset {SKIP}")]
    return checks


def _set(message: str, variable: str) -> Check:
    return Check("skip", "fail", message, f"unset {variable}")
