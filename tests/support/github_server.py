"""An in-memory GitHub REST API on 127.0.0.1: pull requests, their comments, statuses, files, and its ways to refuse."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from tests.support.forge_server import Answer, Call, Fault, ForgeServer, Json

__all__ = ["BOT", "REPOSITORY", "TOKEN", "Answer", "Call", "Fault", "GitHubServer"]

TOKEN = "ghs_loopbackTokenOfTheTests0001"
BOT = "github-actions[bot]"
REPOSITORY = "team/project"
_MOST = 65_536  # characters of a comment


class GitHubServer(ForgeServer):
    """One repository for a `with` block. `viewer` is whose the token is; `user` "" is a token that may not ask.

    `read_only` is what a fork's job gets. `hook` is called with every request before it is answered.
    """

    def __init__(self, repository: str = REPOSITORY, prefix: str = "") -> None:
        super().__init__(prefix)
        self.repository = repository
        self.user, self.viewer, self.read_only = "", BOT, False
        self.pulls: dict[int, Json] = {}
        self.comments: list[Json] = []
        self.minimized: set[int] = set()  # comments that somebody has hidden
        self.statuses: list[Json] = []
        self.files: dict[tuple[str, str], bytes] = {}  # by (commit, path)
        self.commits: set[str] = set()  # without any of the files
        self.refs: dict[str, str] = {}  # full name -> object
        self.archived, self.permissions = False, dict[str, bool]()  # the latter come to known accounts alone
        self.unlinked: set[str] = set()  # commits that commits/{sha}/pulls does not connect, as with forks
        self._ids = iter(range(1000, 1_000_000))

    def filled(self, pattern: str) -> str:
        """See ForgeServer.filled."""
        return pattern.replace("REPO", re.escape(f"/repos/{self.repository}"))

    def allow(self, call: Call, headers: Mapping[str, str]) -> None:
        """See ForgeServer.allow."""
        if headers.get("Authorization", "") not in (f"token {TOKEN}", f"Bearer {TOKEN}"):
            raise Answer(401, {"message": "Bad credentials"})
        if self.read_only and call.verb != "GET" and not call.path.endswith("/graphql"):
            raise Answer(403, {"message": "Resource not accessible by integration"})

    def add_pull(self, number: int, head: str, base: str, **fields: Any) -> Json:
        """An open pull request of a branch `topic` of this repository, unless `fields` say otherwise."""
        fork = fields.pop("fork", "")
        pull = {
            "number": number,
            "state": "open",
            "html_url": f"https://github.com/{self.repository}/pull/{number}",
            "url": f"{self.url}/repos/{self.repository}/pulls/{number}",
            "issue_url": f"{self.url}/repos/{self.repository}/issues/{number}",
            "head": {"sha": head, "ref": "topic", "repo": self._repo(fork or self.repository)},
            "base": {"sha": base, "ref": "main", "repo": self._repo(self.repository)},
            **fields,
        }
        self.pulls[number] = pull
        return pull

    def add_comment(self, number: int, author: str | None, body: str) -> Json:
        """A comment that somebody made."""
        with self.lock:
            identity = next(self._ids)
            comment = {
                "id": identity,
                "node_id": f"IC_kwDOtest{identity}",
                "_issue": number,
                "user": {"login": author} if author else None,
                "body": body,
                "url": f"{self.url}/repos/{self.repository}/issues/comments/{identity}",
                "html_url": f"https://github.com/{self.repository}/pull/{number}#issuecomment-{identity}",
            }
            self.comments.append(comment)
        return comment

    def by(self, author: str) -> list[Json]:
        """The comments of one account."""
        return [comment for comment in self.comments if comment["user"] and comment["user"]["login"] == author]

    def _repo(self, name: str) -> Json:
        return {
            "full_name": name,
            "clone_url": f"https://github.com/{name}.git",
            "ssh_url": f"git@github.com:{name}.git",
            "html_url": f"https://github.com/{name}",
            "default_branch": "main",
            "archived": self.archived,
            **({"permissions": self.permissions} if self.permissions else {}),
        }

    # --- the calls ---------------------------------------------------------------------------------------------

    def _get_user(self, _: Call) -> Json:
        if not self.user:
            raise Answer(403, {"message": "Resource not accessible by integration"})
        return {"login": self.user}

    def _graphql(self, call: Call) -> Json:
        """The viewer, and which comments are minimised: the REST API does not tell that."""
        if not self.viewer:
            raise Answer(403, {"message": "Resource not accessible by integration"})
        if "isMinimized" in call.body["query"]:
            there = {comment["node_id"]: comment["id"] in self.minimized for comment in self.comments}
            ids = call.body["variables"]["ids"]
            nodes = [{"id": name, "isMinimized": there[name]} if name in there else None for name in ids]
            return {"data": {"nodes": nodes}}
        return {"data": {"viewer": {"login": self.viewer}}}

    def _get_pull(self, _: Call, number: str) -> Json:
        return self._known(int(number))

    def _list_pulls(self, call: Call) -> Any:
        head, state = call.query.get("head", ""), call.query.get("state", "open")
        found = [
            pull
            for pull in self.pulls.values()
            if pull["state"] == state
            and (not head or head == f"{pull['head']['repo']['full_name'].partition('/')[0]}:{pull['head']['ref']}")
        ]
        return self._page(call, found)

    def _pulls_of_commit(self, call: Call, commit: str) -> Any:
        if not re.fullmatch("[0-9a-f]{40}", commit):
            raise Answer(422, {"message": f"No commit found for SHA: {commit}"})
        found = [pull for pull in self.pulls.values() if commit in (pull["head"]["sha"], *pull.get("commits", ()))]
        return self._page(call, [] if commit in self.unlinked else found)

    def _list_comments(self, call: Call, number: str) -> Any:
        self._known(int(number))
        return self._page(call, [comment for comment in self.comments if comment["_issue"] == int(number)])

    def _create_comment(self, call: Call, number: str) -> Json:
        self._known(int(number))
        comment = self.add_comment(int(number), self.user or self.viewer or BOT, self._body(call))
        raise Answer(201, comment)

    def _edit_comment(self, call: Call, identity: str) -> Json:
        comment = self._comment(int(identity))
        comment["body"] = self._body(call)
        return comment

    def _delete_comment(self, _: Call, identity: str) -> Json:
        with self.lock:
            self.comments.remove(self._comment(int(identity)))
        raise Answer(204)

    def _create_status(self, call: Call, commit: str) -> Json:
        self.statuses.append({**call.body, "sha": commit})
        raise Answer(201, call.body)

    def _tree(self, _: Call, commit: str) -> Json:
        files = {path: content for (known, path), content in self.files.items() if known == commit}
        if not files and commit not in self.commits:
            raise Answer(404, {"message": "Not Found"})
        entries = [{"path": path, "type": "blob", "sha": blob(content)} for path, content in files.items()]
        return {"sha": commit, "tree": entries, "truncated": False}

    def _get_repository(self, _: Call) -> Json:
        return self._repo(self.repository)

    def _git_ref(self, _: Call, name: str) -> Json:
        """By the whole name below refs/: the beginning of one finds nothing."""
        ref = f"refs/{unquote(name)}"
        if ref not in self.refs:
            raise Answer(404, {"message": "Not Found"})
        return {"ref": ref, "object": {"type": "commit", "sha": self.refs[ref]}}

    def _git_blob(self, _: Call, name: str) -> Json:
        content = next((content for content in self.files.values() if blob(content) == name), None)
        if content is None:
            raise Answer(404, {"message": "Not Found"})
        return {"sha": name, "encoding": "base64", "content": base64.encodebytes(content).decode()}

    def _known(self, number: int) -> Json:
        if number not in self.pulls:
            raise Answer(404, {"message": "Not Found"})
        return self.pulls[number]

    def _comment(self, identity: int) -> Json:
        with self.lock:
            found = next((comment for comment in self.comments if comment["id"] == identity), None)
        if found is None:
            raise Answer(404, {"message": "Not Found"})
        return found

    def _body(self, call: Call) -> str:
        body = str(call.body["body"])
        if len(body) > _MOST:
            raise Answer(
                422, {"message": "Validation Failed", "errors": ["body is too long (maximum is 65536 characters)"]}
            )
        return body

    def _page(self, call: Call, listed: list[Any]) -> Any:
        raise self.paged(call, listed)


def blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


GitHubServer.routes = (
    ("GET", "/user", GitHubServer._get_user),
    ("POST", "/graphql", GitHubServer._graphql),
    ("GET", r"REPO", GitHubServer._get_repository),
    ("GET", r"REPO/git/ref/(.+)", GitHubServer._git_ref),
    ("GET", r"REPO/pulls", GitHubServer._list_pulls),
    ("GET", r"REPO/pulls/(\d+)", GitHubServer._get_pull),
    ("GET", r"REPO/commits/([^/]+)/pulls", GitHubServer._pulls_of_commit),
    ("GET", r"REPO/git/trees/([^/]+)", GitHubServer._tree),
    ("GET", r"REPO/git/blobs/([^/]+)", GitHubServer._git_blob),
    ("GET", r"REPO/issues/(\d+)/comments", GitHubServer._list_comments),
    ("POST", r"REPO/issues/(\d+)/comments", GitHubServer._create_comment),
    ("PATCH", r"REPO/issues/comments/(\d+)", GitHubServer._edit_comment),
    ("DELETE", r"REPO/issues/comments/(\d+)", GitHubServer._delete_comment),
    ("POST", r"REPO/statuses/([^/]+)", GitHubServer._create_status),
)
