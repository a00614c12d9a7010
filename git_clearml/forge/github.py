"""Speaks to GitHub about pull requests: the only module that knows PyGithub, and loads it late.

PyGithub's requester does the talking: authorization, Enterprise prefixes, redirects, which host may be asked.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from git_clearml.errors import BadAnswer, Forbidden, NotConfigured
from git_clearml.forge.github_asking import CHECK_API, READ_SECONDS, Answer, Asking, Clock, NoSuchCommit, NotFound, Wish

_MOST_PAGES = 200  # 20,000 comments; a server that never ends is not believed
ACTIONS_BOT = "github-actions[bot]"

_WRITE = "permissions: pull-requests: write"
_STATUS = "permissions: statuses: write"
_READ = "permissions: pull-requests: read"
_CONTENTS = "permissions: contents: read"


@dataclass(frozen=True)
class Pull:
    """An open or closed pull request: its head and base commits, and where its head comes from."""

    number: int
    head: str
    base: str
    base_branch: str
    url: str
    is_open: bool
    is_fork: bool
    head_urls: tuple[str, ...]


@dataclass(frozen=True)
class Comment:
    """A comment on a pull request. Anybody may have written it."""

    id: int
    author: str
    body: str
    url: str


class GitHub:
    """One repository on a GitHub server, with `budget` seconds for everything that is asked of it.

    `log` gets a line per request. Neither the token nor any other of the `secrets` stands in an error, or there.
    """

    def __init__(
        self,
        repository: str,
        token: str,
        *,
        api: str,
        budget: float,
        secrets: Sequence[str] = (),
        log: Callable[[str], None] = lambda _: None,
        clock: Clock | None = None,
    ) -> None:
        from github import Auth, Github

        if not api.startswith(("https://", "http://")):
            raise NotConfigured(f"GITHUB_API_URL is no URL: {api[:80]!r}", "for instance https://api.github.com")
        self._repository = f"/repos/{repository}"
        self._asking = Asking(api, (*secrets, token), budget, clock or Clock(), log)
        self._github = Github(
            auth=Auth.Token(token),
            base_url=api.rstrip("/"),
            timeout=READ_SECONDS,
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
            user_agent="git-clearml",
        )

    def close(self) -> None:
        """Lets go of the connections."""
        self._github.close()

    def login(self) -> str:
        """Whose token this is. The tokens of Actions and Apps may not ask for their user, but for the viewer."""
        with contextlib.suppress(Forbidden):
            return _text(self._ask("GET", "/user", Wish("ask for its own user")), "login")
        query = "query { viewer { login } }"
        requester = self._github.requester
        try:
            _, data = self._asking.answer(
                lambda: requester.graphql_query(query, {}), "POST /graphql", Wish("ask who it is")
            )
            return _text(_object(_object(data).get("data")).get("viewer"), "login")
        except (Forbidden, BadAnswer, NotFound):
            return ACTIONS_BOT

    def pull(self, number: int) -> Pull:
        """A pull request by its number. Raises NotFound."""
        return _pull(self._ask("GET", f"{self._repository}/pulls/{number}", Wish(f"read pull request {number}", _READ)))

    def find(self, commit: str, *, owner: str = "", branch: str = "") -> Pull | None:
        """The open pull request that a commit belongs to; of several the one whose head it is.

        GitHub does not always connect a fork's commits with its pull request; `owner` and `branch` of the head help.
        """
        wish = Wish("look for the commit's pull request", _READ)
        try:
            found = self._pages(f"{self._repository}/commits/{commit}/pulls", wish)
        except NoSuchCommit:
            found = []
        pulls = [pull for pull in map(_pull, found) if pull.is_open]
        if len(pulls) == 1:
            return pulls[0]
        if not pulls and owner and branch:
            heads = {"head": f"{owner}:{branch}", "state": "open"}
            pulls = [_pull(one) for one in self._pages(f"{self._repository}/pulls", wish, heads)]
        return next((pull for pull in pulls if pull.head == commit), None)

    def comments(self, number: int) -> list[Comment]:
        """All comments on a pull request, oldest first."""
        found = self._pages(f"{self._repository}/issues/{number}/comments", Wish("read the comments", _READ))
        return sorted(map(_comment, found), key=lambda comment: comment.id)

    def create(self, number: int, body: str) -> Comment:
        """A new comment."""
        wish = Wish("comment on the pull request", _WRITE)
        return _comment(self._ask("POST", f"{self._repository}/issues/{number}/comments", wish, {"body": body}))

    def edit(self, comment: Comment, body: str) -> Comment:
        """The comment with another body. Raises NotFound when somebody deleted it."""
        return _comment(self._ask("PATCH", self._place(comment), Wish("edit its comment", _WRITE), {"body": body}))

    def delete(self, comment: Comment) -> None:
        """Takes a comment away; one that is gone already is no error."""
        with contextlib.suppress(NotFound):
            self._ask("DELETE", self._place(comment), Wish("delete its second comment", _WRITE))

    def set_status(self, commit: str, state: str, *, context: str, description: str, target_url: str) -> None:
        """A commit status: state is `success`, `failure`, `error` or `pending`; a description has 140 characters."""
        fields = {"state": state, "context": context, "description": description[:140]}
        fields |= {"target_url": target_url} if target_url else {}
        self._ask("POST", f"{self._repository}/statuses/{commit}", Wish("set a commit status", _STATUS), fields)

    def file_at(self, commit: str, path: str) -> bytes | None:
        """A file of a commit that need not be in this clone; None where the commit has no such file."""
        wish = Wish(f"read {path} at {commit[:12]}", _CONTENTS)
        try:
            data = self._ask("GET", f"{self._repository}/contents/{quote(path)}", wish, parameters={"ref": commit})
        except NotFound:
            self._ask("GET", f"{self._repository}/git/commits/{commit}", wish)  # or there is no such commit
            return None
        content = _object(data).get("content")
        if data.get("encoding") != "base64" or not isinstance(content, str):
            raise BadAnswer(f"GitHub sent {path} in a form that is not known here", "check out with fetch-depth: 0")
        try:
            return base64.b64decode(content)
        except ValueError:
            raise BadAnswer(f"GitHub sent {path} damaged", "try again") from None

    def _place(self, comment: Comment) -> str:
        return f"{self._repository}/issues/comments/{comment.id}"

    def _pages(self, url: str, wish: Wish, parameters: Mapping[str, str] | None = None) -> list[Any]:
        """Everything of a list, page by page."""
        found: list[Any] = []
        for page in range(1, _MOST_PAGES + 1):
            query = {**(parameters or {}), "per_page": "100", "page": str(page)}
            headers, data = self._answer("GET", url, wish, parameters=query)
            if not isinstance(data, list):
                raise BadAnswer("GitHub answered with something that is no list", CHECK_API)
            found += data
            if 'rel="next"' not in str(headers.get("link", "")):
                return found
        raise BadAnswer(f"GitHub's list does not end after {_MOST_PAGES} pages", "is it a GitHub server?")

    def _ask(self, verb: str, url: str, wish: Wish, fields: Any = None, parameters: Any = None) -> Any:
        return self._answer(verb, url, wish, fields, parameters)[1]

    def _answer(self, verb: str, url: str, wish: Wish, fields: Any = None, parameters: Any = None) -> Answer:
        requester = self._github.requester
        query = dict(parameters or {})
        return self._asking.answer(
            lambda: requester.requestJsonAndCheck(verb, url, query, input=fields), f"{verb} {url}", wish
        )


def _object(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise BadAnswer("GitHub answered with something that is no object", CHECK_API)
    return data


def _text(data: Any, key: str) -> str:
    value = _object(data).get(key)
    if not isinstance(value, str) or not value:
        raise BadAnswer(f"GitHub answered without {key}", CHECK_API)
    return value


def _number(data: Any, key: str) -> int:
    value = _object(data).get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadAnswer(f"GitHub answered without {key}", CHECK_API)
    return value


def _pull(data: Any) -> Pull:
    head, base = _object(_object(data).get("head")), _object(data.get("base"))
    head_repo, base_repo = head.get("repo"), base.get("repo")
    head_repo = head_repo if isinstance(head_repo, dict) else {}
    base_repo = base_repo if isinstance(base_repo, dict) else {}
    urls = (head_repo.get(name) for name in ("clone_url", "ssh_url", "html_url"))
    return Pull(
        _number(data, "number"),
        _text(head, "sha"),
        _text(base, "sha"),
        _text(base, "ref"),
        str(data.get("html_url") or ""),
        data.get("state") == "open",
        head_repo.get("full_name") != base_repo.get("full_name"),
        tuple(url for url in urls if isinstance(url, str) and url),
    )


def _comment(data: Any) -> Comment:
    user = _object(data).get("user")
    author = user.get("login") if isinstance(user, dict) else ""  # null for a deleted account
    body = data.get("body")
    url = data.get("html_url")
    return Comment(
        _number(data, "id"),
        str(author or ""),
        body if isinstance(body, str) else "",
        url if isinstance(url, str) else "",
    )
