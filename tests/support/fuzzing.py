"""`make fuzz`: each property draws new examples until it has had many, or its time is over."""

import contextlib
import functools
import math
import os
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest
from hypothesis.errors import StopTest, UnsatisfiedAssumption

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
"""How long one property goes on drawing; 0: until it has had its examples. Some start git or ask a server each time."""


class TimeIsOver(pytest.skip.Exception):
    """Hypothesis lets what skips a test through, and draws no more."""


class Bound:
    """A pytest plugin. A property whose time is over has passed; one that failed goes on: Hypothesis has yet to make
    its example smaller."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.ends = math.inf
        self.seen: set[int] = set()

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        # Hypothesis' own place for wrapping a property: "Custom function execution", for those who write runners.
        handle = getattr(getattr(item, "obj", None), "hypothesis", None)
        if handle is not None and id(handle) not in self.seen:
            self.seen.add(id(handle))
            handle.inner_test = self._timed(handle.inner_test)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, None, None]:
        self.ends = time.monotonic() + self.seconds
        with contextlib.suppress(TimeIsOver):
            yield

    def _timed(self, test: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(test)
        def tried(*args: Any, **kwargs: Any) -> None:
            try:
                test(*args, **kwargs)
            except (UnsatisfiedAssumption, StopTest):
                raise
            except BaseException:
                self.ends = math.inf
                raise
            if time.monotonic() > self.ends:  # not before: an example that draws no more would be another one
                raise TimeIsOver("the time of this property is over")

        return tried
