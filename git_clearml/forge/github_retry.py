"""Asks GitHub within one budget of seconds: PyGithub's retries, ended by a deadline.

PyGithub knows what is worth another try and how long a rate limit lasts; it does not know that time is short.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from git_clearml.base.http import seconds_to_wait
from git_clearml.errors import TimedOut
from git_clearml.forge.github_errors import Explainer, Operation, RateLimited

TRIES = 6  # after the first one
BACKOFF_SECONDS = 0.5  # 0, 1, 2, 4, 8, 16 s before a further try where GitHub does not say when
_SECONDARY_SECONDS = 60.0  # GitHub's advice for a secondary limit without Retry-After
_LIMITS = (403, 429)

Result = TypeVar("Result")


@dataclass
class Clock:
    """Seconds that only go forward, and how to let some pass."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class GitHubCalls:
    """All calls to one API together have `budget` seconds. `log` gets a line for each."""

    def __init__(self, explainer: Explainer, budget: float, clock: Clock, log: Callable[[str], None]) -> None:
        self._explainer, self._budget = explainer, budget
        self._clock, self._log = clock, log
        self._deadline = clock.monotonic() + budget

    def call(self, work: Callable[[], Result], operation: Operation) -> Result:
        """What `work` returns. Its exceptions are explained, and raised as CannotDecide.

        It runs in a thread of its own, which the deadline abandons: a read timeout alone ends no slow answer.
        """
        started = self._clock.monotonic()
        outcomes: queue.SimpleQueue[tuple[Result | None, Exception | None]] = queue.SimpleQueue()

        def run() -> None:
            try:
                outcomes.put((work(), None))
            except Exception as error:  # noqa: BLE001 - handed over to the thread that asked
                outcomes.put((None, error))

        if self.remaining() > 0:
            threading.Thread(target=run, daemon=True).start()
        try:
            result, error = outcomes.get(timeout=max(0.0, self.remaining()))
        except queue.Empty:
            message = f"{self._explainer.api} did not answer within {self._budget:g} s"
            raise TimedOut(message, "try again, or raise --timeout SECONDS") from None
        if error is not None:
            raise self._explainer.explain(error, operation) from None
        self._log(f"GitHub: {operation.what}, {1000 * (self._clock.monotonic() - started):.0f} ms")
        return result  # type: ignore[return-value]  # an error is None only where there is a result

    def remaining(self) -> float:
        """The seconds that are left of the budget."""
        return self._deadline - self._clock.monotonic()

    def wait(self, seconds: float) -> None:
        """Waits before a further try, and says so."""
        if seconds > 0:
            self._log(f"GitHub: again in {seconds:g} s")
            self._clock.sleep(seconds)


def retry_within(calls: GitHubCalls) -> Any:
    """PyGithub's GithubRetry, which gives up where the next try would come after the budget is spent."""
    from github import GithubRetry
    from urllib3.exceptions import MaxRetryError, ResponseError

    class RetryWithin(GithubRetry):
        def increment(
            self, method: Any = None, url: Any = None, response: Any = None, error: Any = None, *more: Any, **named: Any
        ) -> Any:
            limited = response is not None and response.status in _LIMITS
            following: Any
            try:
                following = super().increment(method, url, response, error, *more, **named)
            except MaxRetryError:
                if limited:  # PyGithub has read the refusal: nobody else can
                    response.drain_conn()
                    raise RateLimited(_SECONDARY_SECONDS) from None
                raise
            seconds = following.seconds(response)
            if seconds < calls.remaining():
                return following
            if limited:
                response.drain_conn()  # or nobody closes the connection
                raise RateLimited(seconds)
            pool: Any = named.get("_pool")
            raise MaxRetryError(pool, url or "", error or ResponseError(f"HTTP {response.status}"))

        def seconds(self, response: Any) -> float:
            """How long to wait before the next try."""
            after = seconds_to_wait(response.headers.get("Retry-After", "")) if response is not None else None
            if after is not None:
                return max(0.5, float(after))
            if response is not None and response.status == 429:
                return _SECONDARY_SECONDS
            return float(self.get_backoff_time())

        def sleep(self, response: Any = None) -> None:
            calls.wait(self.seconds(response))

    return RetryWithin(
        secondary_rate_wait=_SECONDARY_SECONDS,
        total=TRIES,
        backoff_factor=BACKOFF_SECONDS,
        status_forcelist=[403, 429, *range(500, 600)],
        allowed_methods={"GET", "POST", "PATCH", "DELETE"},
        raise_on_status=False,
    )
