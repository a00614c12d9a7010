"""`git clearml open`: the page of a commit's task."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from git_clearml.clearml.model import Result
from git_clearml.commands.open import may_open
from git_clearml.git.repository import Repository
from git_clearml.record import notes
from tests.support.faults import closed_port
from tests.support.program import Gate, command, process_environment
from tests.support.program import Result as Ended
from tests.support.pushing import write_hook
from tests.support.scripts import QUICK
from tests.support.terminal import at_a_terminal

OFFLINE: dict[str, str | None] = dict.fromkeys(
    ("CLEARML_API_HOST", "CLEARML_WEB_HOST", "CLEARML_FILES_HOST", "CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY")
)
PAGE = "https://app.example.com/projects/1/experiments/2/output/log"


def page(gate: Gate, *words: str, **options: Any) -> Ended:
    """`open --format json`; its status is that of the JSON."""
    result = gate.call("open", "--format", "json", *words, **options)
    assert result.json["exit_code"] == result.status
    assert (result.json["schema"], result.json["command"]) == (1, "open")
    return result


def url_of(gate: Gate, task: str) -> str:
    return f"{gate.server.url}/projects/{gate.server.tasks[task]['project']}/experiments/{task}/output/log"


def note(gate: Gate, task: str = "1" * 32, status: str = "completed", url: str = PAGE, second: int = 0) -> str:
    result = Result(task, "train", "Vision", status, url)
    moment = datetime(2026, 1, 2, 3, 4, second, tzinfo=timezone.utc)
    notes.record(Repository(str(gate.repo.path)), gate.repo.head, [result], now=lambda: moment)
    return task


def away() -> Mapping[str, str | None]:
    return {"CLEARML_API_HOST": f"http://127.0.0.1:{closed_port()}"}


def test_the_accepted_task_s_page(gate: Gate) -> None:
    task = gate.task()
    gate.task(status="failed")
    result = gate.call("open")
    assert (result.status, result.out, result.err) == (0, url_of(gate, task) + "\n", "")
    assert result.calls == ("tasks.get_all_ex",)


def test_json(gate: Gate) -> None:
    task = gate.task()
    document = page(gate, "HEAD").json
    assert document == {
        "schema": 1,
        "command": "open",
        "outcome": "printed",
        "exit_code": 0,
        "commit": gate.repo.head,
        "url": url_of(gate, task),
        "task": {
            "id": task,
            "name": "train",
            "project": "Vision/Detector",
            "status": "completed",
            "source": "server",
            "commit": gate.repo.head,
            "url": url_of(gate, task),
        },
        "note": None,
        "hint": None,
        "errors": [],
    }


def test_of_a_revision_and_of_a_task(gate: Gate) -> None:
    first = gate.task()
    gate.repo.commit("second")
    other = gate.task(commit="f" * 40, status="failed")
    for words, task in ((("HEAD~1",), first), ((other,), other), (("--print", first), first)):
        assert gate.call("open", *words).out == url_of(gate, task) + "\n"
    assert page(gate, other).json["commit"] is None


@pytest.mark.parametrize(
    "words",
    ["open {}", "show {}", "diff {}", "diff HEAD {}", "checkout {}", "report {}", "report --against {}",
     "verify --task {}", "run --attach {}", "run --queue q --from {} -- python train.py"],
)  # fmt: skip
def test_the_page_of_another_server_s_task(gate: Gate, words: str) -> None:
    """By the id alone another task would be found here, or none."""
    gate.task(id="2" * 32)
    address = f"https://app.example.com/projects/1/experiments/{'2' * 32}/output/log"
    result = gate.call(*words.format(address).split())
    message, hint = result.talk()
    assert result.status == 2
    assert "is on example.com" in message
    assert hint.endswith("2" * 32)


def test_the_nearest_task_is_better_than_none(gate: Gate) -> None:
    task = gate.task(status="in_progress")
    result = gate.call("open")
    assert (result.status, result.out) == (0, url_of(gate, task) + "\n")
    assert result.err.startswith("git clearml: no task counts for this commit, this is the nearest: ")
    document = page(gate).json
    assert document["task"]["status"] == "in_progress"
    assert document["note"] in result.err
    assert gate.call("open", "--quiet").err == ""


def test_no_task(gate: Gate) -> None:
    gate.task(commit=None)  # lost its commit: nobody knows whether it is this one's
    result = gate.call("open")
    assert (result.status, result.out) == (1, "")
    assert result.talk() == (
        f"no ClearML task has run {gate.repo.head[:12]}",
        "git clearml run -- python train.py",
    )
    document = page(gate).json
    assert (document["outcome"], document["url"], document["task"], document["errors"]) == ("missing", None, None, [])
    assert document["hint"] == "git clearml run -- python train.py"


def test_what_the_server_says_counts_more_than_a_note(gate: Gate) -> None:
    note(gate)
    assert gate.call("open").status == 1


def test_an_unknown_task_and_an_unknown_revision(gate: Gate) -> None:
    assert page(gate, "0" * 32).errors == ["usage"]
    result = page(gate, "nosuch")
    assert (result.status, result.errors, result.json["outcome"]) == (2, ["unknown-revision"], "undecided")
    assert page(gate, "0" * 32, env=OFFLINE).status == 2


# Without a server.


@pytest.mark.parametrize("env", [OFFLINE, away()])
def test_without_a_server_the_page_on_record(gate: Gate, env: Mapping[str, str | None]) -> None:
    task = note(gate)
    for words in ((), (task,)):
        result = gate.call("open", *words, env=env)
        assert (result.status, result.out) == (0, PAGE + "\n")
        document = page(gate, *words, env=env).json
        assert (document["outcome"], document["task"]["id"], document["task"]["source"]) == (
            "printed",
            task,
            "recorded",
        )
        assert document["task"]["commit"] == gate.repo.head


def test_that_the_page_is_on_record_only_is_said(gate: Gate) -> None:
    note(gate)
    result = gate.call("open", env=away())
    assert result.err.startswith("git clearml: warning: ")
    assert result.err.endswith("; this is the page on record\n")
    assert page(gate, env=away()).errors == ["unreachable"]


def test_nothing_on_record_either(gate: Gate) -> None:
    result = gate.call("open", env=away())
    assert (result.status, result.out) == (3, "")
    assert "refuses connections" in result.talk()[0]
    document = page(gate, env=away())
    assert (document.json["outcome"], document.errors) == ("undecided", ["unreachable"])
    assert page(gate, "0" * 32, env=away()).status == 3
    assert gate.call("open", env=OFFLINE).status == 1


def test_of_several_tasks_on_record_one_that_ended_well(gate: Gate) -> None:
    note(gate, "1" * 32, second=1)
    note(gate, "2" * 32, status="failed", url=PAGE + "?failed", second=5)
    note(gate, "3" * 32, status="published", url=PAGE + "?published", second=3)
    assert gate.call("open", env=OFFLINE).out == PAGE + "?published\n"


@pytest.mark.parametrize(
    "url",
    ["", "javascript:alert(1)", "file:///etc/passwd", "https://", "http://[::1", "--version", "https://x/\x1b[31m y"],
)
def test_only_pages_of_the_web_are_printed(gate: Gate, url: str) -> None:
    note(gate, url=url)
    result = gate.call("open", env=OFFLINE)
    assert (result.status, result.out) == (1, "")


def test_no_password_is_printed(gate: Gate) -> None:
    note(gate, url="https://user:hunter22@app.example.com/1")
    result = gate.call("open", env=OFFLINE)
    assert result.out == "https://app.example.com/1\n"
    assert "hunter22" not in page(gate, env=OFFLINE).out


def test_an_offline_task_has_no_page(gate: Gate) -> None:
    gate.repo.commit("script", {"train.py": QUICK})
    assert gate.call("run", "--", "python", "train.py", env=OFFLINE, alone=True).status == 0
    result = gate.call("open", env=OFFLINE)
    head = gate.repo.head[:12]
    assert (result.status, result.out) == (1, "")
    assert result.talk() == (
        f"the task of {head} has no page: it ran offline",
        f"git clearml report {head}",
    )
    assert page(gate, env=OFFLINE).json["task"]["source"] == "offline"
    note(gate)
    assert gate.call("open", env=OFFLINE).out == PAGE + "\n"


# Opening it.


def browser(directory: Path) -> tuple[str, Path]:
    """A browser that writes down what it is asked to show."""
    log = directory / "shown"
    write_hook(directory / "browser", f"#!/bin/sh\nprintf '%s\\n' \"$#\" \"$@\" >>'{log}'\n")
    return f"{directory}/browser %s", log


def on_a_terminal(gate: Gate, *words: str, env: Mapping[str, str]) -> str:
    plain = dict.fromkeys(("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY", "DISPLAY", "WAYLAND_DISPLAY"))
    environment = process_environment({**plain, **gate.server.env, **env})
    status, out = at_a_terminal(command("open", *words), cwd=gate.repo.path, env=environment)
    assert status == 0
    return out


def test_opened_in_a_browser(gate: Gate, tmp_path: Path) -> None:
    url = url_of(gate, gate.task())
    program, log = browser(tmp_path)
    assert on_a_terminal(gate, env={"BROWSER": program, "DISPLAY": ":0"}) == url + "\r\n"
    assert log.read_text() == f"1\n{url}\n"


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (("--print",), {}),
        (("--format", "json"), {}),
        ((), {"CI": "true"}),
        ((), {"SSH_CONNECTION": "1 2 3 4", "DISPLAY": ""}),
    ],
)
def test_printed_only(gate: Gate, tmp_path: Path, words: tuple[str, ...], more: dict[str, str]) -> None:
    gate.repo.default_branch(gate.repo.head)
    url = url_of(gate, gate.task())
    program, log = browser(tmp_path)
    assert url in on_a_terminal(gate, *words, env={"BROWSER": program, "DISPLAY": ":0", **more})
    assert not log.exists()


@pytest.mark.parametrize("program", ["/nosuch %s", "'unbalanced %s", "false %s"])
def test_a_browser_that_cannot_be_started(gate: Gate, tmp_path: Path, program: str) -> None:
    url = url_of(gate, gate.task())
    (tmp_path / "git").symlink_to(str(shutil.which("git")))
    shown = on_a_terminal(gate, env={"BROWSER": program, "DISPLAY": ":0", "PATH": str(tmp_path)})
    assert shown.splitlines() == [url, "git clearml: no browser could be started"]


def test_in_a_pipe_nothing_is_opened(gate: Gate, tmp_path: Path) -> None:
    gate.task()
    program, log = browser(tmp_path)
    assert gate.call("open", env={"BROWSER": program, "DISPLAY": ":0"}).status == 0
    assert not log.exists()


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"BROWSER": "firefox"}, "linux", True),
        ({}, "linux", False),
        ({}, "darwin", True),
        ({"SSH_TTY": "/dev/pts/0"}, "darwin", False),
        ({"SSH_CLIENT": "1 2 3", "BROWSER": "firefox"}, "linux", False),
        ({"SSH_CLIENT": "1 2 3", "DISPLAY": "localhost:10.0"}, "linux", True),
        ({"CI": "true", "DISPLAY": ":99"}, "linux", False),
        ({"CI": "false", "DISPLAY": ":0"}, "linux", True),
    ],
)
def test_when_a_browser_is_of_use(environment: dict[str, str], platform: str, expected: bool) -> None:
    assert may_open(environment, terminal=True, platform=platform) is expected
    assert not may_open(environment, terminal=False, platform=platform)


@pytest.mark.parametrize(
    "page", ["projects/*/experiments/{}/output/log", "projects/p/tasks/{}/scalars?x=1#y", "tasks/{}"]
)
def test_the_address_of_a_page_is_its_task(gate: Gate, page: str) -> None:
    task = gate.task(commit="b" * 40)
    address = f"{gate.server.url}/{page.format(task)}"
    assert gate.call("open", "--format", "json", address).json["task"]["id"] == task
    assert gate.call("report", "--format", "json", address).json["task"]["id"] == task
    unknown = gate.call("open", address.replace(task, "f" * 32))
    assert (unknown.status, "there is no task " + "f" * 32 in unknown.err) == (2, True)
    assert gate.call("open", f"{gate.server.url}/projects/x").status == 2
