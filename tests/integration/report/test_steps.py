"""`git clearml report --steps`: what the steps of a pipeline measured, below the pipeline's own metrics."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.support.program import Gate, Result

NOW = datetime.now(timezone.utc)


def steps(gate: Gate, *words: str) -> Result:
    result = gate.call("report", "--steps", "--against", "", "--format", "json", *words)
    assert result.status == 0, result.out
    return result


def pipeline(gate: Gate, **fields: Any) -> str:
    return gate.task(**{"name": "pipeline", "type": "controller", "entry_point": "train.py", **fields})


def step(gate: Gate, parent: str, name: str, **fields: Any) -> str:
    """Each made a second after the one before, which is the order in which they are shown."""
    created = NOW - timedelta(minutes=20) + timedelta(seconds=len(gate.server.store.tasks))
    known = {"name": name, "parent": parent, "commit": "b" * 40, "entry_point": f"{name}.py", "created": created}
    return gate.server.add_task(**{**known, **fields})


def shown(result: Result) -> list[tuple[str, str, bool, list[str]]]:
    """Name, status, archived, and the metrics of each step."""
    return [
        (
            each["task"]["name"],
            each["task"]["status"],
            each["archived"],
            [f"{row['metric']}/{row['variant']}={row['last']:g}" for row in each["metrics"]],
        )
        for each in result.json["steps"]
    ]


def test_steps_of_every_kind(gate: Gate) -> None:
    top = pipeline(gate, metrics={"total": {"score": 0.5}})
    step(gate, top, "prepare")
    step(gate, top, "training", metrics={"loss": {"train": 0.25}, ":monitor:gpu": {"gpu_0": 97.5}})
    step(gate, top, "broken", status="failed", metrics={"loss": {"train": 9.0}})
    step(gate, top, "hidden", system_tags=["archived", "hidden"])
    inner = step(gate, top, "inner", type="controller", metrics={"total": {"score": 1.0}})
    step(gate, inner, "inmost", metrics={"f1": {"test": 0.75}})
    step(gate, inner, "inner", type="controller", entry_point="inner.py")  # the inner pipeline, run again
    step(gate, top, "last", status="queued")
    step(gate, top, "Clone of pipeline", type="controller", entry_point="train.py")
    result = steps(gate)
    assert shown(result) == [
        ("prepare", "completed", False, []),
        ("training", "completed", False, ["loss/train=0.25"]),
        ("broken", "failed", False, ["loss/train=9"]),
        ("hidden", "completed", True, []),
        ("inner", "completed", False, ["total/score=1"]),
        ("inmost", "completed", False, ["f1/test=0.75"]),
        ("last", "queued", False, []),
    ]
    document = result.json
    assert [row["variant"] for row in document["metrics"]] == ["score"]
    assert [each["parent"] for each in document["steps"]] == [*[top] * 5, inner, top]
    assert document["notes"] == ["7 steps: 5 completed, 1 failed, 1 queued", "left out: 2 other runs of the pipeline"]
    assert document["hidden"] == 1
    assert result.calls == ("tasks.get_all_ex",) * 5  # verdict, metrics, the pipeline, and each of two pipelines' steps
    assert [row for _, _, _, row in shown(steps(gate, "--metric", "loss/train", top))] == [
        [], ["loss/train=0.25"], ["loss/train=9"], [], [], [], [],
    ]  # fmt: skip
    text = gate.call("report", "--steps", "--against", "").out
    assert "inner / inmost" in text
    assert "steps" not in gate.call("report", "--format", "json").json


@pytest.mark.parametrize(("status", "code"), [("failed", 1), ("in_progress", 4), ("queued", 4)])
def test_of_a_pipeline_that_does_not_count_the_command_is_named(gate: Gate, status: str, code: int) -> None:
    """Its steps are what one looks for then: which has failed, which is not done."""
    top = pipeline(gate, status=status, started=None, completed=None)
    for name, state in (("prepare", "completed"), ("broken", "failed"), ("draft", "created"), ("waits", "queued")):
        step(gate, top, name, status=state)
    result = gate.call("report", "--steps")
    assert result.status == code
    (hint,) = [line for line in result.err.splitlines() if "--steps" in line]
    assert hint.endswith(f"git clearml report --steps {top}")
    named = steps(gate, top)
    assert [each[:2] for each in shown(named)][1:] == [("broken", "failed"), ("draft", "created"), ("waits", "queued")]


def test_700_steps_page_by_page(gate: Gate) -> None:
    top = pipeline(gate)
    for number in range(700):
        step(gate, top, f"step {number}", metrics={"loss": {"train": float(number)}})
    result = steps(gate)
    assert [rows for *_, rows in shown(result)] == [[f"loss/train={number}"] for number in range(700)]
    assert result.calls == ("tasks.get_all_ex",) * 5
    markdown = gate.call("report", "--steps", "--against", "", "--format", "markdown").out
    assert "<summary>700 steps</summary>" in markdown


def test_what_is_no_pipeline_has_no_steps(gate: Gate) -> None:
    task = gate.task()
    step(gate, task, "clone")
    result = steps(gate)
    assert (result.json["steps"], result.json["notes"]) == ([], ["the task is no pipeline: ClearML has it as training"])
    gate.repo.commit("second")
    refused = gate.call("report", "--steps", "--format", "json")
    assert (refused.status, refused.json["outcome"]) == (1, "rejected")


def test_a_server_that_ignores_the_filter(gate: Gate) -> None:
    top = pipeline(gate)
    step(gate, top, "training")
    step(gate, "c" * 32, "of another")
    gate.server.ignored = ["parent"]
    assert [name for name, *_ in shown(steps(gate, top))] == ["training"]
