"""Signals for real: whoever interrupts a check gets back what it has begun, and a kill leaves it to the next check."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from git_clearml.clearml import lease
from git_clearml.git import side_ref as side_refs
from git_clearml.git.repository import Repository
from tests.support.clearml_common import Json
from tests.support.clearml_http import CALLS
from tests.support.clearml_server import ClearMLServer
from tests.support.program import assert_no_secrets, command, process_environment
from tests.support.pushing import Yard, make_yard, on_path, refs_of, write_hook

LIMIT = 120.0  # seconds after which a test has failed; none waits for that


@dataclass
class Agent:
    """Takes each task at once, if it `takes`; aborts what it is told to, if it `obeys`."""

    server: ClearMLServer
    takes: bool = True
    obeys: bool = True

    def __call__(self, call: str, body: Json) -> None:
        store = self.server.store
        for task in list(store.tasks.values()):
            if self.takes and task["status"] == "queued":
                store.take_off_queues(task["id"])
                CALLS["tasks.started"](store, {"task": task["id"]})
                self.server.add_worker("w1", task=task["id"])
            elif self.obeys and task["status"] == "in_progress" and task["status_message"] == "stopping":
                CALLS["tasks.stopped"](store, {"task": task["id"], "status_message": "Changed by clearml-agent w1"})


@dataclass
class Stage:
    yard: Yard
    server: ClearMLServer
    agent: Agent

    def start(self, *words: str, **env: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command("check-runnable", "--format", "json", *words),
            cwd=self.yard.repo.path,
            env=process_environment({**self.server.env, **env}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def until(self, happened: Callable[[], object], running: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + LIMIT
        while not happened():
            assert running.poll() is None, running.communicate()
            assert time.monotonic() < end
            time.sleep(0.02)

    def has(self, status: str) -> Callable[[], bool]:
        return lambda: any(task["status"] == status for task in list(self.server.tasks.values()))

    def looked(self) -> Callable[[], bool]:
        """Has the check seen its task on the queue, or later?"""
        return lambda: len([call for call in self.server.calls() if call == "tasks.get_all_ex"]) >= 4

    def end(self, running: subprocess.Popen[bytes]) -> tuple[int, Json, str]:
        try:
            out, err = running.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:  # a failure of this test, and of no other
            running.kill()
            running.communicate()
            raise
        assert_no_secrets((out + err).decode(), self.server.access_key, self.server.secret_key)
        assert b"Traceback" not in out + err
        document = json.loads(out)
        assert document["exit_code"] == running.returncode
        return running.returncode, document, err.decode()

    @property
    def task(self) -> Json:
        (task,) = self.server.tasks.values()
        return task

    def nothing_is_left(self) -> None:
        assert refs_of(self.yard.remote) == {}
        assert side_refs.recorded(Repository(str(self.yard.repo.path))) == []


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with ClearMLServer() as server:
        yard = make_yard(tmp_path, server)
        yard.repo.commit("main", {"main.py": "print(1)\n"})
        server.add_worker("w1")
        server.hook = agent = Agent(server)
        yield Stage(yard, server, agent)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("where", ["queued", "in_progress"])
def test_once(number: int, status: int, where: str, stage: Stage) -> None:
    stage.agent.takes = where == "in_progress"
    running = stage.start()
    stage.until(stage.has(where), running)
    stage.until(stage.looked(), running)
    running.send_signal(number)
    ended, document, err = stage.end(running)
    assert (ended, document["outcome"], document["left"]) == (status, "interrupted", [])
    assert document["task"] == stage.task["id"]
    assert stage.task["status"] == "stopped"
    assert "left behind" not in err
    assert lease.DONE in stage.task["tags"]
    stage.nothing_is_left()


def test_a_terminal_that_is_closed(stage: Stage) -> None:
    """A window closed, a connection dropped: SIGHUP, and nobody can be told anything any more."""
    ours, theirs = pty.openpty()
    words = [*command("check-runnable"), "--archive", "always"]
    running = subprocess.Popen(
        [sys.executable, "-c", _AT_A_TERMINAL, *words],
        cwd=stage.yard.repo.path,
        env=process_environment(stage.server.env),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    stage.until(stage.has("in_progress"), running)
    stage.until(stage.looked(), running)
    os.close(ours)
    assert running.wait(LIMIT) == 3  # the result could not be printed
    assert (stage.task["status"], stage.task["system_tags"]) == ("stopped", ["archived"])
    stage.nothing_is_left()


_AT_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_nohup_goes_on(stage: Stage) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        running = stage.start()
    finally:
        signal.signal(signal.SIGHUP, before)
    stage.until(stage.has("in_progress"), running)
    running.send_signal(signal.SIGHUP)
    CALLS["tasks.completed"](stage.server.store, {"task": stage.task["id"]})
    ended, document, _ = stage.end(running)
    assert (ended, document["outcome"]) == (0, "runnable")


def test_the_abort_comes_first(stage: Stage) -> None:
    """Whoever cancels a CI job gives it seconds. What is asked for first is done, whatever becomes of the rest."""
    stage.agent.obeys = False
    running = stage.start()
    stage.until(stage.looked(), running)
    stage.server.reset_log()
    running.send_signal(signal.SIGTERM)
    ended, document, _ = stage.end(running)
    assert (ended, document["outcome"]) == (143, "interrupted")
    changing = [call for call in stage.server.calls() if not call.startswith(("tasks.get", "events.", "queues."))]
    assert changing[0] == "tasks.stop"
    assert stage.task["status_message"] == "stopping"
    assert [line.partition(":")[0] for line in document["left"]] == ["see that the agent aborts the task"]
    assert lease.DONE not in stage.task["tags"]  # it may be running on: the next check looks
    stage.nothing_is_left()


def test_twice_stops_the_waiting_and_says_what_is_left(stage: Stage) -> None:
    stage.agent.obeys = False
    running = stage.start("--archive", "always")
    stage.until(stage.looked(), running)
    running.send_signal(signal.SIGINT)
    stage.until(lambda: stage.server.calls().count("tasks.stop"), running)
    stage.until(lambda: refs_of(stage.yard.remote) == {}, running)
    looks = lambda: stage.server.calls().count("tasks.get_all_ex")  # noqa: E731
    before = looks()
    stage.until(lambda: looks() >= before + 2, running)  # it has looked once, waits for the agent, and looks again
    running.send_signal(signal.SIGINT)
    ended, document, err = stage.end(running)
    assert (ended, document["outcome"]) == (130, "interrupted")
    page = f"{stage.server.url}/projects/*/experiments/{stage.task['id']}/output/log"
    assert document["left"] == [f"see that the agent aborts the task: {page}", f"archive the task: {page}"]
    assert err.count("git clearml: warning: left behind: ") == 2
    assert "waiting for the agent to abort the task (Ctrl-C stops waiting)" in err


def test_while_the_side_ref_is_pushed(stage: Stage, tmp_path: Path) -> None:
    hook = stage.yard.remote.path / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/reached'\nsleep 20\n")
    hook.chmod(0o755)
    running = stage.start()
    stage.until((tmp_path / "reached").exists, running)
    running.send_signal(signal.SIGINT)
    ended, document, _ = stage.end(running)
    assert (ended, document["outcome"], document["task"]) == (130, "interrupted", None)
    assert stage.server.tasks == {}
    assert refs_of(stage.yard.remote) == {}
    (record,) = side_refs.recorded(Repository(str(stage.yard.repo.path)))
    (line,) = document["left"]  # whether it arrives after all is not for us to see
    assert line.startswith(f"delete the side ref: git push origin --delete {record.ref} (")
    assert "it may still arrive" in line


def test_right_after_the_push(stage: Stage, tmp_path: Path) -> None:
    """The side ref has arrived, and git is looking for the tracking ref of it."""
    looks = f"*' for-each-ref --format=%(refname) '*) touch '{tmp_path}/reached'; exec sleep 20;;"
    script = f'#!/bin/sh\ncase " $* " in {looks} esac\nexec {shutil.which("git")} "$@"\n'
    write_hook(tmp_path / "bin" / "git", script)
    running = stage.start(PATH=on_path(tmp_path / "bin"))
    stage.until((tmp_path / "reached").exists, running)
    assert len(refs_of(stage.yard.remote)) == 1
    running.send_signal(signal.SIGINT)
    ended, document, _ = stage.end(running)
    assert (ended, document["outcome"], document["left"]) == (130, "interrupted", [])
    stage.nothing_is_left()


def test_while_the_side_ref_is_pushed_to_a_remote_that_deletes_nothing(stage: Stage, tmp_path: Path) -> None:
    """It has arrived, and cannot be taken back: it is named."""
    stage.yard.remote.git("config", "receive.denyDeletes", "true")
    write_hook(stage.yard.remote.path / "hooks/post-receive", f"#!/bin/sh\ntouch '{tmp_path}/reached'\nexec sleep 20\n")
    running = stage.start()
    stage.until((tmp_path / "reached").exists, running)
    running.send_signal(signal.SIGINT)
    ended, document, err = stage.end(running)
    (ref,) = refs_of(stage.yard.remote)
    (line,) = document["left"]
    assert (ended, line.partition(" (")[0]) == (130, f"delete the side ref: git push origin --delete {ref}")
    assert f"left behind: {line}" in err


def test_one_empty_list_of_tasks(stage: Stage) -> None:
    """A replica that lags, rights that change for a moment: the task may be there all the same, and is aborted."""
    own, emptied = stage.server._backend.answer, []

    def answer(path: str, authorization: str | None, body: Any, lines: bool) -> tuple[int, Json]:
        status, document = own(path, authorization, body, lines)
        if path.endswith("tasks.get_all_ex") and b"last_metrics" in body and not emptied:
            emptied.append(document["data"]["tasks"])
            document = {**document, "data": {"tasks": []}}
        return status, document

    stage.server._backend.answer = answer  # type: ignore[method-assign]
    ended, document, _ = stage.end(stage.start())
    assert len(emptied[0]) == 1
    assert (ended, document["outcome"], document["left"]) == (3, "undecided", [])
    assert stage.task["status"] == "stopped"
    stage.nothing_is_left()


def test_a_task_that_was_deleted_is_borne(stage: Stage) -> None:
    running = stage.start()
    stage.until(stage.looked(), running)
    stage.server.tasks.clear()
    ended, document, err = stage.end(running)
    assert (ended, document["outcome"], document["cause"], document["left"]) == (3, "undecided", "deleted", [])
    assert "left behind" not in err
    stage.nothing_is_left()


@pytest.mark.parametrize("where", ["queued", "in_progress"])
def test_a_kill_is_swept_by_the_next_check(where: str, stage: Stage) -> None:
    stage.agent.takes = where == "in_progress"
    running = stage.start()
    stage.until(stage.has(where), running)
    running.kill()
    running.communicate()
    left = stage.task["id"]
    assert stage.task["status"] == where
    (ref,) = refs_of(stage.yard.remote)
    assert ref.startswith("refs/heads/git-clearml/")

    stage.agent.takes = True

    def completes(call: str, body: Any) -> None:
        stage.agent(call, body)
        for name, task in stage.server.tasks.items():
            if name != left and task["status"] == "in_progress":
                CALLS["tasks.completed"](stage.server.store, {"task": name})

    stage.server.hook = completes
    ended, document, err = stage.end(stage.start())
    assert (ended, document["outcome"]) == (0, "runnable")
    assert f"swept an abandoned check: task {left}" in err
    assert (stage.server.tasks[left]["status"], "archived" in stage.server.tasks[left]["system_tags"]) == (
        "stopped",
        True,
    )
    stage.nothing_is_left()


def test_verify_is_interrupted_as_well(stage: Stage) -> None:
    stage.yard.task()
    stage.agent.takes = False
    running = subprocess.Popen(
        command("verify", "--check-runnable"),
        cwd=stage.yard.repo.path,
        env=process_environment(stage.server.env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    stage.until(stage.has("queued"), running)
    stage.until(lambda: stage.server.calls().count("tasks.get_all_ex") >= 5, running)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=LIMIT)
    assert (running.returncode, out) == (130, b"")
    assert err.endswith(b"git clearml: interrupted\n")
    assert sorted(task["status"] for task in stage.server.tasks.values()) == ["completed", "stopped"]
    stage.nothing_is_left()
