"""`make fuzz`: each property draws new examples until it has had many, or its time is over."""

import functools
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
"""How long one property goes on drawing; 0: until it has had its examples. Some start git or ask a server each time."""


class Bound:
    """A pytest plugin. What is drawn after a property's time is not tried; where an example failed, there is no end, or
    what Hypothesis makes smaller would seem to pass."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.ends = 0.0
        self.seen: set[int] = set()

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        # Hypothesis' own place for wrapping a property: "Custom function execution", for those who write runners.
        handle = getattr(getattr(item, "obj", None), "hypothesis", None)
        if handle is not None and id(handle) not in self.seen:
            self.seen.add(id(handle))
            handle.inner_test = self._timed(handle.inner_test)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self) -> None:
        self.ends = time.monotonic() + self.seconds

    def _timed(self, test: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(test)
        def tried(*args: Any, **kwargs: Any) -> None:
            if time.monotonic() > self.ends:
                return
            try:
                test(*args, **kwargs)
            except BaseException:
                self.ends = float("inf")
                raise

        return tried
