"""Whatever a server answers, and however: an error of ours with its status, or tasks that the rules look at.

Never a bug, and never a pass by accident.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from git_clearml.agent import leased_tasks, passed_checks
from git_clearml.clearml import curves, details, lease, projects, queues, recent, results, steps, tasks
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.config import Server
from git_clearml.doctor import server as doctor_server
from git_clearml.errors import CannotDecide, Error
from git_clearml.model import DiffKind
from git_clearml.run import imported_sessions
from git_clearml.run import tasks as run_tasks
from git_clearml.settings.policy import Policy, Runnable
from git_clearml.verdict.server import ServerEvidence
from git_clearml.verdict.time_windows import Window
from tests.support import builders, odd_json
from tests.support.clearml_server import ClearMLServer

COMMIT = "a" * 40
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
GOOD: dict[str, Any] = {
    "id": "a" * 32, "name": "train", "status": "completed", "completed": "2026-01-02T03:04:05.678000+00:00",
    "last_update": "2026-01-02T03:04:05.678000+00:00", "tags": ["x"], "system_tags": [],
    "project": {"id": "p", "name": "P"},
    "last_iteration": 1, "last_worker": "w", "runtime": {}, "last_metrics": {}, "hyperparams": {"properties": {}},
    "script": {"version_num": COMMIT, "diff": "", "entry_point": "train.py", "working_dir": ".", "repository": "r"},
}  # fmt: skip
PLACES = [*GOOD, *(f"script.{name}" for name in GOOD["script"]), "hyperparams.properties", "hyperparams.properties.x"]


@pytest.fixture(scope="module")
def server() -> Iterator[ClearMLServer]:
    with ClearMLServer() as running:
        running.may_be_asked_all = True
        yield running


@pytest.fixture(scope="module")
def evidence(server: ClearMLServer) -> Iterator[ServerEvidence]:
    keys = Server(server.url, server.url, server.access_key, server.secret_key)
    with contextlib.closing(ServerEvidence(ClearML(keys, 30, environment={}, sleep=lambda _: None))) as source:
        yield source


def answered(server: ClearMLServer, evidence: ServerEvidence, body: Any, **how: Any) -> None:
    """Every question that is asked on the way of a verdict, with this as every answer."""
    server.reset_log()
    server._backend.scripts.clear()
    server.fail_next(how.get("status", 200), json.dumps(body).encode(), how.get("headers", {}), count=1000)
    evidence.renew()
    policy = Policy()
    for ask in (
        lambda: evidence.passing([COMMIT], policy, Window()).tasks,
        lambda: evidence.passing([COMMIT], policy, Window(), few=1).tasks,
        lambda: evidence.all([COMMIT], policy, Window()),
        lambda: evidence.recent(policy, Window()).tasks,
        lambda: evidence.tagged("x", policy),
        lambda: [task for task in [evidence.find("a" * 32, policy)] if task],
    ):
        try:
            tasks = ask()
        except CannotDecide:
            continue
        assert all(isinstance(task.status, str) for task in tasks)


@pytest.fixture(scope="module")
def readings(server: ClearMLServer, evidence: ServerEvidence) -> list[Callable[[], Any]]:
    """All else that is read of a server, each with something there to read."""
    api = evidence.api
    metrics = {"m": {"v": 0.5}}
    pipeline = server.add_task(commit=COMMIT, type="controller", metrics=metrics, models__output=[{"name": "m"}])
    step = server.add_task(commit=COMMIT, parent=pipeline, metrics=metrics, tags=[lease.TAG, lease.passed_tag(COMMIT)])
    server.add_worker("builder:0", task=server.add_task(status="in_progress", commit=COMMIT))
    run, since = builders.run(commit=COMMIT), datetime.now(timezone.utc) - timedelta(days=3)
    return [
        lambda: results.of_tasks(api, [pipeline, step]),
        lambda: results.of_commits(api, [COMMIT], since),
        lambda: details.of_task(api, pipeline),
        lambda: steps.of_task(api, pipeline),
        lambda: curves.of_tasks(api, [pipeline], [("m", "v")]),
        lambda: curves.of_tasks(api, [pipeline, step], [("m", "v")]),
        lambda: recent.of_repository(api, ["project"], lambda url: True, datetime.now(timezone.utc)),
        lambda: projects.existing(api, "Vision/Detector"),
        lambda: (queues.queue(api, "default"), queues.last_sign(api, queue_name="default"), queues.served(api)),
        lambda: queues.lives(api, "builder:0"),
        lambda: (tasks.poll_task(api, step), tasks.console(api, step), tasks.workers(api, step)),
        lambda: passed_checks.passed(api, [COMMIT], Runnable()),
        lambda: leased_tasks.expired(api, host="here", now=0.0),
        lambda: leased_tasks.of_commit(api, lease.RUN, COMMIT, 1),
        lambda: run_tasks.find(api, run, sleep=lambda _: None, clock=itertools.count().__next__),
        lambda: doctor_server.examine(
            server.env, 30.0, Policy(project="Vision/Detector", runnable=Runnable(queue="default"))
        ),
        lambda: imported_sessions.existing(api, ["offline-" + "a" * 32], since),
    ]


QUICK = settings(suppress_health_check=list(HealthCheck))


@QUICK
@given(where=st.integers(0, 10_000), value=odd_json.JSON | st.just("gone"))
@example(where=0, value=None)
def test_anything_in_one_place_of_all_that_is_read(
    server: ClearMLServer, evidence: ServerEvidence, readings: list[Callable[[], Any]], where: int, value: Any
) -> None:
    backend = server._backend
    backend.scripts.clear()
    answer = type(backend).answer

    def other(*request: Any) -> tuple[int, Any]:
        status, envelope = answer(backend, *request)
        envelope["data"] = odd_json.spoilt(envelope["data"], where, value)
        return status, envelope

    vars(backend)["answer"] = other
    try:
        for ask in readings:
            evidence.renew()
            with contextlib.suppress(Error):
                ask()
    finally:
        del vars(backend)["answer"]


@QUICK
@given(body=JSON)
def test_any_document(server: ClearMLServer, evidence: ServerEvidence, body: Any) -> None:
    answered(server, evidence, body)


@QUICK
@given(data=JSON, meta=st.just({"result_code": 200}) | st.dictionaries(
    st.sampled_from(["result_code", "result_subcode", "result_msg"]), SCALARS
), status=st.sampled_from([200, 201, 204, 301, 400, 401, 403, 404, 418, 500, 502, 503]))  # fmt: skip
def test_any_data_in_an_envelope(
    server: ClearMLServer, evidence: ServerEvidence, data: Any, meta: Any, status: int
) -> None:
    answered(server, evidence, {"meta": meta, "data": data}, status=status)


@QUICK
@given(place=st.sampled_from(PLACES), value=JSON)
def test_any_value_in_a_task(server: ClearMLServer, evidence: ServerEvidence, place: str, value: Any) -> None:
    task = json.loads(json.dumps(GOOD))
    *path, last = place.split(".")
    part = task
    for name in path:
        part = part.setdefault(name, {})
    part[last] = value
    answered(server, evidence, {"meta": {"result_code": 200}, "data": {"tasks": [task]}})
    tasks = []
    with contextlib.suppress(CannotDecide):
        tasks = evidence.passing([COMMIT], Policy(), Window()).tasks
    for found in tasks:
        assert (found.commit, found.archived) == (COMMIT, False)
        assert found.status in ("completed", "published")
        assert found.diff
        assert found.diff.kind is DiffKind.CLEAN


@QUICK
@given(
    name=st.sampled_from(["Retry-After", "Location", "Content-Type", "Transfer-Encoding", "X-Odd", "Connection"]),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30),
    status=st.sampled_from([200, 302, 429, 503]),
)
def test_any_header(server: ClearMLServer, evidence: ServerEvidence, name: str, value: str, status: int) -> None:
    body = {"meta": {"result_code": 200}, "data": {"tasks": [GOOD]}}
    answered(server, evidence, body, status=status, headers={name: value})
