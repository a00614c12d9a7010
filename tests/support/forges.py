"""The forges side by side: a loopback server of each, and our client for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from git_clearml.forge.api import Forge
from git_clearml.forge.bitbucket import Bitbucket
from git_clearml.forge.calls import Access
from git_clearml.forge.gitea import Gitea
from git_clearml.forge.github import GitHub
from git_clearml.forge.gitlab import GitLab
from tests.support import bitbucket_server, gitea_server, github_server, gitlab_server
from tests.support.bitbucket_server import BitbucketServer
from tests.support.gitea_server import GiteaServer
from tests.support.github_server import GitHubServer
from tests.support.gitlab_server import GitLabServer


@dataclass(frozen=True)
class Kind:
    """One forge: its server and client, a valid token, who writes with it, and what its requests look like."""

    name: str
    server: Callable[[], Any]
    client: Callable[..., Forge]
    repository: str
    token: str
    variable: str  # that holds the token
    bot: str
    read: str  # requests for the change request, as `VERB /path`
    comments: str
    write: str
    listed: str  # the address of the comments, below that of the API

    def forge(self, server: Any, **options: Any) -> Forge:
        """Our client of this server."""
        made = self.client(Access(**{**self._usual(server), **options}))
        _OPEN.append(made)
        return made

    def _usual(self, server: Any) -> dict[str, Any]:
        return {"repository": self.repository, "token": self.token, "api": server.url, "budget": 10.0}


_OPEN: list[Forge] = []


def close_clients() -> None:
    """Closes all clients that a test has made."""
    while _OPEN:
        _OPEN.pop().close()


GITHUB = Kind(
    "github", GitHubServer, GitHub, github_server.REPOSITORY, github_server.TOKEN, "GITHUB_TOKEN", github_server.BOT,
    "GET .*/pulls/7$", "GET .*/comments$", "POST .*/comments$", "/repos/team/project/issues/7/comments",
)  # fmt: skip
GITEA = Kind(
    "gitea", GiteaServer, Gitea, github_server.REPOSITORY, gitea_server.TOKEN, "GITEA_TOKEN", gitea_server.BOT,
    "GET .*/pulls/7$", "GET .*/comments$", "POST .*/comments$", "/repos/team/project/issues/7/comments",
)  # fmt: skip
GITLAB = Kind(
    "gitlab", GitLabServer, GitLab, gitlab_server.PROJECT, gitlab_server.TOKEN, "GITLAB_TOKEN", gitlab_server.BOT,
    "GET .*/merge_requests/7$", "GET .*/notes$", "POST .*/notes$", "/projects/42/merge_requests/7/notes",
)  # fmt: skip
BITBUCKET = Kind(
    "bitbucket", BitbucketServer, Bitbucket, bitbucket_server.REPOSITORY, bitbucket_server.USER_TOKEN,
    "BITBUCKET_TOKEN", bitbucket_server.PERSON, "GET .*/pullrequests/7$", "GET .*/comments$", "POST .*/comments$",
    "/repositories/team/project/pullrequests/7/comments",
)  # fmt: skip
KINDS = (GITHUB, GITEA, GITLAB, BITBUCKET)
