"""The spans of time in which a server is asked for the tasks of many commits, the last months first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

from git_clearml.verdict.time_windows import LONGEST, Window, earlier

_AT_ONCE = 0.3  # seconds


def windows(start: datetime, now: datetime) -> Iterator[Window]:
    """From the present back to `start`, one after the other; the next one's length hangs on how long this one took.

    A server that answers at once has few tasks: one with a million needs ten seconds for a long window.
    """
    window: Window | None = Window(max(start, now - LONGEST))
    length = LONGEST
    while window and window.since:
        began = time.monotonic()
        yield window
        length = length * 4 if time.monotonic() - began < _AT_ONCE else LONGEST
        window = earlier(window, length) if window.since > start else None
