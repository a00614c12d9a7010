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

from git_clearml.base.signals import AGAIN
from git_clearml.clearml import lease
from git_clearml.git import side_ref as side_refs
from git_clearml.git.repository import Repository
from tests.support.clearml_common import Json
from tests.support.clearml_http import CALLS
from tests.support.clearml_server import ClearMLServer
from tests.support.program import assert_no_secrets, command, process_environment
from tests.support.pushing import Yard, make_yard, on_path, refs_of, write_hook
from tests.support.tools import needs

LIMIT = 120.0  # seconds after which a test has failed; none waits for that


# Runs a command in its own process group, and ends all of it after some seconds, as the runner of a CI job does.
AS_A_RUNNER = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, lambda *_: None)
running = subprocess.Popen(sys.argv[2:])
try:
    running.wait(float(sys.argv[1]))
except subprocess.TimeoutExpired:
    os.killpg(0, signal.SIGTERM)
sys.exit(running.wait())
"""


def stranger(running: subprocess.Popen[bytes], number: int) -> None:
    """A signal from somebody who is not the parent."""
    subprocess.run(["/bin/sh", "-c", f"kill -{int(number)} {running.pid}"], check=True)


@dataclass
class Agent:
    """Takes each task at once, if it `takes`; aborts what it is told to, if it `obeys`, after `delay` seconds."""

    server: ClearMLServer
    takes: bool = True
    obeys: bool = True
    delay: float = 0.0
    since: float = 0.0

    def __call__(self, call: str, body: Json) -> None:
        store = self.server.store
        for task in list(store.tasks.values()):
            if self.takes and task["status"] == "queued":
                store.take_off_queues(task["id"])
                CALLS["tasks.started"](store, {"task": task["id"]})
                self.server.add_worker("w1", task=task["id"])
            elif self.obeys and task["status"] == "in_progress" and task["status_message"] == "stopping":
                self.since = self.since or time.monotonic()
                if time.monotonic() < self.since + self.delay:
                    continue
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

    def waits(self) -> Callable[[], bool]:
        """Does it wait for the agent now: has it aborted the task, deleted the side ref, and looked twice since?"""
        looks = [0]

        def waiting() -> bool:
            calls = self.server.calls()
            if "tasks.stop" not in calls or refs_of(self.yard.remote):
                looks[0] = calls.count("tasks.get_all_ex")
            return calls.count("tasks.get_all_ex") >= looks[0] + 2

        return waiting

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


@pytest.mark.parametrize(
    ("number", "where"),
    [
        (signal.SIGINT, "queued"),
        (signal.SIGTERM, "in_progress"),
        (signal.SIGHUP, "in_progress"),
        pytest.param(signal.SIGINT, "in_progress", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, "queued", marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, "queued", marks=pytest.mark.slow),
    ],
)
def test_once(number: int, where: str, stage: Stage) -> None:
    stage.agent.takes = where == "in_progress"
    running = stage.start()
    stage.until(stage.has(where), running)
    stage.until(stage.looked(), running)
    running.send_signal(number)
    ended, document, err = stage.end(running)
    assert (ended, document["outcome"], document["left"]) == (128 + number, "interrupted", [])
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


def test_once_more_stops_the_waiting_and_nothing_else(stage: Stage) -> None:
    stage.agent.obeys = False
    running = stage.start("--archive", "always")
    stage.until(stage.looked(), running)
    stranger(running, signal.SIGINT)
    before = time.monotonic()
    stage.until(stage.waits(), running)
    time.sleep(max(0.0, before + AGAIN + 0.2 - time.monotonic()))
    stranger(running, signal.SIGINT)
    ended, document, err = stage.end(running)
    assert time.monotonic() < before + 30  # not the minute that an agent may take
    assert (ended, document["outcome"]) == (130, "interrupted")
    page = f"{stage.server.url}/projects/*/experiments/{stage.task['id']}/output/log"
    assert document["left"] == [f"see that the agent aborts the task: {page} (it is still in_progress)"]
    assert err.count("git clearml: warning: left behind: ") == 1
    assert "waiting for the agent to abort the task (Ctrl-C stops waiting)" in err
    assert stage.task["system_tags"] == ["archived"]
    stage.nothing_is_left()


@pytest.mark.parametrize("sender", [pytest.param(True, id="parent"), pytest.param(False, id="at once")])
def test_the_first_one_again_changes_nothing(sender: bool, stage: Stage) -> None:
    """What our parent sends is what it has got, whenever that comes; from others it is within two seconds."""
    stage.agent.obeys = False
    running = stage.start()
    stage.until(stage.looked(), running)
    stranger(running, signal.SIGINT)
    if not sender:
        stranger(running, signal.SIGINT)
    stage.until(stage.waits(), running)
    if sender and hasattr(signal, "sigtimedwait"):
        time.sleep(AGAIN + 0.2)
        running.send_signal(signal.SIGINT)
        time.sleep(1.5)
    stage.agent.obeys = True
    ended, document, _ = stage.end(running)
    assert (ended, document["outcome"], document["left"]) == (130, "interrupted", [])
    assert stage.task["status"] == "stopped"
    stage.nothing_is_left()


# Who ends us, and how: everybody of the group gets it, and git passes on what it gets.
WAYS = {
    "timeout": ["timeout", "{seconds}"],
    "timeout -s INT": ["timeout", "-s", "INT", "{seconds}"],
    "timeout --foreground": ["timeout", "--foreground", "{seconds}"],
    "a group": ["{python}", "-c", AS_A_RUNNER, "{seconds}"],
}


@pytest.mark.parametrize(
    ("way", "through"),
    [
        ("timeout", "git"),
        ("timeout -s INT", "git-clearml"),
        ("timeout --foreground", "git"),
        ("a group", "git"),
        *(
            pytest.param(*pair, marks=pytest.mark.slow)
            for pair in zip(WAYS, ("git-clearml", "git", "git-clearml", "git-clearml"), strict=True)
        ),
    ],
)
@needs("timeout")
def test_whoever_ends_all_of_us(way: str, through: str, stage: Stage, tmp_path: Path) -> None:
    """`timeout 14 git clearml check-runnable`: nothing stays, though the signal comes two or three times."""
    stage.agent.delay = 1.0
    name = ["git", "clearml"] if through == "git" else ["git-clearml"]
    words = [word.format(seconds=3, python=sys.executable) for word in WAYS[way]]
    running = subprocess.Popen(
        [*words, *name, "check-runnable", "--format", "json", "--archive", "always"],
        cwd=stage.yard.repo.path,
        env=process_environment({**stage.server.env, "PATH": on_path()}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    stage.until(stage.has("in_progress"), running)
    out, err = running.communicate(timeout=LIMIT)
    document = json.loads(out)
    assert (document["outcome"], document["left"]) == ("interrupted", []), err
    assert document["exit_code"] == (130 if way == "timeout -s INT" else 143)
    assert (stage.task["status"], stage.task["system_tags"]) == ("stopped", ["archived"])
    stage.nothing_is_left()


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
