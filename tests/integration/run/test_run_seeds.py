"""`git clearml run --seeds`: here one after another, on a queue side by side; each with its own task and record."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from git_clearml.agent import cleanup, poll
from git_clearml.model import RunRecord
from git_clearml.run import record as run_records
from tests.support.clearml_common import Json
from tests.support.clearml_server import ClearMLServer
from tests.support.program import Result, command, inside, process_environment
from tests.support.pushing import Yard, make_yard
from tests.support.repos import Repo, make_repo
from tests.support.robot import Robot
from tests.support.scripts import QUICK

TRAIN = f"import sys\nif sys.argv[1:] == ['2', 'bad']: sys.exit(5)\n{QUICK}"
MIN_RUNS = (
    "[[tool.git-clearml.metrics]]", 'metric = "validation/accuracy"', "min-runs = 2", 'of = "median"',
    "[[tool.git-clearml.metrics]]", 'metric = "test/f1"', "min-runs = 3",
)  # fmt: skip


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = make_repo(tmp_path / "repo", {"train.py": TRAIN, ".gitignore": "__pycache__/\n"})
    repo.policy(*MIN_RUNS)
    return repo


def records(repo: Repo) -> dict[str, RunRecord]:
    """The runs' records by the word behind the script."""
    read = [run_records.parse(path.read_bytes()) for path in (repo.path / ".git/clearml/runs").glob("*/*.json")]
    return {record.command[2]: record for record in read if isinstance(record, RunRecord)}


def last(result: Result) -> str:
    return result.err.splitlines()[-1].removeprefix("git clearml: ")


def test_one_that_fails_keeps_none_from_running(repo: Repo) -> None:
    words = (
        "--seeds",
        "3",
        "--first-seed",
        "1",
        "--record",
        "notes",
        "--",
        sys.executable,
        "train.py",
        "{seed}",
        "bad",
    )
    result = inside("run", *words, cwd=repo.path)
    assert result.status == 1
    assert {seed: record.exit_status for seed, record in records(repo).items()} == {"1": 0, "2": 5, "3": 0}
    assert len({task for record in records(repo).values() for task in record.tasks}) == 2
    closing = next(line for line in result.err.splitlines() if " runs count" in line)
    assert closing == (
        "git clearml: 2 of 3 runs count, seed 2 failed; enough for min-runs of validation/accuracy (2); "
        "too few by themselves for min-runs of test/f1 (3); next: git clearml verify"
    )
    note = repo.git("notes", "--ref", "clearml", "show", "HEAD")
    assert note.count("offline-") == 2


def test_a_run_that_may_not_start_is_the_last(repo: Repo) -> None:
    result = inside("run", "--seeds", "3", "--", "sh", "-c", "touch x{seed}.py", "{seed}", cwd=repo.path)
    assert (result.status, len(list((repo.path / ".git/clearml/runs").glob("*/*")))) == (1, 1)
    assert last(result).startswith("0 of 3 runs count, seed 0 will not verify, 2 not run")


@pytest.mark.parametrize("status", [0, 1])
def test_an_interruption_ends_the_run_that_it_meets_and_none_comes_after(repo: Repo, status: int) -> None:
    """Whatever the command makes of it: one that saves its state and ends well is no reason to go on."""
    sleep = "time.sleep(20)"
    ends = f"import signal, sys, time; signal.signal(signal.SIGINT, lambda *_: sys.exit({status}))"
    started = subprocess.Popen(
        command("run", "--seeds", "3", "--", sys.executable, "-c", f"{ends}; print(1, flush=True); {sleep}", "{seed}"),
        cwd=repo.path,
        env=process_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stdout
    assert started.stdout.readline() == "1\n"
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=30)
    assert (started.returncode, out) == (130, "")
    assert "2 not run" in err
    assert len(list((repo.path / ".git/clearml/runs").glob("*/*"))) == 1


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    monkeypatch.setattr(poll, "pause", lambda *_: 0.01)
    monkeypatch.setattr(cleanup, "_TAKEN", 0.1)
    with ClearMLServer() as server:
        yard = make_yard(tmp_path, server)
        yard.repo.policy(*MIN_RUNS)
        yard.publish()
        server.add_queue("gpu")
        yield yard


def on_queue(yard: Yard, *flags: str, seeds: int = 4) -> Result:
    words = ("run", "--queue", "gpu", "--seeds", str(seeds), *flags, "--", "python", "train.py", "--seed", "{seed}")
    return inside(*words, cwd=yard.repo.path, env=dict(yard.server.env))


def arguments(yard: Yard) -> dict[str, str]:
    """The status of each launched task, by its arguments."""
    tasks = [task for task in yard.server.tasks.values() if "git_clearml_launch" in json.dumps(task["hyperparams"])]
    return {task["script"]["entry_point"].removeprefix("train.py "): task["status"] for task in tasks}


class Counting(Robot):
    """An agent that counts how many tasks are on their way at once; `bad` are the seeds that fail."""

    def __init__(self, server: ClearMLServer, bad: str = "") -> None:
        super().__init__(server, "take", "report", self.end)
        self.most, self._bad = 0, bad

    def __call__(self, call: str, body: Json) -> None:
        at_work = [task for task in self.server.tasks.values() if task["status"] in ("queued", "in_progress")]
        self.most = max(self.most, len(at_work))
        super().__call__(call, body)

    def end(self, task: Json) -> None:
        bad = bool(self._bad) and task["script"]["entry_point"].endswith(self._bad)
        self._do("fail" if bad else "complete", task)


@pytest.mark.parametrize(("parallel", "most"), [((), 4), (("--parallel", "2"), 2), (("--parallel", "1"), 1)])
def test_side_by_side_but_no_more_than_wanted(yard: Yard, parallel: tuple[str, ...], most: int) -> None:
    agent = Counting(yard.server, bad="1")
    result = on_queue(yard, "--wait", *parallel)
    assert result.status == 1
    expected = {f"--seed {seed}": "failed" if seed == 1 else "completed" for seed in range(4)}
    assert (arguments(yard), agent.most) == (expected, most)
    assert last(result) == (
        "3 of 4 tasks completed, seed 1 did not; "
        "enough for min-runs of validation/accuracy (2), test/f1 (3); next: git clearml verify"
    )


def test_launch_and_go(yard: Yard) -> None:
    """With a limit it stays until the last is launched, and called again it launches none of those that still run."""
    agent = Robot(yard.server)
    result = on_queue(yard)
    assert (result.status, last(result)) == (0, "4 tasks launched; next: git clearml verify --wait")
    assert set(arguments(yard).values()) == {"queued"}
    assert on_queue(yard).out == result.out
    limited = on_queue(yard, "--parallel", "3", "--wait-timeout", "0.1", seeds=6)
    assert (limited.status, len(arguments(yard))) == (4, 4)
    assert "--seeds 3 --first-seed 3" in last(limited)
    assert agent.looked


def test_what_may_not_be_launched_for_one_is_launched_for_none(yard: Yard) -> None:
    Robot(yard.server)
    words = ("run", "--queue", "gpu", "--seeds", "2", "--", "python", "train{seed}.py")
    assert inside(*words, cwd=yard.repo.path, env=dict(yard.server.env)).status == 1
    assert arguments(yard) == {}


@pytest.mark.parametrize("flags", [("--wait",), ("--parallel", "2"), ("--wait", "--abort-on-interrupt")])
def test_an_interruption_lets_all_of_them_go_on_or_none(yard: Yard, flags: tuple[str, ...]) -> None:
    seen: list[Any] = []

    def strike(task: Json) -> None:
        if not seen:
            seen.append(task["id"])
            signal.raise_signal(signal.SIGINT)

    Robot(yard.server, "take", strike)
    result = on_queue(yard, *flags, seeds=3)
    assert result.status == 130
    aborted = "--abort-on-interrupt" in flags
    assert {status in ("stopped",) for status in arguments(yard).values()} == {aborted}
    assert result.err.count("the task goes on: ") == (0 if aborted else len(arguments(yard)))
