"""Which commit a GitHub job judges, and by whose policy: every kind of event against whatever refs the remote has."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from git_clearml.errors import Error, NothingToJudge
from git_clearml.forge import context as ci_context
from git_clearml.forge.fetch import JobCheckout
from git_clearml.git.repository import Repository
from tests.support.actions import Job, pull_request, repository
from tests.support.github_server import BOT, GitHubServer
from tests.support.program import Gate
from tests.support.repos import Repo, make_repo

PULL, TAG, ZERO = "refs/pull/7/head", "refs/tags/v1", "0" * 40
QUEUE = f"refs/heads/gh-readonly-queue/release/pr-7-{ZERO}"
DECOYS = (
    "refs/heads/0/refs/pull/7/head",
    "refs/heads/refs/pull/7/head",
    "refs/tags/0/refs/heads/main",
    "refs/heads/refs/heads/main",
    "refs/tags/refs/tags/v1",
    "refs/heads/0/refs/tags/v1",
    "refs/tags/main",
    "refs/heads/v1",
    "refs/heads/HEAD",
    "refs/heads/0/HEAD",
    "refs/remotes/origin/HEAD",
)
"""What `git ls-remote` shows for the names in question too, or what sounds alike. All are at commit `evil`."""


@dataclass
class World:
    """A bare remote as GitHub has it, with every commit that an event may be about, and its API."""

    remote: Repo
    github: GitHubServer
    commits: dict[str, str]
    clones: dict[bool, Path] = field(default_factory=dict)

    def clone(self, place: Path, *, shallow: bool) -> Repo:
        """What actions/checkout leaves: a merge commit that no event is about."""
        if shallow not in self.clones:
            self.clones[shallow] = place.parent / f"template {shallow}"
            repo = make_repo(self.clones[shallow], {}, remote=f"file://{self.remote.path}")
            depth = ("--depth=1",) if shallow else ()
            merge = self.commits["merge"]
            repo.git("fetch", "--quiet", *depth, "--no-tags", "origin", f"{merge}:refs/remotes/pull/7/merge")
            repo.git("checkout", "--quiet", "--detach", merge)
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.clones[shallow], place)
        return Repo(place)

    def refs(self, has: dict[str, str]) -> None:
        """Gives the remote these refs, and no others."""
        there = set(self.remote.git("for-each-ref", "--format=%(refname)").splitlines()) - {*has}
        lines = [*(f"delete {ref}" for ref in there), *(f"update {ref} {name}" for ref, name in has.items())]
        self.remote.git("update-ref", "--stdin", stdin="".join(f"{line}\n" for line in lines))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    place = tmp_path_factory.mktemp("world")
    repo = make_repo(place / "repo", {"train.py": "x\n", "pyproject.toml": "[tool.git-clearml]\n"})
    names = ("before", "main", "release", "head", "topic", "tagged", "evil", "merge")
    commits = {name: repo.commit(name, {"train.py": f"{name}\n"}) for name in names}
    for name, head in (("test merge", "head"), ("old test merge", "topic")):
        parents = ("-p", commits["release"], "-p", commits[head])
        commits[name] = repo.git("commit-tree", f"{commits[head]}^{{tree}}", *parents, "-m", name)
        repo.git("branch", name.replace(" ", "-"), commits[name])
    for tag, target in (("annotated", "tagged"), ("of-blob", "tagged:train.py")):
        name = commits[target] if target in commits else repo.git("rev-parse", f"{commits['tagged']}:train.py")
        repo.git("tag", "--annotate", "--message", "x", tag, name)
        commits[tag] = repo.git("rev-parse", f"refs/tags/{tag}")
    remote = Repo(place / "remote.git")
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(remote.path))
    remote.git("config", "uploadpack.allowAnySHA1InWant", "true")
    with GitHubServer() as github:
        pull = github.add_pull(7, commits["head"], commits["release"])
        pull["base"]["ref"] = "release"
        yield World(remote, github, commits)


@dataclass(frozen=True)
class Case:
    """One job."""

    event: str
    kind: str  # of push, of workflow_run, ...
    shallow: bool
    token: bool
    pull_ref: bool
    test_merge: str  # the commit at refs/pull/7/merge, "" for none
    tag: str  # the object at refs/tags/v1, "" for none
    default_told: bool
    decoys: frozenset[str]


CASES = st.builds(
    Case,
    st.sampled_from(
        "pull_request pull_request_target pull_request_review pull_request_review_comment push merge_group "
        "issue_comment workflow_run check_suite check_run deployment deployment_status status release "
        "workflow_dispatch schedule issues repository_dispatch".split()
    ),
    st.sampled_from(("pull", "branch", "new", "tag", "moved", "gone")),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from(("test merge", "old test merge", "merge", "")),
    st.sampled_from(("tagged", "annotated", "of-blob", "")),
    st.booleans(),
    st.frozensets(st.sampled_from(DECOYS)),
)


def event_of(case: Case, commits: dict[str, str]) -> tuple[Any, str, str]:
    """The event's file, GITHUB_REF and GITHUB_SHA, as GitHub gives them."""
    base: dict[str, Any] = {"repository": repository()}
    if not case.default_told:
        del base["repository"]["default_branch"]
    main = "refs/heads/main", commits["main"]
    listed = [{"number": 7, "head": {"sha": commits["head"]}, "base": {"sha": commits["release"], "ref": "release"}}]
    pulls = listed if case.kind == "pull" else []
    about = {"head_sha": commits["head"], "head_branch": "main", "pull_requests": pulls}
    if case.event.startswith("pull_request"):
        event = pull_request(7, commits["head"], commits["release"])
        return {**event, **base}, "refs/pull/7/merge", commits["merge"]
    if case.event == "push":
        ref = TAG if case.kind in ("tag", "moved") else "refs/heads/topic"
        new = {"gone": ZERO, "tag": commits[case.tag or "tagged"], "moved": commits[case.tag or "tagged"]}
        old = {"new": ZERO, "tag": ZERO, "moved": commits["of-blob"]}
        moved = {"ref": ref, "before": old.get(case.kind, commits["before"])}
        moved["after"] = new.get(case.kind, commits["topic"])
        return {**base, **moved}, *((ref, commits["topic"]) if case.kind != "gone" else main)
    if case.event == "merge_group":
        group = {"head_ref": QUEUE, "head_sha": commits["merge"], "base_ref": "refs/heads/release"}
        if case.kind == "gone":
            group["head_ref"] = "refs/heads/elsewhere"
        return {**base, "merge_group": {**group, "base_sha": commits["release"]}}, QUEUE, commits["merge"]
    if case.event in ("issue_comment", "issues"):
        issue: dict[str, Any] = {"number": 7}
        if case.kind != "gone" and case.event == "issue_comment":
            issue["pull_request"] = {"url": "x"}
        return {**base, "issue": issue, "comment": {"body": "/verify"}}, *main
    if case.event == "workflow_run":
        run = {**about, "event": "push" if case.kind == "branch" else "pull_request", "head_repository": repository()}
        return {**base, "workflow_run": run}, *main
    if case.event.startswith("check_"):
        return {**base, case.event: about}, *main
    if case.event.startswith("deployment"):
        beside = {"check_run": {"head_sha": commits["evil"]}, "workflow_run": {"head_sha": commits["evil"]}}
        return {**base, "deployment": {"sha": commits["topic"], "ref": "topic"}, **beside}, "refs/heads/topic", ""
    if case.event == "status":
        return {**base, "sha": commits["topic"], "commit": {"sha": commits["evil"]}}, *main
    if case.event == "release":
        return {**base, "release": {"tag_name": "v1", "target_commitish": "main"}}, "", ""
    ref = {"branch": "refs/heads/topic", "tag": TAG}.get(case.kind, "refs/heads/main")
    return {**base, "inputs": None}, ref, commits["main" if ref == "refs/heads/main" else "topic"]


def model(case: Case) -> tuple[str | int, str]:
    """Design 8c, said plainly: the commit (or an exit status: 0 is nothing to judge) and the accepted side."""
    tagged = {"tagged": "tagged", "annotated": "tagged", "of-blob": 0, "": "tagged"}[case.tag]
    if case.event.startswith("pull_request"):
        return "head", "release"
    if case.event == "push":
        return {
            "gone": (0, ""), "tag": (tagged, "main"), "moved": (tagged, "main"), "new": ("topic", "main"),
        }.get(case.kind, ("topic", "before"))  # fmt: skip
    if case.event == "merge_group" and case.kind != "gone":
        return "head" if case.pull_ref or case.token else 3, "release"
    if case.event == "issue_comment" and case.kind != "gone":
        by_git = case.pull_ref and case.test_merge == "test merge"
        return "head" if case.token or by_git else 3, "release"
    if case.event in ("workflow_run", "check_suite", "check_run"):
        return "head", "release" if case.kind == "pull" else "main"
    if case.event in ("deployment", "deployment_status", "status"):
        return "topic", "main"
    if case.event == "release":
        return {"": 2, "of-blob": 3}.get(case.tag, "tagged"), "main"
    if case.event in ("workflow_dispatch", "schedule"):
        return "topic" if case.kind in ("branch", "tag") else "main", "main"
    return 2, ""


ALL = frozenset(DECOYS)


@example(case=Case("merge_group", "pull", True, False, False, "", "", True, ALL))
@example(case=Case("merge_group", "pull", True, False, True, "", "", True, ALL))
@example(case=Case("push", "new", True, False, False, "", "", False, ALL))
@example(case=Case("push", "tag", True, False, False, "", "annotated", True, ALL))
@example(case=Case("issue_comment", "pull", True, False, True, "test merge", "", True, ALL))
@example(case=Case("release", "", False, True, False, "", "", True, ALL))
@example(case=Case("release", "", True, False, False, "", "annotated", False, ALL))
@given(case=CASES)
def test_no_commit_but_the_right_one(world: World, tmp_path_factory: pytest.TempPathFactory, case: Case) -> None:
    commits = world.commits
    refs = {"refs/heads/main": "main", "refs/heads/release": "release", **dict.fromkeys(case.decoys, "evil")}
    refs |= {PULL: "head"} if case.pull_ref else {}
    refs |= {"refs/pull/7/merge": case.test_merge} if case.test_merge else {}
    refs |= {TAG: case.tag} if case.tag else {}
    world.refs({ref: commits[name] for ref, name in refs.items()})
    place = tmp_path_factory.getbasetemp() / "which commit"
    clone = world.clone(place / "clone", shallow=case.shallow)
    event, ref, sha = event_of(case, commits)
    more = {"GITHUB_REF": ref, "GITHUB_TOKEN": world_token(case)}
    job = Job(place / "job", case.event, event, sha=sha, api=world.github.url, more=more)
    environment = {key: value for key, value in job.env.items() if value is not None}

    context, _ = ci_context.detect(Repository(str(clone.path)), environment)
    checkout = context.checkout
    assert isinstance(checkout, JobCheckout)
    wanted, accepted = model(case)
    if isinstance(wanted, int):
        with pytest.raises(Error) as caught:
            checkout.judged()
        assert caught.value.status == wanted
        assert isinstance(caught.value, NothingToJudge) == (wanted == 0)
        assert wanted != 2 or "COMMIT_ID" in caught.value.hint
        return
    judged = checkout.judged()
    names = {name: key for key, name in commits.items()}
    assert names[judged.commit.hash] == wanted
    base = checkout.accepted()
    assert base is not None
    assert names[base.commit.hash] == accepted
    assert clone.git("rev-parse", "--is-shallow-repository") == str(case.shallow).lower()


def world_token(case: Case) -> str:
    return Job.token if case.token else ""


# --- the command -------------------------------------------------------------------------------------------------


@dataclass
class Bench:
    gate: Gate
    github: GitHubServer
    job: Job

    def run(self, command: str, name: str, event: Any, *words: str, **env: str) -> Any:
        self.job.name, self.job.event = name, {"repository": repository(), **event}
        return self.gate.call(command, *words, env={**self.job.env, **env})


@pytest.fixture
def bench(gate: Gate, tmp_path: Path) -> Iterator[Bench]:
    """The clone's remote is a repository of its own; main is at HEAD, and pull request 7's head is its parent."""
    remote = Repo(tmp_path / "remote.git")
    gate.repo.commit("topic", {"train.py": "print('topic')\n"})
    gate.repo.git("clone", "--quiet", "--bare", str(gate.repo.path), str(remote.path))
    gate.repo.git("remote", "set-url", "origin", f"file://{remote.path}")
    with GitHubServer() as github:
        yield Bench(gate, github, Job(tmp_path / "job", api=github.url, sha=gate.repo.head))


DELETED = {"ref": "refs/heads/topic", "before": "b" * 40, "after": ZERO, "deleted": True}


@pytest.mark.parametrize("command", ["verify", "comment", "compare", "report", "check-runnable", "open"])
def test_a_deletion_is_nothing_to_judge(bench: Bench, command: str) -> None:
    result = bench.run(command, "push", DELETED)
    assert (result.status, result.calls, bench.github.comments) == (0, (), [])
    assert "nothing to judge" in result.out + result.err
    assert "::error" not in result.err
    if command in ("verify", "comment", "compare"):
        assert bench.job.summary.startswith("### Nothing to judge")
        assert "::notice title=git clearml::nothing to judge: a ref was deleted" in result.err


def test_a_deletion_in_json(bench: Bench) -> None:
    result = bench.run("verify", "push", DELETED, "--format", "json", "--comment", "--tag-best")
    assert (result.status, result.json["outcome"], result.json["commits"]) == (0, "verified", [])
    assert result.json["comment"]["action"] == "skipped"
    assert bench.job.outputs["outcome"] == "verified"
    assert "### Nothing to judge" in bench.job.summary
    assert "::notice title=git clearml::nothing to judge: a ref was deleted" in result.err


def test_a_default_branch_that_the_remote_lacks(bench: Bench) -> None:
    bench.gate.repo.git("push", "--quiet", "origin", "HEAD:refs/heads/0/refs/heads/gone")
    event = {"ref": "refs/heads/topic", "before": ZERO, "after": bench.gate.repo.head}
    told = {**repository(), "default_branch": "gone"}
    result = bench.run("verify", "push", {**event, "repository": told}, "--format", "json")
    assert (result.status, result.errors) == (3, ["unknown-revision"])
    assert "origin has no refs/heads/gone" in result.err
    assert "COMMIT_ID" not in result.err


def test_an_annotated_tag(bench: Bench) -> None:
    """The verdict, the outputs and the status are the commit's, not the tag's."""
    bench.gate.task(repository=bench.gate.repo.git("remote", "get-url", "origin"))
    bench.gate.repo.git("tag", "--annotate", "--message", "x", "v1")
    tag = bench.gate.repo.git("rev-parse", "refs/tags/v1")
    bench.gate.repo.git("push", "--quiet", "origin", "v1")
    bench.gate.repo.git("tag", "--delete", "v1")
    bench.gate.repo.git("prune", "--expire=now")
    event = {"ref": TAG, "before": ZERO, "after": tag}
    result = bench.run("comment", "push", event, "--status")
    assert result.status == 0, result.err
    assert [status["sha"] for status in bench.github.statuses] == [bench.gate.repo.head]
    assert (bench.job.outputs["commit"], bench.job.outputs["outcome"]) == (bench.gate.repo.head, "verified")


def test_a_comment_on_an_issue(bench: Bench) -> None:
    result = bench.run("verify", "issue_comment", {"issue": {"number": 3}}, "--format", "json")
    assert (result.status, result.json["outcome"], result.errors, result.calls) == (2, "undecided", ["usage"], ())
    assert "COMMIT_ID" in result.err
    assert "COMMIT_ID" in bench.job.summary.replace("\\", "")


def test_a_comment_on_a_pull_request_is_about_its_head(bench: Bench) -> None:
    """Not about the default branch, which is checked out and verified."""
    bench.gate.task(repository=bench.gate.repo.git("remote", "get-url", "origin"))
    head = bench.gate.repo.git("rev-parse", "HEAD~1")
    bench.github.add_pull(7, head, bench.gate.repo.head)
    event = {"issue": {"number": 7, "pull_request": {"url": "x"}}}
    result = bench.run("verify", "issue_comment", event, "--format", "json", "--comment")
    assert (result.status, result.commit["commit"], result.json["comment"]["action"]) == (1, head, "created")
    assert len(bench.github.by(BOT)) == 1
    without = bench.run("verify", "issue_comment", event, "--format", "json", GITHUB_TOKEN="", GH_TOKEN="")
    assert (without.status, without.errors, without.json["commits"]) == (3, ["not-configured"], [])
    base, tree = bench.gate.repo.head, bench.gate.repo.git("rev-parse", "HEAD^{tree}")
    merge = bench.gate.repo.git("commit-tree", tree, "-p", base, "-p", head, "-m", "test merge")
    bench.gate.repo.git("push", "--quiet", "origin", f"{head}:{PULL}", f"{merge}:refs/pull/7/merge")
    by_git = bench.run("verify", "issue_comment", event, "--format", "json", GITHUB_TOKEN="", GH_TOKEN="")
    assert (by_git.status, by_git.commit["commit"], by_git.codes) == (1, head, result.codes)


def test_a_fork_in_the_merge_queue(bench: Bench) -> None:
    """Its task names the fork, as on the pull request."""
    base = bench.gate.repo.head
    head = bench.gate.repo.commit("fork", {"train.py": "print('fork')\n"})
    bench.gate.repo.git("push", "--quiet", "origin", f"HEAD:{PULL}")
    bench.github.add_pull(7, head, base, fork="stranger/copy")
    bench.gate.task(repository="https://github.com/stranger/copy.git")
    group = {"head_ref": QUEUE, "head_sha": "f" * 40, "base_sha": base, "base_ref": "refs/heads/main"}
    result = bench.run("verify", "merge_group", {"merge_group": group}, "--format", "json")
    assert (result.status, result.commit["commit"]) == (0, head), result.out


@pytest.mark.parametrize("known", [True, False])
def test_a_forks_pull_request_after_its_own_workflow(bench: Bench, known: bool) -> None:
    """GitHub names no pull request in such an event, and its base may be stricter than the default branch."""
    bench.gate.repo.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
    base = bench.gate.repo.policy('project = "Other"')
    head = bench.gate.repo.commit("fork", {"train.py": "print('fork')\n"})
    bench.gate.repo.git("push", "--quiet", "origin", f"HEAD:{PULL}")
    bench.gate.task(repository="https://github.com/stranger/copy.git")
    bench.github.unlinked.add(head)
    if known:
        bench.github.add_pull(7, head, base, fork="stranger/copy")
    run = {
        "event": "pull_request",
        "head_sha": head,
        "head_branch": "topic",
        "head_repository": repository("stranger/copy"),
        "pull_requests": [],
    }
    result = bench.run("verify", "workflow_run", {"workflow_run": run}, "--format", "json", "--comment")
    assert (result.status, result.commit["commit"]) == (1 if known else 0, head), result.out
    assert result.json["comment"]["action"] == ("created" if known else "skipped")
    assert result.codes == (["other-project"] if known else [])
