"""Gitea and Forgejo as a forge: GitHub's API, where it is the same, by PyGithub's issue objects where it is not.

Differences by https://docs.gitea.com/api : its comments have no `url` and come in one page, its pull requests have no
`issue_url`, nothing tells the pull requests of a commit, refs are listed only, there is no GraphQL and nothing hidden.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from itertools import islice
from typing import Any

from git_clearml.base import jsonvalue
from git_clearml.errors import Forbidden, Unauthorized
from git_clearml.forge.api import ChangeRequest, Comment, NotFound
from git_clearml.forge.calls import Operation
from git_clearml.forge.explain import Dialect
from git_clearml.forge.github import MOST_ITEMS, GitHub, Rights

ACTIONS_BOT = "gitea-actions"
FORGEJO_BOT = "forgejo-actions"
_TOKEN = "an access token with the scopes write:issue and read:repository"  # noqa: S105


class Gitea(GitHub):
    """One repository on a Gitea or Forgejo server: a Forge, as GitHub is one."""

    dialect = Dialect(
        "Gitea",
        "check GITHUB_API_URL: it ends with /api/v1",
        f"set GITEA_TOKEN to {_TOKEN}",
        "set GITEA_TOKEN to {}",
        "check the repository's name, and set GITEA_TOKEN to {}",
        "Gitea's",
    )
    rights = Rights(_TOKEN, "an access token with the scope write:repository", _TOKEN, _TOKEN)
    bot = ACTIONS_BOT

    def author(self) -> str:
        """The token of an Actions job may not ask, and is told so in one of three ways."""
        with contextlib.suppress(Forbidden, NotFound, Unauthorized):
            return self._login()
        return self.bot

    def change_request_of(self, commit: str, *, owner: str = "", branch: str = "") -> ChangeRequest | None:
        """By the heads of all that are open."""

        def read() -> ChangeRequest | None:
            pulls = islice(self._repository.get_pulls(state="open"), MOST_ITEMS)
            return next((self._change_request(pull) for pull in pulls if pull.head.sha == commit), None)

        return self._calls.call(read, Operation("look for the commit's pull request", self.rights.read))

    def merged_by(self, commit: str) -> list[int]:
        """PyGithub has no object for repos/{owner}/{repo}/commits/{sha}/pull."""

        def read() -> list[int]:
            address = f"{self._repository.url}/commits/{commit}/pull"
            _, data = self._github.requester.requestJsonAndCheck("GET", address)
            return [jsonvalue.integer(data["number"], "number")] if data["merged"] else []

        with contextlib.suppress(NotFound):
            return self._calls.call(read, Operation("look for the commit's pull request", self.rights.read))
        return []

    def hidden(self, comments: Sequence[Comment]) -> set[int]:
        return set()

    def ref_at(self, ref: str) -> str:
        def read() -> str:
            name = f"refs/heads/{self._repository.default_branch}" if ref == "HEAD" else ref
            refs = islice(self._repository.get_git_refs(), MOST_ITEMS)
            return next((each.object.sha for each in refs if each.ref == name), "")

        with contextlib.suppress(NotFound):
            return self._calls.call(read, Operation(f"look up {ref}", self.rights.contents))
        return ""

    def _listed(self, number: int) -> list[Any]:
        """They come in one page: what is asked for beyond its end would be the same again."""
        items = self._repository.get_issue(number).get_comments()
        comments = list(islice(items, MOST_ITEMS)) or items.get_page(0)  # PyGithub takes an answer of `null` for none
        return list({comment.id: comment for comment in comments}.values())

    def _created(self, number: int, body: str) -> Any:
        return self._repository.get_issue(number).create_comment(body)

    def _comment(self, comment: Any) -> Comment:
        """PyGithub edits and deletes a comment by its `url`, which Gitea does not tell."""
        read = super()._comment(comment)
        self._comments[read.id] = self._repository.get_issue(0).get_comment(read.id)
        return read
