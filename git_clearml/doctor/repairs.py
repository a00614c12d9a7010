"""Carries out what can be repaired safely, one thing after the other: what fails is told, and stops nothing."""

from __future__ import annotations

from collections.abc import Sequence

from git_clearml.errors import Error
from git_clearml.report.diagnosis import Check, Repaired


def planned(checks: Sequence[Check], *, agreed: bool) -> list[Check]:
    """Those checks that `--fix` repairs; `agreed`: somebody is asked, so also what reaches beyond this repository."""
    wrong = (check for check in checks if check.level != "ok")
    return [check for check in wrong if check.repair is not None and (agreed or not check.repair.outside)]


def carry_out(checks: Sequence[Check]) -> list[Repaired]:
    """What became of the repair of each of these."""
    repaired = []
    for check in checks:
        if check.repair is None:
            continue
        trouble = ""
        try:
            check.repair.act()
        except Error as error:
            trouble = error.message
        except OSError as error:
            trouble = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
        repaired.append(Repaired(check.name, check.repair.plan, trouble))
    return repaired
