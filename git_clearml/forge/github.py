"""GitHub as a forge, by PyGithub's objects: pull requests, their comments, commit statuses, files.

Its objects are lazy here: nothing is asked for before one of their attributes is needed.
"""

from __future__ import annotations

import base64
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from git_clearml.base import address
from git_clearml.base.secrets import Secrets
from git_clearml.errors import BadAnswer, CannotDecide, Forbidden, NotConfigured
from git_clearml.forge.api import ChangeRequest, Comment, NotFound, Status, Writing
from git_clearml.forge.calls import READ_SECONDS, Access, Calls, Operation
from git_clearml.forge.explain import GITHUB, Explainer, NoSuchCommit
from git_clearml.forge.retry import github_retry

ACTIONS_BOT = "github-actions[bot]"
MOST_ITEMS = 20_000  # of a list; a server whose list never ends is not believed
_PER_PAGE = 100
_MOST_DESCRIPTION = 140  # characters of a commit status

_HIDDEN = "query($ids: [ID!]!) { nodes(ids: $ids) { id ... on IssueComment { isMinimized } } }"


@dataclass(frozen=True)
class Rights:
    """What gives the right to each kind of thing."""

    write: str = "permissions: pull-requests: write"
    status: str = "permissions: statuses: write"
    read: str = "permissions: pull-requests: read"
    contents: str = "permissions: contents: read"


class GitHub:
    """One repository on a GitHub server: a Forge."""

    dialect = GITHUB
    rights = Rights()
    bot = ACTIONS_BOT  # who writes with the token of a job, where that may not ask for its user

    def __init__(self, access: Access) -> None:
        from github import Auth, Github

        logging.getLogger("github").setLevel(logging.CRITICAL)  # it has a handler that prints each refusal on stderr
        if why := address.problem(access.api):
            raise NotConfigured(f"invalid GITHUB_API_URL: {why}", "for instance https://api.github.com")
        explainer = Explainer(access.api, access.secrets | Secrets([access.token]), self.dialect)
        self._calls = Calls(access, self.dialect.name, explainer.explain)
        self._github = Github(
            auth=Auth.Token(access.token),
            base_url=access.api.rstrip("/"),
            timeout=READ_SECONDS,
            per_page=_PER_PAGE,
            retry=github_retry(self._calls),
            seconds_between_requests=None,
            seconds_between_writes=None,
            user_agent="git-clearml",
            lazy=True,
        )
        self._repository = self._github.get_repo(access.repository)
        self._pulls: dict[int, Any] = {}  # PyGithub's objects, by the ids of ours
        self._comments: dict[int, Any] = {}

    def close(self) -> None:
        self._github.close()

    def author(self) -> str:
        """The tokens of Actions and Apps may not ask for their user, but for the viewer."""
        with contextlib.suppress(Forbidden):
            return self._login()
        with contextlib.suppress(Forbidden, BadAnswer, NotFound):
            return self._calls.call(self._viewer, Operation("ask who it is"))
        return self.bot

    def _login(self) -> str:
        user = self._github.get_user()
        return self._calls.call(lambda: GITHUB.needed(user.login, "login"), Operation("ask for its own user"))

    def _viewer(self) -> str:
        """There is no object of PyGithub's for the viewer."""
        _, data = self._github.requester.graphql_query("query { viewer { login } }", {})
        return GITHUB.needed(data["data"]["viewer"]["login"], "login")

    def change_request(self, number: int) -> ChangeRequest:
        pull = self._repository.get_pull(number)
        return self._calls.call(
            lambda: self._change_request(pull), Operation(f"read pull request {number}", self.rights.read)
        )

    def change_request_of(self, commit: str, *, owner: str = "", branch: str = "") -> ChangeRequest | None:
        operation = Operation("look for the commit's pull request", self.rights.read)

        def of_commit() -> list[ChangeRequest]:
            pulls = _all(self._repository.get_commit(commit).get_pulls())
            return [pull for pull in map(self._change_request, pulls) if pull.is_open]

        def of_branch() -> list[ChangeRequest]:
            pulls = _all(self._repository.get_pulls(head=f"{owner}:{branch}", state="open"))
            return [self._change_request(pull) for pull in pulls]

        pulls: list[ChangeRequest] = []
        with contextlib.suppress(NoSuchCommit):
            pulls = self._calls.call(of_commit, operation)
        if len(pulls) == 1:
            return pulls[0]
        if not pulls and owner and branch:
            pulls = self._calls.call(of_branch, operation)
        return next((pull for pull in pulls if pull.head == commit), None)

    def merged_by(self, commit: str) -> list[int]:
        def of_commit() -> list[int]:
            return [pull.number for pull in _all(self._repository.get_commit(commit).get_pulls()) if pull.merged_at]

        try:
            return self._calls.call(of_commit, Operation("look for the commit's pull request", self.rights.read))
        except NoSuchCommit:
            return []

    def comments(self, number: int) -> list[Comment]:
        def read() -> list[Comment]:
            return [self._comment(comment) for comment in self._listed(number)]

        comments = self._calls.call(read, Operation("read the comments", self.rights.read))
        return sorted(comments, key=lambda comment: comment.id)

    def hidden(self, comments: Sequence[Comment]) -> set[int]:
        """Only GraphQL tells; a token that may not ask, or a server without it, sees none hidden.

        https://docs.github.com/en/graphql/reference/interfaces#minimizable
        """

        def read(part: Sequence[Comment]) -> set[int]:
            ids = {self._comments[comment.id].node_id: comment.id for comment in part}
            _, data = self._github.requester.graphql_query(_HIDDEN, {"ids": list(ids)})
            nodes = [node for node in data["data"]["nodes"] if node]  # null for one that is gone
            return {ids[node["id"]] for node in nodes if node.get("isMinimized")}

        hidden: set[int] = set()
        for start in range(0, len(comments), _PER_PAGE):
            with contextlib.suppress(CannotDecide):
                work = partial(read, comments[start : start + _PER_PAGE])
                hidden |= self._calls.call(work, Operation("ask which comments are hidden"))
        return hidden

    def create_comment(self, number: int, body: str) -> Comment:
        operation = Operation("comment on the pull request", self.rights.write)
        return self._calls.call(lambda: self._comment(self._created(number, body)), operation)

    def edit_comment(self, comment: Comment, body: str) -> Comment:
        edited = self._comments[comment.id]

        def edit() -> Comment:
            edited.edit(body)
            return self._comment(edited)

        return self._calls.call(edit, Operation("edit its comment", self.rights.write))

    def delete_comment(self, comment: Comment) -> None:
        with contextlib.suppress(NotFound):
            self._calls.call(self._comments[comment.id].delete, Operation("delete its comment", self.rights.write))

    def set_status(self, commit: str, status: Status) -> None:
        fields = {"context": status.context, "description": status.description[:_MOST_DESCRIPTION]}
        fields |= {"target_url": status.target_url} if status.target_url else {}
        judged = self._repository.get_commit(commit)
        operation = Operation("set a commit status", self.rights.status)
        self._calls.call(lambda: judged.create_status(status.state, **fields), operation)

    def writing(self) -> Writing:
        """https://docs.github.com/en/rest/repos/repos#get-a-repository (`permissions`)."""
        if self._calls.call(lambda: self._repository.archived, Operation("read the repository", self.rights.contents)):
            return Writing(False, False, "it is archived")
        return Writing(None, getattr(self._repository.permissions, "push", None), "that takes the right to push")

    def ref_at(self, ref: str) -> str:
        def read() -> str:
            name = f"refs/heads/{self._repository.default_branch}" if ref == "HEAD" else ref
            answer = self._repository.get_git_ref(name.removeprefix("refs/"))
            # it is asked for now; before, `ref` is what we have asked
            commit = GITHUB.needed(answer.object.sha, "object")
            return commit if answer.ref == name else ""

        with contextlib.suppress(NotFound):
            return self._calls.call(read, Operation(f"look up {ref}", self.rights.contents))
        return ""

    def file_at(self, commit: str, path: str) -> bytes | None:
        """By git's trees and blobs: the address of a file's content may be a redirect."""

        def read() -> bytes | None:
            name = commit
            for part in path.split("/"):
                entries = {entry.path: entry.sha for entry in self._repository.get_git_tree(name).tree}
                if part not in entries:
                    return None
                name = entries[part]
            blob = self._repository.get_git_blob(name)
            if blob.encoding != "base64":
                raise BadAnswer(
                    f"{self.dialect.name} sent {path} in an unknown encoding", "check out with fetch-depth: 0"
                )
            return base64.b64decode(blob.content)

        return self._calls.call(read, Operation(f"read {path} at {commit[:12]}", self.rights.contents))

    def _listed(self, number: int) -> list[Any]:
        return _all(self._pull(number).get_issue_comments())

    def _created(self, number: int, body: str) -> Any:
        return self._pull(number).create_issue_comment(body)

    def _pull(self, number: int) -> Any:
        return self._pulls.get(number) or self._repository.get_pull(number)

    def _change_request(self, pull: Any) -> ChangeRequest:
        number = GITHUB.number(pull.number, "number")
        self._pulls[number] = pull
        head_repository, base_repository = pull.head.repo, pull.base.repo  # None for a fork that was deleted
        return ChangeRequest(
            number,
            GITHUB.needed(pull.head.sha, "head"),
            pull.html_url or "",
            pull.state == "open",
            head_repository is None or head_repository.full_name.lower() != base_repository.full_name.lower(),
            GITHUB.needed(pull.base.sha, "base"),
            pull.base.ref or "",
            pull.head.ref or "",
            head_repository.full_name.partition("/")[0] if head_repository else "",
            _clone_urls(head_repository),
            (pull.html_url or "").rpartition("/pull")[0],  # Gitea's are /pulls/
        )

    def _comment(self, comment: Any) -> Comment:
        identity = GITHUB.number(comment.id, "id")
        self._comments[identity] = comment
        author = comment.user.login if comment.user else ""  # None for a deleted account
        return Comment(identity, author or "", comment.body or "", comment.html_url or "")


def _clone_urls(repository: Any) -> tuple[str, ...]:
    """The names under which a repository can be cloned; () for one that was deleted."""
    urls = (repository.clone_url, repository.ssh_url, repository.html_url) if repository else ()
    return tuple(url for url in urls if url)


def _all(items: Any) -> list[Any]:
    """Everything of one of PyGithub's lists, page by page."""
    read = list(islice(items, MOST_ITEMS + 1))
    if len(read) % _PER_PAGE == 0:  # PyGithub takes an answer of `null` for the end of the list; get_page does not
        read += items.get_page(len(read) // _PER_PAGE)
    if len(read) > MOST_ITEMS:
        raise BadAnswer(f"the list does not end after {MOST_ITEMS} items", GITHUB.check_api)
    return read
