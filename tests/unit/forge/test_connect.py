"""Which forge a report goes to by hand, and which repository there; whom a token may be sent to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pytest

from git_clearml.errors import NotConfigured, UsageError
from git_clearml.forge.calls import Calls
from git_clearml.forge.comment import publish
from git_clearml.forge.connect import Workplace, connect, provider_of
from git_clearml.forge.job import Job, Provider
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.model import Outcome

GITHUB, GITEA, GITLAB = Provider.GITHUB, Provider.GITEA, Provider.GITLAB
TOKENS = {"GITHUB_TOKEN": "x", "GITLAB_TOKEN": "y", "GITEA_TOKEN": "z"}
OWN = {"CI_SERVER_URL": "https://git.example.com"}
OWN_GITEA = {"GITHUB_API_URL": "https://git.example.com/api/v1"}

NAMED = "git clearml comment --repository owner/name"


@dataclass
class Remotes:
    """A clone, as far as it matters here."""

    urls: tuple[str, ...]

    def remote_urls(self) -> tuple[str, ...]:
        return self.urls


def workplace(urls: str, environment: Mapping[str, str], job: Job | None = None) -> Workplace:
    return Workplace(job, cast(Any, Remotes(tuple(urls.split()))), environment)


@pytest.mark.parametrize(
    ("urls", "environment", "repository", "expected"),
    [
        ("https://github.com/a/b.git", TOKENS, "", GITHUB),
        ("git@github.com:a/b.git", {"GITLAB_TOKEN": "y"}, "", GITHUB),
        ("git@gitlab.com:a/b/c.git", TOKENS, "", GITLAB),
        ("ssh://git@altssh.gitlab.com:443/a/b", TOKENS, "", GITLAB),
        ("https://user:pass@GitLab.com/a/b", {}, "", GITLAB),
        ("https://codeberg.org/a/b", TOKENS, "", GITEA),
        ("https://bitbucket.org/a/b", TOKENS, "", Provider.BITBUCKET),
        ("https://git.example.com/a/b", OWN, "", GITLAB),
        ("git@git.example.com:a/b", OWN, "", GITLAB),
        ("https://git.example.com/a/b", {"GITLAB_TOKEN": "y"}, "", GITLAB),
        ("https://git.example.com/a/b", {"GITEA_TOKEN": "z"}, "", GITEA),
        ("https://git.example.com/a/b", OWN_GITEA | {"GITHUB_TOKEN": "x"}, "", GITEA),
        ("https://git.example.com/a/b", {"GITHUB_SERVER_URL": "https://git.example.com"}, "", GITHUB),
        ("https://git.example.com/a/b", {}, "", GITHUB),
        ("/srv/x.git file:///y.git", {}, "", GITHUB),
        ("/srv/x.git https://gitlab.com/a/b", {}, "", GITLAB),
        ("", {"GITLAB_TOKEN": "y", "GITHUB_TOKEN": "x"}, "a/b/c", GITLAB),
        ("https://github.com/a/b", TOKENS, "a/b/c", GITLAB),
    ],
)
def test_the_forge_by_hand(urls: str, environment: Mapping[str, str], repository: str, expected: Provider) -> None:
    assert provider_of(workplace(urls, environment), repository) is expected


@pytest.mark.parametrize("provider", [GITHUB, GITEA, GITLAB, Provider.BITBUCKET])
def test_a_job_knows_its_forge(provider: Provider) -> None:
    assert provider_of(workplace("https://gitlab.com/a/b", TOKENS, Job(provider, "push")), "a/b/c") is provider
    assert provider_of(workplace("https://gitlab.com/a/b", TOKENS, Job(Provider.OTHER, ""))) is GITLAB


@pytest.mark.parametrize("urls", ["https://dev.azure.com/a/p/_git/r", "/srv/x.git", "https://git.example.com/a/b", ""])
def test_a_job_of_a_service_that_is_no_forge_has_nowhere_to_comment(urls: str) -> None:
    job = Job(Provider.OTHER, "pull_request", head="a" * 40)
    elsewhere = workplace(urls, {}, job)
    result = publish(elsewhere, VerifyReport(Outcome.VERIFIED, 0, "defaults"))
    assert (result.url, result.action) == ("", "skipped")
    assert provider_of(elsewhere, "a/b") is GITHUB


@pytest.mark.parametrize("job", [None, Job(Provider.OTHER, ""), Job(GITHUB, "push")])
def test_the_hint_for_a_token_works_where_it_is_read(job: Job | None) -> None:
    with pytest.raises(NotConfigured) as raised:
        connect(workplace("https://github.com/a/b", {}, job), "", 1.0)
    assert ("give the step env" in raised.value.hint) is (job is not None and job.provider is GITHUB)


@pytest.mark.parametrize(
    ("urls", "server", "address"),
    [
        ("git@gitlab.com:group/sub/project.git", "", "https://gitlab.com/api/v4 group%2Fsub%2Fproject"),
        ("https://git.example.com/a/b", "https://git.example.com", "https://git.example.com/api/v4 a%2Fb"),
        ("git@git.example.com:a/b", "https://git.example.com/", "https://git.example.com/api/v4 a%2Fb"),
        ("https://h.example/gitlab/a/b", "https://h.example/gitlab", "https://h.example/gitlab/api/v4 a%2Fb"),
        ("git@h.example:a/b", "https://h.example/gitlab", "https://h.example/gitlab/api/v4 a%2Fb"),
    ],
)
def test_the_project_of_a_remote(urls: str, server: str, address: str) -> None:
    forge = cast(Any, connect(workplace(urls, {"GITLAB_TOKEN": "y", "CI_SERVER_URL": server}), "", 1.0))
    assert f"{forge._gitlab.api_url} {forge._project.encoded_id}" == address
    forge.close()


def test_gitlabs_own_authority_is_trusted_where_the_runner_tells_it() -> None:
    """https://docs.gitlab.com/runner/configuration/tls-self-signed/"""
    own = {"GITLAB_TOKEN": "y", "CI_SERVER_TLS_CA_FILE": "/builds/ca.pem"}
    for more, expected in (({}, "/builds/ca.pem"), ({"REQUESTS_CA_BUNDLE": "/etc/ca.pem"}, "/etc/ca.pem")):
        forge = cast(Any, connect(workplace("https://gitlab.com/a/b", own | more), "", 1.0))
        assert forge._gitlab.ssl_verify == expected
        forge.close()


@pytest.mark.parametrize(
    ("urls", "environment", "kind", "hint"),
    [
        ("https://git.example.com/a/b", {"GITLAB_TOKEN": "y"}, UsageError, "export CI_SERVER_URL=https://git.example.com"),
        ("/srv/a/b.git", {"GITLAB_TOKEN": "y"}, UsageError, NAMED),
        ("https://git.example.com/a/b", {"GITEA_TOKEN": "z"}, NotConfigured, "export GITHUB_API_URL="),
        ("https://git.example.com/a/b", {"GITHUB_TOKEN": "x"}, UsageError, NAMED),
        ("https://gitlab.com/a/b", {"GITHUB_TOKEN": "x"}, NotConfigured, "set GITLAB_TOKEN to a project access token"),
        ("https://github.com/a/b", {"GITLAB_TOKEN": "y"}, NotConfigured, "GITHUB_TOKEN"),
    ],
)  # fmt: skip
def test_a_token_goes_to_no_server_that_nobody_named(
    urls: str, environment: Mapping[str, str], kind: type[Exception], hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Calls, "call", None)  # nothing is asked of anybody
    with pytest.raises(kind) as raised:
        connect(workplace(urls, environment), "", 1.0)
    assert hint in cast(Any, raised.value).hint
