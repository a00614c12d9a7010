"""An in-memory Gitea REST API on 127.0.0.1, by what its swagger (templates/swagger/v1_json.tmpl) says.

Where it is not GitHub's: comments have no `url` and come in one page whatever is asked for, pull requests have no
`issue_url`, lists take `limit` (50 at most), refs are listed below git/refs alone, nothing tells the pull requests of
a commit, and there is no GraphQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.forge_server import Answer, Call, Json
from tests.support.github_server import REPOSITORY, GitHubServer

TOKEN = "0123456789abcdef0123456789abcdef01234567"
BOT = "gitea-actions"
_MOST_ON_A_PAGE = 50


class GiteaServer(GitHubServer):
    """One repository for a `with` block. `user` "" is the token of an Actions job, which may not ask who it is."""

    per_page = "limit"
    most_per_page = _MOST_ON_A_PAGE

    def __init__(self, repository: str = REPOSITORY, web: str = "https://gitea.example.com") -> None:
        super().__init__(repository, "/api/v1")
        self.web = web
        self.user, self.viewer = "", BOT

    def allow(self, call: Call, headers: Mapping[str, str]) -> None:
        """See ForgeServer.allow."""
        if headers.get("Authorization", "") not in (f"token {TOKEN}", f"Bearer {TOKEN}"):
            raise self._error(401, "invalid username, password or token")
        if self.read_only and call.verb != "GET":
            raise self._error(403, "user should have a permission to write to a repo")

    def add_pull(self, number: int, head: str, base: str, **fields: Any) -> Json:
        """See GitHubServer.add_pull."""
        pull = super().add_pull(number, head, base, **fields)
        del pull["issue_url"]
        pull["html_url"] = f"{self.web}/{self.repository}/pulls/{number}"
        return pull

    def add_comment(self, number: int, author: str | None, body: str) -> Json:
        """See GitHubServer.add_comment."""
        comment = super().add_comment(number, author or "Ghost", body)
        del comment["url"], comment["node_id"]
        comment["html_url"] = f"{self.web}/{self.repository}/pulls/{number}#issuecomment-{comment['id']}"
        comment["pull_request_url"] = f"{self.web}/{self.repository}/pulls/{number}"
        return comment

    def _error(self, status: int, message: str) -> Answer:
        return Answer(status, {"message": message, "url": f"{self.url}/swagger"})

    # --- the calls ---------------------------------------------------------------------------------------------

    def _get_issue(self, call: Call, number: str) -> Json:
        pull = self._get_pull(call, number)
        address = f"{self.url}/repos/{self.repository}/issues/{number}"
        return {"id": int(number), "number": int(number), "url": address, "html_url": pull["html_url"], "title": "x"}

    def _list_all_comments(self, _: Call, number: str) -> Any:
        self._known(int(number))
        raise Answer(200, [comment for comment in self.comments if comment["_issue"] == int(number)])

    def _pull_of_commit(self, _: Call, commit: str) -> Json:
        """The one that was merged with this commit."""
        for pull in self.pulls.values():
            if pull.get("merged_at") and commit in pull.get("commits", ()):
                return {**pull, "merged": True}
        raise self._error(404, "pull request does not exist")

    def _refs(self, call: Call) -> Any:
        listed = [{"ref": ref, "object": {"type": "commit", "sha": sha}} for ref, sha in self.refs.items()]
        raise Answer(200, listed)


GiteaServer.routes = (
    ("GET", r"REPO/issues/(\d+)", GiteaServer._get_issue),
    ("GET", r"REPO/issues/(\d+)/comments", GiteaServer._list_all_comments),
    ("GET", r"REPO/git/refs", GiteaServer._refs),
    ("GET", r"REPO/commits/([^/]+)/pull", GiteaServer._pull_of_commit),
    *(
        (verb, pattern, method)
        for verb, pattern, method in GitHubServer.routes
        if pattern != "/graphql" and "/commits/" not in pattern and "/git/ref/" not in pattern
    ),
)
