"""Jobs of services that tell less than GitHub's: which commit is judged, and by whose policy, in what kind of clone."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from git_clearml.errors import Error, PolicyUnknown
from git_clearml.forge import context as ci_context
from git_clearml.forge.fetch import JobCheckout
from git_clearml.forge.job import Job
from git_clearml.git.repository import Repository
from tests.support.program import Gate
from tests.support.repos import Repo, make_repo
from tests.support.tools import require


@dataclass
class World:
    """A remote whose `main` is two commits beyond `old`, with a branch of main's last but one, `topic`."""

    remote: Repo
    commits: dict[str, str]
    clones: Path

    def clone(self, kind: str, at: str) -> Repo:
        """`full`, `shallow` (depth 1 by its hash, as most services do it), or `alone` (the remote does not answer)."""
        place = self.clones / f"{kind} {at}"
        if not place.exists():
            repo = make_repo(place, {}, remote=f"file://{self.remote.path}")
            depth = ("--depth=1",) if kind == "shallow" else ()
            wanted = [self.commits[at]] if kind == "shallow" else ["+refs/heads/*:refs/remotes/origin/*"]
            repo.git("fetch", "--quiet", *depth, "--no-tags", "origin", *wanted)
            repo.git("checkout", "--quiet", "--detach", self.commits[at])
            if kind == "alone":
                repo.git("remote", "set-url", "origin", f"file://{self.clones}/nowhere")
        return Repo(place)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    place = tmp_path_factory.mktemp("world")
    repo = make_repo(place / "repo", {"train.py": "x\n"})
    commits = {"old": repo.head}
    for name in ("before", "main"):
        commits[name] = repo.commit(name, {"train.py": f"{name}\n"})
    repo.git("checkout", "--quiet", "-b", "topic", commits["before"])
    for name in ("earlier", "topic"):
        commits[name] = repo.commit(name, {"more.py": f"{name}\n"})
    repo.git("checkout", "--quiet", "--detach")
    repo.git("merge", "--quiet", "--no-edit", commits["main"])
    clean = repo.git("rev-parse", "HEAD^{tree}")
    for name, tree, other in (
        ("merge", clean, "main"),
        ("pushed merge", clean, "main"),
        ("hiding merge", f"{commits['topic']}^{{tree}}", "main"),
        ("merge of another", f"{commits['topic']}^{{tree}}", "earlier"),
    ):
        words = ("-p", commits["topic"], "-p", commits[other])
        commits[name] = repo.git("commit-tree", tree, *words, "-m", name)
        repo.git("branch", name.replace(" ", "-"), commits[name])
    repo.git("checkout", "--quiet", "main")
    remote = Repo(place / "remote.git")
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(remote.path))
    remote.git("config", "uploadpack.allowAnySHA1InWant", "true")
    remote.git("update-ref", "refs/pull/7/head", commits["topic"])
    return World(remote, commits, place)


BRANCH = "BITBUCKET_BRANCH"
JENKINS = {"JENKINS_URL": "x", "CHANGE_ID": "7", "CHANGE_TARGET": "main"}
BUILT = {"JENKINS_URL": "x", "BRANCH_NAME": "main", "GIT_COMMIT": "main:40"}
PULL = {"BITBUCKET_PR_ID": "7", "BITBUCKET_PR_DESTINATION_BRANCH": "main"}

CASES: dict[str, tuple[str, str, dict[str, str], str, str]] = {
    # name: (kind of clone, checked out, variables, judged, accepted)
    "main": ("full", "main", {BRANCH: "main"}, "main", "before"),
    "main, shallow": ("shallow", "main", {BRANCH: "main"}, "main", "before"),
    "main, which has moved on": ("full", "before", {BRANCH: "main"}, "before", "old"),
    "main, which has moved on, shallow": ("shallow", "before", {BRANCH: "main"}, "before", "main"),
    "the first commit": ("full", "old", {BRANCH: "main"}, "old", ""),
    "a branch": ("full", "topic", {BRANCH: "topic"}, "topic", "main"),
    "a branch, shallow": ("shallow", "topic", {BRANCH: "topic"}, "topic", "main"),
    "a fork's branch that is called main": ("shallow", "topic", {BRANCH: "main"}, "topic", "main"),
    "a new branch at main": ("full", "main", {BRANCH: "new"}, "main", "main"),
    "a tag of main": ("full", "main", {"BITBUCKET_TAG": "v1"}, "main", "main"),
    "a pull request": ("full", "topic", {BRANCH: "topic", **PULL}, "topic", "main"),
    "a pull request, shallow": ("shallow", "topic", {BRANCH: "topic", **PULL}, "topic", "main"),
    "its base as it was": ("full", "topic", {**PULL, "BITBUCKET_PR_DESTINATION_COMMIT": "before:12"}, "topic",
                           "before"),
    "its base, short, not here": ("shallow", "topic", {**PULL, "BITBUCKET_PR_DESTINATION_COMMIT": "before:12"}, "topic",
                                  "main"),
    "a short hash": ("full", "topic", {BRANCH: "topic", "BITBUCKET_COMMIT": "topic:12"}, "topic", "main"),
    "a short hash of nothing": ("full", "topic", {BRANCH: "topic", "BITBUCKET_COMMIT": "1" * 12}, "3", "3"),
    "HEAD": ("full", "topic", {"BITBUCKET_BUILD_NUMBER": "", "CI": "1"}, "topic", "main"),
    "HEAD of main": ("shallow", "main", {"BITBUCKET_BUILD_NUMBER": "", "CI": "1"}, "main", "before"),
    "a remote that is silent": ("alone", "topic", {BRANCH: "topic"}, "topic", "3"),
    "a head that is not here": ("shallow", "topic", {BRANCH: "main", "BITBUCKET_COMMIT": "main:40"}, "main", "before"),
    "as fetched before": ("alone", "topic", {BRANCH: "topic", **PULL}, "topic", "main"),
    # what Jenkins has built before was accepted then: a push of two commits is not judged by the first of them
    "the build before": ("full", "main", {**BUILT, "GIT_PREVIOUS_COMMIT": "old:40"}, "main", "old"),
    "the build before, shallow": ("shallow", "main", {**BUILT, "GIT_PREVIOUS_COMMIT": "old:40"}, "main", "old"),
    "the build before was of something else": ("full", "main", {**BUILT, "GIT_PREVIOUS_COMMIT": "topic:40"}, "main",
                                               "topic"),
    "a rebuild": ("full", "main", {**BUILT, "GIT_PREVIOUS_COMMIT": "main:40",
                                   "GIT_PREVIOUS_SUCCESSFUL_COMMIT": "old:40"}, "main", "old"),
    "a rebuild of what was good": ("full", "main", {**BUILT, "GIT_PREVIOUS_COMMIT": "main:40",
                                                    "GIT_PREVIOUS_SUCCESSFUL_COMMIT": "main:40"}, "main", "before"),
    "the build before is gone": ("full", "main", {**BUILT, "GIT_PREVIOUS_COMMIT": "1" * 40}, "main", "3"),
    "the build before of a branch": ("full", "topic", {**BUILT, "BRANCH_NAME": "topic", "GIT_COMMIT": "topic:40",
                                                       "GIT_PREVIOUS_COMMIT": "earlier:40"}, "topic", "main"),
    # Jenkins may check out a merge of its own: the head is what the remote says that it is
    "a merge": ("full", "merge", {**JENKINS, "CHANGE_BRANCH": "topic"}, "topic", "main"),
    "a fork's merge": ("full", "merge", {**JENKINS, "CHANGE_BRANCH": "main", "CHANGE_FORK": "x"}, "topic", "main"),
    "a merge that was pushed": ("full", "pushed merge", {**JENKINS, "CHANGE_BRANCH": "pushed-merge"}, "pushed merge",
                                "main"),
    # somebody has pushed it, and then put the branch back onto what was verified
    "a merge that hides something": ("full", "hiding merge", {**JENKINS, "CHANGE_BRANCH": "topic"}, "hiding merge",
                                     "main"),
    "a merge of what main does not have": ("full", "merge of another", {**JENKINS, "CHANGE_BRANCH": "topic"},
                                           "merge of another", "main"),
    "a merge that nobody can check": ("shallow", "merge", {**JENKINS, "CHANGE_BRANCH": "topic"}, "3", "3"),
    "a merge of which nobody tells": ("alone", "merge", {**JENKINS, "CHANGE_BRANCH": "topic"}, "merge", "main"),
    "a fork's, named like ours": ("full", "merge", {**JENKINS, "CHANGE_BRANCH": "earlier", "CHANGE_FORK": "x"}, "topic",
                                  "main"),
}  # fmt: skip


def job_in(world: World, name: str) -> tuple[JobCheckout, Job]:
    kind, at, variables, _, _ = CASES[name]
    clone = world.clone(kind, at)
    environment = {"BITBUCKET_BUILD_NUMBER": "3", **variables}
    if environment["BITBUCKET_BUILD_NUMBER"] and "JENKINS_URL" not in variables:
        environment.setdefault("BITBUCKET_COMMIT", world.commits[at])
    else:
        environment["BITBUCKET_BUILD_NUMBER"] = ""
    for key, value in environment.items():
        commit, _, digits = value.partition(":")
        if commit in world.commits and digits:
            environment[key] = world.commits[commit][: int(digits)]
    context, job = ci_context.detect(Repository(str(clone.path)), environment)
    assert isinstance(context.checkout, JobCheckout)
    assert job is not None
    return context.checkout, job


@pytest.mark.parametrize("name", CASES)
def test_judged_and_accepted(world: World, name: str) -> None:
    _, at, _, head, base = CASES[name]
    if "merge" in at:
        require("git 2.38")
    checkout, job = job_in(world, name)
    names = {commit: each for each, commit in world.commits.items()}
    names[world.commits["pushed merge"]] = names[world.commits["merge"]] = "merge"
    for ask, wanted in ((checkout.judged, head), (checkout.accepted, base)):
        try:
            side = ask()
            got = names[side.commit.hash] if side else ""
        except Error as error:
            got = str(error.status)
        assert got == wanted.removeprefix("pushed ")
    pushed = {"main", "main, shallow", "main, which has moved on", "the first commit", "a head that is not here"}
    built = CASES[name][2].get("BRANCH_NAME") == "main" and "gone" not in name
    assert job.is_push_to_base is (name in pushed or built)


def test_a_branch_that_is_called_like_a_short_hash(world: World, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(world.clone("full", "topic").path, clone)
    short = world.commits["topic"][:12]
    Repo(clone).git("branch", short, world.commits["old"])
    environment = {"BITBUCKET_BUILD_NUMBER": "3", "BITBUCKET_COMMIT": short, BRANCH: "topic"}
    context, _ = ci_context.detect(Repository(str(clone)), environment)
    assert context.checkout is not None
    assert context.checkout.judged().commit.hash == world.commits["topic"]


def test_the_default_branch_as_last_fetched_needs_no_network(world: World, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(world.clone("alone", "topic").path, clone)
    with pytest.raises(PolicyUnknown):
        job_in(world, "a remote that is silent")[0].accepted()
    Repo(clone).default_branch(world.commits["before"])
    context, _ = ci_context.detect(Repository(str(clone)), {"CI": "true"})
    assert context.checkout is not None
    accepted = context.checkout.accepted()
    assert accepted is not None
    assert accepted.commit.hash == world.commits["before"]


@pytest.mark.parametrize(
    ("remote", "hint"), [("", "--policy-from"), ("up stream", "git remote set-head 'up stream' --")]
)
def test_the_hint_for_a_policy_that_is_unknown_fits_the_clone(tmp_path: Path, remote: str, hint: str) -> None:
    repo = make_repo(tmp_path / "repo", {"train.py": "x\n"})
    repo.git("remote", "remove", "origin")
    if remote:
        repo.git("config", f"remote.{remote}.url", f"file://{tmp_path}/nowhere")
    context, _ = ci_context.detect(Repository(str(repo.path)), {"CI": "true"})
    assert isinstance(context.checkout, JobCheckout)
    with pytest.raises(PolicyUnknown) as raised:
        context.checkout.accepted()
    assert hint in raised.value.hint


def test_the_hint_for_a_build_before_that_is_gone(world: World) -> None:
    """To know the default branch would not help."""
    with pytest.raises(PolicyUnknown) as raised:
        job_in(world, "the build before is gone")[0].accepted()
    assert "--policy-from" in raised.value.hint


@pytest.mark.parametrize("service", ["TF_BUILD", "TEAMCITY_VERSION"])
@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_no_name_is_a_command_to_the_runner(gate: Gate, service: str, form: str) -> None:
    gate.repo.default_branch(gate.repo.head)
    gate.task(name="##vso[task.setvariable variable=a]b ##teamcity[x] ##[error]c", status="failed")
    result = gate.call("verify", "--format", form, env={service: "1"})
    assert (result.status, "task" in result.out) == (1, True), result.err
    assert not [bad for bad in ("##vso[", "##teamcity[", "##[") if bad in result.out + result.err]


@pytest.mark.parametrize("service", ["BITBUCKET_BUILD_NUMBER", "TF_BUILD", "JENKINS_URL", "CIRCLECI", "TRAVIS", "CI"])
def test_missing_credentials_are_status_3_everywhere(gate: Gate, service: str) -> None:
    gate.repo.default_branch(gate.repo.head)
    none = dict.fromkeys(gate.server.env)
    result = gate.verify(env={**none, "CI": "false", service: "1"})
    assert (result.status, result.errors) == (3, ["not-configured"])
