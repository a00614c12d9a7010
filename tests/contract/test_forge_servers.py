"""The loopback GitLab and Gitea answer with the fields, headers and refusals of those forges' published descriptions.

GitLab: lib/api/entities/{note,merge_request_basic,merge_request,user_basic}.rb, lib/api/helpers/notes_helpers.rb,
doc/api/rest (pagination, status codes) and doc/ci/jobs/ci_job_token.md of gitlab-org/gitlab. Gitea: the definitions
Comment, PullRequest, PRBranchInfo, Reference and APIError of templates/swagger/v1_json.tmpl of go-gitea/gitea.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support import gitea_server, gitlab_server
from tests.support.gitea_server import GiteaServer
from tests.support.gitlab_server import GitLabServer

HEAD, BASE = "a" * 40, "b" * 40
DENIED = {"message": "401 Unauthorized"}
NOTE = {
    *"id type body attachment author created_at updated_at system noteable_id noteable_type project_id".split(),
    *"commit_id position resolvable resolved resolved_at suggestions confidential internal imported".split(),
    *"resolved_by imported_from noteable_iid commands_changes".split(),
}
MERGE_REQUEST = {
    *"id iid project_id title description state created_at updated_at merged_by merge_user merged_at closed_by".split(),
    *"closed_at target_branch source_branch user_notes_count upvotes downvotes author assignees assignee".split(),
    *"reviewers source_project_id target_project_id labels draft imported imported_from work_in_progress".split(),
    *"milestone merge_when_pipeline_succeeds merge_status detailed_merge_status sha merge_commit_sha".split(),
    *"squash_commit_sha discussion_locked should_remove_source_branch force_remove_source_branch reference".split(),
    *"references web_url time_stats squash squash_on_merge task_completion_status has_conflicts".split(),
    *"blocking_discussions_resolved changes_count pipeline head_pipeline diff_refs user".split(),
}
COMMENT = {
    *"id html_url pull_request_url issue_url user original_author original_author_id body assets".split(),
    *"created_at updated_at".split(),
}
PULL_REQUEST = {
    *"id url number user title body labels milestone assignee assignees requested_reviewers state draft".split(),
    *"is_locked comments html_url diff_url patch_url mergeable merged merged_at merge_commit_sha merged_by".split(),
    *"allow_maintainer_edit base head merge_base due_date created_at updated_at closed_at pin_order".split(),
}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    data: Any


def ask(url: str, headers: dict[str, str], verb: str = "GET", body: Any = None) -> Reply:
    """One request, without a client library."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=verb)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            content = answer.read()
            return Reply(answer.status, dict(answer.headers), json.loads(content) if content else None)
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, dict(error.headers), json.loads(error.read()))


def test_gitlabs_shapes_and_pages() -> None:
    with GitLabServer() as server:
        server.add_pull(7, HEAD, BASE)
        for _ in range(45):
            server.add_comment(7, "somebody", "x")
        auth = {"PRIVATE-TOKEN": gitlab_server.TOKEN, "Content-Type": "application/json"}
        project = f"{server.url}/projects/group%2Fsub%2Fproject"
        request = ask(f"{project}/merge_requests/7", auth)
        assert {*request.data} <= MERGE_REQUEST
        (listed,) = ask(f"{project}/repository/commits/{HEAD}/merge_requests", auth).data
        assert {*listed} <= MERGE_REQUEST - {"diff_refs"}
        notes = f"{server.url}/projects/42/merge_requests/7/notes"
        page = ask(f"{notes}?page=2", auth)
        assert len(page.data) == 20  # of 20 by default, newest first
        assert all({*note} <= NOTE for note in page.data)
        assert page.data[0]["id"] > page.data[-1]["id"]
        told = {name: page.headers[name] for name in page.headers if name.startswith("X-")}
        pages = {"X-Page": "2", "X-Next-Page": "3", "X-Prev-Page": "1", "X-Total-Pages": "3"}
        assert told == {**pages, "X-Per-Page": "20", "X-Total": "45"}
        assert 'rel="next"' in page.headers["Link"]
        assert ask(notes, auth, "POST", {"body": "y  \n"}).status == 201


@pytest.mark.parametrize(
    ("token", "verb", "path", "status", "message"),
    [
        ({}, "GET", "merge_requests/7", 401, DENIED),
        ({"JOB-TOKEN": gitlab_server.JOB_TOKEN}, "GET", "merge_requests/7", 200, None),
        ({"JOB-TOKEN": gitlab_server.JOB_TOKEN}, "GET", "merge_requests/7/notes", 200, None),
        ({"JOB-TOKEN": gitlab_server.JOB_TOKEN}, "POST", "merge_requests/7/notes", 401, DENIED),
        ({"PRIVATE-TOKEN": gitlab_server.TOKEN}, "GET", "merge_requests/8", 404, {"message": "404 Not found"}),
        ({"PRIVATE-TOKEN": gitlab_server.TOKEN}, "PUT", "merge_requests/7/notes/1", 404, {"message": "404 Not found"}),
        ({"PRIVATE-TOKEN": gitlab_server.TOKEN}, "POST", "merge_requests/7/notes", 400, {"error": "body is missing"}),
    ],
)  # fmt: skip
def test_gitlabs_refusals(token: dict[str, str], verb: str, path: str, status: int, message: Any) -> None:
    with GitLabServer() as server:
        server.add_pull(7, HEAD, BASE)
        reply = ask(f"{server.url}/projects/42/{path}", token, verb, {} if verb != "GET" else None)
        assert reply.status == status
        assert message is None or reply.data == message


def test_giteas_shapes_pages_and_refusals() -> None:
    with GiteaServer() as server:
        server.add_pull(7, HEAD, BASE)
        server.refs["refs/heads/main"] = BASE
        for number in range(110):
            server.add_comment(7, "somebody", "x")
            server.add_pull(100 + number, HEAD, BASE)
        auth = {"Authorization": f"token {gitea_server.TOKEN}"}
        repository = f"{server.url}/repos/team/project"
        comments = ask(f"{repository}/issues/7/comments?limit=10&page=2", auth)
        assert (len(comments.data), "Link" in comments.headers) == (110, False)
        assert all({*comment} <= COMMENT for comment in comments.data)
        pulls = ask(f"{repository}/pulls?state=open&per_page=100", auth)
        assert len(pulls.data) == 30  # `limit` counts, not `per_page`
        assert all({*pull} <= PULL_REQUEST for pull in pulls.data)
        assert {*pulls.data[0]["head"]} <= {"label", "ref", "sha", "repo_id", "repo"}
        (ref,) = ask(f"{repository}/git/refs", auth).data
        assert {*ref} <= {"ref", "url", "object"}
        for path in (f"/commits/{HEAD}/pulls", "/git/ref/heads/main"):
            assert ask(repository + path, auth).status == 404, path  # GitHub's alone
        refused = ask(f"{repository}/pulls/7", {})
        assert (refused.status, {*refused.data}) == (401, {"message", "url"})
