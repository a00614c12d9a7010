"""What went wrong with a request to a forge, in our words: which right is missing, how long a rate limit lasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from git_clearml.base.secrets import Secrets
from git_clearml.errors import BadAnswer, CannotDecide, Forbidden, TimedOut, Unauthorized, Unreachable
from git_clearml.forge.api import NotFound
from git_clearml.forge.calls import READ_SECONDS, Operation

# What a client library raises, besides its own exceptions, for an answer that is not the forge's.
_MALFORMED = {
    "RequestException", "BadAttributeException", "IncompletableObject", "RedirectError", "GitlabError",
    "AssertionError", "AttributeError", "RuntimeError", "ValueError", "TypeError", "LookupError", "OverflowError",
    "HTTPError", "HTTPException", "error", "PatternError",  # the last two of `re`: python-gitlab searches for an answer
}  # fmt: skip


class RateLimited(Exception):
    """A rate limit that outlasts our budget by `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class NoSuchCommit(BadAnswer):
    """The forge does not know the commit."""


@dataclass(frozen=True)
class Dialect:
    """How one forge is spoken of. `check_api` and `credentials` are hints; `give` and `has` are ones with a right."""

    name: str
    check_api: str
    credentials: str
    give: str
    has: str
    own: str

    def needed(self, value: Any, key: str) -> str:
        """A text of an answer. Raises BadAnswer where there is none."""
        if not isinstance(value, str) or not value:
            raise BadAnswer(f"the API answered without {key}", self.check_api)
        return value

    def number(self, value: Any, key: str) -> int:
        """A number of an answer. Raises BadAnswer where there is none."""
        if not isinstance(value, int):
            raise BadAnswer(f"the API answered without {key}", self.check_api)
        return value


GITHUB = Dialect(
    "GitHub",
    "check GITHUB_API_URL",
    "give the step env: GITHUB_TOKEN: ${{ github.token }}, or another valid token",
    "give the job {}",
    "check the repository's name, and give the job {}",
    "GitHub's",
)


@dataclass(frozen=True)
class Explainer:
    """Explains errors of one API. None of the `secrets` gets into an explanation, should the forge repeat one.

    PyGithub's, python-gitlab's and requests' exceptions are told by their names: none has to be loaded here.
    """

    api: str
    secrets: Secrets
    dialect: Dialect = GITHUB

    def explain(self, error: Exception, operation: Operation) -> CannotDecide:
        """What went wrong. What neither the forge nor the network can have caused is a bug: raised as it is."""
        if isinstance(error, CannotDecide):
            return error
        if isinstance(error, RateLimited):
            return self._limited(error.seconds)
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if "GithubException" in kinds:
            return self.refused(error.status, error.data, operation)  # type: ignore[attr-defined]
        status = getattr(error, "response_code", None)
        if "GitlabError" in kinds and isinstance(status, int) and status >= 400:
            return self.refused(status, error.error_message, operation)  # type: ignore[attr-defined]
        if "SSLError" in kinds:
            return BadAnswer(f"the certificate of {self.api} cannot be trusted", "set REQUESTS_CA_BUNDLE to your CA")
        if "Timeout" in kinds or _gave_up_reading(error):
            return TimedOut(f"{self.api} did not answer within {READ_SECONDS} s", "try again")
        if kinds & {"ConnectionError", "ChunkedEncodingError"}:
            return Unreachable(f"no connection to {self.api}", self.dialect.check_api)
        if kinds & _MALFORMED:
            message = f"{self.api} answered with something that is not {self.dialect.own}"
            return BadAnswer(message, self.dialect.check_api)
        if isinstance(error, OSError):  # requests looks for the certificates itself
            return BadAnswer(f"the certificates for {self.api} cannot be read", "check REQUESTS_CA_BUNDLE")
        raise error

    def refused(self, status: int, data: Any, operation: Operation) -> CannotDecide:
        """An answer with a status of 400 or more; `data` is what the forge says of it."""
        message = self._message(data)
        what, rights, dialect = operation.what, operation.rights, self.dialect
        if status == 429:
            return self._limited(None)
        if status >= 500:
            return Unreachable(f"{self.api} is temporarily unavailable (HTTP {status})", "try again later")
        if status == 401:
            return Unauthorized(f"{dialect.name} does not accept the token", dialect.credentials)
        if status == 403:
            hint = dialect.give.format(rights) if rights else dialect.credentials
            return Forbidden(
                f"the token may not {what}: {message}", "unlock the conversation" if "is locked" in message else hint
            )
        if status in (404, 410):
            hint = dialect.has.format(rights) if rights else dialect.check_api
            return NotFound(f"{dialect.name} cannot {what} ({status}: {message})", hint)
        kind = NoSuchCommit if status == 422 and message.startswith("No commit found") else BadAnswer
        return kind(f"{dialect.name} would not {what} ({status}: {message})", "--verbose shows the requests")

    def _message(self, data: Any) -> str:
        """The forge's own words."""
        return " ".join(self.secrets.redact(_words(data) or "no reason given").split())[:200]

    def _limited(self, seconds: float | None) -> CannotDecide:
        lasts = "" if seconds is None else f" for another {seconds:.0f} s"
        hint = "run fewer jobs at a time"
        return Unreachable(f"{self.dialect.own} rate limit is used up{lasts}", hint)


def _gave_up_reading(error: Exception) -> bool:
    """Is this requests' ConnectionError for a read that timed out in every try?"""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return type(reason).__name__ in ("ReadTimeoutError", "ConnectTimeoutError")


def _words(data: Any) -> str:
    """A text, or what stands in an object: GitLab has `{"message": {"note": ["is too long"]}}` too."""
    if isinstance(data, dict):
        named = next((data[key] for key in ("message", "error_description", "error") if data.get(key)), None)
        return _words(named) if named else "; ".join(filter(None, (_words(value) for value in data.values())))
    if isinstance(data, list):
        return "; ".join(filter(None, map(_words, data)))
    return data if isinstance(data, str) else ""
