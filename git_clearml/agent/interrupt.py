"""What Ctrl-C, SIGTERM and SIGHUP do to `check-runnable`: it ends as interrupted, and all is cleaned up first.

A signal during the cleaning up of a check that had ended by itself makes it an interrupted one. One more than that
which interrupted it shortens the waiting for the agent, and never leaves out a step (see cleanup).
"""

from __future__ import annotations

import signal
from dataclasses import replace

from git_clearml.agent.model import Check, CheckOutcome

SIGINT_STATUS = 128 + signal.SIGINT
GRACE = 60.0  # seconds for an agent to confirm that it has aborted a task
_GRACE_TERMINATED = 5.0  # the same after any other signal: a CI job has not many more


def interrupted(check: Check, status: int) -> Check:
    """The check, ended by a signal whose exit status this is."""
    sentence = f"interrupted; before that: {check.sentence}" if check.sentence else "interrupted"
    return replace(check, outcome=CheckOutcome.INTERRUPTED, status=status, sentence=sentence, hint="")


def grace_of(status: int) -> float:
    """Seconds that an agent has to confirm the abort after the signal of this exit status, 0 for no signal."""
    return GRACE if status in (0, SIGINT_STATUS) else _GRACE_TERMINATED
