"""The real SDK in processes of its own works against the loopback server as against a real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.clearml_server import ClearMLServer

pytestmark = pytest.mark.costly  # whichever test comes first waits for the runs that all share

PROJECT = "Vision/Detector"
# Git facts at once and no waiting for report periods: the tests are about what arrives, not when. The process
# that reports has a copy of the connection of the one that trains, and writes into the midst of what that one sends.
CONFIGURATION = """
sdk { development {
  vcs_repo_detect_async: false, report_use_subprocess: false, worker { report_period_sec: 0.3 }
} }
"""
TRAIN = f"""
import json
from clearml import Task

task = Task.init("{PROJECT}", "train", auto_connect_frameworks=False, auto_resource_monitoring=False)
logger = task.get_logger()
for step in range(3):
    logger.report_scalar("loss", "train", value=1.0 / (step + 1), iteration=step)
logger.report_single_value("final", 0.77)
task.set_user_properties(owner="somebody", epochs=3)
task.close()

found = Task.query_tasks(project_name="{PROJECT}", task_filter={{"status": ["completed"]}})
again = Task.get_task(task_id=task.id)
read = {{
    "found": found,
    "status": again.status,
    "loss": again.get_last_scalar_metrics()["loss"]["train"],
    "final": again.get_reported_single_value("final"),
    "owner": again.get_user_properties()["owner"]["value"],
}}
print("READ " + json.dumps(read))
"""
FAIL = f"""
from clearml import Task

Task.init("{PROJECT}", "breaks", auto_connect_frameworks=False, auto_resource_monitoring=False)
raise RuntimeError("told to fail")
"""


@dataclass(frozen=True)
class Run:
    """A script that has run: its task on the server, and what it printed."""

    task: dict[str, Any]
    commit: str
    status: int
    output: str


def git(directory: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Tests", "-c", "user.email=tests@example.com")
    done = subprocess.run(["git", *identity, *arguments], cwd=directory, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def checkout(directory: Path, script: str) -> str:
    """A repository with the script as train.py; its commit."""
    directory.mkdir()
    git(directory, "init", "-q", "-b", "main")
    git(directory, "remote", "add", "origin", "https://example.com/team/project.git")
    (directory / "train.py").write_text(script, encoding="utf-8")
    git(directory, "add", "train.py")
    git(directory, "commit", "-qm", "a script")
    return git(directory, "rev-parse", "HEAD")


def start(directory: Path, server: ClearMLServer, home: Path) -> subprocess.Popen[str]:
    home.mkdir()
    configuration = home / "clearml.conf"
    configuration.write_text(CONFIGURATION, encoding="utf-8")
    inherited = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TMPDIR") if name in os.environ}
    own = {"HOME": str(home), "CLEARML_CONFIG_FILE": str(configuration), "CLEARML_LOG_LEVEL": "ERROR"}
    return subprocess.Popen(
        [sys.executable, "train.py"],
        cwd=directory,
        env={**inherited, **own, **server.env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def server() -> Iterator[ClearMLServer]:
    with ClearMLServer() as running:
        running.add_project(PROJECT)  # else both scripts would make it, and one be refused
        yield running


@pytest.fixture(scope="module")
def runs(server: ClearMLServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Both scripts at once: a clean one that completes, and one with a local change that raises."""
    base = tmp_path_factory.mktemp("sdk")
    commits = {"train": checkout(base / "train", TRAIN), "breaks": checkout(base / "breaks", FAIL)}
    with (base / "breaks" / "train.py").open("a", encoding="utf-8") as script:
        script.write("# a local change\n")
    children = {name: start(base / name, server, base / f"home-{name}") for name in commits}
    outputs = {name: child.communicate(timeout=120)[0] for name, child in children.items()}
    tasks = {task["name"]: task for task in server.tasks.values()}
    assert sorted(tasks) == sorted(commits), outputs
    return {name: Run(tasks[name], commits[name], child.returncode, outputs[name]) for name, child in children.items()}


def test_a_clean_run_completes_with_its_commit(runs: dict[str, Run]) -> None:
    run = runs["train"]

    assert run.status == 0, run.output
    assert run.task["status"] == "completed"
    assert run.task["script"]["version_num"] == run.commit
    assert run.task["script"]["diff"] == ""
    assert run.task["script"]["repository"] == "https://example.com/team/project.git"
    assert run.task["script"]["entry_point"] == "train.py"
    assert "development" in run.task["system_tags"]


def test_its_metrics_are_in_last_metrics(runs: dict[str, Run]) -> None:
    entries = [entry for variants in runs["train"].task["last_metrics"].values() for entry in variants.values()]
    values = {(entry["metric"], entry["variant"]): entry["value"] for entry in entries}

    assert values == {("loss", "train"): pytest.approx(1 / 3), ("Summary", "final"): 0.77}


def test_its_user_properties_are_hyperparameters(runs: dict[str, Run]) -> None:
    properties = runs["train"].task["hyperparams"]["properties"]

    assert {name: item["value"] for name, item in properties.items()} == {"owner": "somebody", "epochs": "3"}


def test_the_sdk_reads_back_what_it_wrote(runs: dict[str, Run]) -> None:
    run = runs["train"]
    (line,) = [line for line in run.output.splitlines() if line.startswith("READ ")]
    read = json.loads(line.removeprefix("READ "))

    assert read["found"] == [run.task["id"]]
    assert read["status"] == "completed"
    expected = {"last": pytest.approx(1 / 3), "min": pytest.approx(1 / 3), "max": 1.0}
    assert {name: read["loss"][name] for name in expected} == expected
    assert read["final"] == 0.77
    assert read["owner"] == "somebody"


def test_a_raising_script_fails_with_its_diff(runs: dict[str, Run]) -> None:
    run = runs["breaks"]

    assert run.status != 0
    assert run.task["status"] == "failed"
    assert "completed" not in run.task
    assert run.task["script"]["version_num"] == run.commit
    assert "+# a local change" in run.task["script"]["diff"]


def test_nothing_was_refused(runs: dict[str, Run], server: ClearMLServer) -> None:
    refused = [(request.call, request.status) for request in server.requests if request.status != 200]

    assert runs
    assert refused == []
