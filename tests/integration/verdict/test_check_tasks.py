"""A task of check-runnable shows that a commit starts on an agent, and is evidence of nothing else."""

from __future__ import annotations

import time
from typing import Any

import pytest

from git_clearml.clearml import lease
from git_clearml.clearml.lease import Lease
from tests.support.clearml_common import Json
from tests.support.program import Gate
from tests.support.raw_client import RawClient

AGENT: Json = {"last_worker": "builder:0", "runtime": {"_exec_agent_hostname": "builder"}}


def check_task(gate: Gate, **fields: Any) -> str:
    """What a check leaves behind with --archive never: a completed task of exactly the commit, without a diff."""
    task = gate.task(tags=[lease.TAG, lease.DONE], **AGENT, **fields)
    owner = Lease("here", 1, "1", "nonce", time.time() + 600, "b" * 40, "what", "", task)
    gate.server.tasks[task]["hyperparams"] = {"properties": {lease.CHECK: lease.to_property(owner, lease.CHECK)}}
    return task


def test_a_check_s_task_verifies_nothing(gate: Gate) -> None:
    task = check_task(gate)
    assert gate.refuses("not-a-check").commit["near_misses"][0]["task"]["id"] == task
    gate.refuses("not-a-check", words=("--task", task))
    real = gate.task()
    assert gate.accepts().commit["task"]["id"] == real


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_nor_is_it_waited_for(gate: Gate, status: str) -> None:
    check_task(gate, status=status)
    gate.refuses("queued" if status == "queued" else "running", "not-a-check")


@pytest.mark.parametrize("value", ["", "damaged", '{"schema": 1}'])
def test_the_tag_without_a_lease_that_can_be_read_is_a_check_s(gate: Gate, value: str) -> None:
    task = check_task(gate)
    gate.server.tasks[task]["hyperparams"]["properties"][lease.CHECK]["value"] = value
    gate.refuses("not-a-check")


def test_a_lease_is_enough_where_somebody_took_the_tag_away(gate: Gate) -> None:
    gate.server.tasks[check_task(gate)]["tags"] = []
    gate.refuses("not-a-check")


def test_a_clone_that_somebody_has_run_to_its_end_is_a_task_like_any_other(gate: Gate) -> None:
    with RawClient(gate.server) as client:
        copy = client.data("tasks.clone", {"task": check_task(gate), "new_task_name": "a clone"})["id"]
        client.data("tasks.started", {"task": copy})
        gate.server.tasks[copy].update(AGENT)
        client.data("tasks.completed", {"task": copy})
    assert gate.accepts().commit["task"]["id"] == copy
