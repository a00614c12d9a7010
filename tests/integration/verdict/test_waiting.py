"""`verify --wait` and `--add-tag`, and how the program is interrupted."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.faults import closed_port
from tests.support.program import Gate, assert_no_secrets, command, process_environment

BY_SERVER = "tasks.get_all_ex"


@pytest.fixture(autouse=True)
def _quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("git_clearml.report.verify_steps._POLLS", (0.01, 0.02))


def after(asked: int, change: Callable[[], None]) -> Callable[[str, Any], None]:
    """A hook of the server that makes a change before the question of that number."""
    seen = [0]

    def hook(call: str, _: Any) -> None:
        seen[0] += call == BY_SERVER
        if seen[0] == asked:
            change()

    return hook


def test_waiting_until_the_task_completes(gate: Gate) -> None:
    identity = gate.task(status="queued")
    task = gate.server.tasks[identity]
    gate.server.hook = after(8, lambda: task.update(status="completed"))
    result = gate.verify("--wait")
    assert (result.status, result.commit["task"]["id"]) == (0, identity)
    assert len(result.calls) >= 8
    assert result.err == ""


def test_waiting_until_the_task_fails(gate: Gate) -> None:
    task = gate.server.tasks[gate.task(status="in_progress")]
    gate.server.hook = after(5, lambda: task.update(status="failed"))
    result = gate.verify("--wait")
    assert (result.status, result.codes) == (1, ["failed"])


@pytest.mark.parametrize(("fields", "status"), [({}, 0), ({"status": "failed"}, 1)])
def test_nothing_to_wait_for(gate: Gate, fields: dict[str, str], status: int) -> None:
    gate.task(**fields)
    assert gate.verify("--wait", "--wait-timeout", "100").status == status


@pytest.mark.parametrize("status", [503, 502, 429, 500, 0])
def test_the_server_is_away_for_a_while(gate: Gate, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("git_clearml.base.http.RETRY_DELAYS", (0.0, 0.0))
    identity = gate.task(status="in_progress")

    def away() -> None:
        gate.server.fail_next(status, count=12)
        gate.server.tasks[identity]["status"] = "completed"

    gate.server.hook = after(4, away)
    assert gate.verify("--wait").commit["task"]["id"] == identity


@pytest.mark.parametrize(("status", "code"), [(503, "unreachable"), (500, "bad-answer")])
def test_the_server_goes_away_while_waiting(
    gate: Gate, status: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("git_clearml.base.http.RETRY_DELAYS", (0.0, 0.0))
    monkeypatch.setattr("git_clearml.base.patience.SECONDS", 0.2)
    gate.task(status="in_progress")
    gate.server.hook = after(4, lambda: gate.server.fail_next(status, count=100_000))
    result = gate.verify("--wait")
    assert (result.status, result.errors) == (3, [code])
    assert "the server has been unavailable" in result.json["notes"][-1]


@pytest.mark.parametrize("status", [401, 403])
def test_what_waiting_does_not_help_ends_it(gate: Gate, status: int) -> None:
    gate.task(status="in_progress")
    gate.server.hook = after(4, lambda: gate.server.fail_next(status, count=100_000))
    assert gate.verify("--wait").status == 3


def test_a_server_that_starts_is_waited_for(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("git_clearml.base.http.RETRY_DELAYS", (0.0, 0.0))
    gate.task()
    gate.server.fail_next(503, count=9)
    assert gate.verify("--wait").status == 0
    gate.server.fail_next(503, count=9)
    assert gate.verify().errors == ["unreachable"]
    gate.server.reset_log()


def test_one_that_never_answered_is_not(gate: Gate) -> None:
    """It may be the wrong one."""
    env = {"CLEARML_API_HOST": f"http://127.0.0.1:{closed_port()}"}
    started = time.monotonic()
    assert gate.verify("--wait", env=env).errors == ["unreachable"]
    assert time.monotonic() - started < 100


def test_the_wait_timeout_is_for_a_server_that_is_away_too(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("git_clearml.base.http.RETRY_DELAYS", (0.0, 0.0))
    gate.server.fail_next(503, count=100_000)
    result = gate.verify("--wait", "--wait-timeout", "0.2")
    assert (result.status, result.errors) == (3, ["unreachable"])
    assert result.json["notes"] == ["the server is still unavailable after 0.2 s (--wait-timeout)"]


@pytest.mark.parametrize("from_variable", [True, False])
def test_waiting_has_an_end(gate: Gate, from_variable: bool) -> None:
    gate.task(status="in_progress")
    started = time.monotonic()
    if from_variable:
        result = gate.verify("--wait", env={"GIT_CLEARML_WAIT_TIMEOUT": "0.1"})
    else:
        result = gate.verify("--wait", "--wait-timeout", "0.1")
    assert time.monotonic() - started < 60
    assert (result.status, result.json["outcome"]) == (4, "pending")
    assert result.json["notes"] == ["still pending after 0.1 s (--wait-timeout)"]


def test_each_asking_has_a_budget_of_its_own(gate: Gate) -> None:
    gate.server.latency = 0.3
    task = gate.server.tasks[gate.task(status="in_progress")]
    gate.server.hook = after(7, lambda: task.update(status="completed"))
    assert gate.verify("--wait", "--timeout", "2").status == 0


def test_not_waiting_when_not_asked(gate: Gate) -> None:
    gate.task(status="queued")
    assert gate.verify("--wait-timeout", "100").status == 4


@pytest.fixture
def waiting(gate: Gate) -> Iterator[subprocess.Popen[str]]:
    """A process that waits for a running task; it has asked once."""
    gate.task(status="in_progress")
    asked = threading.Event()
    gate.server.hook = after(3, asked.set)
    environment = process_environment({**gate.server.env, "GIT_CLEARML_TIMEOUT": "5"})
    process = subprocess.Popen(
        command("verify", "--wait", "--verbose"),
        cwd=gate.repo.path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert asked.wait(120)
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_while_waiting(waiting: subprocess.Popen[str], gate: Gate, number: int, status: int) -> None:
    started = time.monotonic()
    waiting.send_signal(number)
    out, err = waiting.communicate(timeout=120)
    assert waiting.returncode == status
    assert time.monotonic() - started < 60
    assert out == ""
    assert err.splitlines()[-1] == "git clearml: interrupted"
    assert "Traceback" not in err
    assert_no_secrets(err, gate.server.access_key, gate.server.secret_key)


def test_interrupted_while_the_server_is_silent(gate: Gate) -> None:
    from tests.support import faults

    with faults.silent() as server:
        env = process_environment({**gate.server.env, "CLEARML_API_HOST": f"http://127.0.0.1:{server.port}"})
        process = subprocess.Popen(
            command("verify"), cwd=gate.repo.path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        while not server.connections and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (130, "git clearml: interrupted\n")


# --- --add-tag ---------------------------------------------------------------------------------------------------


def tags(gate: Gate, identity: str) -> list[str]:
    return list(gate.server.tasks[identity]["tags"])


def test_the_accepting_task_is_tagged(gate: Gate) -> None:
    identity = gate.task(tags=["mine"])
    other = gate.task(status="failed")
    result = gate.accepts("--add-tag", "main_branch", requests=2)
    assert result.calls == (BY_SERVER, "tasks.update_tags")
    assert gate.server.requests[-1].body == {"ids": [identity], "add_tags": ["main_branch"]}
    assert (tags(gate, identity), tags(gate, other)) == (["main_branch", "mine"], [])
    assert result.json["notes"] == [f"put tag 'main_branch' on 1 task: {identity}"]


def test_the_tasks_of_all_commits_are_tagged_in_one_call(gate: Gate) -> None:
    first = gate.repo.head
    one = gate.task()
    gate.repo.commit("two")
    two = gate.task()
    result = gate.accepts("--add-tag", "x y", first, "HEAD", requests=2)
    assert (tags(gate, one), tags(gate, two)) == (["x y"], ["x y"])
    assert "on 2 tasks" in result.json["notes"][0]


def test_no_tag_unless_every_commit_is_verified(gate: Gate) -> None:
    first = gate.repo.head
    identity = gate.task()
    gate.repo.commit("two")
    result = gate.verify("--add-tag", "x", first, "HEAD")
    assert result.status == 1
    assert "tasks.update_tags" not in result.calls
    assert tags(gate, identity) == []


@pytest.mark.parametrize("status", ["failed", "in_progress", "queued"])
def test_no_tag_without_a_pass(gate: Gate, status: str) -> None:
    gate.task(status=status)
    assert "tasks.update_tags" not in gate.verify("--add-tag", "x").calls


def test_a_dry_run_only_says_it(gate: Gate) -> None:
    identity = gate.task()
    result = gate.accepts("--add-tag", "x", "--dry-run")
    assert result.json["notes"] == [f"would put tag 'x' on 1 task: {identity}"]
    assert tags(gate, identity) == []
    assert f"would put tag 'x' on 1 task: {identity}" in gate.call("verify", "--add-tag", "x", "-n").out


def test_a_tag_that_could_not_be_put(gate: Gate) -> None:
    gate.task()
    gate.server.fail_next(403, call="tasks.update_tags")
    result = gate.verify("--add-tag", "x")
    assert (result.status, result.json["exit_code"], result.json["outcome"]) == (3, 3, "verified")
    assert result.errors == ["publish-failed"]
    assert result.commit["outcome"] == "verified"
    assert result.talk()[0].startswith("verified, but not tagged: ")


def test_a_task_that_vanished_before_the_tag(gate: Gate) -> None:
    identity = gate.task()

    def vanish(call: str, _: Any) -> None:
        if call == "tasks.update_tags":
            del gate.server.tasks[identity]

    gate.server.hook = vanish
    result = gate.verify("--add-tag", "x")
    assert (result.status, result.errors) == (3, ["publish-failed"])
    assert result.talk()[1]


@pytest.mark.parametrize("tag", ["", "  "])
def test_an_empty_tag(gate: Gate, tag: str) -> None:
    result = gate.verify("--add-tag", tag)
    assert (result.status, result.errors, result.calls) == (2, ["usage"], ())


def test_local_evidence_bears_no_tags(gate: Gate) -> None:
    result = gate.verify("--add-tag", "x", "--evidence", "offline")
    assert (result.status, result.errors, result.calls) == (2, ["usage"], ())
    assert "needs a ClearML server" in result.talk()[0]
