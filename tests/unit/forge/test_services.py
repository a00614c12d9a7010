"""What the variables of each CI service say of the commit, its branch and what was accepted."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.base.ids import is_hash, is_hex
from git_clearml.errors import Error, UsageError
from git_clearml.forge import forks, other_job
from git_clearml.forge.current_job import detect, named_commit
from git_clearml.forge.job import Job, Provider
from git_clearml.model import Problem
from git_clearml.report.model import VerifyReport
from git_clearml.settings.in_ci import SERVICES, in_ci
from git_clearml.verdict.model import Outcome
from tests.support.program import ROOT

HEAD, BASE, MERGE = "a" * 40, "b" * 40, "c" * 40
MAIN, TOPIC = "refs/heads/main", "refs/heads/topic"

BITBUCKET = {"BITBUCKET_BUILD_NUMBER": "7", "BITBUCKET_REPO_FULL_NAME": "team/project", "BITBUCKET_COMMIT": HEAD}
AZURE = {"TF_BUILD": "True", "BUILD_SOURCEVERSION": HEAD}
JENKINS = {"JENKINS_URL": "https://ci.example.com/", "GIT_COMMIT": HEAD}
CODEBUILD = {"CODEBUILD_BUILD_ID": "x:1", "CODEBUILD_RESOLVED_SOURCE_VERSION": HEAD}
CIRCLE = {"CIRCLECI": "true", "CIRCLE_SHA1": HEAD}
TRAVIS = {"TRAVIS": "true", "TRAVIS_COMMIT": HEAD, "TRAVIS_PULL_REQUEST": "false"}

JOBS: list[tuple[dict[str, str], dict[str, Any]]] = [
    # a branch: nobody tells what it was at before, but CodeBuild
    ({**BITBUCKET, "BITBUCKET_BRANCH": "main"}, {"head_branch": "main", "before_untold": True}),
    ({**AZURE, "BUILD_SOURCEBRANCH": MAIN, "BUILD_REASON": "IndividualCI"}, {"head_branch": "main"}),
    ({**AZURE, "BUILD_SOURCEBRANCH": MAIN, "BUILD_REASON": "Schedule"}, {"head_branch": "main", "event": "other"}),
    ({**JENKINS, "BRANCH_NAME": "release/1"}, {"head_branch": "release/1", "before_untold": True}),
    ({**JENKINS, "GIT_BRANCH": "origin/main"}, {"head_branch": "main"}),
    (
        {**CODEBUILD, "CODEBUILD_WEBHOOK_HEAD_REF": TOPIC, "CODEBUILD_WEBHOOK_PREV_COMMIT": BASE},
        {"head_branch": "topic", "base": BASE, "before_untold": False},
    ),
    ({**JENKINS, "BRANCH_NAME": "main", "GIT_PREVIOUS_COMMIT": BASE}, {"earlier": BASE, "before_untold": True}),
    ({**JENKINS, "GIT_PREVIOUS_COMMIT": HEAD, "GIT_PREVIOUS_SUCCESSFUL_COMMIT": BASE}, {"earlier": BASE}),
    ({**JENKINS, "GIT_PREVIOUS_COMMIT": "null", "GIT_PREVIOUS_SUCCESSFUL_COMMIT": HEAD}, {"earlier": ""}),
    ({**TRAVIS, "TRAVIS_BRANCH": "main", "TRAVIS_COMMIT_RANGE": f"{BASE[:12]}...{HEAD[:12]}"}, {"earlier": BASE[:12]}),
    ({**TRAVIS, "TRAVIS_BRANCH": "main", "TRAVIS_COMMIT_RANGE": ""}, {"earlier": ""}),
    ({**CIRCLE, "CIRCLE_BRANCH": "topic"}, {"head_branch": "topic"}),
    ({**CIRCLE, "CIRCLE_BRANCH": "pull/7"}, {"head_branch": "pull/7"}),
    ({**TRAVIS, "TRAVIS_BRANCH": "main", "TRAVIS_EVENT_TYPE": "push"}, {"head_branch": "main", "event": "push"}),
    ({**TRAVIS, "TRAVIS_BRANCH": "main", "TRAVIS_EVENT_TYPE": "cron"}, {"head_branch": "main", "event": "other"}),
    ({"TEAMCITY_VERSION": "2025.07", "BUILD_VCS_NUMBER": HEAD}, {"head_branch": "", "before_untold": True}),
    ({"CI": "woodpecker"}, {"head": "", "head_branch": "", "before_untold": True}),
    # a tag
    ({**BITBUCKET, "BITBUCKET_TAG": "v1"}, {"is_tag": True, "before_untold": False}),
    ({**AZURE, "BUILD_SOURCEBRANCH": "refs/tags/v1"}, {"is_tag": True, "before_untold": False, "head_branch": ""}),
    ({**JENKINS, "BRANCH_NAME": "v1", "TAG_NAME": "v1"}, {"is_tag": True, "before_untold": False, "head_branch": ""}),
    ({**CIRCLE, "CIRCLE_TAG": "main"}, {"is_tag": True, "before_untold": False, "head_branch": ""}),
    ({**TRAVIS, "TRAVIS_BRANCH": "v1", "TRAVIS_TAG": "v1"}, {"is_tag": True, "head_branch": ""}),
    # a pull request: its head, never the merge that the service has made of it
    (
        {
            **BITBUCKET, "BITBUCKET_COMMIT": "a" * 12, "BITBUCKET_BRANCH": "topic", "BITBUCKET_PR_ID": "7",
            "BITBUCKET_PR_DESTINATION_BRANCH": "release", "BITBUCKET_PR_DESTINATION_COMMIT": "b" * 12,
        },
        {"head": "a" * 12, "base": "b" * 12, "base_ref": "refs/heads/release", "number": 7, "before_untold": False},
    ),
    (
        {
            **AZURE, "BUILD_SOURCEVERSION": MERGE, "BUILD_SOURCEBRANCH": "refs/pull/7/merge",
            "BUILD_REASON": "PullRequest", "SYSTEM_PULLREQUEST_PULLREQUESTID": "7",
            "SYSTEM_PULLREQUEST_SOURCECOMMITID": HEAD, "SYSTEM_PULLREQUEST_SOURCEBRANCH": TOPIC,
            "SYSTEM_PULLREQUEST_TARGETBRANCH": "refs/heads/release",
        },
        {"base_ref": "refs/heads/release", "head_branch": "topic", "head_ref": "", "before_untold": False},
    ),
    (
        {**JENKINS, "BRANCH_NAME": "PR-7", "CHANGE_ID": "7", "CHANGE_BRANCH": "topic", "CHANGE_TARGET": "main"},
        {"base_ref": MAIN, "head_ref": TOPIC, "before_untold": False, "number": 0},
    ),
    (
        {**JENKINS, "CHANGE_ID": "7", "CHANGE_BRANCH": "main", "CHANGE_TARGET": "main", "CHANGE_FORK": "stranger"},
        {"base_ref": MAIN, "head_ref": "refs/pull/7/head"},
    ),
    (
        {**CODEBUILD, "CODEBUILD_WEBHOOK_HEAD_REF": MAIN, "CODEBUILD_WEBHOOK_BASE_REF": MAIN},
        {"base_ref": MAIN, "head_ref": "", "before_untold": False},
    ),
    (
        {
            **TRAVIS, "TRAVIS_COMMIT": MERGE, "TRAVIS_PULL_REQUEST": "7", "TRAVIS_PULL_REQUEST_SHA": HEAD,
            "TRAVIS_PULL_REQUEST_BRANCH": "topic", "TRAVIS_BRANCH": "main",
        },
        {"base_ref": MAIN, "before_untold": False},
    ),
]  # fmt: skip


def job_of(environment: dict[str, str]) -> Job:
    job = detect(environment)
    assert job is not None
    return job


@pytest.mark.parametrize("ci", ["true", "false", None])
@pytest.mark.parametrize(("environment", "wanted"), JOBS)
def test_a_job(environment: dict[str, str], wanted: dict[str, Any], ci: str | None) -> None:
    given_ci = {"CI": ci} if ci is not None and "CI" not in environment else {}
    job = asdict(job_of({**environment, **given_ci}))
    assert {key: job[key] for key in wanted} == wanted
    assert job["head"] == wanted.get("head", HEAD)
    assert job["provider"] is (Provider.BITBUCKET if "BITBUCKET_COMMIT" in environment else Provider.OTHER)
    assert job["base"] or job["base_ref"], "somebody's policy judges"
    assert not job["is_push_to_base"], "its variables do not tell the default branch"


@pytest.mark.parametrize(
    "more",
    [
        {"GITEA_ACTIONS": "true"},
        {"FORGEJO_ACTIONS": "true", "GITHUB_ACTIONS": ""},
        {"GITHUB_API_URL": "https://git.example.com/api/v1"},
        {"GITHUB_API_URL": "https://git.example.com/sub/api/v1/"},
    ],
)
def test_gitea(more: dict[str, str]) -> None:
    """Its variables and events are GitHub's."""
    with pytest.raises(Error, match="GITHUB_EVENT_PATH"):
        detect({"GITHUB_ACTIONS": "true", **more})


@pytest.mark.parametrize("server", ["https://git.example.com/", ""])
def test_giteas_token_goes_to_no_github(server: str, tmp_path: Path) -> None:
    event = {"ref": MAIN, "before": BASE, "after": HEAD, "repository": {"full_name": "team/project"}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    more = {"GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": str(tmp_path / "event.json"), "GITHUB_SERVER_URL": server}
    job = job_of({"GITEA_ACTIONS": "true", **more})
    assert (job.provider, job.head, job.base) == (Provider.GITEA, HEAD, BASE)
    assert job.api == ("https://git.example.com/api/v1" if server else "")
    assert "github.com" not in job.api + job.server + "".join(job.head_urls)


@pytest.mark.parametrize(
    ("named", "untold"), [("", True), (HEAD, True), (BASE, False)], ids=["none", "the job's", "another"]
)
def test_commit_id(named: str, untold: bool) -> None:
    """Another commit than the job's is not on its branch, whose own parent would then judge it."""
    job = job_of({**CIRCLE, "CIRCLE_BRANCH": "main", "COMMIT_ID": named})
    assert (job.head, job.before_untold) == (named or HEAD, untold)


def test_a_fork_without_secrets_is_told_of_stages_where_there_are_any() -> None:
    report = VerifyReport((), Outcome.UNDECIDED, 3, problems=(Problem("not-configured", "no credentials", "log in"),))
    hints = {
        provider: forks.explained(Job(provider, "pull_request", is_fork=True), report).hint for provider in Provider
    }
    assert ["two stages" in hints[provider] for provider in Provider] == [True, *[False] * (len(Provider) - 1)]
    assert all("gets no secrets" in hint for hint in hints.values())


def test_the_hook_and_the_table_know_the_same_services() -> None:
    """hooks/pre-push decides without Python that nothing is remembered in a job."""
    hook = (ROOT / "hooks" / "pre-push").read_text()
    assert [name for name in SERVICES if f"${{{name}-}}" not in hook] == []
    assert [each.known_by for each in other_job._SERVICES if each.known_by not in SERVICES] == []


NAMES = sorted({name for environment, _ in JOBS for name in environment})
TEXTS = st.sampled_from(["", HEAD, "a" * 12, "0" * 40, "a" * 6, "7", "-1", "--x", "refs/heads/x", "a\nb", "\x1b[31m"])


@given(st.dictionaries(st.sampled_from(NAMES), TEXTS | st.text(max_size=20), max_size=12))
def test_no_variable_gets_further_than_it_makes_sense(environment: dict[str, str]) -> None:
    try:
        job = detect(environment)
    except Error:
        return
    assert (job is None) is not in_ci(environment)
    if job is None:
        return
    for name in (job.head, job.base):
        assert not name or is_hash(name) or (is_hex(name, 7, 64) and name.strip("0"))
    assert job.number >= 0
    assert (job.head_branch + job.base_ref + job.head_ref).isprintable()
    assert job.base or job.base_ref


@pytest.mark.parametrize(
    ("service", "spelling"),
    [
        ({"GITHUB_ACTIONS": "true"}, "${{ github.event.pull_request.head.sha }}"),
        ({"GITEA_ACTIONS": "true"}, "${{ github.event.pull_request.head.sha }}"),
        ({"GITLAB_CI": "true"}, "$CI_COMMIT_SHA"),
        (BITBUCKET, "$BITBUCKET_COMMIT"),
        (AZURE, "$BUILD_SOURCEVERSION"),
        (JENKINS, "$GIT_COMMIT"),
        (CIRCLE, "$CIRCLE_SHA1"),
        (CODEBUILD, "$CODEBUILD_RESOLVED_SOURCE_VERSION"),
        ({"CI": "1"}, "git rev-parse HEAD"),
    ],
)
def test_a_bad_commit_id_is_told_in_the_words_of_the_service(service: dict[str, str], spelling: str) -> None:
    with pytest.raises(UsageError) as caught:
        named_commit({**service, "COMMIT_ID": "main"})
    assert spelling in caught.value.hint
    assert ("github" in caught.value.hint) == ("github" in spelling)
