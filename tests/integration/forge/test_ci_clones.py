"""The recipes of docs/ci.md in clones as each service makes them: detached, as deep as the recipe says, no branch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.forge.test_ci_recipes import (
    AZURE,
    BITBUCKET,
    CI,
    CIRCLE,
    GITEA,
    GITLAB,
    bench,
    follow,
    pasted,
    runs,
    steps,
)
from tests.integration.forge.test_comment import Bench
from tests.support import actions
from tests.support.repos import Repo, make_repo

(JENKINS,) = re.findall(r"```groovy\n(.*?)```", CI, re.DOTALL)
PIPE = BITBUCKET["pipelines"]["branches"]["main"][0]["step"]
REPORTS = "clearml-report/junit.xml"
ALL = "+refs/heads/*:refs/remotes/origin/*"
MAIN = "+refs/heads/main:refs/remotes/origin/main"
Variables = Callable[[str, str, Path], dict[str, str]]
"""What a job is told: of the commit that it is about, and of main before the push, "" for a pull request's job."""


def depth(of_recipe: object) -> str:
    """The option by which a checkout step fetches as much as the recipe says; 1 where it says nothing."""
    return "" if of_recipe in (0, "full") else f"--depth={of_recipe}"


def jenkins(commit: str, before: str, _: Path) -> dict[str, str]:
    """https://www.jenkins.io/doc/book/pipeline/multibranch/#additional-environment-variables, and the git plugin's."""
    request = {"BRANCH_NAME": "PR-7", "CHANGE_ID": "7", "CHANGE_TARGET": "main", "CHANGE_BRANCH": "topic"}
    more = {"BRANCH_NAME": "main", "GIT_PREVIOUS_COMMIT": before} if before else request
    return {"JENKINS_URL": "https://ci/", "GIT_COMMIT": commit, **more}


def azure(commit: str, before: str, _: Path) -> dict[str, str]:
    """https://learn.microsoft.com/azure/devops/pipelines/build/variables"""
    request = {
        "BUILD_REASON": "PullRequest", "BUILD_SOURCEVERSION": "f" * 40, "BUILD_SOURCEBRANCH": "refs/pull/7/merge",
        "SYSTEM_PULLREQUEST_PULLREQUESTID": "7", "SYSTEM_PULLREQUEST_SOURCECOMMITID": commit,
        "SYSTEM_PULLREQUEST_SOURCEBRANCH": "refs/heads/topic", "SYSTEM_PULLREQUEST_TARGETBRANCH": "refs/heads/main",
    }  # fmt: skip
    push = {"BUILD_REASON": "IndividualCI", "BUILD_SOURCEVERSION": commit, "BUILD_SOURCEBRANCH": "refs/heads/main"}
    return {"TF_BUILD": "True", **(push if before else request)}


def circle(commit: str, before: str, _: Path) -> dict[str, str]:
    """https://circleci.com/docs/reference/variables/"""
    return {"CIRCLECI": "true", "CIRCLE_SHA1": commit, "CIRCLE_BRANCH": "main" if before else "topic"}


def gitea(commit: str, before: str, place: Path) -> dict[str, str]:
    """https://docs.gitea.com/usage/actions/comparison: GitHub's."""
    event = {"ref": "refs/heads/main", "before": before, "after": commit, "repository": actions.repository()}
    env = actions.Job(place / "event", "push", event, sha=commit, more={"GITEA_ACTIONS": "true"}).env
    return {name: value for name, value in env.items() if value is not None}


def gitlab(commit: str, before: str, _: Path) -> dict[str, str]:
    """https://docs.gitlab.com/ci/variables/predefined_variables/"""
    branch = {"CI_COMMIT_BRANCH": "main", "CI_COMMIT_REF_NAME": "main", "CI_DEFAULT_BRANCH": "main"}
    return {"GITLAB_CI": "true", "CI_COMMIT_SHA": commit, "CI_COMMIT_BEFORE_SHA": before, **branch}


def bitbucket(commit: str, _: str, __: Path) -> dict[str, str]:
    """https://support.atlassian.com/bitbucket-cloud/docs/variables-and-secrets/"""
    repository = {"BITBUCKET_REPO_FULL_NAME": "team/project", "BITBUCKET_PROXY_URL": ""}
    return {"BITBUCKET_BUILD_NUMBER": "3", "BITBUCKET_COMMIT": commit, "BITBUCKET_BRANCH": "main", **repository}


SERVICES: dict[str, tuple[Variables, list[str], str, str]] = {
    # name: (variables, commands, what is fetched for a pull request, "" where test_ci_recipes.py has that, for main)
    "Jenkins": (
        jenkins,
        re.findall(r"sh '([^']*)'", JENKINS),
        f"+refs/pull/7/head:refs/remotes/origin/PR-7 {MAIN}",
        MAIN,
    ),
    "Azure": (
        azure,
        [step["script"] for step in AZURE["steps"] if "script" in step],
        f"{depth(AZURE['steps'][0].get('fetchDepth', 1))} +refs/pull/7/merge:refs/remotes/pull/7/merge",
        f"{depth(AZURE['steps'][0].get('fetchDepth', 1))} {MAIN}",
    ),
    "CircleCI": (
        circle,
        [step["run"] for step in CIRCLE["jobs"]["verify"]["steps"] if "run" in step],
        f"--filter=blob:none {ALL}",
        f"--filter=blob:none {ALL}",
    ),
    "Gitea": (gitea, runs(GITEA), "", f"{depth(steps(GITEA)[0].get('with', {}).get('fetch-depth', 1))} {MAIN}"),
    "GitLab": (
        gitlab,
        GITLAB["clearml"]["script"],
        "",
        f"{depth(GITLAB['clearml'].get('variables', {}).get('GIT_DEPTH', 1))} {MAIN}",
    ),
    "Bitbucket": (
        bitbucket,
        PIPE["script"],
        "",
        f"{depth(PIPE.get('clone', {}).get('depth', 1))} {MAIN}",
    ),
}


def merge_onto_moved_main(bench: Bench, remote: Path) -> tuple[str, str, str]:
    """Pull request 7, verified, and its merge, which waits at the remote as forges have it; main, head and merge."""
    _, head = pasted(bench)
    repo = bench.gate.repo
    bench.gate.server.add_task(commit=head, repository=f"file://{remote}")
    main = repo.commit("beside", {"README.md": "more\n"})
    repo.git("merge", "--no-ff", "--quiet", "--no-edit", head)
    refs = (f"{main}:refs/heads/main", f"{head}:refs/heads/topic", "HEAD:refs/pull/7/merge")
    repo.git("push", "--quiet", "--no-verify", "origin", *refs)
    with (remote / "config").open("a") as config:  # as the forges have it
        config.write("[uploadpack]\n\tallowAnySHA1InWant = true\n\tallowFilter = true\n")
    return main, head, repo.head


def checked_out(place: Path, remote: Path, words: str, commit: str) -> Repo:
    """What a checkout step makes."""
    repo = make_repo(place, {}, remote=f"file://{remote}")
    repo.git("fetch", "--quiet", "--no-tags", "origin", *words.split())
    repo.git("checkout", "--quiet", "--detach", commit)
    return repo


def judged(repo: Repo) -> tuple[str, str]:
    """The commit that was judged, and whose policy judged it, as the files say that the job shows."""
    assert (repo.path / REPORTS).exists()
    report = json.loads((repo.path / REPORTS).with_name("report.json").read_text())
    return report["commits"][0]["commit"], report["policy"]["from"]


@pytest.mark.needs("git 2.38")
@pytest.mark.parametrize("name", SERVICES)
def test_a_pull_request_and_its_merge(name: str, bench: Bench, tmp_path: Path) -> None:
    """Of a pull request the head is judged, by main's policy; on main what a merge button made passes."""
    variables, commands, of_request, of_main = SERVICES[name]
    commands = [command.replace(" --comment", "").replace("test-reports", "clearml-report") for command in commands]
    if " --reports " not in "".join(commands):
        commands = [f"{command} --reports clearml-report" for command in commands]
    remote = tmp_path / "remote.git"
    main, head, merge = merge_onto_moved_main(bench, remote)
    bench.job.more = {"GITHUB_ACTIONS": "", "GITHUB_TOKEN": ""}
    if of_request:
        clone = checked_out(tmp_path / "request", remote, of_request, merge if name == "Azure" else head)
        bench.job.more |= variables(head, "", tmp_path)
        assert follow(commands, bench, tmp_path, clone.path) == [0]
        assert judged(clone) == (head, main)
    bench.gate.repo.git("push", "--quiet", "--no-verify", "origin", f"{merge}:refs/heads/main")
    clone = checked_out(tmp_path / "main", remote, of_main, merge)
    bench.job.more = {"GITHUB_ACTIONS": "", "GITHUB_TOKEN": "", **variables(merge, main, tmp_path)}
    assert follow(commands, bench, tmp_path, clone.path) == [0]
    assert judged(clone) == (merge, main)
    bench.gate.server.tasks.clear()
    assert follow(commands, bench, tmp_path, clone.path) == [1]


def test_what_the_services_show() -> None:
    """The file that each of them is told to read is among those that the command writes."""
    shown = [
        re.findall(r"junit '([^']*)'", JENKINS)[0],
        AZURE["steps"][-1]["inputs"]["testResultsFiles"],
        f"{CIRCLE['jobs']['verify']['steps'][-1]['store_test_results']['path']}/junit.xml",
        GITLAB["clearml"]["artifacts"]["reports"]["junit"],
    ]
    assert set(shown) == {REPORTS}


__all__ = ["bench"]
