"""`git clearml run --queue`: launched at the exact commit, followed, found again, recorded."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from git_clearml.agent import poll
from git_clearml.agent.launch import NO_PACKAGES
from git_clearml.base import patience, signals
from git_clearml.clearml import tasks
from tests.support.clearml_common import now, stamp
from tests.support.clearml_server import ClearMLServer
from tests.support.program import Result, inside, process_environment
from tests.support.program import command as program
from tests.support.pushing import Yard, make_yard, on_path
from tests.support.robot import Robot, log

DONE = ("take", "report", "complete")


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    monkeypatch.setattr(poll, "pause", lambda *_: 0.01)
    with ClearMLServer() as server:
        yard = make_yard(tmp_path, server)
        server.add_queue("gpu")
        yield yard


def run(yard: Yard, *words: str, cwd: Path | None = None, **env: str | None) -> Result:
    yard.server.reset_log()
    done = inside("run", *words, cwd=cwd or yard.repo.path, env={**yard.server.env, **env})
    assert "Traceback" not in done.out + done.err, done.err
    assert yard.server.secret_key not in done.out + done.err
    return Result(done.status, done.out, done.err, tuple(yard.server.calls()))


def launched(yard: Yard) -> list[dict[str, Any]]:
    """The tasks that we have launched."""
    return [task for task in yard.server.tasks.values() if "git_clearml_launch" in json.dumps(task["hyperparams"])]


def only(yard: Yard) -> dict[str, Any]:
    (task,) = launched(yard)
    return task


def side_refs(yard: Yard) -> list[str]:
    out = yard.remote.git("for-each-ref", "--format=%(refname)", "refs/heads/git-clearml")
    return out.splitlines()


# --- what gets launched ---------------------------------------------------------------------------------------------


def test_launch_and_go(yard: Yard) -> None:
    yard.publish()
    Robot(yard.server)
    done = run(yard, "--queue", "gpu", "--", "python", "train.py", "--lr", "0.1", "--name", "a b")
    task = only(yard)
    assert done.status == 0
    assert done.out.splitlines() == [task["id"], f"{yard.server.url}/projects/*/experiments/{task['id']}/output/log"]
    script = task["script"]
    assert script["version_num"] == yard.repo.head
    assert (script["entry_point"], script["working_dir"]) == ("train.py --lr 0.1 --name 'a b'", ".")
    assert (script["diff"], script["requirements"]) == ("", {"pip": NO_PACKAGES})
    assert script["repository"] == yard.remote.path.as_uri()
    assert (task["status"], task["name"], task["type"]) == ("queued", "train", "training")
    assert yard.server.store.projects[task["project"]]["name"] == "remote"
    assert side_refs(yard) == []


def test_everything_from_flags_and_policy(yard: Yard) -> None:
    policy = ('project = "Vision/Detector"', 'task-name = "train"', "[tool.git-clearml.runnable]")
    yard.repo.write({"requirements.txt": "numpy\n", "src/train.py": "print()\n"})
    yard.repo.policy(*policy, 'docker = "nvidia/cuda:12 --ipc=host"')
    yard.publish()
    Robot(yard.server)
    assert run(yard, "--queue", "gpu", "--", "python3.11", "train.py", cwd=yard.repo.path / "src").status == 0
    task = only(yard)
    assert (task["script"]["entry_point"], task["script"]["working_dir"]) == ("train.py", "src")
    assert task["script"]["requirements"] == {"pip": "numpy\n"}
    assert task["container"] == {"image": "nvidia/cuda:12", "arguments": "--ipc=host"}
    assert (task["name"], yard.server.store.projects[task["project"]]["name"]) == ("train", "Vision/Detector")
    flags = ("--project", "Other/Place", "--task-name", "mine", "--docker", "slim", "--packages", "torch==2 pandas")
    run(yard, "--queue", "gpu", *flags, "--tag", "x", "--tag", "y", "--", "/usr/bin/python", "-m", "src.train", "now")
    other = next(each for each in launched(yard) if each["id"] != task["id"])
    assert other["script"]["entry_point"] == "-m src.train now"
    assert other["script"]["requirements"] == {"pip": "torch==2\npandas\n"}
    assert (other["container"], other["tags"]) == ({"image": "slim", "arguments": ""}, ["x", "y"])
    assert (other["name"], yard.server.store.projects[other["project"]]["name"]) == ("mine", "Other/Place")


def test_no_packages_are_not_the_repositorys_own(yard: Yard) -> None:
    """An empty text would make clearml-agent install the commit's requirements.txt."""
    yard.repo.commit("needs", {"requirements.txt": "numpy\n"})
    yard.publish()
    Robot(yard.server)
    assert run(yard, "--queue", "gpu", "--requirements", "none", "--", "python", "train.py").status == 0
    assert only(yard)["script"]["requirements"] == {"pip": NO_PACKAGES}


def test_a_step_of_a_job_gets_the_task(yard: Yard, tmp_path: Path) -> None:
    yard.publish()
    Robot(yard.server)
    output = tmp_path / "output"
    words = ("--queue", "gpu", "--", "python", "train.py")
    event = tmp_path / "event.json"
    event.write_text("{}")
    job = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output), "GITHUB_SHA": yard.repo.head}
    job |= {"GITHUB_REPOSITORY": "o/r", "GITHUB_EVENT_NAME": "workflow_dispatch", "GITHUB_EVENT_PATH": str(event)}
    done = run(yard, *words, **job)
    assert done.status == 0, done.err
    lines = output.read_text().splitlines()
    assert lines[[line.partition("<<")[0] for line in lines].index("task-id") + 1] == only(yard)["id"]
    assert any(line.endswith(f"/experiments/{only(yard)['id']}/output/log") for line in lines)


def test_an_empty_name_trains_nowhere(yard: Yard) -> None:
    """As `--queue "$QUEUE"` gives one where the variable is not set."""
    for flag, words in (("--queue", ()), ("--attach", ()), ("--from", ("--queue", "gpu"))):
        done = run(yard, *words, flag, "", "--", "sh", "-c", "touch ../ran-here")
        assert (done.status, done.calls) == (2, ())
        assert done.talk()[0] == f"{flag} is empty"
    assert not (yard.repo.path.parent / "ran-here").exists()


def test_what_no_agent_runs(yard: Yard) -> None:
    for words in (("make", "train"), ("python", "-m", "not-a-module")):  # more of them: test_queue_command.py
        done = run(yard, "--queue", "gpu", "--", *words)
        assert (done.status, done.calls) == (2, ()), words
        assert "git clearml run -" in done.talk()[1]


def test_flags_that_do_not_go_together(yard: Yard) -> None:
    for words in (
        ("--attach", "x", "--queue", "gpu"),
        ("--attach", "x", "--", "python", "train.py"),
        ("--from", "x", "--", "python", "train.py"),
        ("--queue", "gpu"),
        ("--wait", "--", "true"),
        ("--docker", "x", "--", "true"),
        ("--queue", "gpu", "--add", "x", "--", "python", "train.py"),
        ("--push-record", "--", "true"),
        ("--queue", "gpu", "--record", "notes", "--", "python", "train.py"),
    ):
        done = run(yard, *words)
        assert (done.status, done.calls) == (2, ()), words
    assert launched(yard) == []


def test_a_script_that_the_commit_lacks(yard: Yard) -> None:
    yard.repo.write({"new.py": "print()\n"})
    done = run(yard, "--queue", "gpu", "--", "python", "new.py")
    assert (done.status, done.calls) == (1, ())
    assert "new.py is not in commit" in done.err
    assert "hint: git add new.py && git commit" in done.err
    done = run(yard, "--queue", "gpu", "--", "python", "nowhere.py")
    assert (done.status, done.calls) == (1, ())
    assert "hint: git ls-files '*.py'" in done.err, "git add of a file that is not there is refused"


def test_uncommitted_changes_do_not_go_along(yard: Yard) -> None:
    yard.publish()
    Robot(yard.server)
    yard.repo.write({"train.py": "print('other')\n"})
    done = run(yard, "--queue", "gpu", "--", "python", "train.py")
    assert (done.status, launched(yard)) == (1, [])
    assert "uncommitted changes in train.py" in done.err
    assert run(yard, "--queue", "gpu", "--allow-dirty", "--", "python", "train.py").status == 0
    assert only(yard)["script"]["diff"] == ""


def test_an_unknown_queue(yard: Yard) -> None:
    yard.server.add_worker("w", ["cpu"])
    done = run(yard, "--queue", "gpux", "--", "python", "train.py")
    assert (done.status, launched(yard)) == (2, [])
    assert "cpu" in done.talk()[0]
    assert {queue["name"] for queue in yard.server.store.queues.values()} == {"default", "gpu", "cpu"}


def test_a_queue_without_workers_waits_for_one(yard: Yard) -> None:
    yard.publish()
    done = run(yard, "--queue", "gpu", "--", "python", "train.py")
    assert (done.status, only(yard)["status"]) == (0, "queued")
    assert "queue 'gpu' has no active workers" in done.err


def silent_for(yard: Yard, seconds: float) -> None:
    """The agent was killed so long ago. The server forgets it after 600 s, what it reported on the task it keeps."""
    (worker,) = yard.server.store.workers.values()
    worker["last_activity_time"] = stamp(now() - timedelta(seconds=seconds))
    for task in launched(yard):
        task["last_worker_report"] = stamp(now() - timedelta(seconds=seconds))


def test_a_dead_agents_last_sign_of_life_is_told_at_the_launch(yard: Yard) -> None:
    Robot(yard.server)
    silent_for(yard, 240)
    done = run(yard, "--queue", "gpu", "--", "python", "train.py")
    assert "queue 'gpu' has no active workers; its agent robot:gpu:0 was last seen 4 minutes ago" in done.err


def test_a_dead_agents_last_sign_of_life_is_told_after_waiting_in_vain(yard: Yard) -> None:
    Robot(yard.server, "take", lambda _: silent_for(yard, 7300))
    done = run(yard, "--queue", "gpu", "--wait", "--wait-timeout", "0.05", "--", "python", "train.py")
    assert (done.status, only(yard)["status"]) == (4, "in_progress")
    assert "; its agent robot:gpu:0 was last seen 2 hours ago" in done.out


def test_no_credentials(yard: Yard) -> None:
    done = inside("run", "--queue", "gpu", "--", "python", "train.py", cwd=yard.repo.path)
    assert done.status == 3
    assert "credentials" in done.err


def test_dry_run(yard: Yard) -> None:
    done = run(yard, "--queue", "gpu", "--dry-run", "--", "python", "train.py")
    assert (done.status, done.calls, launched(yard), side_refs(yard)) == (0, (), [], [])
    assert json.loads(done.out)["script"]["version_num"] == yard.repo.head


def test_the_tag_whose_push_started_the_job(yard: Yard) -> None:
    yard.publish()
    Robot(yard.server)
    run(yard, "--queue", "gpu", "--", "python", "train.py", GITHUB_REF_TYPE="tag", GITHUB_REF_NAME="run-1")
    assert only(yard)["tags"] == ["run-1"]


# --- evidence -------------------------------------------------------------------------------------------------------


def test_the_task_is_evidence(yard: Yard) -> None:
    yard.publish()
    Robot(yard.server, *DONE)
    done = run(yard, "--queue", "gpu", "--wait", "--", "python", "train.py")
    assert done.status == 0
    assert 'completed "train": the task completed' in done.out
    assert "0.25" in done.out
    verdict = inside("verify", "--format", "json", cwd=yard.repo.path, env=yard.server.env)
    assert (verdict.status, verdict.commit["task"]["id"]) == (0, only(yard)["id"])


def test_a_team_that_trains_on_queues_only(yard: Yard) -> None:
    """Every branch is protected, and the commit gets to the agent all the same."""
    yard.install()
    yard.refuses("origin", "main")
    Robot(yard.server, *DONE)
    done = run(yard, "--queue", "gpu", "--wait", "--", "python", "train.py", PATH=on_path())
    assert done.status == 0, done.err
    assert "pushed temporarily as refs/heads/git-clearml/" in done.err
    assert side_refs(yard) == []
    yard.accepts("origin", "main", moved=["refs/heads/main"])


def test_a_module_of_others_is_no_evidence_and_says_so(yard: Yard) -> None:
    yard.publish()
    Robot(yard.server, *DONE)
    done = run(yard, "--queue", "gpu", "--wait", "--", "python", "-m", "pytest", "tests")
    assert "-m pytest is not a module of the commit: the task will not count as evidence" in done.err
    assert (done.status, only(yard)["type"]) == (0, "testing")
    assert inside("verify", cwd=yard.repo.path, env=yard.server.env).status == 1


# --- waiting --------------------------------------------------------------------------------------------------------


def test_how_it_ends(yard: Yard) -> None:
    yard.publish()
    for step, status in (
        ("complete", 0),
        ("fail", 1),
        ("stop", 1),
        ("reset", 3),
        ("delete", 3),
        ("publish", 3),
        ("close", 3),
    ):
        Robot(yard.server, "wait", "take", "report", step)
        done = run(yard, "--queue", "gpu", "--wait", "--tag", step, "--", "python", "train.py")
        assert done.status == status, step + done.err


def test_a_timeout_is_never_success_and_leaves_the_task(yard: Yard) -> None:
    Robot(yard.server, "take")
    done = run(yard, "--queue", "gpu", "--wait", "--wait-timeout", "0.05", "--", "python", "train.py")
    assert (done.status, only(yard)["status"]) == (4, "in_progress")
    assert "still in_progress after" in done.out
    assert f"to wait again: git clearml run --attach {only(yard)['id']}\n" in done.err
    assert len(side_refs(yard)) == 1


def test_a_timeout_with_abort(yard: Yard) -> None:
    Robot(yard.server, "take")
    flags = ("--wait", "--wait-timeout", "0.05", "--abort-on-interrupt")
    done = run(yard, "--queue", "gpu", *flags, "--", "python", "train.py")
    assert (done.status, only(yard)["status"], side_refs(yard)) == (1, "stopped", [])


def test_a_server_that_goes_away_for_a_while(yard: Yard) -> None:
    yard.publish()
    robot = Robot(yard.server, "take", "wait", "wait", "complete")
    robot.steps[1] = lambda _: yard.server.fail_next(500, count=2)
    done = run(yard, "--queue", "gpu", "--wait", "--", "python", "train.py")
    assert done.status == 0, done.err
    assert "the server does not answer" in done.err


def test_the_log_is_followed_without_the_agents_configuration(yard: Yard) -> None:
    yard.publish()

    def talk(task: dict[str, Any]) -> None:
        secret = f"api.credentials.access_key = {yard.server.access_key}"
        log(yard.server, task["id"], "Current configuration (clearml_agent v3)\n" + secret, "Executing task id [x]:\n")

    def more(task: dict[str, Any]) -> None:
        log(yard.server, task["id"], "epoch 1\r 50%\r 100%", "\x1b[31mred\x1b[0m", start=1_700_000_000_001)

    Robot(yard.server, "take", talk, more, "complete")
    done = run(yard, "--queue", "gpu", "--follow", "--", "python", "train.py")
    assert done.status == 0
    lines = done.out.splitlines()
    assert "Executing task id [x]:" in lines
    assert " 100%" in lines or "100%" in [line.strip() for line in lines]
    assert sum("red" in line for line in lines) == 1
    assert "\x1b" not in done.out
    assert yard.server.access_key not in done.out


def without_variables(yard: Yard, tmp_path: Path) -> dict[str, str | None]:
    """The server's credentials in a clearml.conf alone."""
    server, conf = yard.server, tmp_path / "clearml.conf"
    keys = f'credentials {{ access_key: "{server.access_key}", secret_key: "{server.secret_key}" }}'
    conf.write_text(f'api {{ api_server: "{server.url}", web_server: "{server.url}", {keys} }}\n')
    return {**dict.fromkeys(server.env), "CLEARML_CONFIG_FILE": str(conf)}


@pytest.mark.parametrize(("flag", "end"), [("--follow", "complete"), ("--wait", "fail")])
def test_secrets_in_the_log_are_struck(flag: str, end: str, yard: Yard, tmp_path: Path) -> None:
    """Those of clearml.conf (see `run`), and those of the environment."""
    yard.publish()
    text = f"RuntimeError: hunter2hunter2 refused, key {yard.server.secret_key}"
    Robot(yard.server, "take", lambda task: log(yard.server, task["id"], text), "wait", end)
    env = {**without_variables(yard, tmp_path), "MY_TOKEN": "hunter2hunter2"}
    done = run(yard, "--queue", "gpu", flag, "--", "python", "train.py", **env)
    assert "RuntimeError: [secret] refused, key [secret]" in done.out


def test_a_test_session_shows_its_summary(yard: Yard) -> None:
    yard.publish()
    lines = ("x", "===== 3 passed, 1 skipped in 0.10s =====")
    Robot(yard.server, "take", lambda task: log(yard.server, task["id"], *lines), "fail")
    done = run(yard, "--queue", "gpu", "--wait", "--", "python", "-m", "pytest")
    assert done.status == 1
    assert "tests: 3 passed, 1 skipped in 0.10s" in done.out


def test_a_failure_shows_the_end_of_the_log(yard: Yard) -> None:
    yard.publish()
    Robot(yard.server, "take", lambda task: log(yard.server, task["id"], "ValueError: no data"), "fail")
    done = run(yard, "--queue", "gpu", "--wait", "--", "python", "train.py")
    assert done.status == 1
    assert "ValueError: no data" in done.out


# --- found again ----------------------------------------------------------------------------------------------------


def test_the_same_call_attaches_while_the_task_runs(yard: Yard) -> None:
    yard.publish()
    robot = Robot(yard.server)
    first = run(yard, "--queue", "gpu", "--", "python", "train.py")
    robot.steps[:] = DONE
    robot.looked.clear()
    second = run(yard, "--queue", "gpu", "--wait", "--", "python", "train.py")
    assert (first.status, second.status) == (0, 0)
    assert only(yard)["id"] == second.out.splitlines()[0]
    assert "attached to the task" in second.err
    third = run(yard, "--queue", "gpu", "--", "python", "train.py")
    assert third.out.splitlines()[0] != second.out.splitlines()[0]
    assert len(launched(yard)) == 2


def test_another_call_launches_another_task(yard: Yard) -> None:
    yard.publish()
    Robot(yard.server)
    run(yard, "--queue", "gpu", "--", "python", "train.py")
    for number, (flags, words) in enumerate(
        ((("--tag", "x"), ()), (("--task-name", "other"), ()), ((), ("--lr", "1")))
    ):
        run(yard, "--queue", "gpu", *flags, "--", "python", "train.py", *words)
        assert len(launched(yard)) == 2 + number


def test_a_clone_of_our_task_is_not_taken_for_it(yard: Yard) -> None:
    yard.publish()
    Robot(yard.server)
    run(yard, "--queue", "gpu", "--", "python", "train.py")
    ours = only(yard)
    with yard.server.store.lock:
        ours["status"] = "completed"
        copy = {**json.loads(json.dumps(ours)), "id": "c" * 32, "status": "in_progress", "parent": ours["id"]}
        yard.server.tasks["c" * 32] = copy
    done = run(yard, "--queue", "gpu", "--", "python", "train.py")
    assert "launched the task" in done.err
    assert done.out.splitlines()[0] not in (ours["id"], "c" * 32)


def process(yard: Yard, *words: str) -> subprocess.Popen[str]:
    """`git clearml run` in a process of its own, which polls as it does in life."""
    return subprocess.Popen(
        program("run", *words),
        cwd=yard.repo.path,
        env=process_environment(yard.server.env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until_running(yard: Yard, running: subprocess.Popen[str]) -> str:
    """The task's id, once the process waits for it."""
    assert running.stdout
    task = running.stdout.readline().strip()
    while yard.server.tasks[task]["status"] != "in_progress":
        assert running.poll() is None, running.communicate()
    return task


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_and_called_again_after_the_end(number: int, yard: Yard) -> None:
    """The record that the killed call owed is made by the next, which launches nothing."""
    yard.publish()
    Robot(yard.server, "take")
    words = ("--queue", "gpu", "--wait", "--record", "notes", "--", "python", "train.py")
    running = process(yard, *words)
    task = until_running(yard, running)
    running.send_signal(number)
    _, err = running.communicate(timeout=120)
    assert number == signal.SIGKILL or f"git clearml run --attach {task} --record notes\n" in err
    completes(yard, task)
    done = run(yard, *words)
    assert (done.status, done.out.splitlines()[0], len(launched(yard))) == (0, task, 1)
    assert task in note(yard)


def completes(yard: Yard, task: str) -> None:
    with yard.server.store.lock:
        yard.server.tasks[task].update(status="completed", completed="2026-01-02T03:04:05+00:00")


def note(yard: Yard, rev: str = "HEAD") -> str:
    """The note of a commit, "" for none."""
    words = ["git", "notes", "--ref=clearml", "show", rev]
    return subprocess.run(words, cwd=yard.repo.path, capture_output=True, text=True, check=False).stdout


RECORDED = ("--queue", "gpu", "--wait", "--record", "notes")


def test_what_the_server_did_not_say_is_recorded_by_the_next_call(yard: Yard) -> None:
    """It goes away just after it has said `completed`."""
    yard.publish()
    robot = Robot(yard.server, "take", "report", "complete")

    def fault(call: str, body: dict[str, Any]) -> None:
        robot(call, body)
        if any(task["status"] == "completed" for task in yard.server.tasks.values()):
            yard.server.hook = robot
            yard.server.fail_next(403, call="tasks.get_all_ex")

    yard.server.hook = fault
    first = run(yard, *RECORDED, "--", "python", "train.py")
    task = only(yard)["id"]
    assert (first.status, note(yard)) == (3, ""), first.err
    assert "git clearml: not recorded: " in first.err
    assert f"to record it: git clearml run --attach {task} --record notes\n" in first.err
    second = run(yard, *RECORDED, "--", "python", "train.py")
    assert (second.status, len(launched(yard))) == (0, 1)
    assert task in note(yard)
    third = run(yard, *RECORDED, "--", "python", "train.py")
    assert (third.status, len(launched(yard))) == (0, 2)


def test_a_result_that_nobody_wants_recorded_may_be_unknown(yard: Yard) -> None:
    yard.publish()
    robot = Robot(yard.server, *DONE)

    def fault(call: str, body: dict[str, Any]) -> None:
        robot(call, body)
        if any(task["status"] == "completed" for task in yard.server.tasks.values()):
            yard.server.hook = robot
            yard.server.fail_next(403, call="tasks.get_all_ex")

    yard.server.hook = fault
    done = run(yard, "--queue", "gpu", "--wait", "--", "python", "train.py")
    assert done.status == 0
    assert "warning: what the task came to is not known" in done.err


def test_a_server_that_stays_away_is_asked_by_the_next_call(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SECONDS", 0.0)
    yard.publish()
    Robot(yard.server, "take", lambda _: yard.server.fail_next(400, call="tasks.get_all_ex"))
    first = run(yard, *RECORDED, "--", "python", "train.py")
    assert first.status == 3
    assert "the server has been unavailable" in first.out
    completes(yard, only(yard)["id"])
    assert run(yard, *RECORDED, "--", "python", "train.py").status == 0
    assert only(yard)["id"] in note(yard)


def test_a_timeout_leaves_the_record_to_the_next_call(yard: Yard) -> None:
    yard.publish()
    Robot(yard.server, "take")
    first = run(yard, *RECORDED, "--wait-timeout", "0.05", "--", "python", "train.py")
    task = only(yard)["id"]
    assert first.status == 4
    assert f"to wait again: git clearml run --attach {task} --record notes\n" in first.err
    completes(yard, task)
    assert run(yard, *RECORDED, "--", "python", "train.py").status == 0
    assert (only(yard)["id"], task in note(yard)) == (task, True)


@pytest.mark.parametrize("step", ["publish", "delete"])
def test_an_end_without_a_record_owes_none(step: str, yard: Yard) -> None:
    yard.publish()
    Robot(yard.server, "take", step)
    first = run(yard, *RECORDED, "--", "python", "train.py")
    assert first.status == 3
    second = run(yard, *RECORDED, "--", "python", "train.py")
    assert second.out.splitlines()[0] != first.out.splitlines()[0]


def test_whoever_aborts_owes_no_record(yard: Yard) -> None:
    yard.publish()
    Robot(yard.server, "take")
    words = (*RECORDED, "--abort-on-interrupt", "--", "python", "train.py")
    running = process(yard, *words)
    until_running(yard, running)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=120)
    Robot(yard.server, *DONE)
    assert run(yard, *words).status == 0
    assert len(launched(yard)) == 2


def test_the_record_is_made_whoever_reads_the_end(yard: Yard) -> None:
    """The first line is what a script wants: `... | head -1`."""
    yard.publish()
    Robot(yard.server, *DONE)
    running = process(yard, *RECORDED, "--", "python", "train.py")
    assert running.stdout
    assert running.stderr
    task = running.stdout.readline().strip()
    running.stdout.close()
    running.stderr.read()
    assert running.wait(timeout=120) == 128 + signal.SIGPIPE
    running.stderr.close()
    assert task in note(yard)
    done = run(yard, *RECORDED, "--", "python", "train.py")
    assert done.out.splitlines()[0] != task


@pytest.mark.parametrize(("number", "status", "abort"), [(signal.SIGINT, 130, True), (signal.SIGTERM, 143, False)])
def test_interrupted(number: int, status: int, abort: bool, yard: Yard) -> None:
    Robot(yard.server, "take")
    flags = ("--abort-on-interrupt",) if abort else ()
    running = process(yard, "--queue", "gpu", "--wait", *flags, "--", "python", "train.py")
    task = until_running(yard, running)
    running.send_signal(number)
    _, err = running.communicate(timeout=120)
    assert running.returncode == status
    assert yard.server.tasks[task]["status"] == ("stopped" if abort else "in_progress")
    assert bool(side_refs(yard)) is not abort
    assert (f"git clearml run --attach {task}" in err) is not abort


@pytest.fixture
def unharmed() -> Iterator[None]:
    """A signal that comes when the program is over ends nobody."""
    before = {number: signal.signal(number, lambda *_: None) for number in signals.HEEDED}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Strikes:
    """Signals the program, which runs in this process, during the n-th request; then all goes on as before."""

    def __init__(self, robot: Robot, when: int, *numbers: int) -> None:
        self.robot, self.left, self.numbers = robot, when, numbers
        robot.server.hook = self

    def __call__(self, call: str, body: dict[str, Any]) -> None:
        self.left -= 1
        if self.left == 0:
            for number in self.numbers:
                signal.pthread_kill(threading.main_thread().ident or 0, number)
                time.sleep(0.02)
        self.robot(call, body)


TWICE, THREE = (signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)


@pytest.mark.parametrize("stride", [3, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("first", "abort", "template", "numbers"),
    [(1, True, False, THREE), (2, True, True, TWICE), (3, False, False, TWICE)],
)
@pytest.mark.usefixtures("unharmed")
# An interrupted exchange leaves its socket to the garbage collector, in a process that is about to end.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_signals_at_every_request(
    first: int, stride: int, abort: bool, template: bool, numbers: tuple[int, ...], yard: Yard
) -> None:
    """Nothing is on its way, or all of it is, and the last line says how to wait for it. They share the requests."""
    flags = ("--abort-on-interrupt",) if abort else ()
    origin = yard.server.add_task(status="completed", project="p") if template else ""
    words = ("--queue", "gpu", "--wait", *flags, *(("--from", origin) if template else ()), "--", "python", "train.py")
    ended = {128 + number for number in numbers}  # of signals that wait together the kernel hands over the lowest
    status, when = 128 + numbers[0], (first if stride > 1 else 1) - stride
    while status in ended:
        when += stride
        Strikes(Robot(yard.server, "take", "wait", "wait", "complete"), when, *numbers)
        done = run(yard, *words)
        status, err = done.status, done.err
        going = [task for task in yard.server.tasks.values() if task["status"] in ("queued", "in_progress")]
        drafts = [task for task in yard.server.tasks.values() if task["status"] == "created"]
        assert [task for task in drafts if "archived" not in task["system_tags"]] == [], (when, err)
        assert "left behind" not in err
        for task in going:
            assert not abort, (when, err)
            assert f"to wait again: git clearml run --attach {task['id']}" in err
            task["status"] = "stopped"
        assert not side_refs(yard) or (not abort and "to wait again: git clearml run --attach " in err), (when, err)
    assert (status, when > 12) == (0, True)


def in_flight(yard: Yard, *steps: str) -> str:
    """The id of a task on the queue that will go through these steps once it is looked at again."""
    robot = Robot(yard.server)
    task = run(yard, "--queue", "gpu", "--", "python", "train.py").out.splitlines()[0]
    robot.steps[:] = steps
    robot.looked.clear()
    return task


@pytest.mark.parametrize("kind", ["notes", "commit"])
def test_attach_records_what_ran_wherever_head_is(kind: str, yard: Yard) -> None:
    ran = yard.repo.head
    yard.publish("--set-upstream", "main")
    task = in_flight(yard, *DONE)
    head = yard.repo.commit("next", {"train.py": "print('other')\n"})
    yard.publish()
    done = run(yard, "--attach", task, "--record", kind, PATH=on_path())
    assert done.status == 0, done.err
    if kind == "notes":
        assert (task in note(yard, ran), note(yard, head)) == (True, "")
    else:
        assert json.loads(yard.remote.git("show", "main:clearml.lock"))["commit"] == ran


def test_attach_makes_the_record_that_a_call_owes(yard: Yard) -> None:
    yard.publish()
    Robot(yard.server, "take")
    words = (*RECORDED, "--wait-timeout", "0.05", "--", "python", "train.py")
    assert run(yard, *words).status == 4
    task = only(yard)["id"]
    completes(yard, task)
    assert run(yard, "--attach", task, "--record", "notes").status == 0
    assert task in note(yard)
    assert run(yard, *words).out.splitlines()[0] != task


def test_attach_refuses_what_it_cannot_record(yard: Yard) -> None:
    changes: dict[str, str]
    for changes, words in (
        ({"commit": "a" * 40}, "which is not in this clone"),
        ({"commit": ""}, "names no commit"),
        ({"diff": "diff --git a/x b/x\n"}, "with uncommitted changes"),
    ):
        task = yard.server.add_task(**{"commit": yard.repo.head, "status": "completed", **changes})
        done = run(yard, "--attach", task, "--record", "notes")
        assert done.status == 2
        assert words in done.talk()[0]
        assert run(yard, "--attach", task).status == 0


def test_attach_that_only_says_what_it_would_do(yard: Yard) -> None:
    yard.publish()
    task = in_flight(yard)
    record: tuple[str, ...]
    for record in (("--record", "notes"), ()):
        done = run(yard, "--attach", task, *record, "--dry-run")
        assert (done.status, only(yard)["status"], note(yard)) == (0, "queued", "")
        assert ("record" in done.out) is bool(record)


def test_attach_to_a_page(yard: Yard) -> None:
    task = yard.server.add_task(commit=yard.repo.head, status="completed")
    done = run(yard, "--attach", f"{yard.server.url}/projects/*/experiments/{task}/output/log")
    assert (done.status, done.out.splitlines()[0]) == (0, task)


def test_attach_to_nothing(yard: Yard) -> None:
    for task in ("f" * 32, "no id", "http://127.0.0.1/projects/x", "../x"):
        assert run(yard, "--attach", task, "--record", "notes").status == 2
        assert run(yard, "--attach", task).status == 2


# --- side refs ------------------------------------------------------------------------------------------------------


def test_the_side_ref_of_an_ended_task_is_deleted_by_the_next_command(yard: Yard) -> None:
    robot = Robot(yard.server)
    task = run(yard, "--queue", "gpu", "--", "python", "train.py").out.splitlines()[0]
    assert len(side_refs(yard)) == 1
    run(yard, "--queue", "gpu", "--tag", "second", "--", "python", "train.py")
    assert len(side_refs(yard)) == 2
    with yard.server.store.lock:
        yard.server.tasks[task]["status"] = "failed"
    yard.publish()
    robot.steps[:] = []
    run(yard, "--queue", "gpu", "--tag", "third", "--", "python", "train.py")
    assert len(side_refs(yard)) == 1


# --- from a template ------------------------------------------------------------------------------------------------


def template(yard: Yard) -> str:
    return yard.server.add_task(
        name="the template",
        commit="a" * 40,
        diff="diff --git a/x b/x\n",
        repository="https://example.com/other.git",
        tags=["Best Performance", "customer"],
        hyperparams={
            "Args": {"lr": {"section": "Args", "name": "lr", "value": "0.5"}},
            "properties": {"git_clearml_run": {"section": "properties", "name": "git_clearml_run", "value": "{}"}},
        },
        container={"image": "slim"},
    )


def test_from_a_template(yard: Yard) -> None:
    yard.publish()
    model = template(yard)
    before = json.dumps(yard.server.tasks[model], sort_keys=True)
    Robot(yard.server, *DONE)
    done = run(yard, "--queue", "gpu", "--wait", "--from", model, "--tag", "again")
    task = only(yard)
    assert done.status == 0, done.err
    assert (task["name"], task["parent"], task["tags"]) == ("the template", model, ["again"])
    script = task["script"]
    assert (script["version_num"], script["diff"], script["entry_point"]) == (yard.repo.head, "", "train.py")
    assert script["repository"] == yard.remote.path.as_uri()
    assert task["hyperparams"]["Args"]["lr"]["value"] == "0.5"
    assert set(task["hyperparams"]["properties"]) == {"git_clearml_launch"}
    assert task["container"] == {"image": "slim"}
    assert json.dumps(yard.server.tasks[model], sort_keys=True) == before
    assert inside("verify", cwd=yard.repo.path, env=yard.server.env).status == 0


def test_what_the_command_says_is_written_over_the_template_s_arguments(yard: Yard) -> None:
    words = ("-l0.9",)
    options = "p.add_argument('-l', '--lr')"
    yard.repo.commit("options", {"train.py": f"import argparse\np = argparse.ArgumentParser()\n{options}\n"})
    yard.publish()
    model = template(yard)
    Robot(yard.server, *DONE)
    done = run(yard, "--queue", "gpu", "--wait", "--from", model, "--", "python", "train.py", *words, "--seed", "7")
    assert done.status == 0, done.err
    task = only(yard)
    assert task["script"]["entry_point"] == shlex.join(["train.py", *words, "--seed", "7"])
    assert {name: item["value"] for name, item in task["hyperparams"]["Args"].items()} == {"lr": "0.9"}
    assert "not found among the template's arguments, and so not in its parameters: --seed 7" in done.err
    assert yard.server.tasks[model]["hyperparams"]["Args"]["lr"]["value"] == "0.5"


def test_from_nothing(yard: Yard) -> None:
    yard.publish()
    Robot(yard.server)
    done = run(yard, "--queue", "gpu", "--from", "f" * 32)
    assert (done.status, launched(yard)) == (2, [])
    assert "there is no task" in done.err


# --- faults while launching -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["tasks.create", "tasks.enqueue", "tasks.edit"])
@pytest.mark.parametrize("lost", [True, False])
def test_a_lost_answer_makes_no_second_task(call: str, lost: bool, yard: Yard) -> None:
    """Whether the server did it or not: one task at most, and none is left as a draft."""
    Robot(yard.server)
    if lost:
        yard.server.lose_next(call)
    else:
        yard.server.fail_next(0, call=call, count={"tasks.create": 1, "tasks.enqueue": 2, "tasks.edit": 3}[call])
    done = run(yard, "--queue", "gpu", "--", "python", "train.py")
    tasks = launched(yard)
    assert len(tasks) <= 1
    if done.status == 0:
        assert tasks[0]["status"] == "queued"
    else:
        assert done.status == 3
        assert all("archived" in task["system_tags"] for task in tasks)
        assert side_refs(yard) == []
    again = run(yard, "--queue", "gpu", "--", "python", "train.py")
    assert again.status == 0
    assert len([task for task in launched(yard) if task["status"] == "queued"]) == 1


def test_an_answer_without_an_id(yard: Yard) -> None:
    Robot(yard.server)
    others = yard.server.add_task(status="in_progress")
    answer = json.dumps({"meta": {"result_code": 200}, "data": {"id": ""}}).encode()
    yard.server.fail_next(200, answer, {"Content-Type": "application/json"}, call="tasks.create")
    assert run(yard, "--queue", "gpu", "--", "python", "train.py").status == 3
    assert yard.server.tasks[others]["status"] == "in_progress"
    assert not {"tasks.stop", "tasks.archive"} & set(yard.server.calls())


@pytest.mark.parametrize("published", [True, False])
def test_two_same_calls_at_once_are_one_training(published: bool, yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second comes while the first has made its task and not put it on the queue yet: it waits, and attaches."""
    if published:
        yard.publish()
    words = ("--queue", "gpu", "--", "python", "train.py")
    enqueue, others = tasks.enqueue, []

    def late(*arguments: Any) -> None:
        asked = len(yard.server.calls())
        env = process_environment({**yard.server.env, "PATH": on_path()})
        pipe = subprocess.PIPE
        others.append(subprocess.Popen(program("run", *words), cwd=yard.repo.path, env=env, stdout=pipe, stderr=pipe))
        while yard.server.calls()[asked:].count("tasks.get_all_ex") < 2 and others[0].poll() is None:
            time.sleep(0.02)
        enqueue(*arguments)

    monkeypatch.setattr(tasks, "enqueue", late)
    first = run(yard, *words)
    out, err = others[0].communicate(timeout=60)
    assert (first.status, others[0].returncode) == (0, 0), (first.err, err)
    assert only(yard)["status"] == "queued"
    assert only(yard)["id"].encode() in out
    assert "archived" not in only(yard)["system_tags"]


def test_a_task_to_attach_to_by_each_of_its_names(yard: Yard) -> None:
    task = yard.server.add_task(commit=yard.repo.head, status="in_progress")
    address = f"{yard.server.url}/projects/p/tasks/{task}"
    for name in (task, task[:8], address, "HEAD", yard.repo.head[:12]):
        done = run(yard, "--attach", name, "--dry-run")
        assert (done.status, f"would wait for the task {task}:" in done.out) == (0, True), done.err
    assert run(yard, "--attach", "0" * 9, "--dry-run").status == 2
    assert run(yard, "--attach", "../x", "--dry-run").status == 2
