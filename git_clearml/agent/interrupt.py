"""What Ctrl-C, SIGTERM and SIGHUP do to `check-runnable`: the check ends as interrupted, and all is cleaned up first.

One more interrupt during the cleaning up of a check that had ended by itself makes it an interrupted one; during that
of an interrupted check it ends the cleaning up, and what is left is listed with the thing to do by hand (see cleanup).
"""

from __future__ import annotations

from dataclasses import replace

from git_clearml.agent.model import Check, CheckOutcome
from git_clearml.errors import Interrupted

SIGINT_STATUS = 130
_TERMINATED = (143, 129)  # by SIGTERM, or by SIGHUP
GRACE = 60.0  # seconds for an agent to confirm that it has aborted a task
_GRACE_TERMINATED = 5.0  # the same after SIGTERM or SIGHUP: a CI job has not many more


def status_of(interruption: BaseException) -> int:
    """The exit status for a KeyboardInterrupt or an Interrupted: 128 and the number of the signal."""
    return interruption.status if isinstance(interruption, Interrupted) else SIGINT_STATUS


def interrupted(check: Check, status: int) -> Check:
    """The check, ended by a signal whose exit status this is."""
    sentence = f"interrupted; before that: {check.sentence}" if check.sentence else "interrupted"
    return replace(check, outcome=CheckOutcome.INTERRUPTED, status=status, sentence=sentence, hint="")


def grace(check: Check) -> float:
    """Seconds that cleaning up after this check waits for the agent to confirm the abort."""
    return _GRACE_TERMINATED if check.status in _TERMINATED else GRACE


def patience(check: Check) -> int:
    """How many interrupts the cleaning up after this check bears before it gives up."""
    return 0 if check.outcome is CheckOutcome.INTERRUPTED else 1
