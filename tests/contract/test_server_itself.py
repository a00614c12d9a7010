"""What tests do to the loopback server: preparing tasks, reading its log, ordering failures."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.support.clearml_server import ClearMLServer
from tests.support.raw_client import RawClient

ROOT = Path(__file__).parents[2]
SHA = "a" * 40


@pytest.fixture
def server() -> Iterator[ClearMLServer]:
    with ClearMLServer() as running:
        yield running


@pytest.fixture
def client(server: ClearMLServer) -> Iterator[RawClient]:
    with RawClient(server) as connected:
        yield connected


def test_a_task_can_be_put_in_with_any_field(server: ClearMLServer, client: RawClient) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)
    task_id = server.add_task(
        "train",
        "Vision/Detector/Night",
        "failed",
        SHA,
        diff=None,
        started=moment,
        last_worker="builder:0",
        runtime={"_exec_agent_hostname": "builder"},
        metrics={"validation": {"accuracy": 0.9}},
    )

    task = client.data("tasks.get_by_id", {"task": task_id})["task"]
    assert task["script"]["version_num"] == SHA
    assert "diff" not in task["script"]
    assert task["started"] == "2026-01-02T03:04:05.678000+00:00"
    assert "completed" not in task
    assert [entry["value"] for variants in task["last_metrics"].values() for entry in variants.values()] == [0.9]
    names = [each["name"] for each in client.data("projects.get_all", {"only_fields": ["name"]})["projects"]]
    assert sorted(names) == ["Vision", "Vision/Detector", "Vision/Detector/Night"]


def test_stored_tasks_can_be_edited(server: ClearMLServer, client: RawClient) -> None:
    task_id = server.add_task()
    server.tasks[task_id]["tags"] = ["best"]

    assert client.data("tasks.get_all", {"tags": ["best"], "only_fields": ["id"]}) == {"tasks": [{"id": task_id}]}


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (["name"], ["aaa", "bbb", "ccc"]),
        (["-last_iteration"], ["bbb", "ccc", "aaa"]),
        (["last_iteration"], ["aaa", "ccc", "bbb"]),
        (["-status", "name"], ["bbb", "aaa", "ccc"]),
        (["started", "name"], ["aaa", "ccc", "bbb"]),
    ],
)
def test_answers_are_in_the_order_asked_for(
    server: ClearMLServer, client: RawClient, order: list[str], names: list[str]
) -> None:
    server.add_task("ccc", status="created", last_iteration=2)
    server.add_task("bbb", status="in_progress", last_iteration=30)
    server.add_task("aaa", status="created", last_iteration=1)

    tasks = client.data("tasks.get_all_ex", {"order_by": order, "only_fields": ["name"]})["tasks"]
    assert [task["name"] for task in tasks] == names


def test_a_task_can_wait_in_a_watched_queue(server: ClearMLServer, client: RawClient) -> None:
    task_id = server.add_task(queue="gpu")
    server.add_worker("builder:0", ["gpu"], task=server.add_task(status="in_progress"))

    (queue,) = client.data("queues.get_all_ex", {"name": "^gpu$"})["queues"]
    assert [entry["task"] for entry in queue["entries"]] == [task_id]
    assert [worker["name"] for worker in queue["workers"]] == ["builder:0"]
    assert client.data("tasks.dequeue", {"task": task_id})["fields"]["status"] == "created"
    (other,) = client.data("queues.get_all_ex", {"name": "^default$"})["queues"]
    assert other["workers"] == []


def test_tasks_can_move_on_between_polls(server: ClearMLServer, client: RawClient) -> None:
    task_id = server.add_task(status="queued")
    states = iter(["in_progress", "completed"])
    server.hook = lambda call, body: server.tasks[task_id].update(status=next(states))

    polls = [client.data("tasks.get_by_id", {"task": task_id})["task"]["status"] for _ in range(2)]
    assert polls == ["in_progress", "completed"]


def test_requests_are_logged_without_secrets(server: ClearMLServer, client: RawClient) -> None:
    client.data("tasks.get_all", {"id": ["x"]})
    (request,) = server.requests

    assert (request.call, request.body, request.status) == ("tasks.get_all", {"id": ["x"]}, 200)
    assert request.headers["Authorization"] == "Basic"
    assert request.response_bytes > 100
    server.reset_log()
    assert server.calls() == []


def test_failures_can_be_ordered(server: ClearMLServer, client: RawClient) -> None:
    server.fail_next(503, b'{"meta": {}}', {"Retry-After": "1"}, count=2, call="tasks.get_all")

    statuses = [client.call(call, {})[0] for call in ("debug.ping", "tasks.get_all", "tasks.get_all", "tasks.get_all")]
    assert statuses == [200, 503, 503, 200]


def test_a_connection_can_be_dropped(server: ClearMLServer, client: RawClient) -> None:
    server.fail_next(0)

    with pytest.raises(http.client.RemoteDisconnected):
        client.call("debug.ping", {})


def test_a_stopped_server_hangs_up() -> None:
    with ClearMLServer() as server:
        client = RawClient(server)
        client.data("debug.ping", {})
    with client, pytest.raises(OSError, match=r"(?i)refused|reset|closed|broken"):
        client.data("debug.ping", {})


def test_latency_is_waited_for(server: ClearMLServer, client: RawClient) -> None:
    server.latency = 0.05
    before = time.monotonic()
    client.data("debug.ping", {})

    assert time.monotonic() - before >= 0.05


def test_it_runs_as_a_process(tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.json"
    tasks.write_text(json.dumps([{"name": "from a file", "commit": SHA}]), encoding="utf-8")
    command = [sys.executable, "-m", "tests.support.clearml_server", "--port", "0", "--tasks", str(tasks)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
            connection.request("GET", "/debug.ping")
            assert connection.getresponse().status == 200
            connection.close()
        finally:
            process.terminate()


def test_properties_of_a_completed_task_may_be_edited(server: ClearMLServer, client: RawClient) -> None:
    task_id = server.add_task(hyperparams={"Args": {"lr": {"section": "Args", "name": "lr", "value": "1"}}})
    owner = {"section": "properties", "name": "owner", "value": "somebody"}
    rate = {"section": "Args", "name": "lr", "value": "2"}

    client.data("tasks.edit_hyper_params", {"task": task_id, "hyperparams": [owner]})
    status, refused = client.call("tasks.edit_hyper_params", {"task": task_id, "hyperparams": [rate]})
    assert (status, refused["meta"]["result_subcode"]) == (400, 110)
    client.data("tasks.edit_hyper_params", {"task": task_id, "hyperparams": [rate], "force": True})
    found = client.data("tasks.get_all", {"only_fields": ["hyperparams.properties", "hyperparams.Args.lr.value"]})
    assert found["tasks"] == [{"hyperparams": {"Args": {"lr": {"value": "2"}}, "properties": {"owner": owner}}}]


def test_half_a_question_is_none(server: ClearMLServer) -> None:
    """Of a client that was killed in the midst of it: it must not be taken for one with an empty body."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as half:
        half.sendall(b"POST /tasks.get_all_ex HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\n{")
        half.shutdown(socket.SHUT_WR)
        assert half.recv(1) == b""
    assert server.requests == []
