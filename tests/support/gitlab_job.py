"""What GitLab CI gives a job: https://docs.gitlab.com/ci/variables/predefined_variables/ ."""

from __future__ import annotations

from tests.support.gitlab_server import JOB_TOKEN, TOKEN, GitLabServer

FORK = "stranger/project"


def merge_request(
    server: GitLabServer, number: int, head: str, base: str, *, kind: str = "detached", merge: str = "", fork: str = ""
) -> dict[str, str]:
    """A pipeline of a merge request; `kind` is `merged_result` or `merge_train` where `merge` is what it checks out.

    A fork's pipeline runs in the fork, and has none of this project's secrets.
    """
    merged = kind != "detached"
    return {
        **_common(server, fork),
        "CI_PIPELINE_SOURCE": "merge_request_event",
        "CI_COMMIT_SHA": merge if merged else head,
        "CI_COMMIT_REF_NAME": "topic",
        "CI_MERGE_REQUEST_EVENT_TYPE": kind,
        "CI_MERGE_REQUEST_IID": str(number),
        "CI_MERGE_REQUEST_PROJECT_ID": str(server.number),
        "CI_MERGE_REQUEST_PROJECT_PATH": server.project,
        "CI_MERGE_REQUEST_PROJECT_URL": f"{server.web}/{server.project}",
        "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "43" if fork else str(server.number),
        "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": fork or server.project,
        "CI_MERGE_REQUEST_SOURCE_PROJECT_URL": f"{server.web}/{fork or server.project}",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "topic",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": head if merged else "",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": base if merged else "",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": base,
    }


def push(server: GitLabServer, head: str, before: str, *, branch: str = "", tag: str = "") -> dict[str, str]:
    """A pipeline of a push of a branch, or of a tag."""
    name = {"CI_COMMIT_TAG": tag} if tag else {"CI_COMMIT_BRANCH": branch}
    return {
        **_common(server, ""),
        **name,
        "CI_PIPELINE_SOURCE": "push",
        "CI_COMMIT_SHA": head,
        "CI_COMMIT_BEFORE_SHA": before,
        "CI_COMMIT_REF_NAME": tag or branch,
    }


def _common(server: GitLabServer, fork: str) -> dict[str, str]:
    return {
        "CI": "true",
        "GITLAB_CI": "true",
        "CI_API_V4_URL": server.url,
        "CI_SERVER_URL": server.web,
        "CI_PROJECT_ID": "43" if fork else str(server.number),
        "CI_PROJECT_PATH": fork or server.project,
        "CI_PROJECT_URL": f"{server.web}/{fork or server.project}",
        "CI_DEFAULT_BRANCH": "main",
        "CI_JOB_TOKEN": JOB_TOKEN,
        "GITLAB_TOKEN": "" if fork else TOKEN,
    }
