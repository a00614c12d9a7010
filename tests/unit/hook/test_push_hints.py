"""What a push that had no time left says to do: something that works in a push."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from git_clearml.errors import CannotDecide, TimedOut, Unreachable
from git_clearml.hook.judge import _typed_in_a_push
from git_clearml.hook.ref_updates import Push
from git_clearml.report import compose
from git_clearml.verdict import time_windows
from git_clearml.verdict.time_windows import Window

LATE = TimedOut("https://api.clear.ml did not answer within 10 s", "git config clearml.timeout 60")
TREES = time_windows.unfinished_before(
    LATE, Window(None, datetime(2026, 1, 2, tzinfo=timezone.utc)), "tasks of that tree"
)
ADMIN = "push again; whoever keeps this server can give it more time: git config clearml.timeout SECONDS"
AWAY = Unreachable("https://api.clear.ml refuses connections", "is the server up?")


@pytest.mark.parametrize(
    ("error", "timeout", "received", "hint"),
    [
        (LATE, 0, False, "git config clearml.timeout 60"),
        (LATE, 20.0, False, "git config clearml.timeout 60"),
        (LATE, 60.0, False, "git config clearml.timeout 300"),
        (LATE, 600.5, False, "git config clearml.timeout 1200"),
        (TREES, 0, False, "git config clearml.timeout 60"),
        (LATE, 4.0, True, ADMIN),
        (AWAY, 0, False, "is the server up?"),
    ],
)  # fmt: skip
def test_the_hint(error: CannotDecide, timeout: float, received: bool, hint: str) -> None:
    push = Push("origin", "https://example.com/x.git", (), received=received)
    report = _typed_in_a_push(compose.undecided(error), push, timeout)
    assert (report.hint, report.problems[0].hint, report.problems[0].message) == (hint, hint, error.message)
