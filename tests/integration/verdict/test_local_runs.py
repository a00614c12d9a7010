"""A run without a server as the near miss of a refusal: only where its import would verify the commit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from git_clearml.model import RunRecord
from git_clearml.verdict.near_miss import ONLY_HERE
from tests.support.clearml_server import REPOSITORY
from tests.support.offline_runs import ran
from tests.support.program import Gate, inside


def hint(gate: Gate, *words: str, **options: Any) -> str:
    """What a refusal says to do, where it names the local run; else "other"."""
    result = gate.verify(*words, **options)
    assert result.status == 1
    assert (ONLY_HERE in result.messages) == result.json["hint"].startswith("git clearml import")
    return str(result.json["hint"]) if ONLY_HERE in result.messages else "other"


OTHERS: dict[str, Callable[[Gate], RunRecord | str]] = {
    "none": lambda gate: "",
    "failed": lambda gate: ran(gate.repo, 1),
    "killed": lambda gate: ran(gate.repo, None),
    "dirty": lambda gate: ran(gate.repo, dirty=("train.py",)),
    "untracked": lambda gate: ran(gate.repo, untracked=("new.py",)),
    "no task": lambda gate: ran(gate.repo, sessions=0),
    "gone": lambda gate: shutil.rmtree(ran(gate.repo).sessions[0].path) or "",
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_run_that_would_not_verify_is_not_worth_an_import(gate: Gate, name: str) -> None:
    OTHERS[name](gate)
    assert hint(gate) == "other"


def test_a_run_that_would(gate: Gate) -> None:
    commit = ran(gate.repo).commit
    assert hint(gate) == "git clearml import"
    assert hint(gate, "--task-name", "eval") == "other"
    gate.repo.default_branch(commit)
    push = f"refs/heads/main {commit} refs/heads/main {'0' * 40}\n".encode()
    environment = {name: str(value) for name, value in gate.server.env.items()}
    pushed = inside("hook", "pre-push", "origin", REPOSITORY, cwd=gate.repo.path, env=environment, stdin=push)
    assert (pushed.status, "next: git clearml import\n" in pushed.out) == (1, True)
    in_job = gate.verify("--policy-from", commit, commit, env={"CI": "true"})  # a checkout may bring records of its own
    assert ONLY_HERE not in in_job.out
    gate.repo.git("commit", "--amend", "--quiet", "--message", "other words")
    assert hint(gate) == "other"
    assert hint(gate, "--equivalence", "tree") == f"git clearml import {commit[:12]}"
    assert hint(gate, commit) == f"git clearml import {commit[:12]}"
    gate.task(commit=commit, status="failed")
    assert hint(gate, commit) == f"git clearml import {commit[:12]}"
    gate.task(commit=commit)
    assert gate.verify(commit).status == 0


def test_a_run_that_is_one_of_several(gate: Gate) -> None:
    """Two here and one on the server are three; after the import, further runs are what is missing."""
    table, metric = "[[tool.git-clearml.metrics]]", 'metric = "validation/accuracy"'
    commit = gate.repo.policy(table, metric, "min-runs = 4", "at-least = 0.5")
    for _ in range(2):
        ran(gate.repo)
    gate.task(metrics={"validation": {"accuracy": 0.9}})
    assert hint(gate) == "git clearml import"
    gate.repo.policy(table, metric, "min-runs = 4", "at-least = 0.8")
    assert hint(gate, "--policy-from", "HEAD", commit) == "other"  # they have 0.75
