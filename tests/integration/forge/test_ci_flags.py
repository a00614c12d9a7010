"""Flags and revisions of a CI job's own choosing: they may ask for more than the accepted policy, never for less."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.forge.test_comment import Bench
from tests.support.actions import Job, pull_request, repository
from tests.support.github_server import GitHubServer
from tests.support.program import Gate

TAG = "Best Performance"
POLICY = ('project = "Vision"', "[tool.git-clearml.best]", 'metric = "loss/train"', 'direction = "min"')
ELSEWHERE = {"CI": "true"}
"""A CI service that we do not know."""


@pytest.fixture
def bench(gate: Gate, tmp_path: Path) -> Iterator[Bench]:
    """Pull request 7: its base asks for project Vision, its head for nothing."""
    base = gate.repo.policy(*POLICY)
    head = gate.repo.commit("loosen", {"pyproject.toml": "[tool.git-clearml]\n"})
    with GitHubServer() as github:
        github.add_pull(7, head, base)
        yield Bench(gate, github, Job(tmp_path / "job", event=pull_request(7, head, base), api=github.url), base)


def loss(value: float) -> dict[str, dict[str, float]]:
    return {"loss": {"train": value}}


def best_task(bench: Bench, **fields: object) -> str:
    return bench.gate.server.add_task(**{"commit": "b" * 40, "tags": [TAG], "metrics": loss(0.2), **fields})


# --- whose policy ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rev", ["HEAD", "HEAD~2"])
def test_no_other_policy_judges_than_that_of_the_accepted_side(bench: Bench, rev: str) -> None:
    bench.gate.task(project="Elsewhere")
    result = bench.gate.verify("--policy-from", rev, env=bench.job.env)
    assert (result.status, result.codes) == (1, ["other-project"])
    assert result.json["policy"]["from"] == bench.base
    assert f"--policy-from {rev} is ignored: in CI the policy of {bench.base[:12]} decides" in result.err
    by_hand = bench.gate.verify("--policy-from", rev)
    assert (by_hand.status, by_hand.err) == (0, "")


def test_the_accepted_policy_may_be_named(bench: Bench) -> None:
    bench.gate.task(project="Vision/Detector")
    result = bench.gate.verify("--policy-from", bench.base, env=bench.job.env)
    assert (result.status, result.err.count("ignored")) == (0, 0)


def test_flags_cannot_loosen_a_policy_that_was_named(bench: Bench) -> None:
    """The first push of the default branch has no accepted side."""
    bench.gate.task(project="Elsewhere")
    bench.job.name = "push"
    bench.job.event = {
        "ref": "refs/heads/main",
        "before": "0" * 40,
        "after": bench.head,
        "repository": repository(),
    }
    assert bench.gate.verify(env=bench.job.env).status == 0
    named = bench.gate.verify("--policy-from", "HEAD~1", env=bench.job.env)
    assert (named.status, named.json["policy"]["from"]) == (1, bench.base)
    result = bench.gate.verify("--policy-from", "HEAD~1", "--project", "Elsewhere", env=bench.job.env)
    assert (result.status, result.codes) == (1, ["other-project"])
    assert "--project Elsewhere is ignored" in result.err


def test_nor_in_a_service_that_we_do_not_know(bench: Bench) -> None:
    """There the default branch's policy judges; where nobody tells that one, the one that is named, or none."""
    bench.gate.task(project="Elsewhere")
    unknown = bench.gate.verify(env=ELSEWHERE)
    assert (unknown.status, unknown.errors) == (3, ["unknown-revision"])
    assert bench.gate.verify("--policy-from", "HEAD", env=ELSEWHERE).status == 0
    words = ("--policy-from", bench.base, "--project", "Elsewhere", "--equivalence", "tree")
    result = bench.gate.verify(*words, env=ELSEWHERE)
    assert (result.status, result.codes, result.err.count("is ignored")) == (1, ["other-project"], 2)
    assert bench.gate.verify(*words).status == 0
    bench.gate.repo.default_branch(bench.base)
    default = bench.gate.verify("--policy-from", "HEAD", env=ELSEWHERE)
    assert (default.status, default.codes, default.json["policy"]["from"]) == (1, ["other-project"], bench.base)
    stricter = bench.gate.verify("--project", "Vision/Deeper", env=ELSEWHERE)
    assert (stricter.status, stricter.codes) == (1, ["other-project"])


NO_SERVER = dict.fromkeys(("CLEARML_API_HOST", "CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY"))


def test_offline_evidence_is_not_looked_at_where_the_policy_says_server(bench: Bench) -> None:
    """Not even where the checkout brings a good record of its own."""
    bench.base = bench.gate.repo.policy('evidence = "server"')
    bench.gate.repo.commit("change", {"train.py": "print('new')\n"})
    bench.job.event = pull_request(7, bench.head, bench.base)
    result = bench.gate.verify("--evidence", "offline", env={**bench.job.env, **NO_SERVER})
    assert (result.status, result.errors) == (3, ["not-configured"])
    assert "--evidence offline is ignored" in result.err


@pytest.mark.parametrize("name", ["GITHUB_ACTIONS", "GITLAB_CI", "BITBUCKET_BUILD_NUMBER", "TF_BUILD", "JENKINS_URL"])
@pytest.mark.parametrize("ci", ["false", "", "0"])
def test_a_job_that_says_it_is_none_is_one(bench: Bench, name: str, ci: str) -> None:
    """`auto` is the server there, and flags cannot loosen the policy."""
    bench.gate.repo.default_branch(bench.gate.repo.policy('project = "Vision"'))
    bench.gate.repo.commit("change")
    env = {**(bench.job.env if name == "GITHUB_ACTIONS" else {}), name: "true", "CI": ci}
    env |= {"CI_COMMIT_SHA": bench.head, "CI_DEFAULT_BRANCH": "main", "CI_COMMIT_BRANCH": "main"}
    assert bench.gate.verify(env={**env, **NO_SERVER}).errors == ["not-configured"]
    bench.gate.task(project="Elsewhere")
    result = bench.gate.verify("--project", "Elsewhere", env=env)
    assert (result.status, "--project Elsewhere is ignored" in result.err) == (1, True)


# --- the best task -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [("compare", "--tag-best", "--tag-unmerged"), ("verify", "--tag-best", "--tag-unmerged"), ("compare",)]
)
def test_a_narrower_project_is_measured_by_the_best_task_of_the_policys(bench: Bench, words: tuple[str, ...]) -> None:
    """Else an empty sub-project would make any model the first, and give it the tag."""
    best = best_task(bench, project="Vision/Detector")
    mine = bench.gate.task(project="Vision/Empty", metrics=loss(0.9))
    result = bench.gate.call(*words, "--project", "Vision/Empty", "--format", "json", env=bench.job.env)
    compared = result.json["compare"] if words[0] == "verify" else result.json
    assert (result.status, compared["outcome"], compared["current"]["task"]["id"]) == (1, "worse", mine)
    assert compared["best"]["task"]["id"] == best
    assert TAG not in bench.gate.server.tasks[mine]["tags"]


def test_by_hand_and_where_the_policy_names_no_project_the_flag_says_where(bench: Bench) -> None:
    best_task(bench, project="Other/Detector")
    bench.gate.task(project="Vision/Empty", metrics=loss(0.9))
    words = ("compare", "--project", "Vision/Empty", "--metric", "loss/train", "--direction", "min", "--format", "json")
    assert bench.gate.call(*words).json["outcome"] == "first"
    bench.gate.repo.default_branch(bench.head)
    bench.gate.repo.commit("change")
    bench.gate.task(project="Vision/Empty", metrics=loss(0.9))
    assert bench.gate.call(*words, env=ELSEWHERE).json["outcome"] == "first"
    best_task(bench, project="Vision/Empty/deeper")
    assert bench.gate.call(*words, env=ELSEWHERE).json["outcome"] == "worse"
