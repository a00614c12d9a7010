"""The workflows under docs/examples, their own steps run in bash as the runner does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.actions import Job, repository
from tests.support.apart import Apart
from tests.support.clearml_server import ClearMLServer
from tests.support.program import ROOT
from tests.support.pushing import Yard, make_yard
from tests.support.robot import Robot
from tests.support.tools import require

EXAMPLE = ROOT / "docs" / "examples" / "train-on-tag.yml"


@pytest.fixture
def yard(tmp_path: Path, apart: Apart) -> Iterator[Yard]:
    with ClearMLServer() as server:
        yard = make_yard(tmp_path, server)
        apart.stand_in(tmp_path / "bin" / "git-clearml")
        yard.publish()
        yield yard


def workflow() -> dict[str, Any]:
    document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def train(yard: Yard, place: Path, number: int = 1) -> tuple[subprocess.CompletedProcess[str], Job]:
    """The workflow's own training step, in a checkout of the tag."""
    require("bash")
    directory = place / f"job{number}"
    directory.mkdir()
    checkout = directory / "checkout"
    subprocess.run(
        ["git", "clone", "--quiet", "--branch", "run-1", yard.remote.path.as_uri(), str(checkout)], check=True
    )
    ref = {"GITHUB_REF": "refs/tags/run-1", "GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "run-1"}
    event = {"ref": "refs/tags/run-1", "after": yard.repo.head, "repository": repository()}
    job = Job(directory / "files", "push", event, yard.repo.head, more=ref)
    (step,) = [each for each in workflow()["jobs"]["train"]["steps"] if each.get("name") == "Train"]
    env = {**step["env"], **yard.server.env}
    known = {name: value for name, value in {**os.environ, **job.env, **env}.items() if value is not None}
    known |= {"PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=checkout,
        env=known,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done, job


def test_a_pushed_tag_trains(yard: Yard, tmp_path: Path) -> None:
    """The tag's name is the task's tag, the note arrives on the remote, and the commit is verified."""
    yard.repo.git("tag", "run-1")
    yard.publish("run-1")
    Robot(yard.server, "take", "report", "complete", queue="default")
    done, job = train(yard, tmp_path)
    assert done.returncode == 0, done.stderr
    (task,) = yard.server.tasks.values()
    assert (task["tags"], task["script"]["version_num"], task["status"]) == (["run-1"], yard.repo.head, "completed")
    assert task["id"] in yard.remote.git("notes", "--ref=clearml", "show", yard.repo.head)
    assert job.outputs == {
        "outcome": "completed",
        "task-id": task["id"],
        "task-url": f"{yard.server.url}/projects/{task['project']}/experiments/{task['id']}/output/log",
        "commit": yard.repo.head,
    }
    assert "### completed: [train]" in job.summary
    assert "loss" in job.summary


def test_the_job_run_again_attaches_while_the_task_runs(yard: Yard, tmp_path: Path) -> None:
    """A runner that died left the task running: the next job of the same tag takes it over, and then starts anew."""
    yard.repo.git("tag", "run-1")
    yard.publish("run-1")
    robot = Robot(yard.server, "take", "reset", queue="default")
    assert train(yard, tmp_path)[0].returncode == 3
    robot.steps[:] = ["take", "complete"]
    (first,) = yard.server.tasks.values()
    with yard.server.store.lock:
        first["status"] = "in_progress"
    robot.looked.clear()
    robot.steps[:] = ["wait", "complete"]
    done, _ = train(yard, tmp_path, 2)
    assert done.returncode == 0, done.stderr
    assert len(yard.server.tasks) == 1
    robot.steps[:] = ["take", "complete"]
    assert train(yard, tmp_path, 3)[0].returncode == 0
    assert len(yard.server.tasks) == 2


def test_the_workflow_is_sound(tmp_path: Path) -> None:
    """Least rights, every action pinned by its hash, and no expression in a shell text."""
    document = workflow()
    assert document["permissions"] == {}
    steps = document["jobs"]["train"]["steps"]
    assert all("${{" not in step.get("run", "") for step in steps)
    assert all(len(step["uses"].partition("@")[2]) == 40 for step in steps if "uses" in step)
