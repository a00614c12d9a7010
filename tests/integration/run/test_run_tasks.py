"""The tasks of a run on a server: found by the marker alone, and given the record."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from git_clearml.clearml import config
from git_clearml.clearml.client import ClearML
from git_clearml.errors import Refused
from git_clearml.model import RecordedTask, RunRecord, Session
from git_clearml.run import record as run_records
from git_clearml.run import tasks as run_tasks
from git_clearml.run.tasks import MadeTask
from tests.support.clearml_events import add_all
from tests.support.clearml_server import ClearMLServer
from tests.support.program import inside
from tests.support.repos import make_repo
from tests.support.scripts import QUICK

RUN = "0" * 32
RECORD = RunRecord(
    id=RUN,
    commit="a" * 40,
    tree="b" * 40,
    command=("python", "train.py"),
    host="here",
    user="me",
    pid=1,
    pid_started="1",
    started="2026-01-02T03:04:05.000+00:00",
    ended="2026-01-02T03:05:05.000+00:00",
    exit_status=0,
)


@pytest.fixture
def api(server: ClearMLServer) -> Iterator[ClearML]:
    known = config.read_server(server.env)
    assert known
    client = ClearML(known, 10.0, environment={})
    yield client
    client.close()


def add(server: ClearMLServer, run: str = RUN, **fields: Any) -> str:
    marker = {"section": "Environment", "name": "GIT_CLEARML_RUN", "type": "str", "value": run}
    hyperparams = {"Environment": {"GIT_CLEARML_RUN": marker}}
    return server.add_task(**{"commit": RECORD.commit, "hyperparams": hyperparams, **fields})


def made(task: str) -> MadeTask:
    return MadeTask(Session(task), "completed", "2026-01-02T03:04:06.000000+00:00")


def of_task(task: str) -> RunRecord:
    """The run's record as its only task bears it."""
    own = RecordedTask(task, "completed", "2026-01-02T03:04:06.000000+00:00")
    return RECORD._replace(tasks=((task, "completed"),), task=own)


def found(api: ClearML, **options: Any) -> list[tuple[str, str]]:
    made_by_run = run_tasks.find(api, RECORD, **{"sleep": lambda _: None, **options})
    return [(task.session.id, task.status) for task in made_by_run]


def says(server: ClearMLServer, task: str, worker: str, count: int = 1) -> None:
    """Console events of the task, sent by a worker of that name."""
    moment = len(server.store.events.get(task, []))
    events = [
        {"type": "log", "task": task, "level": "INFO", "worker": worker, "msg": "step", "timestamp": moment + number}
        for number in range(count)
    ]
    before = server.tasks[task]["last_update"]
    add_all(server.store, events)
    server.tasks[task]["last_update"] = before


def test_only_tasks_with_the_marker_and_the_commit_are_the_run_s(server: ClearMLServer, api: ClearML) -> None:
    ours = add(server)
    add(server, run="1" * 32)
    add(server, commit="c" * 40)
    add(server, hyperparams={})
    assert found(api) == [(ours, "completed")]


def test_where_none_has_the_commit_those_with_the_marker_are_named(server: ClearMLServer, api: ClearML) -> None:
    """`python -c` and a script on stdin: the SDK finds no repository, and the task is there all the same."""
    lost = add(server, commit=None)
    add(server, run="1" * 32, commit=None)
    add(server, commit=None, last_update="2025-12-31T00:00:00+00:00")
    (only,) = run_tasks.find(api, RECORD, sleep=lambda _: None)
    assert (only.session.id, only.session.commit) == (lost, "")


def test_a_second_task_of_a_process_is_known_by_its_worker(server: ClearMLServer, api: ClearML) -> None:
    first = add(server)
    second = add(server, hyperparams={}, status="failed")
    says(server, second, f"builder:git-clearml-run-{RUN}")
    for stranger in ("builder", f"builder:git-clearml-run-{'1' * 32}", f"git-clearml-run-{RUN}", ""):
        says(server, add(server, hyperparams={}), stranger)
    says(server, add(server, run="1" * 32), f"builder:git-clearml-run-{RUN}")  # HPO clones a task of another run
    assert sorted(found(api)) == sorted([(first, "completed"), (second, "failed")])


def test_one_that_an_agent_has_taken_over_is_known_by_its_beginning(server: ClearMLServer, api: ClearML) -> None:
    ours = add(server, hyperparams={})
    says(server, ours, f"builder:git-clearml-run-{RUN}")
    says(server, ours, "agent:0", 50)
    continued = add(server, hyperparams={})
    says(server, continued, "builder", 50)
    says(server, continued, f"builder:git-clearml-run-{RUN}")
    assert sorted(found(api)) == sorted([(ours, "completed"), (continued, "completed")])


def test_an_event_that_no_search_finds_yet_is_asked_for_again(server: ClearMLServer, api: ClearML) -> None:
    second = add(server, hyperparams={})
    worker = f"builder:git-clearml-run-{RUN}"
    assert found(api, sleep=lambda _: says(server, second, worker)) == [(second, "completed")]


def test_tasks_from_before_the_run_are_not_asked_about(server: ClearMLServer, api: ClearML) -> None:
    before = {"last_update": "2026-01-02T02:30:00+00:00", "hyperparams": {}}
    add(server, comment="Auto-generated at 2026-01-02 02:29:00 UTC by me@here", **before)
    add(server, **before)
    made = add(server, comment="Auto-generated at 2026-01-02 03:04:06 UTC by me@here", **before)  # their clock is late
    says(server, made, f"builder:git-clearml-run-{RUN}")
    server.reset_log()
    assert found(api) == [(made, "completed")]
    assert server.calls().count("events.get_task_log") == 1


def test_the_run_s_task_is_found_behind_many_others(server: ClearMLServer, api: ClearML) -> None:
    ours = add(server, last_update="2026-01-02T04:00:00+00:00")
    for _ in range(600):
        add(server, run="1" * 32, last_update="2026-01-02T05:00:00+00:00")
    assert found(api) == [(ours, "completed")]
    assert server.calls() == ["tasks.get_all_ex"] * 2


def test_a_task_is_given_time_to_reach_its_end(server: ClearMLServer, api: ClearML) -> None:
    ours = add(server, status="in_progress")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            server.tasks[ours]["status"] = "completed"

    assert found(api, sleep=sleep, clock=lambda: sum(slept)) == [(ours, "completed")]
    assert len(slept) == 3


def test_a_task_that_never_ends_is_waited_for_ten_seconds(server: ClearMLServer, api: ClearML) -> None:
    ours = add(server, status="in_progress")
    slept: list[float] = []
    assert found(api, sleep=slept.append, clock=lambda: sum(slept)) == [(ours, "in_progress")]
    assert sum(slept) == 10


def test_the_record_goes_onto_the_task_beside_what_is_there(server: ClearMLServer, api: ClearML) -> None:
    ours = add(server)
    run_tasks.attach(api, made(ours), RECORD)
    parameters = server.tasks[ours]["hyperparams"]
    assert parameters["Environment"]["GIT_CLEARML_RUN"]["value"] == RUN
    assert run_records.from_property(parameters["properties"]["git_clearml_run"]["value"]) == of_task(ours)
    assert parameters["properties"]["git_clearml_tree"]["value"] == RECORD.tree


def test_a_server_that_knows_no_properties_gets_it_by_an_edit(server: ClearMLServer, api: ClearML) -> None:
    ours = add(server)
    refusal = b'{"meta": {"result_code": 400, "result_subcode": 0, "result_msg": "Unsupported"}, "data": {}}'
    server.fail_next(400, refusal, {"Content-Type": "application/json"}, call="tasks.edit_hyper_params")
    run_tasks.attach(api, made(ours), RECORD)
    parameters = server.tasks[ours]["hyperparams"]
    assert parameters["Environment"]["GIT_CLEARML_RUN"]["value"] == RUN
    assert run_records.from_property(parameters["properties"]["git_clearml_run"]["value"]) == of_task(ours)
    assert parameters["properties"]["git_clearml_tree"]["value"] == RECORD.tree
    assert server.calls()[-1] == "tasks.edit"


def test_a_server_that_knows_no_single_parameters_is_asked_for_all(server: ClearMLServer, api: ClearML) -> None:
    ours = add(server)
    refusal = b'{"meta": {"result_code": 400, "result_subcode": 14, "result_msg": "Invalid field"}, "data": {}}'
    server.fail_next(400, refusal, {"Content-Type": "application/json"})
    assert found(api) == [(ours, "completed")]
    assert "hyperparams" in server.requests[-1].body["only_fields"]


def test_a_task_that_is_gone_cannot_bear_a_record(api: ClearML) -> None:
    with pytest.raises(Refused):
        run_tasks.attach(api, made("f" * 32), RECORD)


def test_a_server_that_is_away_takes_nothing_from_the_run(tmp_path: Path, server: ClearMLServer) -> None:
    repo = make_repo(tmp_path / "repo", {"train.py": QUICK})
    server.fail_next(500, count=5)
    result = inside("run", sys.executable, "train.py", cwd=repo.path, env=dict(server.env))
    assert result.status == 0
    assert "the run could not be recorded on the server" in result.err
    assert os.listdir(repo.path / ".git/clearml/runs") == [repo.head]
    assert inside("verify", cwd=repo.path).status == 0
