"""GitLab as a forge, by python-gitlab's objects: merge requests and their notes, refs, files.

https://docs.gitlab.com/api/rest/ . Its objects are lazy here: nothing is asked for before an attribute is needed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from git_clearml.base import address, jsonvalue
from git_clearml.base.secrets import Secrets
from git_clearml.errors import BadAnswer, Forbidden, NotConfigured, Unauthorized
from git_clearml.forge.api import ChangeRequest, Comment, NotFound, Status, Unsupported, Writing
from git_clearml.forge.calls import READ_SECONDS, Access, Calls, Operation
from git_clearml.forge.explain import Dialect, Explainer

API_PATH = "/api/v4"
TOKEN = "a project access token with the scope api and the role Reporter"  # noqa: S105
_MOST_ITEMS = 50_000  # of a list: GitLab gives no more by pages (https://docs.gitlab.com/api/rest/#pagination)
_PER_PAGE = 100
_REF = re.compile(r"refs/(?:heads/(?P<branch>.+)|tags/(?P<tag>.+)|merge-requests/(?P<iid>[0-9]{1,9})/head)")
NO_STATUS = (
    "no commit status was set: on GitLab one from outside can make a merge request mergeable whose pipeline fails; "
    "the job itself is the check"
)
DIALECT = Dialect(
    "GitLab",
    "check CI_API_V4_URL",
    f"set GITLAB_TOKEN to {TOKEN} that has not expired",
    "set GITLAB_TOKEN to {}",
    "check the project's name, and set GITLAB_TOKEN to {}",
    "GitLab's",
)


class GitLab:
    """One project (its path or id) on a GitLab server: a Forge."""

    def __init__(self, access: Access) -> None:
        api = access.api
        if why := address.problem(api) or ("" if api.rstrip("/").endswith(API_PATH) else f"it ends with {API_PATH}"):
            raise NotConfigured(f"invalid CI_API_V4_URL: {why}", "for instance https://gitlab.com/api/v4")
        explainer = Explainer(api, access.secrets | Secrets([access.token]), DIALECT)
        self._calls = Calls(access, DIALECT.name, explainer.explain)
        self._gitlab = _connected(api, access.token, self._calls)
        self._project = self._gitlab.projects.get(access.repository, lazy=True)
        self._requests: dict[int, Any] = {}  # python-gitlab's objects, by the ids of ours
        self._notes: dict[int, Any] = {}

    def trust(self, authorities: str) -> None:
        """Trusts the certificates in this file, instead of the usual ones."""
        self._gitlab.ssl_verify = authorities

    def close(self) -> None:
        self._gitlab.session.close()

    def author(self) -> str:
        """A project access token is a user too, `project_<id>_bot_<random>`."""

        def read() -> str:
            self._gitlab.auth()
            return DIALECT.needed(self._gitlab.user.username, "username")

        return self._calls.call(read, Operation("ask for its own user", TOKEN))

    def change_request(self, number: int) -> ChangeRequest:
        operation = Operation(f"read merge request {number}", TOKEN)
        return self._calls.call(lambda: self._change_request(self._project.mergerequests.get(number)), operation)

    def change_request_of(self, commit: str, *, owner: str = "", branch: str = "") -> ChangeRequest | None:
        """GitLab connects a fork's commits with their merge request itself."""

        def read() -> list[ChangeRequest]:
            listed = self._project.commits.get(commit, lazy=True).merge_requests(get_all=True, per_page=_PER_PAGE)
            numbers = [each["iid"] for each in listed if each["state"] == "opened"]
            return [self._change_request(self._project.mergerequests.get(number)) for number in numbers]

        requests: list[ChangeRequest] = []
        with contextlib.suppress(NotFound):  # it does not know the commit
            requests = self._calls.call(read, Operation("look for the commit's merge request", TOKEN))
        if len(requests) == 1:
            return requests[0]
        return next((request for request in requests if request.head == commit), None)

    def merged_by(self, commit: str) -> list[int]:
        def read() -> list[int]:
            listed = self._project.commits.get(commit, lazy=True).merge_requests(get_all=True, per_page=_PER_PAGE)
            return [jsonvalue.integer(each["iid"], "iid") for each in listed if each["state"] == "merged"]

        with contextlib.suppress(NotFound):
            return self._calls.call(read, Operation("look for the commit's merge request", TOKEN))
        return []

    def comments(self, number: int) -> list[Comment]:
        """What GitLab itself notes is none."""

        def read() -> list[Comment]:
            request = self._request(number)
            notes = list(islice(request.notes.list(iterator=True, per_page=_PER_PAGE, sort="asc"), _MOST_ITEMS + 1))
            if len(notes) > _MOST_ITEMS:
                raise BadAnswer(f"the list does not end after {_MOST_ITEMS} items", DIALECT.check_api)
            return [self._comment(request, note) for note in notes if not note.system]

        comments = self._calls.call(read, Operation("read the notes", TOKEN))
        unique = {comment.id: comment for comment in comments}  # a page moves on where somebody writes meanwhile
        return sorted(unique.values(), key=lambda comment: comment.id)

    def hidden(self, comments: Sequence[Comment]) -> set[int]:
        """Notes cannot be hidden on GitLab."""
        return set()

    def create_comment(self, number: int, body: str) -> Comment:
        def create() -> Comment:
            request = self._request(number)
            return self._comment(request, request.notes.create({"body": body}))

        return self._calls.call(create, Operation("comment on the merge request", TOKEN))

    def edit_comment(self, comment: Comment, body: str) -> Comment:
        request, note = self._notes[comment.id]

        def edit() -> Comment:
            note.body = body
            note.save()
            return self._comment(request, note)

        return self._calls.call(edit, Operation("edit its note", TOKEN))

    def delete_comment(self, comment: Comment) -> None:
        _, note = self._notes[comment.id]
        with contextlib.suppress(NotFound):
            self._calls.call(note.delete, Operation("delete its note", TOKEN))

    def set_status(self, commit: str, status: Status) -> None:
        """Never: see NO_STATUS.

        https://docs.gitlab.com/api/commits/#set-the-pipeline-status-of-a-commit
        """
        raise Unsupported(NO_STATUS, "leave --status out")

    def writing(self) -> Writing:
        """By the token's scopes. Whose role sees a merge request may write notes on it.

        https://docs.gitlab.com/api/personal_access_tokens/#get-details-on-a-personal-access-token
        """

        def read() -> tuple[str, ...]:
            return jsonvalue.texts(self._gitlab.personal_access_tokens.get("self").scopes, "scopes")

        with contextlib.suppress(NotFound, Forbidden, Unauthorized):  # GitLab before 15.5, another kind of token
            scopes = self._calls.call(read, Operation("ask for the token's scopes", TOKEN))
            if "api" not in scopes:
                return Writing(False, None, f"its scopes are {', '.join(scopes) or 'none'}; it needs api")
            return Writing(True, None)
        return Writing()

    def ref_at(self, ref: str) -> str:
        def read() -> str:
            if ref == "HEAD":
                project = self._gitlab.projects.get(self._project.encoded_id)
                return DIALECT.needed(self._project.branches.get(project.default_branch).commit["id"], "commit")
            named = _REF.fullmatch(ref)
            if named and named["branch"]:
                return DIALECT.needed(self._project.branches.get(named["branch"]).commit["id"], "commit")
            if named and named["tag"]:
                return DIALECT.needed(self._project.tags.get(named["tag"]).target, "target")
            return DIALECT.needed(self._project.mergerequests.get(int(named["iid"])).sha, "sha") if named else ""

        with contextlib.suppress(NotFound):
            return self._calls.call(read, Operation(f"look up {ref}", TOKEN))
        return ""

    def file_at(self, commit: str, path: str) -> bytes | None:
        operation = Operation(f"read {path} at {commit[:12]}", TOKEN)
        try:
            return self._calls.call(lambda: bytes(self._project.files.get(path, ref=commit).decode()), operation)
        except NotFound:  # the file, or the commit?
            self._calls.call(lambda: self._project.commits.get(commit), operation)
            return None

    def _request(self, number: int) -> Any:
        return self._requests.get(number) or self._project.mergerequests.get(number)

    def _change_request(self, request: Any) -> ChangeRequest:
        """https://docs.gitlab.com/api/merge_requests/#get-single-mr"""
        number = DIALECT.number(request.iid, "iid")
        self._requests[number] = request
        return ChangeRequest(
            number,
            DIALECT.needed(request.sha, "sha"),
            DIALECT.needed(request.web_url, "web_url"),
            request.state == "opened",
            request.source_project_id != request.target_project_id,
            (request.diff_refs or {}).get("start_sha") or "",
            request.target_branch,
            request.source_branch,
            repository_url=request.web_url.rpartition("/merge_requests/")[0],
        )

    def _comment(self, request: Any, note: Any) -> Comment:
        """https://docs.gitlab.com/api/notes/ . A note has no address of its own: its page is the merge request's."""
        self._notes[DIALECT.number(note.id, "id")] = request, note
        author = (note.author or {}).get("username") or ""
        return Comment(note.id, author, note.body or "", f"{request.web_url}#note_{note.id}")


def _connected(api: str, token: str, calls: Calls) -> Any:
    """python-gitlab's client. It follows no redirect, and asks for further pages at this address alone: both would
    hand the token to another server."""
    try:
        from gitlab import Gitlab
    except ImportError:
        raise NotConfigured("comments on GitLab take python-gitlab", 'pip install "python-gitlab>=4.4"') from None
    import warnings

    from requests import Session
    from requests.adapters import HTTPAdapter

    from git_clearml.forge.retry import gitlab_retry

    warnings.simplefilter("ignore")  # it warns of what an answer holds; what matters is raised
    session = Session()
    session.max_redirects = 0
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=gitlab_retry(calls)))
    return Gitlab(
        api.rstrip("/").removesuffix(API_PATH),
        oauth_token=token,
        timeout=READ_SECONDS,
        per_page=_PER_PAGE,
        user_agent="git-clearml",
        keep_base_url=True,
        session=session,
    )
