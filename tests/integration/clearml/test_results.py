"""What tasks came to, as a ClearML server tells it."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

import pytest

from git_clearml.clearml import results as task_results
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.config import Server
from git_clearml.clearml.model import Artifact, Result
from git_clearml.clearml.properties import PROPERTY
from git_clearml.errors import BadAnswer
from git_clearml.model import Metric
from tests.support.clearml_server import ClearMLServer

COMMIT, OTHER = "a" * 40, "b" * 40

SINCE = datetime(2019, 1, 2, tzinfo=timezone.utc)


@contextlib.contextmanager
def api_of(server: ClearMLServer) -> Iterator[ClearML]:
    keys = Server(server.url, "https://app.example.com", server.access_key, server.secret_key)
    with contextlib.closing(ClearML(keys, 30, environment=os.environ, sleep=lambda _: None)) as api:
        yield api


def of_tasks(server: ClearMLServer, *ids: str) -> list[Result]:
    with api_of(server) as api:
        return task_results.of_tasks(api, ids)


def of_commits(server: ClearMLServer, *commits: str, metrics: Sequence[str] = ()) -> dict[str, list[Result]]:
    with api_of(server) as api:
        return task_results.of_commits(api, commits, SINCE, metrics=metrics)


def entry(section: str, name: str, value: str) -> dict[str, str]:
    return {"section": section, "name": name, "value": value, "type": "str"}


def test_everything_about_a_task(server: ClearMLServer) -> None:
    project = server.add_project("Vision/Detector")
    task = server.add_task(
        commit=COMMIT,
        completed="2026-01-02T03:04:05.000000+00:00",
        metrics={"validation": {"loss": 0.5, "accuracy": 0.9}},
        hyperparams={
            "Args": {"lr": entry("Args", "lr", "0.1"), "a%2Eb": entry("Args", "a.b", "x/y")},
            "General": {"épochs": entry("General", "épochs", "")},
            "Environment": {"TOKEN": entry("Environment", "TOKEN", "secret")},
            "properties": {
                PROPERTY: entry("properties", PROPERTY, "{}"),
                "git_clearml_launch": entry("properties", "git_clearml_launch", "{}"),
                "git_clearml_tree": entry("properties", "git_clearml_tree", "a" * 40),
                "team": entry("properties", "team", "vision"),
            },
        },
        execution__artifacts=[
            {"key": "report", "mode": "output", "uri": "s3://bucket/report.csv", "hash": "ab" * 32, "content_size": 7},
            {"key": "data", "mode": "input", "uri": "s3://bucket/data"},
            {"key": "bare"},
        ],
    )
    (found,) = of_tasks(server, task)
    assert found == Result(
        task=task,
        name="train",
        project="Vision/Detector",
        status="completed",
        url=f"https://app.example.com/projects/{project}/experiments/{task}/output/log",
        commit=COMMIT,
        completed="2026-01-02T03:04:05.000000+00:00",
        parameters=(("Args/a.b", "x/y"), ("Args/lr", "0.1"), ("General/épochs", ""), ("properties/team", "vision")),
        metrics=(Metric("validation", "accuracy", 0.9, 0.9, 0.9), Metric("validation", "loss", 0.5, 0.5, 0.5)),
        artifacts=(
            Artifact("bare", "artifact", ""),
            Artifact("report", "artifact", "s3://bucket/report.csv", "ab" * 32, 7),
        ),
    )
    assert server.calls() == ["tasks.get_all_ex"]


def test_a_bare_task(server: ClearMLServer) -> None:
    task = server.add_task(project=None, status="created")
    (found,) = of_tasks(server, task)
    assert (found.project, found.commit, found.completed, found.parameters, found.artifacts) == ("", "", "", (), ())
    assert found.url == f"https://app.example.com/projects/*/experiments/{task}/output/log"


def test_output_models_and_where_they_lie(server: ClearMLServer) -> None:
    one, two = "1" * 32, "2" * 32
    models = [{"name": "final", "model": one}, {"name": "epoch 1", "model": {"id": two}}]
    task = server.add_task(models__output=models)
    answer = {
        "meta": {"result_code": 200},
        "data": {"models": [{"id": one, "uri": "https://user:pw@files.example.com/final.pt"}]},
    }
    server.fail_next(200, json.dumps(answer).encode(), {"Content-Type": "application/json"}, call="models.get_all")
    (found,) = of_tasks(server, task)
    assert found.artifacts == (
        Artifact("epoch 1", "model", ""),
        Artifact("final", "model", "https://files.example.com/final.pt"),
    )
    assert server.calls() == ["tasks.get_all_ex", "models.get_all"]
    assert server.requests[-1].body == {"id": [one, two], "page": 0, "page_size": 500, "only_fields": ["id", "uri"]}


def test_a_model_whose_id_is_none_is_not_asked_for(server: ClearMLServer) -> None:
    task = server.add_task(models__output=[{"name": "odd", "model": "../x"}, {"name": "none"}])
    (found,) = of_tasks(server, task)
    assert [artifact.name for artifact in found.artifacts] == ["none", "odd"]
    assert server.calls() == ["tasks.get_all_ex"]


def test_more_than_a_page(server: ClearMLServer) -> None:
    ids = [server.add_task(name=f"task {number}") for number in range(620)]
    found = of_tasks(server, *reversed(ids), ids[0])
    assert [each.task for each in found] == ids[::-1]
    assert server.calls() == ["tasks.get_all_ex"] * 2


def test_no_ids_ask_nothing(server: ClearMLServer) -> None:
    server.add_task()
    assert of_tasks(server) == []
    assert server.calls() == []


@pytest.mark.parametrize("odd", ["", "a b", "x" * 65, "^.*$", "id\n"])
def test_what_is_no_id_is_not_asked_for(server: ClearMLServer, odd: str) -> None:
    with pytest.raises(BadAnswer):
        of_tasks(server, server.add_task(), odd)
    assert server.calls() == []


def test_unknown_ids_are_named(server: ClearMLServer) -> None:
    task = server.add_task()
    with pytest.raises(BadAnswer) as caught:
        of_tasks(server, "0" * 32, task, "1" * 32)
    assert caught.value.message == f"the server no longer has the tasks {'0' * 32}, {'1' * 32}"


@pytest.mark.parametrize(
    "fields",
    [
        {"hyperparams": {"Args": []}},
        {"hyperparams": {"Args": {"lr": {"value": 0.1}}}},
        {"execution__artifacts": {"key": "report"}},
        {"execution__artifacts": ["report"]},
        {"execution__artifacts": [{"key": 7}]},
        {"models": {"output": "x"}},
        {"models": {"output": [{"model": 7}]}},
    ],
)
def test_answers_that_make_no_sense(server: ClearMLServer, fields: dict[str, Any]) -> None:
    task = server.add_task(**fields)
    with pytest.raises(BadAnswer):
        of_tasks(server, task)


def test_odd_numbers(server: ClearMLServer) -> None:
    artifacts = [{"key": "a", "content_size": True}, {"key": "b", "content_size": "7"}, {"key": "c", "content_size": 0}]
    task = server.add_task(execution__artifacts=artifacts, last_metrics={"x": {"y": {"metric": "m", "variant": "v"}}})
    (found,) = of_tasks(server, task)
    assert [artifact.size for artifact in found.artifacts] == [None, None, 0]
    assert math.isnan(found.metrics[0].last)
    odd = server.add_task(hyperparams={"Args": {"lr": "0.1", "n": {"value": "1"}}})
    assert of_tasks(server, odd)[0].parameters == (("Args/n", "1"),)


def test_of_commits(server: ClearMLServer) -> None:
    late = server.add_task(commit=COMMIT, completed="2026-01-03T00:00:00+00:00", metrics={"a": {"b": 1.0, "c": 2.0}})
    early = server.add_task(commit=COMMIT, completed="2026-01-02T00:00:00+00:00")
    failed = server.add_task(commit=OTHER, status="failed", hyperparams={"Args": {"lr": entry("Args", "lr", "1")}})
    server.add_task(commit=COMMIT.upper())
    server.add_task(commit=COMMIT + "-dirty")
    server.add_task(commit=OTHER, system_tags=["archived"])
    found = of_commits(server, COMMIT, OTHER, "c" * 40)
    assert {commit: [task.task for task in some] for commit, some in found.items()} == {
        COMMIT: [early, late],
        OTHER: [failed],
    }
    assert [metric.last for metric in found[COMMIT][1].metrics] == [1.0, 2.0]
    assert (found[OTHER][0].status, found[OTHER][0].parameters) == ("failed", ())
    assert server.calls() == ["tasks.get_all_ex"]


def test_of_commits_with_chosen_metrics(server: ClearMLServer) -> None:
    server.add_task(commit=COMMIT, metrics={"a": {"b": 1.0, "c": 2.0}})
    found = of_commits(server, COMMIT, metrics=["a/c", "no/such"])
    assert [(metric.metric, metric.variant, metric.last) for metric in found[COMMIT][0].metrics] == [("a", "c", 2.0)]


def test_of_no_commits(server: ClearMLServer) -> None:
    server.add_task(commit=COMMIT)
    assert of_commits(server) == {}
    with pytest.raises(BadAnswer):
        of_commits(server, ".*")
    assert server.calls() == []


def test_our_credentials_are_in_no_result(server: ClearMLServer) -> None:
    """A parameter may repeat them, and what comes from here is written into git."""
    key = server.secret_key
    args = {"Args": {"key": entry("Args", "key", f"x{key}y")}}
    task = server.add_task(commit=COMMIT, hyperparams=args, metrics={key: {"a": 1.0}})
    [result] = of_tasks(server, task)
    assert (result.task, result.commit, result.parameters) == (task, COMMIT, (("Args/key", "x[secret]y"),))
    assert key not in str(result)


def test_models_that_may_not_be_read_cost_their_addresses_alone(server: ClearMLServer) -> None:
    task = server.add_task(commit=COMMIT, models={"output": [{"name": "best", "model": "c" * 32}]})
    server.fail_next(403, call="models.get_all")
    [result] = of_tasks(server, task)
    assert [(artifact.name, artifact.kind, artifact.uri) for artifact in result.artifacts] == [("best", "model", "")]
