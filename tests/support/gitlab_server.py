"""An in-memory GitLab REST API on 127.0.0.1: merge requests, their notes, branches, tags, files, its ways to refuse.

Shapes, paging headers and error bodies are those of https://docs.gitlab.com/api/ (merge_requests, notes, commits,
branches, tags, repository_files, users; rest/#pagination, rest/troubleshooting): what GitLab's lib/api/entities expose.
A job token may read merge requests and notes, commits and files, and write none of it
(https://docs.gitlab.com/ci/jobs/ci_job_token/#job-token-access).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from tests.support.forge_server import Answer, Call, ForgeServer, Json

TOKEN = "glpat-loopbackTokenOfTheTests1"
READ_TOKEN = "glpat-loopbackReadApiTokenTest"
JOB_TOKEN = "glcbt-64_loopbackJobTokenTests"
BOT = "project_42_bot_0123456789abcdef"
PROJECT = "group/sub/project"
_MOST = 1_000_000  # characters of a note
_READABLE_BY_A_JOB = r"PROJECT/(merge_requests|repository/(commits|branches|tags|files))\b.*"


class GitLabServer(ForgeServer):
    """One project for a `with` block. `user` is whose the token is, `role` its role in the project (20: Reporter)."""

    usually = 20  # items of a page

    def __init__(self, project: str = PROJECT, web: str = "https://gitlab.com") -> None:
        super().__init__("/api/v4")
        self.project, self.number, self.web = project, 42, web
        self.user, self.role = BOT, 20
        self.scopes: list[str] = ["api"]  # of the token
        self.counted = 10_000  # items of a list; of a longer one there are no totals
        self.pulls: dict[int, Json] = {}
        self.comments: list[Json] = []
        self.files: dict[tuple[str, str], bytes] = {}  # by (commit, path)
        self.commits: set[str] = set()
        self.refs: dict[str, str] = {}  # full name -> object
        self._ids = iter(range(1000, 1_000_000))

    def filled(self, pattern: str) -> str:
        """See ForgeServer.filled."""
        names = "|".join(re.escape(name) for name in (quote(self.project, safe=""), str(self.number)))
        return pattern.replace("PROJECT", f"/projects/(?:{names})")

    def allow(self, call: Call, headers: Mapping[str, str]) -> None:
        """See ForgeServer.allow."""
        token = headers.get("PRIVATE-TOKEN") or headers.get("Authorization", "").removeprefix("Bearer ")
        path = call.path.removeprefix(self.prefix)
        reads = call.verb == "GET" and re.fullmatch(self.filled(_READABLE_BY_A_JOB), path)
        if reads and headers.get("JOB-TOKEN") == JOB_TOKEN:
            return
        if token == READ_TOKEN and call.verb != "GET":
            words = "The request requires higher privileges than provided by the access token."
            raise Answer(403, {"error": "insufficient_scope", "error_description": words, "scope": "api"})
        if token not in (TOKEN, READ_TOKEN):
            raise Answer(401, {"message": "401 Unauthorized"})
        if self.role < 20 and path.startswith("/projects/"):  # a private project: a guest sees no code
            raise Answer(403, {"message": "403 Forbidden"})

    def add_pull(self, number: int, head: str, base: str, **fields: Any) -> Json:
        """An open merge request of a branch `topic` of this project, unless `fields` say otherwise."""
        fork = fields.pop("fork", "")
        request = {
            "id": 5000 + number,
            "iid": number,
            "project_id": self.number,
            "title": "Better",
            "description": "",
            "state": "opened",
            "target_branch": "main",
            "source_branch": "topic",
            "author": self._user("somebody"),
            "source_project_id": 43 if fork else self.number,
            "target_project_id": self.number,
            "draft": False,
            "sha": head,
            "merge_commit_sha": None,
            "squash_commit_sha": None,
            "web_url": f"{self.web}/{self.project}/-/merge_requests/{number}",
            "diff_refs": {"base_sha": base, "head_sha": head, "start_sha": base},
            **fields,
        }
        self.pulls[number] = request
        return request

    def add_comment(self, number: int, author: str | None, body: str, *, system: bool = False) -> Json:
        """A note that somebody made, or (`system`) that GitLab made in somebody's name."""
        with self.lock:
            identity = next(self._ids)
            note = {
                "id": identity,
                "type": None,
                "body": body,
                "author": self._user(author or "ghost1"),
                "created_at": "2026-01-02T03:04:05.678Z",
                "updated_at": "2026-01-02T03:04:05.678Z",
                "system": system,
                "noteable_id": 5000 + number,
                "noteable_type": "MergeRequest",
                "project_id": self.number,
                "resolvable": False,
                "confidential": False,
                "internal": False,
                "noteable_iid": number,
                "commands_changes": {},
            }
            self.comments.append(note)
        return note

    def by(self, author: str) -> list[Json]:
        """The notes of one account."""
        return [note for note in self.comments if note["author"]["username"] == author and not note["system"]]

    def paged(self, call: Call, listed: list[Any]) -> Answer:
        """See ForgeServer.paged. GitLab adds its own headers."""
        answer = super().paged(call, listed)
        size, page = min(100, int(call.query.get("per_page", self.usually))), int(call.query.get("page", 1))
        last = max(1, -(-len(listed) // size))
        answer.headers |= {"X-Page": str(page), "X-Per-Page": str(size), "X-Prev-Page": str(page - 1 or "")}
        answer.headers |= {"X-Next-Page": str(page + 1) if page < last else ""}
        if len(listed) <= self.counted:
            answer.headers |= {"X-Total": str(len(listed)), "X-Total-Pages": str(last)}
        return answer

    def _user(self, name: str) -> Json:
        return {"id": len(name), "username": name, "name": name.title(), "state": "active", "web_url": f"/{name}"}

    # --- the calls ---------------------------------------------------------------------------------------------

    def _get_user(self, _: Call) -> Json:
        return {**self._user(self.user), "bot": self.user == BOT}

    def _get_token(self, call: Call) -> Json:
        """Of a personal, project or group access token: an OAuth token and a job's get 404 or 401."""
        if not self.scopes:
            raise Answer(404, {"message": "404 Not Found"})
        dates = {"created_at": "2026-01-02T03:04:05.678Z", "last_used_at": None, "expires_at": "2027-01-02"}
        return {"id": 7, "name": "ci", "revoked": False, "scopes": self.scopes, "user_id": 5, "active": True, **dates}

    def _get_project(self, _: Call) -> Json:
        return {"id": self.number, "path_with_namespace": self.project, "default_branch": "main"}

    def _get_request(self, _: Call, number: str) -> Json:
        if int(number) not in self.pulls:
            raise Answer(404, {"message": "404 Not found"})
        return self.pulls[int(number)]

    def _list_notes(self, call: Call, number: str) -> Any:
        self._get_request(call, number)
        assert call.query.get("order_by", "created_at") == "created_at"
        notes = [note for note in self.comments if note["noteable_iid"] == int(number)]
        raise self.paged(call, notes if call.query.get("sort") == "asc" else notes[::-1])

    def _create_note(self, call: Call, number: str) -> Json:
        self._get_request(call, number)
        raise Answer(201, self.add_comment(int(number), self.user, self._body(call)))

    def _edit_note(self, call: Call, number: str, identity: str) -> Json:
        note = self._note(number, identity)
        if note["author"]["username"] != self.user and self.role < 40:
            raise Answer(403, {"message": "403 Forbidden"})
        note["body"] = self._body(call)
        return note

    def _delete_note(self, _: Call, number: str, identity: str) -> Json:
        with self.lock:
            self.comments.remove(self._note(number, identity))
        raise Answer(204)

    def _requests_of_commit(self, call: Call, commit: str) -> Any:
        listed = [pull for pull in self.pulls.values() if commit in (pull["sha"], *pull.get("commits", ()))]
        if not listed and commit not in self._commits():
            raise Answer(404, {"message": "404 Commit Not Found"})
        raise self.paged(call, [{key: value for key, value in each.items() if key != "diff_refs"} for each in listed])

    def _get_commit(self, _: Call, commit: str) -> Json:
        if commit not in self._commits():
            raise Answer(404, {"message": "404 Commit Not Found"})
        return {"id": commit, "short_id": commit[:8], "title": "change"}

    def _get_branch(self, _: Call, name: str) -> Json:
        ref = f"refs/heads/{unquote(name)}"
        if ref not in self.refs:
            raise Answer(404, {"message": "404 Branch Not Found"})
        return {"name": unquote(name), "commit": {"id": self.refs[ref]}, "default": name == "main"}

    def _get_tag(self, _: Call, name: str) -> Json:
        ref = f"refs/tags/{unquote(name)}"
        if ref not in self.refs:
            raise Answer(404, {"message": "404 Tag Not Found"})
        return {"name": unquote(name), "target": self.refs[ref], "commit": {"id": self.refs[ref]}}

    def _get_file(self, call: Call, path: str) -> Json:
        commit, name = call.query["ref"], unquote(path)
        if commit not in self._commits():
            raise Answer(404, {"message": "404 Commit Not Found"})
        if (commit, name) not in self.files:
            raise Answer(404, {"message": "404 File Not Found"})
        content = self.files[commit, name]
        return {
            "file_name": name.rpartition("/")[2],
            "file_path": name,
            "size": len(content),
            "encoding": "base64",
            "content": base64.b64encode(content).decode(),
            "content_sha256": hashlib.sha256(content).hexdigest(),
            "ref": commit,
            "commit_id": commit,
        }

    def _commits(self) -> set[str]:
        return {*self.commits, *(commit for commit, _ in self.files), *(pull["sha"] for pull in self.pulls.values())}

    def _note(self, number: str, identity: str) -> Json:
        with self.lock:
            for note in self.comments:
                if (note["noteable_iid"], note["id"]) == (int(number), int(identity)):
                    return note
        raise Answer(404, {"message": "404 Not found"})

    def _body(self, call: Call) -> str:
        """As GitLab stores it: without white space at the end."""
        body = call.body.get("body")
        if not body:
            raise Answer(400, {"error": "body is missing"})
        if len(body) > _MOST:
            words = f'{{:note=>["is too long (maximum is {_MOST} characters)"]}}'
            raise Answer(400, {"message": f"400 Bad request - Note {words}"})
        return str(body).rstrip()


GitLabServer.routes = (
    ("GET", "/user", GitLabServer._get_user),
    ("GET", "/personal_access_tokens/self", GitLabServer._get_token),
    ("GET", "PROJECT", GitLabServer._get_project),
    ("GET", r"PROJECT/merge_requests/(\d+)", GitLabServer._get_request),
    ("GET", r"PROJECT/merge_requests/(\d+)/notes", GitLabServer._list_notes),
    ("POST", r"PROJECT/merge_requests/(\d+)/notes", GitLabServer._create_note),
    ("PUT", r"PROJECT/merge_requests/(\d+)/notes/(\d+)", GitLabServer._edit_note),
    ("DELETE", r"PROJECT/merge_requests/(\d+)/notes/(\d+)", GitLabServer._delete_note),
    ("GET", r"PROJECT/repository/commits/([^/]+)/merge_requests", GitLabServer._requests_of_commit),
    ("GET", r"PROJECT/repository/commits/([^/]+)", GitLabServer._get_commit),
    ("GET", r"PROJECT/repository/branches/([^/]+)", GitLabServer._get_branch),
    ("GET", r"PROJECT/repository/tags/([^/]+)", GitLabServer._get_tag),
    ("GET", r"PROJECT/repository/files/([^/]+)", GitLabServer._get_file),
)
