"""How GitHub is asked: within one budget, waiting for its rate limits, and with its refusals in our words.

Rate limits: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from git_clearml.base import secrets as redaction
from git_clearml.errors import BadAnswer, CannotDecide, Forbidden, TimedOut, Unauthorized, Unreachable

READ_SECONDS = 15
CHECK_API = "check GITHUB_API_URL"
_CREDENTIALS = "give the step env: GITHUB_TOKEN: ${{ github.token }}, or another token that is valid"
_DELAYS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # seconds before a further try where GitHub does not say when
_SECONDARY_SECONDS = 60.0  # GitHub's advice for a secondary limit without Retry-After
_SOON = 0.0

Answer = tuple[Mapping[str, Any], Any]


class NotFound(CannotDecide):
    """GitHub says that there is no such thing, or does not show it to this token."""

    code = "bad-answer"


class NoSuchCommit(BadAnswer):
    """GitHub does not know the commit."""


@dataclass(frozen=True)
class Wish:
    """What is asked for, as a verb phrase, and the line of a workflow that allows it ("" where no line does)."""

    what: str
    rights: str = ""


@dataclass
class Clock:
    """Seconds: `monotonic` for the budget, `now` since 1970 for what GitHub says, and how to let them pass."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


class Asking:
    """All calls to one API together have `budget` seconds. `log` gets a line for each.

    None of the `secrets` comes out of it, should GitHub repeat one in its refusal.
    """

    def __init__(
        self, api: str, secrets: Sequence[str], budget: float, clock: Clock, log: Callable[[str], None]
    ) -> None:
        self._api, self._secrets, self._budget = api, secrets, budget
        self._clock, self._log = clock, log
        self._deadline = clock.monotonic() + budget

    def answer(self, call: Callable[[], Any], name: str, wish: Wish) -> Answer:
        """What `call` comes to, (headers, data), tried again while that may help and time is left."""
        delays = iter(_DELAYS)
        while True:
            started = self._clock.monotonic()
            result = self._try(call)
            if not isinstance(result, Exception):
                self._log(f"GitHub: {name}, {1000 * (self._clock.monotonic() - started):.0f} ms")
                headers, data = result
                return headers or {}, data
            failure, wait = self._explained(result, wish)
            wait = next(delays, None) if wait == _SOON else wait
            if wait is None or self._clock.monotonic() + wait >= self._deadline:
                raise failure from None
            self._log(f"{failure.message}; again in {wait:g} s")
            self._clock.sleep(wait)

    def _try(self, call: Callable[[], Any]) -> Any:
        """The call's result, or its exception as a value.

        It runs in a thread of its own, which the deadline abandons: a read timeout alone ends no slow answer.
        """
        remaining = self._deadline - self._clock.monotonic()
        results: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def work() -> None:
            try:
                results.put(call())
            except Exception as error:  # noqa: BLE001 - handed over to the thread that asked
                results.put(error)

        if remaining > 0:
            threading.Thread(target=work, daemon=True).start()
        try:
            return results.get(timeout=max(0.0, remaining))
        except queue.Empty:
            raise TimedOut(
                f"{self._api} did not answer within {self._budget:g} s", "try again, or raise --timeout SECONDS"
            ) from None

    def _explained(self, error: Exception, wish: Wish) -> tuple[CannotDecide, float | None]:
        """What went wrong, and the seconds after which to try again: 0 for "soon", None for never.

        What neither GitHub nor the network can have caused is a bug and goes up as it is. PyGithub's and requests'
        exceptions are told by their names, so that neither has to be known here.
        """
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if "GithubException" in kinds:
            return self._refused(error, wish)
        if "SSLError" in kinds:
            return BadAnswer(
                f"the certificate of {self._api} cannot be trusted", "set REQUESTS_CA_BUNDLE to your CA"
            ), None
        if "Timeout" in kinds:
            return TimedOut(f"{self._api} did not answer within {READ_SECONDS} s", "try again"), _SOON
        if kinds & {"ConnectionError", "ChunkedEncodingError"}:
            return Unreachable(f"no connection to {self._api}", "is the network up? " + CHECK_API), _SOON
        if kinds & {"RequestException", "AssertionError", "RuntimeError", "ValueError"}:  # PyGithub asserts about URLs
            return BadAnswer(f"{self._api} answered with something that is not GitHub's", CHECK_API), None
        raise error

    def _refused(self, error: Any, wish: Wish) -> tuple[CannotDecide, float | None]:
        """An answer with a status of 400 or more."""
        headers = {str(key).lower(): str(value) for key, value in (error.headers or {}).items()}
        said, status = self._said(error.data), error.status
        limited = self._limited(status, headers, said)
        if limited is not None:
            hint = "run fewer jobs at a time, or raise --timeout SECONDS"
            return Unreachable(f"GitHub's rate limit is used up for another {limited:.0f} s", hint), limited
        if status >= 500:
            return Unreachable(f"{self._api} is away for now (HTTP {status})", "try again in a while"), _SOON
        if status == 401:
            return Unauthorized("GitHub does not accept the token", _CREDENTIALS), None
        if status == 403:
            hint = f"give the job {wish.rights}" if wish.rights else _CREDENTIALS
            hint = "unlock the conversation" if "is locked" in said else hint
            return Forbidden(f"the token may not {wish.what}: {said}", hint), None
        if status in (404, 410):
            hint = f"is it the right repository, and has the job {wish.rights}?" if wish.rights else CHECK_API
            return NotFound(f"GitHub cannot {wish.what} ({status}: {said})", hint), None
        kind = NoSuchCommit if status == 422 and said.startswith("No commit found") else BadAnswer
        return kind(f"GitHub would not {wish.what} ({status}: {said})", "--verbose says what was asked"), None

    def _limited(self, status: int, headers: Mapping[str, str], said: str) -> float | None:
        """The seconds to wait for a rate limit (never 0), None where the answer is about something else."""
        if status not in (403, 429):
            return None
        after, reset = headers.get("retry-after", "").strip(), headers.get("x-ratelimit-reset", "").strip()
        if after.isdigit():
            return max(0.5, float(after[:9]))
        if headers.get("x-ratelimit-remaining", "").strip() == "0" and reset.isdigit():
            return max(0.0, float(reset[:12]) - self._clock.now()) + 1.0  # at some time within that second
        if status == 429 or "rate limit" in said.lower():
            return _SECONDARY_SECONDS
        return None

    def _said(self, data: Any) -> str:
        """GitHub's own words."""
        message = data.get("message") if isinstance(data, dict) else None
        text = message if isinstance(message, str) and message else "no reason given"
        return " ".join(redaction.struck(text, self._secrets).split())[:200]
