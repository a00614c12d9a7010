"""The client libraries' retries, ended by our deadline: they know what is worth another try, not that time is short."""

from __future__ import annotations

import time
from typing import Any

from git_clearml.base.http import seconds_to_wait
from git_clearml.forge import calls as limits
from git_clearml.forge.calls import Calls
from git_clearml.forge.explain import RateLimited

_SECONDARY_SECONDS = 60.0  # GitHub's advice for a secondary limit without Retry-After
_SERVER_ERRORS = range(500, 600)
_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


def github_retry(calls: Calls) -> Any:
    """PyGithub's GithubRetry, which waits for primary and secondary rate limits, within the budget of the calls.

    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
    """
    from github import GithubRetry

    return _within(calls, GithubRetry, (403, 429), secondary_rate_wait=_SECONDARY_SECONDS)


def gitlab_retry(calls: Calls) -> Any:
    """urllib3's Retry for GitLab's limits, within the budget of the calls.

    https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers
    """
    from urllib3 import Retry

    return _within(calls, Retry, (429,))


def _within(calls: Calls, base: type, limiting: tuple[int, ...], **options: Any) -> Any:
    """A Retry that gives up where the next try would come after the budget is spent."""
    from urllib3.exceptions import MaxRetryError, ResponseError

    class RetryWithin(base):  # type: ignore[misc]
        def increment(
            self, method: Any = None, url: Any = None, response: Any = None, error: Any = None, *more: Any, **named: Any
        ) -> Any:
            limited = response is not None and response.status in limiting
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
            headers = response.headers if response is not None else {}
            after = seconds_to_wait(headers.get("Retry-After", ""))
            if after is not None:
                return max(0.5, float(after))
            if response is not None and response.status == 429:
                return _until(headers.get("RateLimit-Reset", ""))
            return float(self.get_backoff_time())

        def sleep(self, response: Any = None) -> None:
            calls.wait(self.seconds(response))

    return RetryWithin(
        total=limits.TRIES,
        backoff_factor=limits.BACKOFF_SECONDS,
        status_forcelist=[*limiting, *_SERVER_ERRORS],
        allowed_methods=_METHODS,
        raise_on_status=False,
        **options,
    )


def _until(moment: str) -> float:
    """Seconds until a moment in Unix time, as GitLab tells it; a minute where it is none."""
    return max(0.5, int(moment) - time.time()) if moment.isdecimal() and len(moment) < 12 else _SECONDARY_SECONDS
