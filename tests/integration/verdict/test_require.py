"""`[[require]]`: a train and an evaluation, the models of a monorepo; and what each of them costs a server."""

from __future__ import annotations

from collections.abc import Iterator
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
