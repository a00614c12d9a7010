"""The checkout of a CI job: depth 1, a merge commit, and nothing of what a verdict is about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from git_clearml.errors import CannotDecide
from git_clearml.forge import fetch as checkout
from git_clearml.forge import remote_refs, which_commit
from git_clearml.forge.connect import Workplace, asking
from git_clearml.forge.job import Job as CIJob
from git_clearml.forge.job import Provider
from git_clearml.forge.remote_refs import NotFetched
from git_clearml.git.repository import Repository
from tests.support.actions import Job, pull_request
from tests.support.forges import KINDS, Kind
from tests.support.github_server import BOT, GitHubServer
from tests.support.program import Gate
from tests.support.repos import Repo, make_repo

MERGE_REF = "refs/pull/7/merge"


@dataclass
class Places:
    """A bare remote as GitHub has it, the clone of a job at the merge ref, and the commits in question."""

    remote: Repo
    clone: Repo
    base: str
    head: str
    merge: str

    def allow(self, allowed: bool) -> None:
        """Does the remote hand out what is not at the tip of a ref? Under protocol version 2 git always does."""
        self.clone.git("config", "protocol.version", "2" if allowed else "0")
        self.remote.git("config", "uploadpack.allowAnySHA1InWant", str(allowed).lower())

    @property
    def context(self) -> CIJob:
        own = "team/project"
        return CIJob(Provider.GITHUB, "pull_request", head=self.head, base=self.base, number=7, repository=own)


@pytest.fixture
def places(gate: Gate, tmp_path: Path) -> Places:
    """main asks for project Vision; the pull request's branch would ask for nothing."""
    repo = gate.repo
    base = repo.policy('project = "Vision"')
    repo.git("checkout", "--quiet", "-b", "topic")
    head = repo.commit("loosen", {"pyproject.toml": "[tool.git-clearml]\n", "train.py": "print('new')\n"})
    repo.git("checkout", "--quiet", "main")
    newer = repo.commit("main moves on", {"other.txt": "x\n"})
    repo.git("merge", "--quiet", "--no-ff", "-m", "merge", "topic")
    merge = repo.head
    repo.git("reset", "--quiet", "--hard", newer)
    remote = Repo(tmp_path / "remote.git")
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(remote.path))
    remote.git("fetch", "--quiet", str(repo.path), f"{merge}:{MERGE_REF}", f"{head}:refs/pull/7/head")
    remote.git("update-ref", "-d", "refs/heads/topic")
    clone = make_repo(tmp_path / "clone", {}, remote=f"file://{remote.path}")
    clone.git("fetch", "--quiet", "--depth=1", "--no-tags", "origin", f"+{MERGE_REF}:{MERGE_REF}")
    clone.git("checkout", "--quiet", "--detach", MERGE_REF)
    made = Places(remote, clone, base, head, merge)
    made.allow(True)
    assert clone.git("rev-list", "--count", "HEAD") == "1"
    return made


def opened(places: Places) -> Repository:
    return Repository(str(places.clone.path))


def test_head_and_base_are_fetched_by_hash(places: Places) -> None:
    repository = opened(places)
    head = checkout.JobCheckout(repository, places.context).judged()
    base = checkout.JobCheckout(repository, places.context).accepted()
    assert base is not None
    assert (head.commit.hash, base.commit.hash) == (places.head, places.base)
    assert b"Vision" in repository.blobs([base.policy_blob])[base.policy_blob]
    assert places.clone.git("rev-list", "--count", places.head) == "1"  # one level, no history
    assert places.clone.head == places.merge


def test_a_partial_clone_gets_the_accepted_policy(places: Places, tmp_path: Path) -> None:
    """It has every commit, and of the accepted one's files no content."""
    places.remote.git("config", "uploadpack.allowFilter", "true")
    options = ("--quiet", "--filter=blob:none", "--no-checkout")
    places.remote.git("clone", *options, f"file://{places.remote.path}", str(tmp_path / "partial"))
    repository = Repository(str(tmp_path / "partial"))
    with pytest.raises(CannotDecide, match="has not fetched"):
        repository.blobs([repository.resolve([places.base])[0].policy_blob])
    base = checkout.JobCheckout(repository, places.context).accepted()
    assert base is not None
    assert b"Vision" in repository.blobs([base.policy_blob])[base.policy_blob]


def test_what_is_there_is_not_fetched(places: Places) -> None:
    places.clone.git("remote", "remove", "origin")
    checkout.ensure(opened(places), [places.merge, ""])


def test_a_remote_that_refuses(places: Places) -> None:
    places.allow(False)
    with pytest.raises(NotFetched) as caught:
        checkout.ensure(opened(places), [places.base])
    assert "fetch-depth: 0" in caught.value.hint
    assert caught.value.status == 3
    assert places.base[:12] in caught.value.message


def test_a_tip_is_handed_out_even_then(places: Places) -> None:
    places.allow(False)
    assert checkout.JobCheckout(opened(places), places.context).judged().commit.hash == places.head


def test_no_remote_at_all(places: Places) -> None:
    places.clone.git("remote", "remove", "origin")
    with pytest.raises(NotFetched) as caught:
        checkout.ensure(opened(places), [places.base])
    assert "fetch-depth: 0" in caught.value.hint


def test_a_password_in_the_url_is_not_told(places: Places) -> None:
    places.clone.git("remote", "set-url", "origin", "https://user:pass-word-1@127.0.0.1:1/x.git")
    with pytest.raises(NotFetched) as caught:
        checkout.ensure(opened(places), [places.base])
    assert "pass-word-1" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("name", ["HEAD", "--upload-pack=x", "main", "a" * 39])
def test_only_full_hashes_are_fetched(places: Places, name: str) -> None:
    if name == "HEAD":
        checkout.ensure(opened(places), [name])  # it is there
        return
    with pytest.raises(NotFetched):
        checkout.ensure(opened(places), [name])


def test_the_head_of_a_merge_queue_is_asked_from_the_remote(places: Places) -> None:
    queued = CIJob(Provider.GITHUB, "merge_group", head_ref="refs/pull/7/head", base=places.base, number=7)
    assert which_commit.completed(queued, opened(places), None).head == places.head
    gone = CIJob(Provider.GITHUB, "merge_group", head_ref="refs/pull/8/head", base=places.base, number=8)
    with pytest.raises(NotFetched, match="refs/pull/8/head"):
        which_commit.completed(gone, opened(places), None)


def test_a_tag_with_the_name_of_the_default_branch_is_not_that_branch(places: Places) -> None:
    """A workflow_run tells the name of what was pushed, and not whether it is a branch."""
    tip = places.remote.git("rev-parse", "refs/heads/main")
    pushed = CIJob(Provider.GITHUB, "workflow_run", head=places.head, default_branch="main", is_push_to_base=True)
    assert which_commit.completed(pushed, opened(places), None).is_push_to_base  # main may have moved on
    places.remote.git("update-ref", "refs/tags/main", places.head)
    assert not which_commit.completed(pushed, opened(places), None).is_push_to_base
    assert which_commit.completed(replace(pushed, head=tip), opened(places), None).is_push_to_base
    places.clone.git("remote", "remove", "origin")
    assert not which_commit.completed(pushed, opened(places), None).is_push_to_base


def test_a_new_branch_is_judged_by_the_default_branch(places: Places) -> None:
    pushed = CIJob(Provider.GITHUB, "push", head=places.merge, base_ref="refs/heads/main")
    base = checkout.JobCheckout(opened(places), pushed).accepted()
    assert base is not None
    assert base.commit.hash == places.remote.git("rev-parse", "refs/heads/main")
    assert checkout.JobCheckout(opened(places), replace(pushed, base_ref="HEAD")).accepted() == base
    assert checkout.JobCheckout(opened(places), replace(pushed, base_ref="")).accepted() is None


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_ref_that_git_may_not_ask_for_is_asked_from_the_forge(places: Places, tmp_path: Path, kind: Kind) -> None:
    places.clone.git("remote", "set-url", "origin", f"file://{tmp_path}/nothing.git")
    with kind.server() as server:
        server.refs["refs/heads/main"] = places.base
        job = CIJob(Provider(kind.name), "push", repository=kind.repository, api=server.url)
        ask = asking(Workplace(job, opened(places), {kind.variable: kind.token}))
        assert remote_refs.at(opened(places), "refs/heads/main", ask) == places.base
        assert remote_refs.at(opened(places), "HEAD", ask) == places.base
        for absent in ("refs/heads/mai", "refs/tags/main", "heads/main"):
            with pytest.raises(NotFetched):
                remote_refs.at(opened(places), absent, ask)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_policy_may_come_from_elsewhere(places: Places, kind: Kind) -> None:
    places.allow(False)
    repository = opened(places)
    with kind.server() as server:
        where = {"provider": Provider(kind.name), "repository": kind.repository, "api": server.url}
        job = replace(places.context, **where)
        ask = asking(Workplace(job, repository, {kind.variable: kind.token}))
        server.commits.add(places.base)
        server.files[places.base, "pyproject.toml"] = b"[tool.git-clearml]\nproject = 'P'\n"
        base = checkout.JobCheckout(repository, job, ask=ask).accepted()
        assert base is not None
        assert repository.blobs([base.policy_blob])[base.policy_blob].endswith(b"'P'\n")
        server.files = {(places.base, "x"): b""}
        without = checkout.JobCheckout(repository, job, ask=ask).accepted()
        assert without is not None
        assert without.policy_blob == ""
        with pytest.raises(NotFetched):
            checkout.JobCheckout(repository, job, ask=asking(Workplace(job, repository, {}))).accepted()


def test_a_branch_with_the_name_of_a_pull_requests_ref_is_not_its_head(places: Places) -> None:
    for folder in ("refs/heads", "refs/tags", "refs/heads/0"):
        places.remote.git("update-ref", f"{folder}/refs/pull/8/head", places.base)
    checkout.JobCheckout(opened(places), places.context).fetch_pull_requests([7, 8])
    assert opened(places).refs(["refs/pull/7/head", "refs/pull/8/head"]) == {"refs/pull/7/head": places.head}


# --- a full clone stays one --------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [(), ("--depth=1",)])
def test_a_full_clone_is_not_made_shallow(places: Places, tmp_path: Path, depth: tuple[str, ...]) -> None:
    """Nor is a shallow one given more history than it needs."""
    places.remote.git(
        "clone", "--quiet", "--branch", "main", *depth, f"file://{places.remote.path}", str(tmp_path / "c")
    )
    clone = Repo(tmp_path / "c")
    before = clone.git("rev-list", "--count", "HEAD")
    checkout.ensure(Repository(str(clone.path)), [places.head])
    assert clone.git("rev-list", "--count", "HEAD") == before
    assert clone.git("rev-parse", "--is-shallow-repository") == ("true" if depth else "false")
    full = places.remote.git("rev-list", "--count", places.head)
    assert clone.git("rev-list", "--count", places.head) == ("1" if depth else full)


# --- the whole command in such a checkout ------------------------------------------------------------------------


@pytest.fixture
def job(places: Places, gate: Gate, tmp_path: Path) -> Iterator[tuple[Job, GitHubServer]]:
    with GitHubServer() as github:
        github.add_pull(7, places.head, places.base)
        event = pull_request(7, places.head, places.base)
        yield Job(tmp_path / "job", event=event, sha=places.merge, api=github.url), github


def comment(gate: Gate, places: Places, job: Job, *words: str) -> str:
    """Runs `comment` in the job's checkout, which finds its tasks by the clone's remote; the bot's comment."""
    gate.server.tasks.clear()
    gate.task(commit=places.head, project="Elsewhere", repository=f"file://{places.remote.path}")
    result = gate.call("comment", *words, cwd=places.clone.path, env=job.env)
    assert result.status == 0, result.err
    return result.err


def test_verdict_policy_and_comment_are_those_of_head_and_base(
    gate: Gate, places: Places, job: tuple[Job, GitHubServer]
) -> None:
    """The branch's own policy would have let the task of another project pass."""
    comment(gate, places, job[0])
    (posted,) = job[1].by(BOT)
    assert f"Rejected: [`{places.head[:12]}`]" in posted["body"]
    assert f"policy of [`{places.base[:12]}`]" in posted["body"]
    assert "is in project" in posted["body"]
    told = {"outcome": "rejected", "task-id": "", "task-url": "", "commit": places.head}
    assert job[0].outputs == {**told, "comment-url": posted["html_url"]}


def test_the_policy_is_read_through_the_api_where_git_gets_none(
    gate: Gate, places: Places, job: tuple[Job, GitHubServer]
) -> None:
    places.allow(False)
    job[1].files[places.base, "pyproject.toml"] = b"[tool.git-clearml]\nproject = 'Vision'\n"
    comment(gate, places, job[0])
    assert "is in project" in job[1].by(BOT)[0]["body"]
    job[1].files = {(places.base, "x"): b""}
    comment(gate, places, job[0])
    assert "Verified" in job[1].by(BOT)[0]["body"]


def test_where_the_policy_is_not_to_be_had_the_verdict_is_undecided(
    gate: Gate, places: Places, job: tuple[Job, GitHubServer]
) -> None:
    places.allow(False)
    comment(gate, places, job[0])
    assert "Undecided" in job[1].by(BOT)[0]["body"]
    assert job[0].outputs["outcome"] == "undecided"
    assert "::error" in comment(gate, places, job[0])
