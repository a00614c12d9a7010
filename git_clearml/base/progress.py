"""Says how a task gets on: one live line on a terminal, plain lines with the time of day elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

from git_clearml.base.console import Console
from git_clearml.base.sanitize import sanitize

_EVERY = 60.0  # seconds after which a plain line is repeated, so that a CI job is seen to live


class Progress:
    """`clock` counts seconds; `wall` gives the time of day for a line."""

    def __init__(
        self,
        console: Console,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], str] = lambda: time.strftime("%H:%M:%S"),
    ) -> None:
        self._console, self._clock, self._wall = console, clock, wall
        self._last, self._when = "", 0.0

    @property
    def live(self) -> bool:
        """Is somebody watching, for whom details may be asked?"""
        return self._console.progress_wanted

    def event(self, line: str) -> None:
        """Something that happened once, kept on the screen."""
        self._console.say(f"{self._wall()} {sanitize(line)}")
        self._last = ""

    def warn(self, line: str) -> None:
        """A warning that --quiet does not keep back."""
        self._console.warn(line)
        self._last = ""

    def state(self, state: str, detail: str = "") -> None:
        """How it stands. A plain line is printed when the state changes, and every minute."""
        if self.live:
            self._console.progress(sanitize(f"{self._wall()} {state}{', ' + detail if detail else ''}"))
            return
        now = self._clock()
        if state != self._last or now - self._when >= _EVERY:
            self._console.say(f"{self._wall()} {sanitize(state + (', ' + detail if detail else ''))}")
            self._last, self._when = state, now
