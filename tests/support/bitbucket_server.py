"""An in-memory REST API of Bitbucket Cloud on 127.0.0.1: pull requests, comments, build statuses, reports, refs, files.

Shapes, paging and error bodies are those of its published OpenAPI description (https://api.bitbucket.org/swagger.json:
paginated_pullrequests, pullrequest, pullrequest_comment, commitstatus, report, error), hashes of pull requests have 12
digits as there. The access token of a repository may not ask who it is; it is a proxy of a pipeline too, which takes
reports and statuses without a token: https://support.atlassian.com/bitbucket-cloud/docs/code-insights/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlencode

from tests.support.forge_server import Answer, Call, ForgeServer, Json

TOKEN = "ATCTT3xLoopbackTokenOfARepository"
USER_TOKEN = "ATATT3xLoopbackTokenOfAnAccount"
READ_TOKEN = "ATCTT3xLoopbackTokenThatOnlyReads"
REPOSITORY = "team/project"
BOT = "{11111111-1111-4111-8111-111111111111}"
PERSON = "{22222222-2222-4222-8222-222222222222}"
_MOST = 32_768  # characters of a comment
_REPORT = {
    "title": str, "details": str, "report_type": str, "reporter": str, "result": str, "link": str, "data": list,
    "external_id": str, "logo_url": str, "remote_link_enabled": bool,
}  # fmt: skip
_VALUES: Mapping[str, Any] = {
    "BOOLEAN": bool, "DATE": int, "DURATION": int, "LINK": dict, "NUMBER": (int, float), "PERCENTAGE": (int, float),
    "TEXT": str,
}  # fmt: skip


class BitbucketServer(ForgeServer):
    """One repository for a `with` block. Whose comments are whose goes by `uuid`s."""

    def __init__(self, repository: str = REPOSITORY) -> None:
        super().__init__("/2.0")
        self.repository = repository
        self.pulls: dict[int, Json] = {}
        self.comments: list[Json] = []
        self.gone: list[Json] = []  # comments that were deleted
        self.read_only = False
        self.statuses: list[Json] = []
        self.reports: dict[tuple[str, str], Json] = {}
        self.files: dict[tuple[str, str], bytes] = {}  # by (commit, path)
        self.commits: set[str] = set()
        self.refs: dict[str, str] = {}  # full name -> commit
        self._ids = iter(range(500_000_000, 600_000_000))

    def filled(self, pattern: str) -> str:
        """See ForgeServer.filled."""
        return pattern.replace("REPOSITORY", f"/repositories/{re.escape(self.repository)}")

    def allow(self, call: Call, headers: Mapping[str, str]) -> None:
        """See ForgeServer.allow."""
        path = call.path.removeprefix(self.prefix)
        if headers.get("Host") == "api.bitbucket.org":  # by the proxy of a pipeline, which adds the credentials
            if re.fullmatch(self.filled(r"REPOSITORY/commit/[0-9a-f]+/(reports|statuses)/.*"), path):
                return
            raise Answer(403, {"type": "error", "error": {"message": "Access denied"}})
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in (TOKEN, USER_TOKEN, READ_TOKEN):
            words = "Token is invalid, expired, or not supported for this endpoint."
            raise Answer(401, {"type": "error", "error": {"message": words}})
        if path == "/user" and token != USER_TOKEN:
            raise Answer(403, _scopes("account"))
        if (self.read_only or token == READ_TOKEN) and call.verb != "GET":
            raise Answer(403, _scopes("pullrequest:write"))

    def answer(self, call: Call, headers: Mapping[str, str]) -> Answer:
        """See ForgeServer.answer: errors are objects here."""
        self._user = PERSON if headers.get("Authorization", "").endswith(USER_TOKEN) else BOT  # one token at a time
        answer = super().answer(call, headers)
        if answer.status == 404 and "error" not in (answer.data or {}):
            words = f"Repository {self.repository} not found"
            return Answer(404, {"type": "error", "error": {"message": words}})
        return answer

    def add_pull(self, number: int, head: str, base: str, **fields: Any) -> Json:
        """An open pull request of a branch `topic` of this repository, unless `fields` say otherwise."""
        fork = fields.pop("fork", "")
        pull = {
            "type": "pullrequest",
            "id": number,
            "title": "Better",
            "state": "OPEN",
            "draft": False,
            "author": self._account("{33333333-3333-4333-8333-333333333333}"),
            "source": _endpoint("topic", head, fork or self.repository),
            "destination": _endpoint("main", base, self.repository),
            "merge_commit": None,
            "links": {
                "html": {"href": f"https://bitbucket.org/{self.repository}/pull-requests/{number}"},
                "comments": {"href": f"{self.url}/repositories/{self.repository}/pullrequests/{number}/comments"},
            },
            **fields,
        }
        self.pulls[number] = pull
        self.commits |= {head, base}
        return pull

    def add_comment(self, number: int, author: str | None, body: str, **fields: Any) -> Json:
        """A comment that somebody made: what is kept of it, whose `body` may be changed."""
        with self.lock:
            comment = {"id": next(self._ids), "number": number, "author": author, "body": body, "fields": fields}
            self.comments.append(comment)
        return comment

    def by(self, author: str) -> list[Json]:
        """The comments of one account."""
        return [comment for comment in self.comments if comment["author"] == author]

    def _shown(self, comment: Json) -> Json:
        """A `pullrequest_comment`; one that was deleted is still listed, without its text."""
        number, identity = comment["number"], comment["id"]
        address = f"/repositories/{self.repository}/pullrequests/{number}/comments/{identity}"
        page = f"https://bitbucket.org/{self.repository}/pull-requests/{number}/_/diff#comment-{identity}"
        deleted = comment not in self.comments
        return {
            "type": "pullrequest_comment",
            "id": identity,
            "created_on": "2026-01-02T03:04:05.678901+00:00",
            "updated_on": "2026-01-02T03:04:05.678901+00:00",
            "content": {
                "type": "rendered",
                "raw": "" if deleted else comment["body"],
                "markup": "markdown",
                "html": "",
            },
            "user": self._account(comment["author"]) if comment["author"] else None,
            "deleted": deleted,
            "pending": False,
            "pullrequest": {"type": "pullrequest", "id": number, "title": "Better"},
            "links": {"self": {"href": self.url + address}, "html": {"href": page}},
            **comment["fields"],
        }

    @staticmethod
    def _account(uuid: str) -> Json:
        return {"type": "user", "uuid": uuid, "display_name": "Somebody", "nickname": "somebody", "account_id": "1:x"}

    # --- what is asked -------------------------------------------------------------------------------------------

    def _who(self, _: Call) -> Any:
        return self._account(self._user)

    def _repository(self, _: Call) -> Any:
        return {"type": "repository", "full_name": self.repository, "mainbranch": {"type": "branch", "name": "main"}}

    def _pulls(self, call: Call) -> Any:
        query = call.query.get("q", "")
        state = re.search(r'state="(\w+)"', query)
        branch = re.search(r'source\.branch\.name="((?:[^"\\]|\\.)*)"', query)
        wanted = [
            pull
            for pull in self.pulls.values()
            if (not state or pull["state"] == state[1])
            and (not branch or pull["source"]["branch"]["name"] == re.sub(r"\\(.)", r"\1", branch[1]))
        ]
        return self._page(call, wanted, most=50)

    def _pull(self, _: Call, number: str) -> Any:
        return self._known(self.pulls.get(int(number)))

    def _comments(self, call: Call, number: str) -> Any:
        self._pull(call, number)
        listed = [each for each in (*self.comments, *self.gone) if each["number"] == int(number)]
        return self._page(call, [self._shown(each) for each in sorted(listed, key=lambda each: each["id"])], most=100)

    def _create(self, call: Call, number: str) -> Any:
        self._pull(call, number)
        raise Answer(201, self._shown(self.add_comment(int(number), self._user, self._body(call))))

    def _edit(self, call: Call, _: str, identity: str) -> Any:
        comment = self._own(identity)
        comment["body"] = self._body(call)
        return self._shown(comment)

    def _delete(self, _: Call, __: str, identity: str) -> Any:
        with self.lock:
            comment = self._own(identity)
            self.comments.remove(comment)
            self.gone.append(comment)
        raise Answer(204)

    def _own(self, identity: str) -> Json:
        comment: Json = self._known(next((each for each in self.comments if each["id"] == int(identity)), None))
        if comment["author"] != self._user:
            raise Answer(403, {"type": "error", "error": {"message": "You do not have access to edit this comment."}})
        return comment

    @staticmethod
    def _body(call: Call) -> str:
        raw = call.body["content"]["raw"]
        if not raw or len(raw) > _MOST:
            words = f"content: Ensure this value has at most {_MOST} characters (it has {len(raw)})."
            raise Answer(400, {"type": "error", "error": {"message": "Bad request", "fields": {"content": [words]}}})
        return str(raw)

    def _pulls_of(self, call: Call, commit: str) -> Any:
        wanted = [pull for pull in self.pulls.values() if commit in pull.get("commits", ())]
        return self._page(call, [self._known(pull) for pull in wanted] or self._known(None), most=50)

    def _commit(self, _: Call, name: str) -> Any:
        full = [each for each in self.commits if each.startswith(name)]
        return {"type": "commit", "hash": self._known(full[0] if len(full) == 1 else None)}

    def _status(self, call: Call, commit: str) -> Any:
        given = call.body
        if not {"key", "state", "url"} <= {*given} or len(given["key"]) > 40:
            raise Answer(400, {"type": "error", "error": {"message": "Bad request", "detail": "key, state and url"}})
        assert given["state"] in ("FAILED", "INPROGRESS", "STOPPED", "SUCCESSFUL")
        states = {"SUCCESSFUL": "success", "FAILED": "failure", "INPROGRESS": "pending"}
        status = {"type": "build", **given, "sha": commit, "context": given["name"], "state": states[given["state"]]}
        self.statuses.append(status)
        raise Answer(201, status)

    def _report(self, call: Call, commit: str, identity: str) -> Any:
        given = call.body
        wrong = [key for key, value in given.items() if not isinstance(value, _REPORT.get(key, ()))]
        enums = {"report_type": ("SECURITY", "COVERAGE", "TEST", "BUG"), "result": ("PASSED", "FAILED", "PENDING")}
        wrong += [key for key, values in enums.items() if given.get(key, values[0]) not in values]
        wrong += [key for key in ("title", "details", "report_type") if not given.get(key)]
        if "link" in given and not re.fullmatch(r"https?://[^\s<>\"]+", given["link"]):
            wrong.append("link")
        data = given.get("data", [])
        if len(data) > 10 or not all(isinstance(each["value"], _VALUES[each["type"]]) for each in data):
            wrong.append("data")
        if wrong or len(given["details"]) > 2000:
            raise Answer(400, {"type": "error", "error": {"message": f"malformed report: {wrong}"}})
        report = {"type": "report", "uuid": "{report}", "external_id": identity, **given}
        self.reports[commit, identity] = report
        return report

    def _ref(self, _: Call, kind: str, name: str) -> Any:
        name = unquote(name)
        commit = self._known(self.refs.get(f"refs/{'heads' if kind == 'branches' else 'tags'}/{name}"))
        return {"type": kind, "name": name, "target": {"type": "commit", "hash": commit}}

    def _file(self, _: Call, commit: str, path: str) -> Any:
        return self._known(self.files.get((commit, unquote(path))))

    @staticmethod
    def _known(value: Any) -> Any:
        if value is None:
            raise Answer(404, {"type": "error", "error": {"message": "Resource not found"}})
        return value

    def _page(self, call: Call, listed: list[Json], *, most: int) -> Any:
        size, page = int(call.query.get("pagelen", 10)), int(call.query.get("page", 1))
        if size > most:
            raise Answer(400, {"type": "error", "error": {"message": "Invalid pagelen"}})
        found: Json = {
            "values": listed[size * (page - 1) : size * page],
            "pagelen": size,
            "page": page,
            "size": len(listed),
        }
        if size * page < len(listed):
            address = self.url.removesuffix(self.prefix) + call.path
            found["next"] = f"{address}?{urlencode({**call.query, 'page': page + 1})}"
        return found

    routes = (
        ("GET", "/user", _who),
        ("GET", "REPOSITORY", _repository),
        ("GET", "REPOSITORY/pullrequests", _pulls),
        ("GET", r"REPOSITORY/pullrequests/(\d+)", _pull),
        ("GET", r"REPOSITORY/pullrequests/(\d+)/comments", _comments),
        ("POST", r"REPOSITORY/pullrequests/(\d+)/comments", _create),
        ("PUT", r"REPOSITORY/pullrequests/(\d+)/comments/(\d+)", _edit),
        ("DELETE", r"REPOSITORY/pullrequests/(\d+)/comments/(\d+)", _delete),
        ("GET", r"REPOSITORY/commit/([0-9a-f]+)/pullrequests", _pulls_of),
        ("GET", r"REPOSITORY/commit/([0-9a-f]{7,40})", _commit),
        ("GET", r"/repositories/[\w-]+/[\w-]+/commit/([0-9a-f]{7,40})", _commit),
        ("POST", r"REPOSITORY/commit/([0-9a-f]+)/statuses/build", _status),
        ("PUT", r"REPOSITORY/commit/([0-9a-f]+)/reports/([\w-]+)", _report),
        ("GET", r"REPOSITORY/refs/(branches|tags)/(.+)", _ref),
        ("GET", r"REPOSITORY/src/([0-9a-f]+)/(.+)", _file),
    )


def _endpoint(branch: str, commit: str, repository: str) -> Json:
    """A `pullrequest_endpoint`, whose commits have 12 digits."""
    return {
        "branch": {"name": branch},
        "commit": {"type": "commit", "hash": commit[:12]},
        "repository": {"type": "repository", "full_name": repository, "name": repository.partition("/")[2]},
    }


def _scopes(required: str) -> Json:
    """What Bitbucket says to a token that lacks a scope."""
    message = "Your credentials lack one or more required privilege scopes."
    return {"type": "error", "error": {"message": message, "detail": {"granted": [], "required": [required]}}}
