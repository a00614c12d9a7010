"""Tasks put on a queue while somebody else does the same, or while the answer gets lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from git_clearml.clearml import config as clearml_conf
from git_clearml.clearml import tasks as agents
from git_clearml.clearml.client import ClearML
from git_clearml.errors import CannotDecide, Refused
from tests.support.clearml_server import ClearMLServer

NOBODY = "0" * 32
"""The id of no task, and of no queue."""


@pytest.fixture
def api(server: ClearMLServer) -> Iterator[ClearML]:
    known = clearml_conf.read_server(server.env)
    assert known
    client = ClearML(known, 10.0, environment={}, sleep=lambda _: None)
    yield client
    client.close()


def waiting(server: ClearMLServer) -> list[str]:
    """The tasks on the queue gpu."""
    queue = server.store.queue_named("gpu")
    assert queue
    return [entry["task"] for entry in queue["entries"]]


@pytest.mark.parametrize("status", ["queued", "in_progress", "completed"])
def test_somebody_else_was_quicker(server: ClearMLServer, api: ClearML, status: str) -> None:
    queue = server.add_queue("gpu")
    task = server.add_task(status=status, queue="gpu" if status == "queued" else None)
    agents.enqueue(api, task, queue)
    assert server.tasks[task]["status"] == status
    assert waiting(server) == ([task] if status == "queued" else [])
    assert server.calls().count("tasks.enqueue") == 1


def test_what_is_refused_for_another_reason(server: ClearMLServer, api: ClearML) -> None:
    server.add_queue("gpu")
    draft = server.add_task(status="created")
    for task, queue in ((draft, NOBODY), (NOBODY, server.add_queue("gpu"))):
        server.reset_log()
        with pytest.raises(Refused):
            agents.enqueue(api, task, queue)
        assert server.calls().count("tasks.enqueue") == 1
    assert server.tasks[draft]["status"] == "created"
    assert waiting(server) == []


@pytest.mark.parametrize("carried_out", [True, False])
def test_an_answer_that_is_lost(server: ClearMLServer, api: ClearML, carried_out: bool) -> None:
    queue, task = server.add_queue("gpu"), server.add_task(status="created")
    if carried_out:
        server.lose_next("tasks.enqueue")
    else:
        server.fail_next(0, call="tasks.enqueue")
    agents.enqueue(api, task, queue)
    assert waiting(server) == [task]
    assert server.calls().count("tasks.enqueue") == (1 if carried_out else 2)


def test_a_server_that_goes_away(server: ClearMLServer, api: ClearML) -> None:
    queue, task = server.add_queue("gpu"), server.add_task(status="created")
    agents.poll_task(api, task)
    server.fail_next(502, count=100)
    with pytest.raises(CannotDecide):
        agents.enqueue(api, task, queue)
    assert waiting(server) == []
