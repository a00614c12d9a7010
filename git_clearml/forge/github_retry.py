"""PyGithub's retries, ended by a deadline.

PyGithub knows what is worth another try and how long a rate limit lasts; it does not know that time is short.
Rate limits: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

from __future__ import annotations

from typing import Any

from git_clearml.base.http import seconds_to_wait
from git_clearml.forge import calls as limits
from git_clearml.forge.calls import Calls
from git_clearml.forge.explain import RateLimited

_SECONDARY_SECONDS = 60.0  # GitHub's advice for a secondary limit without Retry-After
_LIMITS = (403, 429)


def retry_within(calls: Calls) -> Any:
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
        total=limits.TRIES,
        backoff_factor=limits.BACKOFF_SECONDS,
        status_forcelist=[403, 429, *range(500, 600)],
        allowed_methods={"GET", "POST", "PATCH", "DELETE"},
        raise_on_status=False,
    )
