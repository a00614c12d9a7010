"""The actions' own steps, read from their files and run in bash as the runner does, against loopback servers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.test_comment import Bench
from tests.support.actions import Job, pull_request
from tests.support.github_server import BOT, TOKEN, GitHubServer
from tests.support.program import ROOT, Gate

ACTIONS = ("action.yml", "actions/get-stats/action.yml", "actions/compare-models/action.yml")
ACCURACY = {"validation": {"accuracy": 0.9}}


def action(name: str) -> dict[str, Any]:
    document = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def filled(text: str, inputs: Mapping[str, str]) -> str:
    """The expressions of a step's env, as the runner fills them in."""
    github = {"github.token": TOKEN, "github.server_url": "https://github.com", "github.action_path": str(ROOT)}

    def value(match: re.Match[str]) -> str:
        names = [name.strip() for name in match[1].split("||")]
        values = [
            inputs[name.removeprefix("inputs.")] if name.startswith("inputs.") else github[name] for name in names
        ]
        return next((one for one in values if one), "")

    return re.sub(r"\$\{\{(.+?)\}\}", value, text)


def run(name: str, bench: Bench, tmp_path: Path, **given: str) -> subprocess.CompletedProcess[str]:
    """Runs the last step of an action with these inputs. Input names are written with `_` for `-`."""
    document = action(name)
    inputs = {key: filled(str(one.get("default", "")), {}) for key, one in document["inputs"].items()}
    known = {key.replace("-", "_"): key for key in inputs}
    inputs |= {known[key]: value for key, value in given.items()}
    program = tmp_path / "runner" / "git-clearml" / "bin" / "git-clearml"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m git_clearml "$@"\n')
    program.chmod(0o755)
    step = document["runs"]["steps"][-1]
    env = {key: filled(str(value), inputs) for key, value in step["env"].items()}
    job = {key: value for key, value in bench.job.env.items() if value is not None}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=bench.gate.repo.path,
        env={**os.environ, **job, **env, "RUNNER_TEMP": str(tmp_path / "runner"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def credentials(bench: Bench, old: bool) -> dict[str, str]:
    env = bench.gate.server.env
    values = (env["CLEARML_API_HOST"], env["CLEARML_API_ACCESS_KEY"], env["CLEARML_API_SECRET_KEY"])
    names = ("CLEARML_API_HOST", "CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY")
    return dict(zip(names if old else ("api_host", "access_key", "secret_key"), values, strict=True))


@pytest.fixture
def bench(gate: Gate, tmp_path: Path) -> Iterator[Bench]:
    base = gate.repo.head
    gate.repo.commit("change", {"train.py": "print('better')\n"})
    with GitHubServer() as github:
        head = gate.repo.head
        github.add_pull(7, head, base)
        yield Bench(gate, github, Job(tmp_path / "job", event=pull_request(7, head, base), api=github.url), base)


@pytest.mark.parametrize("name", ACTIONS)
def test_no_expression_stands_in_shell_text(name: str) -> None:
    for step in action(name)["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        if "uses" in step:
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"])


def test_the_replaced_actions_inputs_have_their_names_and_defaults() -> None:
    stats = {key: one.get("default") for key, one in action(ACTIONS[1])["inputs"].items()}
    keys = {"CLEARML_API_ACCESS_KEY": None, "CLEARML_API_SECRET_KEY": None, "CLEARML_API_HOST": None}
    assert stats == {**keys, "CLEARML_PROJECT": "", "CLEARML_TASK_NAME": "", "GH_TOKEN": ""}
    models = {key: one.get("default") for key, one in action(ACTIONS[2])["inputs"].items()}
    assert {key: value for key, value in models.items() if value is not None} == {
        "CLEARML_SCALAR_MIN_MAX": "MAX",
        "CLEARML_BEST_TAGNAME": "Best Performance",
        "CLEARML_SCALAR_THRESHOLD": "0",
    }


@pytest.mark.parametrize("name", ACTIONS[:2])
def test_a_verified_commit_is_commented(name: str, bench: Bench, tmp_path: Path) -> None:
    bench.gate.task(metrics=ACCURACY)
    done = run(name, bench, tmp_path, **credentials(bench, old=name != ACTIONS[0]))
    assert done.returncode == 0, done.stderr
    (comment,) = bench.github.by(BOT)
    assert "accuracy" in comment["body"]
    assert bench.job.outputs["outcome"] == "verified"
    assert TOKEN not in done.stdout + done.stderr + comment["body"]


@pytest.mark.parametrize("name", ACTIONS[:2])
def test_a_commit_that_nobody_ran_fails_the_job(name: str, bench: Bench, tmp_path: Path) -> None:
    done = run(name, bench, tmp_path, **credentials(bench, old=name != ACTIONS[0]))
    assert done.returncode == 1
    assert len(bench.github.by(BOT)) == 1


def test_get_stats_asks_for_its_project(bench: Bench, tmp_path: Path) -> None:
    bench.gate.task(project="Other")
    done = run(ACTIONS[1], bench, tmp_path, **credentials(bench, old=True), CLEARML_PROJECT="Mine; echo $(id)")
    assert done.returncode == 1
    assert "uid=" not in done.stdout + done.stderr


@pytest.mark.parametrize(("value", "status"), [(0.95, 0), (0.85, 0), (0.5, 1)])
def test_compare_models(value: float, status: int, bench: Bench, tmp_path: Path) -> None:
    best = bench.gate.server.add_task(commit="0" * 40, metrics=ACCURACY, tags=["Top", "keep"], name="train")
    task = bench.gate.task(name="train", metrics={"validation": {"accuracy": value}})
    inputs = {
        "CLEARML_PROJECT": "Vision/Detector",
        "CLEARML_TASK_NAME": "train",
        "CLEARML_SCALAR_TITLE": "validation",
        "CLEARML_SCALAR_SERIES": "accuracy",
        "CLEARML_BEST_TAGNAME": "Top",
        "CLEARML_SCALAR_THRESHOLD": "10",
    }
    done = run(ACTIONS[2], bench, tmp_path, **credentials(bench, old=True), **inputs)
    assert done.returncode == status, done.stderr
    tags = bench.gate.server.tasks
    assert ("Top" in tags[task]["tags"]) == (value > 0.9)
    assert tags[best]["tags"] == (["keep"] if value > 0.9 else ["Top", "keep"])
