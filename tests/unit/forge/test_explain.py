"""What GitHub's refusals are called, and which right is missing."""

from __future__ import annotations

from typing import Any

import pytest

from git_clearml.base.secrets import Secrets
from git_clearml.errors import BadAnswer, CannotDecide, Forbidden, TimedOut, Unauthorized, Unreachable
from git_clearml.forge.api import NotFound
from git_clearml.forge.calls import Operation
from git_clearml.forge.explain import Explainer, NoSuchCommit, RateLimited

API, TOKEN = "https://api.example.com", "ghs_aTokenOfTheTests"
WRITE = Operation("comment on the pull request", "permissions: pull-requests: write")
ANONYMOUS = Operation("ask who it is")
EXPLAINER = Explainer(API, Secrets([TOKEN]))


class GithubException(Exception):
    """Told by its name, as PyGithub's."""

    def __init__(self, status: int, message: Any = "refused") -> None:
        super().__init__(status)
        self.status, self.data = status, {"message": message}


class SSLError(Exception): ...


class Timeout(Exception): ...


class ReadTimeoutError(Exception): ...


class BadAttributeException(Exception): ...


class RetriesUsedUp(Exception):
    def __init__(self, reason: Exception) -> None:
        super().__init__()
        self.reason = reason


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (GithubException(401), Unauthorized, "does not accept the token"),
        (GithubException(403), Forbidden, "the token may not comment on the pull request: refused"),
        (GithubException(404), NotFound, "cannot comment on the pull request (404: refused)"),
        (GithubException(410), NotFound, "(410: refused)"),
        (GithubException(422), BadAnswer, "would not comment on the pull request (422: refused)"),
        (GithubException(422, "No commit found for SHA: 1"), NoSuchCommit, "No commit found"),
        (GithubException(400, None), BadAnswer, "no reason given"),
        (GithubException(429), Unreachable, "rate limit is used up"),
        (GithubException(500), Unreachable, "temporarily unavailable (HTTP 500)"),
        (GithubException(503), Unreachable, "temporarily unavailable (HTTP 503)"),
        (RateLimited(61.4), Unreachable, "rate limit is used up for another 61 s"),
        (SSLError(), BadAnswer, "certificate of https://api.example.com cannot be trusted"),
        (Timeout(), TimedOut, "did not answer within 15 s"),
        (ConnectionError(RetriesUsedUp(ReadTimeoutError())), TimedOut, "did not answer within 15 s"),
        (ConnectionError(), Unreachable, "no connection to https://api.example.com"),
        (BadAttributeException(), BadAnswer, "not GitHub's"),
        (TypeError(), BadAnswer, "not GitHub's"),
        (BadAnswer("ours"), BadAnswer, "ours"),
    ],
)
def test_each_refusal_has_its_kind_and_its_words(error: Exception, kind: type[CannotDecide], message: str) -> None:
    explained = EXPLAINER.explain(error, WRITE)
    assert type(explained) is kind
    assert message in explained.message


def test_a_missing_right_is_named_where_a_line_of_a_workflow_gives_it() -> None:
    for status in (403, 404):
        assert WRITE.rights in EXPLAINER.explain(GithubException(status), WRITE).hint
        assert "permissions" not in EXPLAINER.explain(GithubException(status), ANONYMOUS).hint
    locked = GithubException(403, "Unable to create comment because issue is locked.")
    assert EXPLAINER.explain(locked, WRITE).hint == "unlock the conversation"


def test_a_secret_that_github_repeats_is_not_told() -> None:
    assert TOKEN not in EXPLAINER.explain(GithubException(403, f"no: {TOKEN}"), WRITE).message


def test_a_bug_of_ours_goes_up_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        EXPLAINER.explain(ZeroDivisionError(), WRITE)
