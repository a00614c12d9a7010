"""What went wrong with a request to GitHub, in our words: which right is missing, how long a rate limit lasts.

Rate limits: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from git_clearml.base.secrets import Secrets
from git_clearml.errors import BadAnswer, CannotDecide, Forbidden, TimedOut, Unauthorized, Unreachable
from git_clearml.forge.api import NotFound

READ_SECONDS = 15
CHECK_API = "check GITHUB_API_URL"
_CREDENTIALS = "give the step env: GITHUB_TOKEN: ${{ github.token }}, or another valid token"

# What PyGithub raises, besides its own exceptions, for an answer that is not GitHub's.
_MALFORMED = {
    "RequestException", "BadAttributeException", "IncompletableObject",
    "AssertionError", "AttributeError", "RuntimeError", "ValueError", "TypeError", "KeyError",
}  # fmt: skip


class RateLimited(Exception):
    """A rate limit that outlasts our budget by `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class NoSuchCommit(BadAnswer):
    """GitHub does not know the commit."""


@dataclass(frozen=True)
class Operation:
    """What is asked of GitHub, as a verb phrase, and the line of a workflow that allows it ("" where no line does)."""

    what: str
    rights: str = ""


@dataclass(frozen=True)
class Explainer:
    """Explains errors of one API. None of the `secrets` gets into an explanation, should GitHub repeat one."""

    api: str
    secrets: Secrets

    def explain(self, error: Exception, operation: Operation) -> CannotDecide:
        """What went wrong. What neither GitHub nor the network can have caused is a bug: raised as it is.

        PyGithub's and requests' exceptions are told by their names: neither has to be loaded here.
        """
        if isinstance(error, CannotDecide):
            return error
        if isinstance(error, RateLimited):
            return _limited(error.seconds)
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if "GithubException" in kinds:
            return self._refused(error, operation)
        if "SSLError" in kinds:
            return BadAnswer(f"the certificate of {self.api} cannot be trusted", "set REQUESTS_CA_BUNDLE to your CA")
        if "Timeout" in kinds or _gave_up_reading(error):
            return TimedOut(f"{self.api} did not answer within {READ_SECONDS} s", "try again")
        if kinds & {"ConnectionError", "ChunkedEncodingError"}:
            return Unreachable(f"no connection to {self.api}", "is the network up? " + CHECK_API)
        if kinds & _MALFORMED:
            return BadAnswer(f"{self.api} answered with something that is not GitHub's", CHECK_API)
        raise error

    def _refused(self, error: Any, operation: Operation) -> CannotDecide:
        """An answer with a status of 400 or more."""
        message, status = self._message(error.data), error.status
        what, rights = operation.what, operation.rights
        if status == 429:
            return _limited(None)
        if status >= 500:
            return Unreachable(f"{self.api} is temporarily unavailable (HTTP {status})", "try again later")
        if status == 401:
            return Unauthorized("GitHub does not accept the token", _CREDENTIALS)
        if status == 403:
            hint = f"give the job {rights}" if rights else _CREDENTIALS
            return Forbidden(
                f"the token may not {what}: {message}", "unlock the conversation" if "is locked" in message else hint
            )
        if status in (404, 410):
            hint = f"is it the right repository, and has the job {rights}?" if rights else CHECK_API
            return NotFound(f"GitHub cannot {what} ({status}: {message})", hint)
        kind = NoSuchCommit if status == 422 and message.startswith("No commit found") else BadAnswer
        return kind(f"GitHub would not {what} ({status}: {message})", "--verbose shows the requests")

    def _message(self, data: Any) -> str:
        """GitHub's own words."""
        message = data.get("message") if isinstance(data, dict) else None
        text = message if isinstance(message, str) and message else "no reason given"
        return " ".join(self.secrets.redact(text).split())[:200]


def _limited(seconds: float | None) -> CannotDecide:
    lasts = "" if seconds is None else f" for another {seconds:.0f} s"
    hint = "run fewer jobs at a time, or raise --timeout SECONDS"
    return Unreachable(f"GitHub's rate limit is used up{lasts}", hint)


def _gave_up_reading(error: Exception) -> bool:
    """Is this requests' ConnectionError for a read that timed out in every try?"""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return type(reason).__name__ in ("ReadTimeoutError", "ConnectTimeoutError")
