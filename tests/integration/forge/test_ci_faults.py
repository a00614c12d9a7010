"""`verify --comment` while GitHub is away, slow or unwilling: the verdict is told anyway, and rules the status."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest

from git_clearml.forge import calls
from tests.integration.forge.test_comment import FAULTS, WHERE, Bench
from tests.support.actions import Job, pull_request
from tests.support.github_server import Fault, GitHubServer
from tests.support.program import Gate, Result

CASES = [("completed", 3, "verified"), ("failed", 1, "rejected"), ("in_progress", 3, "pending")]


@pytest.fixture
def bench(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Pull request 7 of HEAD."""
    monkeypatch.setattr(calls, "TRIES", 2)
    monkeypatch.setattr(calls, "BACKOFF_SECONDS", 0.01)
    base = gate.repo.head
    head = gate.repo.commit("change", {"train.py": "print('better')\n"})
    with GitHubServer() as github:
        github.add_pull(7, head, base)
        yield Bench(gate, github, Job(tmp_path / "job", event=pull_request(7, head, base), api=github.url), base)


def assert_told(bench: Bench, result: Result, status: int, outcome: str) -> None:
    """The verdict is printed, and in the summary and the outputs, beside what kept it from the pull request."""
    assert result.status == status, result.err
    assert f"{outcome} {bench.head[:12]}" in result.out
    lines = result.err.splitlines()
    told = next(n for n, line in enumerate(lines) if line.startswith("git clearml: the report could not be posted: "))
    assert lines[told + 1].startswith("hint: ")
    annotated = [line for line in lines if line.startswith("::error title=git clearml::")]
    assert any("the report could not be posted" in line for line in annotated)
    if outcome == "rejected":
        assert "no clean, completed ClearML task has run this commit" in annotated[0]
    assert f"{outcome.capitalize()}: " in bench.job.summary
    assert "the report could not be posted" in bench.job.summary.replace("\\", "")
    assert bench.job.outputs["outcome"] == outcome


def test_no_fault_of_github_hides_the_verdict(bench: Bench) -> None:
    """Each place meets every verdict, and each fault another place than in test_comment."""
    task = bench.gate.task()
    meetings = [(case, where) for case in CASES for where in (*WHERE[1:], *WHERE[:1])]
    for kind, ((state, status, outcome), where) in zip(FAULTS, cycle(meetings), strict=False):
        bench.gate.server.tasks[task]["status"] = state
        bench.github.comments.clear()
        bench.github.faults[:] = [replace(FAULTS[kind], matching=where)]
        job = bench.job.again(kind)
        result = bench.gate.call("verify", "--comment", "--timeout", "5", env=job.env)
        assert_told(replace(bench, job=job), result, status, outcome)


@pytest.mark.parametrize(("state", "status", "outcome"), CASES)
def test_nor_does_silence(bench: Bench, state: str, status: int, outcome: str) -> None:
    bench.gate.task(status=state)
    bench.github.faults.append(Fault(-1))
    result = bench.gate.call("verify", "--comment", "--timeout", "0.5", env=bench.job.env)
    assert_told(bench, result, status, outcome)
    assert "did not answer within 0.5 s" in result.err


@pytest.mark.parametrize(("state", "status"), [("completed", 0), ("failed", 1)])
@pytest.mark.parametrize("fault", [Fault(500, times=2), Fault(502, times=2, raw=b"<html>"), Fault(0, times=2)])
def test_what_passes_is_waited_for(bench: Bench, fault: Fault, state: str, status: int) -> None:
    bench.gate.task(status=state)
    bench.github.faults.append(replace(fault))
    result = bench.gate.verify("--comment", env=bench.job.env)
    assert (result.status, result.json["comment"]["action"]) == (status, "created"), result.err


def test_a_server_of_clearml_and_a_github_that_are_both_away(bench: Bench) -> None:
    bench.github.faults.append(Fault(502))
    env = {**bench.job.env, "CLEARML_API_HOST": "http://127.0.0.1:1"}
    result = bench.gate.verify("--comment", "--timeout", "2", env=env)
    assert (result.status, result.json["outcome"]) == (3, "undecided")
    assert result.errors == ["unreachable", "publish-failed"]
    assert "### ❔ Undecided" in bench.job.summary


@pytest.mark.parametrize("action", ["assigned", "edited", "labeled"])
def test_an_event_that_changes_no_commit_writes_nothing(bench: Bench, action: str) -> None:
    bench.gate.task(status="failed", completed="2026-01-02T03:04:05")
    assert bench.gate.verify("--comment", env=bench.job.env).status == 1
    bench.github.calls.clear()
    bench.job.event = pull_request(7, bench.head, bench.base, action=action)
    result = bench.gate.verify("--comment", env=bench.job.env)
    assert (result.json["comment"]["action"], bench.github.writes()) == ("unchanged", [])


def test_a_job_that_somebody_started_finds_the_pull_request_of_its_commit(bench: Bench) -> None:
    bench.gate.task()
    repo = bench.gate.repo
    repo.git("update-ref", "refs/heads/main", bench.base)
    repo.git("checkout", "--quiet", "-B", "topic", bench.github.pulls[7]["head"]["sha"])
    repo.git("remote", "set-url", "origin", f"file://{repo.path}")
    bench.gate.server.tasks.clear()
    bench.gate.task(repository=f"file://{repo.path}")
    bench.job.name, bench.job.sha = "workflow_dispatch", bench.head
    bench.job.event = {"repository": {"full_name": "team/project", "default_branch": "main"}, "inputs": None}
    bench.job.more = {"GITHUB_REF": "refs/heads/topic"}
    result = bench.gate.verify("--comment", env=bench.job.env)
    assert (result.status, result.json["comment"]["action"]) == (0, "created"), result.err
    assert [comment["_issue"] for comment in bench.github.comments] == [7]
