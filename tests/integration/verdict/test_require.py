"""`[[require]]`: a train and an evaluation, the models of a monorepo; and what each of them costs a server."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.support.program import Gate, Result
from tests.support.repos import Repo

MODELS = ("detector", "segmenter", "tracker")


def monorepo(repo: Repo) -> None:
    repo.write({f"{model}/{name}": model for model in MODELS for name in ("train.py", "net.py")})
    repo.write({"common/util.py": "1", "docs/readme.md": "1"})
    rows = []
    for model in MODELS:
        rows += ["[[tool.git-clearml.require]]", f'name = "{model}"', f'entry-point = "{model}/train.py"']
        rows += [f'code-paths = ["{model}/**", "common/**"]']
    repo.policy(*rows)


@pytest.fixture
def models(gate: Gate) -> Gate:
    """A monorepo of three models, each trained at HEAD."""
    monorepo(gate.repo)
    train(gate, *MODELS)
    return gate


def train(gate: Gate, *names: str, **fields: Any) -> list[str]:
    return [gate.task(**{"name": f"train {name}", "entry_point": f"{name}/train.py", **fields}) for name in names]


def outcomes(result: Result) -> dict[str, str]:
    return {each["name"]: each["outcome"] for each in result.commit["requirements"]}


def senses(result: Result) -> list[str]:
    return [each["equivalence"] for each in result.commit["requirements"]]


def test_each_model_has_its_task(models: Gate) -> None:
    result = models.accepts()
    assert outcomes(result) == dict.fromkeys(MODELS, "verified")
    assert senses(result) == ["commit"] * 3
    assert result.commit["task"]["name"] == "train detector"


def test_a_push_that_touches_docs_asks_for_nothing(models: Gate) -> None:
    ran = models.repo.head
    models.repo.commit("docs", {"docs/readme.md": "2", "README.md": "x"})
    result = models.accepts()
    assert senses(result) == ["paths"] * 3
    assert {each["evidence_commit"] for each in result.commit["requirements"]} == {ran}


def test_a_push_that_touches_one_model_asks_for_that_one(models: Gate) -> None:
    models.repo.commit("a better net", {"segmenter/net.py": "2"})
    result = models.verify()
    assert (result.status, len(result.calls)) == (1, 3)
    assert outcomes(result) == {"detector": "verified", "segmenter": "rejected", "tracker": "verified"}
    assert result.json["hint"] == "git clearml run -- python segmenter/train.py"
    train(models, "segmenter")
    assert senses(models.accepts()) == ["paths", "commit", "paths"]
    models.repo.commit("common code", {"common/util.py": "2"})
    assert set(outcomes(models.verify()).values()) == {"rejected"}


def test_a_train_and_an_evaluation(gate: Gate) -> None:
    gate.repo.write({"evaluate.py": "1"})
    gate.repo.policy(
        'project = "Vision"', "[[tool.git-clearml.require]]", 'name = "train"', 'task-name = "train"',
        "[[tool.git-clearml.require]]", 'name = "evaluation"', 'entry-point = "evaluate.py"', 'project = "Vision/Eval"',
    )  # fmt: skip
    gate.task()
    result = gate.verify()
    assert (outcomes(result), result.json["hint"]) == (
        {"train": "verified", "evaluation": "rejected"},
        "git clearml run -- python evaluate.py",
    )
    assert [each["near_misses"] for each in result.commit["requirements"]] == [[], []]  # a training is none of these
    evaluation = {"name": "evaluation", "entry_point": "evaluate.py", "project": "Vision/Eval/small"}
    failed = gate.task(**evaluation, status="failed")
    misses = gate.verify().commit["requirements"][1]["near_misses"]
    assert [(miss["task"]["id"], miss["reasons"][0]["code"]) for miss in misses] == [(failed, "failed")]
    gate.task(**evaluation, status="in_progress")
    assert (gate.verify().status, outcomes(gate.verify())["evaluation"]) == (4, "pending")
    gate.task(**evaluation)
    assert outcomes(gate.accepts()) == {"train": "verified", "evaluation": "verified"}


@pytest.mark.parametrize(
    ("fields", "met"),
    [
        ({}, True),
        ({"entry_point": "train.py", "working_dir": "detector"}, True),
        ({"entry_point": "-m detector.train --lr 1"}, True),
        ({"entry_point": "detector/train.py --data x"}, True),
        ({"entry_point": "segmenter/train.py detector/train.py"}, False),
        ({"entry_point": "train.py", "working_dir": "segmenter"}, False),
        ({"entry_point": "detector/net.py"}, False),
        ({"entry_point": ""}, False),
        ({"hyperparams__properties__git_clearml_check__value": "x"}, False),
        ({"status": "failed"}, False),
        ({"diff": "diff --git a/x b/x\n@@ -1 +1 @@\n-a\n+b\n"}, False),
        ({"commit": "c" * 40}, False),
    ],
)
def test_what_meets_a_requirement(gate: Gate, fields: dict[str, Any], met: bool) -> None:
    monorepo(gate.repo)
    train(gate, "segmenter", "tracker")
    train(gate, "detector", **fields)
    assert outcomes(gate.verify())["detector"] == ("verified" if met else "rejected")


def test_one_task_meets_every_requirement_that_it_fits(gate: Gate) -> None:
    gate.repo.policy(*(row for name in "ab" for row in ("[[tool.git-clearml.require]]", f'name = "{name}"')))
    task = gate.task()
    assert {each["task"]["id"] for each in gate.accepts().commit["requirements"]} == {task}


@pytest.mark.parametrize(("days", "requests"), [(3, 1), (20, 2), (200, 2)])
def test_a_model_that_was_trained_long_ago(
    gate: Gate, days: int, requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as its code is as it was: the first question is about the last days, the next begins at that code."""
    when = datetime.now(timezone.utc) - timedelta(days=days)
    with monkeypatch.context() as patch:
        patch.setenv("GIT_COMMITTER_DATE", when.isoformat(timespec="seconds"))
        monorepo(gate.repo)
    train(gate, *MODELS, last_update=when + timedelta(hours=1))
    gate.repo.commit("docs", {"docs/readme.md": "2"})
    assert senses(gate.accepts(requests=requests)) == ["paths"] * 3


@pytest.mark.parametrize("pattern", ["detcetor/**", "!detcetor/**"])
def test_a_pattern_that_names_nothing_makes_nothing_equal(models: Gate, pattern: str) -> None:
    name = models.repo.path / "pyproject.toml"
    models.repo.commit(
        "a typing error", {"pyproject.toml": name.read_text().replace('["detector/**",', f'["{pattern}",')}
    )
    result = models.verify()
    assert (result.status, result.errors) == (2, ["bad-setting"])
    assert repr(pattern) in result.talk()[0]
    train(models, "detector")
    models.accepts()


def test_the_task_of_a_flag_is_one_too_few(models: Gate) -> None:
    result = models.verify("--task", "1" * 32)
    assert (result.status, result.errors, result.calls) == (2, ["usage"], ())
