"""`git clearml import`, with the real SDK: what is on the server afterwards, and at every moment that a kill leaves."""

from __future__ import annotations

import contextlib
import copy
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from git_clearml.clearml import sdk
from git_clearml.clearml.config import Server
from git_clearml.errors import TimedOut
from git_clearml.model import RunRecord
from git_clearml.run import importing
from git_clearml.run import record as run_records
from git_clearml.run.importing import Candidate, Imported
from git_clearml.run.record import Damaged
from git_clearml.verdict.near_miss import ONLY_HERE
from tests.support import builders
from tests.support.offline_runs import ran
from tests.support.program import Gate, Result, command, process_environment
from tests.support.transcript import Transcript


def tasks(gate: Gate) -> list[dict[str, Any]]:
    return list(gate.server.tasks.values())


def record_of(task: dict[str, Any]) -> RunRecord:
    record = run_records.from_property(task["hyperparams"]["properties"]["git_clearml_run"]["value"])
    assert isinstance(record, RunRecord)
    return record


def test_each_run_is_there_once_and_as_it_ended(gate: Gate) -> None:
    """The first is what the hint of a refusal is for; then evidence comes from the server."""
    head = gate.repo.head
    transcript = Transcript("import", {"COMMIT": head, "ABBREVIATED": head[:12]})

    def call(title: str, *words: str) -> Result:
        return transcript.add(title, words, gate.call(*words))

    good, failed = ran(gate.repo, sessions=2), ran(gate.repo, 3)
    killed = ran(gate.repo, None)
    taskless, lost = ran(gate.repo, sessions=0, id="a" * 32), ran(gate.repo, id="b" * 32)
    shutil.rmtree(lost.sessions[0].path)
    refusal = gate.refuses("no-task")
    hint = refusal.json["hint"]
    assert refusal.messages == [ONLY_HERE]
    call("what would be sent", "import", "--dry-run")
    assert (hint, gate.server.tasks) == ("git clearml import", {})
    assert call("sent", *shlex.split(hint)[2:]).status == 1
    ends = {good.id: "completed", failed.id: "failed", killed.id: "failed"}
    assert {record_of(task).id: task["status"] for task in tasks(gate)} == ends
    assert [record_of(task).exit_status for task in tasks(gate)] == [0, 0, 3, None]
    assert [task["name"] for task in tasks(gate)] == ["train", "train 1", "train", "train"]
    for task in tasks(gate):
        script = {name: task["script"][name] for name in ("version_num", "branch", "entry_point", "diff")}
        assert script == {"version_num": head, "branch": "main", "entry_point": "train.py", "diff": ""}
        assert task["hyperparams"]["properties"]["git_clearml_tree"]["value"] == good.tree
        assert [event["type"] for event in gate.server.store.events[task["id"]]] == ["log", "training_stats_scalar"]
        [artifact] = task["execution"]["artifacts"]
        assert artifact["uri"].startswith(gate.server.url)
        assert artifact["uri"].removeprefix(gate.server.url) in gate.server.uploads
        assert f"Ran from {record_of(task).started}" in task["comment"]
    shown = gate.call("show", "--json").json["task"]
    assert shown["started"] == record_of(gate.server.tasks[shown["id"]]).started
    assert "sent to the server" in gate.call("show").out
    run_ended = datetime.fromisoformat(record_of(gate.server.tasks[shown["id"]]).ended)
    assert f"completed {run_ended:%Y-%m-%d %H:%M} UTC" in gate.call("diff", shown["id"], "--stat").out
    accepted = gate.accepts()
    assert (accepted.commit["task"]["source"], accepted.commit["evidence"]["accepted"]) == ("server", 2)
    assert gate.accepts("--policy-from", gate.repo.policy("require-run-record = true"), head)
    again = call("called again", "import", "--json", head)
    assert again.calls == ("tasks.get_all_ex",)
    actions = {each["run"]: (each["action"], each["status"]) for each in again.json["runs"]}
    assert actions == {run: ("already", status) for run, status in ends.items()} | {
        taskless.id: ("refused", None), lost.id: ("refused", None)
    }  # fmt: skip
    call("as Markdown", "import", "--format", "markdown", head)
    call("a commit without any", "import")
    transcript.compare()


@pytest.mark.timeout(120)
def test_a_kill_at_any_point_leaves_no_second_task_and_none_that_looks_good(gate: Gate) -> None:
    """Each call clears up after the one before it, and is killed later than that. Its SDK's process ends with it."""
    ran(gate.repo, 3)
    statuses = {"tasks.get_by_id": "created", "tasks.failed": "failed", "tasks.edit_hyper_params": "failed"}
    for point, status in statuses.items():
        with killed_at(gate, point) as started:
            started.append(subprocess.Popen(command("import"), cwd=gate.repo.path, env=environment(gate)))
            assert started[0].wait(timeout=60) == -signal.SIGKILL, point
        [left] = tasks(gate)
        assert (left["status"], left["script"].get("version_num")) == (status, None)
        assert left["name"].startswith("unfinished import of offline-")
        assert (gate.verify().status, gate.verify("--equivalence", "tree").status) == (1, 1)
    with killed_at(gate, "tasks.edit", 3) as started:  # it has been asked for all there is
        started.append(subprocess.Popen(command("import"), cwd=gate.repo.path, env=environment(gate)))
        assert started[0].wait(timeout=60) == -signal.SIGKILL
    [task] = tasks(gate)
    assert (task["name"], task["status"], task["script"]["version_num"]) == ("train", "failed", gate.repo.head)
    assert gate.call("import", "--json").json["runs"][0]["action"] == "already"
    assert [event["type"] for event in gate.server.store.events[task["id"]]] == ["log", "training_stats_scalar"]
    assert not (gate.repo.path / ".git/clearml/import").exists()


@contextlib.contextmanager
def killed_at(gate: Gate, name: str, count: int = 1) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The started process is killed when the server has got the n-th call of this name, which is then carried out."""
    started: list[subprocess.Popen[bytes]] = []
    calls: list[str] = []

    def hook(call: str, _: object) -> None:
        calls.append(call)
        if call == name and calls.count(name) == count:
            started[0].kill()

    gate.server.hook = hook
    yield started
    gate.server.hook = None


def test_what_was_not_sent_whole_is_taken_back_and_two_at_once_send_one(gate: Gate) -> None:
    ran(gate.repo)
    gate.server.fail_next(
        403, b'{"meta": {"result_code": 403, "result_msg": "no"}}', {}, call="tasks.edit_hyper_params"
    )
    result = gate.call("import", "--json")
    assert (result.status, result.errors, gate.server.tasks) == (3, ["forbidden"], {})
    both = [
        subprocess.Popen(command("import"), cwd=gate.repo.path, env=environment(gate), stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    assert sorted(each.communicate(timeout=60)[0].split()[0] for each in both) == [b"already", b"sent"]
    assert len(gate.server.tasks) == 1


def test_of_two_copies_of_a_clone_the_slower_one_gives_way(gate: Gate) -> None:
    """They have no lock in common, and both had looked before the other's task was there."""
    ran(gate.repo)
    other = "0" * 32

    def copied(finished: bool) -> None:
        calls: list[str] = []

        def hook(call: str, _: object) -> None:
            calls.append(call)
            if call == "tasks.get_all_ex" and "tasks.edit_hyper_params" in calls:  # ours has got its run record
                [ours] = tasks(gate)
                theirs = {**copy.deepcopy(ours), "id": other, "created": "2026-01-01T00:00:00.000000+00:00"}
                if finished:
                    record = theirs["hyperparams"]["properties"]["git_clearml_run"]
                    record["value"] = record["value"].replace(ours["id"], other)
                    theirs["name"] = "train"
                gate.server.tasks[other] = theirs
                gate.server.hook = None

        gate.server.hook = hook

    copied(finished=False)
    result = gate.call("import", "--json")
    assert (result.status, result.errors, result.json["runs"]) == (3, ["publish-failed"], [])
    assert (list(gate.server.tasks), gate.server.tasks.pop(other)["name"][:10]) == ([other], "unfinished")
    copied(finished=True)
    result = gate.call("import", "--json")
    assert (result.status, result.json["runs"][0]["action"], result.json["runs"][0]["task"]) == (0, "already", other)
    assert list(gate.server.tasks) == [other]


def environment(gate: Gate) -> dict[str, str]:
    return process_environment({**gate.server.env, "CLEARML_CACHE_DIR": os.environ["CLEARML_CACHE_DIR"]})


@pytest.mark.parametrize(
    ("fault", "code"),
    [(401, "unauthorized"), (403, "forbidden"), (502, "unreachable"), (None, "unreachable"), ("no", "not-configured")],
)
def test_a_server_that_cannot_be_asked(gate: Gate, fault: object, code: str) -> None:
    ran(gate.repo)
    if isinstance(fault, int):
        gate.server.fail_next(fault, count=9)
    changes = {None: {"CLEARML_API_HOST": "http://127.0.0.1:1"}, "no": dict.fromkeys(gate.server.env)}
    result = gate.call("import", "--json", "--timeout", "2", env=changes.get(fault))  # type: ignore[call-overload]
    assert (result.status, result.errors, result.json["runs"]) == (3, [code], [])
    assert result.talk()


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "x"])
def test_a_timeout_that_is_none(gate: Gate, seconds: str) -> None:
    assert (gate.call("import", "--json", "--timeout", seconds).errors, gate.server.tasks) == (["usage"], {})


def test_the_sdk_has_its_deadline(gate: Gate, tmp_path: Path) -> None:
    started = time.monotonic()
    server = Server(gate.server.url, gate.server.url, "key", "secret")
    with (tmp_path / "lock").open("w") as lock, pytest.raises(TimedOut):
        sdk.import_session(
            server, str(tmp_path), completed=True, seconds=0.05, environment=os.environ, lock=lock.fileno()
        )
    assert time.monotonic() - started < 5


def test_another_run_of_the_clone_is_no_candidate(gate: Gate) -> None:
    """Runs on a server are passed over; one that goes on, or whose record cannot be read, is refused."""
    record = ran(gate.repo)
    online = record._replace(sessions=tuple(each._replace(path="") for each in record.sessions))
    running = record._replace(alive=True, exit_status=None, ended="")
    candidates = list(importing.candidates([online, running, Damaged("c/r.json", "it is cut off", "c" * 40), record]))
    assert [(type(each), each.reason) for each in candidates] == [
        (Candidate, "it is still running"), (Imported, "its run record is damaged: it is cut off"), (Candidate, "")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("exit_status", "status"), [(0, "completed"), (1, "failed"), (130, "stopped"), (143, "stopped"), (None, "failed")]
)
def test_the_status_of_a_run(exit_status: int | None, status: str) -> None:
    assert importing.status_of(builders.run(exit_status=exit_status)) == status
