"""Bitbucket Cloud as a forge, over our own HTTP room: pull requests, their comments, build statuses, files.

https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pullrequests/
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from git_clearml.base import address
from git_clearml.base.ids import is_hash, is_hex
from git_clearml.errors import BadAnswer, Forbidden, NotConfigured
from git_clearml.forge.api import ChangeRequest, Comment, NotFound, Status, Writing
from git_clearml.forge.bitbucket_api import BitbucketApi, at, needed, number, quoted, text
from git_clearml.forge.calls import Access, Operation

_PER_PAGE = "50"  # the most for pull requests
_COMMENTS_PER_PAGE = "100"
_MOST_KEY = 40  # characters of a status's key
_STATES = {"success": "SUCCESSFUL", "failure": "FAILED", "error": "FAILED", "pending": "INPROGRESS"}

TOKEN = "an access token of the repository with the scope pullrequest:write"  # noqa: S105
_WRITE = "pullrequest:write"
_READ = "pullrequest"
_REPOSITORY = "repository"
_STATUS = "repository:write"  # build statuses have no scope of their own


class Bitbucket:
    """One repository (workspace/name) on Bitbucket Cloud: a Forge.

    `complete`, which may be set, makes a full hash of one with 12 digits, as answers have them, "" where it does not
    know.
    """

    def __init__(self, access: Access) -> None:
        if why := address.problem(access.api):
            raise NotConfigured(f"invalid BITBUCKET_API_URL: {why}", "for instance https://api.bitbucket.org/2.0")
        self._api = BitbucketApi(access, os.environ)  # a proxy, a CA's file: as the other forges' libraries take them
        self._name = access.repository
        self.complete: Callable[[str], str] = lambda _: ""
        self._at = f"repositories/{quoted(self._name)}"
        self._numbers: dict[int, int] = {}  # of the pull request of each comment

    def close(self) -> None:
        self._api.close()

    def author(self) -> str:
        """The access token of a repository may not ask: then "" (nobody knows)."""
        with contextlib.suppress(Forbidden):
            return needed(self._api.document("GET", "user", Operation("ask for its own user", "account")), "uuid")
        return ""

    def change_request(self, number: int) -> ChangeRequest:
        operation = Operation(f"read pull request {number}", _READ)
        return self._change_request(self._api.document("GET", f"{self._at}/pullrequests/{number}", operation))

    def change_request_of(self, commit: str, *, owner: str = "", branch: str = "") -> ChangeRequest | None:
        """Only an app that somebody may have installed connects commits with their pull
        requests: of the open ones it is that whose head it is."""
        operation = Operation("look for the commit's pull request", _READ)
        wanted = f' AND source.branch.name="{_in_query(branch)}"' if branch else ""
        listed = self._api.listed(f"{self._at}/pullrequests", operation, q=f'state="OPEN"{wanted}', pagelen=_PER_PAGE)
        shorts = ((pull, text(pull, "source", "commit", "hash").lower()) for pull in listed)
        heads = [pull for pull, short in shorts if short and commit.startswith(short)]
        requests = map(self._change_request, heads)
        return next((request for request in requests if request.head == commit and request.is_open), None)

    def merged_by(self, commit: str) -> list[int]:
        """Bitbucket knows where its app "Pull Request Commit Links" is installed."""
        operation = Operation("look for the pull request that brought the commit", _READ)
        with contextlib.suppress(NotFound):
            pulls = list(self._api.listed(f"{self._at}/commit/{commit}/pullrequests", operation, pagelen=_PER_PAGE))
            return [number(pull, "id") for pull in pulls if text(pull, "state") == "MERGED"]
        return []

    def comments(self, number: int) -> list[Comment]:
        """Those on lines of code, drafts and deleted ones are none."""
        operation = Operation("read the comments", _READ)
        listed = self._api.listed(self._comments_of(number), operation, pagelen=_COMMENTS_PER_PAGE)
        shown = (each for each in listed if not (each.get("deleted") or each.get("pending") or each.get("inline")))
        unique = {comment.id: comment for comment in (self._comment(number, each) for each in shown)}
        return sorted(unique.values(), key=lambda comment: comment.id)

    def hidden(self, comments: Sequence[Comment]) -> set[int]:
        """Comments cannot be hidden on Bitbucket."""
        return set()

    def create_comment(self, number: int, body: str) -> Comment:
        operation = Operation("comment on the pull request", _WRITE)
        created = self._api.document("POST", self._comments_of(number), operation, {"content": {"raw": body}})
        return self._comment(number, created)

    def edit_comment(self, comment: Comment, body: str) -> Comment:
        number, operation = self._numbers[comment.id], Operation("edit its comment", _WRITE)
        path = f"{self._comments_of(number)}/{comment.id}"
        return self._comment(number, self._api.document("PUT", path, operation, {"content": {"raw": body}}))

    def delete_comment(self, comment: Comment) -> None:
        path = f"{self._comments_of(self._numbers[comment.id])}/{comment.id}"
        with contextlib.suppress(NotFound):
            self._api.raw("DELETE", path, Operation("delete its comment", _WRITE))

    def set_status(self, commit: str, status: Status) -> None:
        """A build status has to have an address and a key of 40 characters at most."""
        key = status.context
        if len(key) > _MOST_KEY:
            digest = hashlib.sha256(key.encode()).hexdigest()[:8]
            key = f"{key[: _MOST_KEY - 9]}-{digest}"
        fields = {
            "key": key,
            "name": status.context,
            "state": _STATES[status.state],
            "description": status.description[:255],
            "url": status.target_url or f"https://bitbucket.org/{self._name}/commits/{commit}",
        }
        operation = Operation("set a build status", _STATUS)
        self._api.document("POST", f"{self._at}/commit/{commit}/statuses/build", operation, fields)

    def writing(self) -> Writing:
        """Bitbucket does not tell."""
        return Writing()

    def ref_at(self, ref: str) -> str:
        """Of an annotated tag Bitbucket tells the commit."""
        operation = Operation(f"look up {ref}", _REPOSITORY)
        kinds = {"heads": "branches", "tags": "tags"}
        if ref == "HEAD":
            repository = self._api.document("GET", self._at, operation)
            ref = f"refs/heads/{needed(repository, 'mainbranch', 'name')}"
        kind, _, name = ref.removeprefix("refs/").partition("/")
        if kind not in kinds or not name or not ref.startswith("refs/"):
            return ""
        with contextlib.suppress(NotFound):
            answer = self._api.document("GET", f"{self._at}/refs/{kinds[kind]}/{quoted(name)}", operation)
            if text(answer, "name") == name:
                return self._full(needed(answer, "target", "hash"), self._name)
        return ""

    def file_at(self, commit: str, path: str) -> bytes | None:
        operation = Operation(f"read {path} at {commit[:12]}", _REPOSITORY)
        try:
            return self._api.raw("GET", f"{self._at}/src/{commit}/{quoted(path)}", operation)
        except NotFound:  # the file, or the commit?
            self._api.document("GET", f"{self._at}/commit/{commit}", operation)
            return None

    def _comments_of(self, number: int) -> str:
        return f"{self._at}/pullrequests/{number}/comments"

    def _change_request(self, pull: Mapping[str, Any]) -> ChangeRequest:
        source, target = at(pull, "source"), at(pull, "destination")
        name, ours = text(source, "repository", "full_name"), text(target, "repository", "full_name") or self._name
        is_fork = name.lower() != ours.lower()
        return ChangeRequest(
            number(pull, "id"),
            self._full(needed(source, "commit", "hash"), name or ours),  # a fork that was deleted has no name
            text(pull, "links", "html", "href"),
            text(pull, "state") == "OPEN",
            is_fork,
            self._full(needed(target, "commit", "hash"), ours),
            text(target, "branch", "name"),
            text(source, "branch", "name"),
            name.partition("/")[0],
            (f"https://bitbucket.org/{name}.git", f"git@bitbucket.org:{name}.git") if name else (),
            repository_url=text(pull, "links", "html", "href").rpartition("/pull-requests/")[0],
        )

    def _full(self, name: str, repository: str) -> str:
        """The full hash of a commit: the clone knows it, or the API tells."""
        name = name.lower()
        if is_hash(name):
            return name
        if not is_hex(name, 7, 40):
            raise BadAnswer("the API answered something that is no commit", "check BITBUCKET_API_URL")
        full = self.complete(name)
        if not full:
            operation = Operation(f"read the commit {name}", _REPOSITORY)
            commit = self._api.document("GET", f"repositories/{quoted(repository)}/commit/{name}", operation)
            full = needed(commit, "hash").lower()
        if not (is_hash(full) and full.startswith(name)):
            raise BadAnswer(f"the API does not tell which commit {name} is", "check BITBUCKET_API_URL")
        return full

    def _comment(self, of: int, comment: Mapping[str, Any]) -> Comment:
        """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pullrequests/ (pullrequest_comment)"""
        identity = number(comment, "id")
        self._numbers[identity] = of
        author = text(comment, "user", "uuid")  # none for a deleted account
        return Comment(identity, author, text(comment, "content", "raw"), text(comment, "links", "html", "href"))


def _in_query(name: str) -> str:
    """A text in Bitbucket's query language: https://developer.atlassian.com/cloud/bitbucket/rest/intro/#filtering"""
    return name.replace("\\", "\\\\").replace('"', '\\"')
