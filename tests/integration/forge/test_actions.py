"""The actions' own steps, read from their files and run in bash as the runner does, against loopback servers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.forge.test_comment import Bench
from tests.support.actions import Job, pull_request
from tests.support.apart import Apart
from tests.support.clearml_common import Json
from tests.support.clearml_server import ClearMLServer
from tests.support.github_server import BOT, TOKEN, GitHubServer
from tests.support.program import ROOT, Gate
from tests.support.repos import Repo
from tests.support.robot import Robot
from tests.support.tools import require

OURS, STATS, MODELS, RUNNABLE = (
    "action.yml",
    "actions/get-stats/action.yml",
    "actions/compare-models/action.yml",
    "actions/check-remotely-runnable/action.yml",
)
ACTIONS = (OURS, STATS, MODELS, RUNNABLE)
KEYS = ("CLEARML_API_HOST", "CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY")
ACCURACY = {"validation": {"accuracy": 0.9}}


def action(name: str) -> dict[str, Any]:
    document = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def test_nothing_is_imported_from_the_checkout_while_git_clearml_is_installed(tmp_path: Path) -> None:
    """The job's directory holds what a pull request brings: its venv.py and logging.py are none of Python's."""
    python, log = tmp_path / "bin" / "python3", tmp_path / "log"
    python.parent.mkdir()
    venv = 'if [ "$3" = venv ]; then mkdir -p "$4/bin"; ln -sf "$0" "$4/bin/python"; fi'
    python.write_text(f'#!/bin/sh\necho "$*" >>"{log}"\n{venv}\n')
    python.chmod(0o755)
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    script = ["sh", str(ROOT / "actions" / "install.sh"), str(tmp_path / "venv")]
    subprocess.run(script, cwd=tmp_path, env={**os.environ, "PATH": path}, check=True, timeout=60)
    started = log.read_text().splitlines()
    assert len(started) == 4
    assert {line.split()[0] for line in started} == {"-I"}
    recipes = [ROOT / "docs" / "ci.md", *(ROOT / "templates").glob("*"), *(ROOT / name for name in ACTIONS)]
    assert not [line for file in recipes for line in re.findall(r"python3? -m (?:venv|pip)", file.read_text())]


def filled(text: str, inputs: Mapping[str, str], own_checkout: bool = False) -> str:
    """The expressions of a step's env, as the runner fills them in."""
    github = {"github.token": TOKEN, "github.server_url": "https://github.com", "github.action_path": str(ROOT)}
    github["steps.workspace.outputs.missing"] = "true" if own_checkout else "false"

    def value(match: re.Match[str]) -> str:
        names = [name.strip() for name in match[1].split("||")]
        values = [
            inputs[name.removeprefix("inputs.")] if name.startswith("inputs.") else github[name] for name in names
        ]
        return next((value for value in values if value), "")

    return re.sub(r"\$\{\{(.+?)\}\}", value, text)


def program(tmp_path: Path) -> Path:
    """Where the action has installed git-clearml."""
    return tmp_path / "runner" / "git-clearml" / "bin" / "git-clearml"


def start(name: str, bench: Bench, tmp_path: Path, *, cwd: Path | None = None, **given: str) -> subprocess.Popen[str]:
    """Starts the last step of an action with these inputs. Input names are written with `_` for `-`.

    `cwd` is a checkout that the action has made, in a job that had none.
    """
    require("bash")
    document = action(name)
    inputs = {key: filled(str(each.get("default", "")), {}) for key, each in document["inputs"].items()}
    known = {key.replace("-", "_"): key for key in inputs}
    inputs |= {known[key]: value for key, value in given.items()}
    step = document["runs"]["steps"][-1]
    env = {key: filled(str(value), inputs, cwd is not None) for key, value in step["env"].items()}
    job = {key: value for key, value in bench.job.env.items() if value is not None}
    return subprocess.Popen(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=cwd or bench.gate.repo.path,
        env={**os.environ, **job, **env, "RUNNER_TEMP": str(tmp_path / "runner"), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(
    name: str, bench: Bench, tmp_path: Path, *, cwd: Path | None = None, **given: str
) -> subprocess.CompletedProcess[str]:
    """The step from its beginning to its end. No secret comes out of it."""
    process = start(name, bench, tmp_path, cwd=cwd, **given)
    out, err = process.communicate(timeout=120)
    bodies = "".join(comment["body"] for comment in bench.github.comments)
    for secret in (TOKEN, bench.gate.server.secret_key, bench.gate.server.access_key):
        assert secret not in out + err + bench.job.written + bodies
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def credentials(bench: Bench, name: str) -> dict[str, str]:
    """The inputs that every action has."""
    names = ("api_host", "access_key", "secret_key") if name == OURS else KEYS
    return dict(zip(names, (bench.gate.server.env[key] for key in KEYS), strict=True))


@pytest.fixture
def bench(gate: Gate, tmp_path: Path, apart: Apart) -> Iterator[Bench]:
    apart.stand_in(program(tmp_path))
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
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", ACTIONS)
def test_every_output_is_one_of_the_last_step(name: str) -> None:
    document = action(name)
    step = document["runs"]["steps"][-1]["id"]
    for key, output in document["outputs"].items():
        assert output["value"] == f"${{{{ steps.{step}.outputs.{key} }}}}"


def test_the_replaced_actions_inputs_have_their_names_and_defaults() -> None:
    def defaults(name: str) -> dict[str, str | None]:
        inputs: dict[str, Json] = action(name)["inputs"]
        assert all(each.get("required", False) is ("default" not in each) for each in inputs.values())
        return {key: each.get("default") for key, each in inputs.items()}

    keys = dict.fromkeys(KEYS)
    assert defaults(STATS) == {**keys, "CLEARML_PROJECT": "", "CLEARML_TASK_NAME": "", "GH_TOKEN": ""}
    asked = ("CLEARML_PROJECT", "CLEARML_TASK_NAME", "CLEARML_SCALAR_TITLE", "CLEARML_SCALAR_SERIES")
    assert defaults(MODELS) == {
        **keys,
        **dict.fromkeys(asked),
        "CLEARML_SCALAR_MIN_MAX": "MAX",
        "CLEARML_BEST_TAGNAME": "Best Performance",
        "CLEARML_SCALAR_THRESHOLD": "0",
    }
    assert defaults(RUNNABLE) == {
        **keys,
        "EXECUTION_TIMEOUT": "600",
        "QUEUE_NAME": "default",
        "EXECUTION_ENTRYPOINT": "main.py",
        "EXECUTION_FOLDER": ".",
        "EXECUTION_REQUIREMENTS": "requirements.txt",
        "EXECUTION_ARGS": "",
        "CLEARML_PROJECT": "Github CICD",
        "CLEARML_TASK_NAME": "cicd_test_task",
    }


@pytest.mark.parametrize("name", ACTIONS)
def test_a_forks_pull_request_has_no_secrets(name: str, bench: Bench, tmp_path: Path) -> None:
    """Nothing can be asked, which is no verdict; the job is told what is missing."""
    bench.job.event = pull_request(7, bench.head, bench.base, fork="stranger/project")
    bench.github.add_pull(7, bench.head, bench.base, fork="stranger/project")
    bench.github.read_only = True
    inputs = dict.fromkeys(credentials(bench, name), "")
    if name == MODELS:
        asked = ("CLEARML_PROJECT", "CLEARML_TASK_NAME", "CLEARML_SCALAR_TITLE", "CLEARML_SCALAR_SERIES")
        inputs |= dict.fromkeys(asked, "name")
    if name == RUNNABLE:
        inputs["EXECUTION_ENTRYPOINT"] = "train.py"
    done = run(name, bench, tmp_path, **inputs)
    assert done.returncode == 3, done.stderr
    assert "no ClearML credentials" in done.stderr
    assert "no ClearML credentials" in bench.job.summary
    assert (bench.job.outputs["outcome"], bench.github.comments) == ("undecided", [])


# --- git-clearml and get-stats -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [OURS, STATS])
def test_a_verified_commit_is_commented(name: str, bench: Bench, tmp_path: Path) -> None:
    task = bench.gate.task(metrics=ACCURACY)
    done = run(name, bench, tmp_path, **credentials(bench, name))
    assert done.returncode == 0, done.stderr
    (comment,) = bench.github.by(BOT)
    assert "accuracy" in comment["body"]
    outputs = bench.job.outputs
    assert (outputs["outcome"], outputs["task-id"], outputs["commit"]) == ("verified", task, bench.head)
    assert outputs["comment-url"] == comment["html_url"]


@pytest.mark.parametrize("name", [OURS, STATS])
def test_a_commit_that_nobody_ran_fails_the_job(name: str, bench: Bench, tmp_path: Path) -> None:
    done = run(name, bench, tmp_path, **credentials(bench, name))
    assert done.returncode == 1
    assert len(bench.github.by(BOT)) == 1


def test_the_documented_example_of_get_stats(bench: Bench, tmp_path: Path) -> None:
    """With its own token, and the commit in a variable; the checkout stands at another one."""
    bench.gate.task(metrics=ACCURACY)
    bench.job.token = ""
    bench.job.more = {"COMMIT_ID": bench.head}
    bench.gate.repo.git("checkout", "--quiet", "--detach", bench.base)
    bench.job.event = pull_request(7, bench.job.more["COMMIT_ID"], bench.base, action="assigned")
    done = run(STATS, bench, tmp_path, **credentials(bench, STATS), GH_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert len(bench.github.by(BOT)) == 1


def test_get_stats_asks_for_its_project(bench: Bench, tmp_path: Path) -> None:
    bench.gate.task(project="Other")
    done = run(STATS, bench, tmp_path, **credentials(bench, STATS), CLEARML_PROJECT="Mine; echo $(id)")
    assert done.returncode == 1
    assert "uid=" not in done.stdout + done.stderr


def test_the_tags_and_the_files_of_our_own_action(bench: Bench, tmp_path: Path) -> None:
    policy = bench.gate.repo.policy("[tool.git-clearml.best]", 'metric = "validation/accuracy"')
    bench.job.event = pull_request(7, bench.head, policy)
    bench.github.pulls[7]["head"]["sha"] = bench.head
    task = bench.gate.task(metrics=ACCURACY)
    asked = {"comment": "false", "tag_unmerged": "true", "add_tag": "-a b; $(id)", "reports": "-my reports/$(id)"}
    done = run(OURS, bench, tmp_path, **credentials(bench, OURS), **asked)
    assert done.returncode == 0, done.stderr
    assert (bench.gate.repo.path / "-my reports" / "$(id)" / "junit.xml").is_file()
    assert sorted(bench.gate.server.tasks[task]["tags"]) == ["-a b; $(id)", "Best Performance"]
    assert (bench.job.outputs["compare"], bench.github.comments) == ("first", [])


def test_our_own_action_makes_a_checkout_where_the_job_has_none(bench: Bench, tmp_path: Path) -> None:
    """And only there: two credentials are refused by GitHub."""
    require("bash")
    look, checkout = action(OURS)["runs"]["steps"][:2]
    assert checkout["if"] == f"steps.{look['id']}.outputs.missing == 'true'"
    assert action(OURS)["inputs"]["fetch-depth"]["default"] == "0"
    empty, foreign = tmp_path / "empty", tmp_path / "foreign"
    for place, missing in ((empty, "true"), (bench.gate.repo.path, "false"), (foreign, "false")):
        place.mkdir(exist_ok=True)
        if place == foreign:
            (place / ".git").mkdir()  # one that git itself would not take for a repository
        output = tmp_path / f"{place.name}.output"
        words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", look["run"]]
        subprocess.run(words, cwd=place, env={**os.environ, "GITHUB_OUTPUT": str(output)}, check=True)
        assert output.read_text() == f"missing={missing}\n"
    bench.gate.task(metrics=ACCURACY)
    bench.gate.repo.git("clone", "--quiet", str(bench.gate.repo.path), str(empty))
    url = bench.gate.repo.git("remote", "get-url", "origin")
    subprocess.run(["git", "remote", "set-url", "origin", url], cwd=empty, check=True)
    done = run(OURS, bench, tmp_path, cwd=empty, **credentials(bench, OURS))
    assert done.returncode == 0, done.stderr
    assert len(bench.github.by(BOT)) == 1


# --- compare-models ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "status", "outcome"), [(0.95, 0, "better"), (0.85, 0, "worse"), (0.5, 1, "worse"), (0.9, 0, "equal")]
)
def test_compare_models(value: float, status: int, outcome: str, bench: Bench, tmp_path: Path) -> None:
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
    done = run(MODELS, bench, tmp_path, **credentials(bench, MODELS), **inputs)
    assert done.returncode == status, done.stderr
    tags = bench.gate.server.tasks
    assert ("Top" in tags[task]["tags"]) == (value >= 0.9)
    assert tags[best]["tags"] == (["keep"] if value >= 0.9 else ["Top", "keep"])
    assert (bench.job.outputs["outcome"], bench.job.outputs["task-id"]) == (outcome, task)
    assert f"{outcome} " in bench.job.summary
    assert f"::{'error' if status else 'notice'} title=git clearml::{bench.head[:12]} {outcome} " in done.stderr


def test_the_documented_example_of_compare_models(bench: Bench, tmp_path: Path) -> None:
    metrics = {"Performance Metrics": {"mAP": 0.5}}
    task = bench.gate.task(name="my_task", project="my_project", metrics=metrics)
    bench.job.more = {"COMMIT_ID": bench.head}
    inputs = {
        "CLEARML_PROJECT": "my_project",
        "CLEARML_TASK_NAME": "my_task",
        "CLEARML_SCALAR_TITLE": "Performance Metrics",
        "CLEARML_SCALAR_SERIES": "mAP",
        "CLEARML_BEST_TAGNAME": "GOODEST BOI",
    }
    done = run(MODELS, bench, tmp_path, **credentials(bench, MODELS), **inputs)
    assert done.returncode == 0, done.stderr
    assert bench.gate.server.tasks[task]["tags"] == ["GOODEST BOI"]
    assert bench.job.outputs["outcome"] == "first"


def test_compare_models_without_evidence(bench: Bench, tmp_path: Path) -> None:
    bench.gate.task(name="train", status="failed")
    inputs = {"CLEARML_PROJECT": "", "CLEARML_SCALAR_TITLE": "a", "CLEARML_SCALAR_SERIES": "b"}
    done = run(MODELS, bench, tmp_path, **credentials(bench, MODELS), **inputs, CLEARML_TASK_NAME="train")
    assert done.returncode == 1
    assert (bench.job.outputs["outcome"], bench.job.outputs["task-id"]) == ("missing", "")
    assert "### ❌ Rejected" in bench.job.summary
    assert "Next: git clearml run" in done.stderr


def test_compare_models_called_wrongly(bench: Bench, tmp_path: Path) -> None:
    inputs = {"CLEARML_PROJECT": "", "CLEARML_SCALAR_TITLE": "a", "CLEARML_SCALAR_SERIES": "b", "CLEARML_TASK_NAME": ""}
    done = run(MODELS, bench, tmp_path, **credentials(bench, MODELS), **inputs, CLEARML_SCALAR_THRESHOLD="-3")
    assert (done.returncode, bench.job.outputs["outcome"]) == (2, "undecided")
    assert "::error title=git clearml::" in done.stderr


# --- check-remotely-runnable -------------------------------------------------------------------------------------

EXAMPLE = {
    "QUEUE_NAME": "GPU Queue",
    "EXECUTION_ENTRYPOINT": "task.py",
    "EXECUTION_ARGS": "arg1=foo arg2=bar",
    "EXECUTION_TIMEOUT": "600",
}


@pytest.fixture
def remote(bench: Bench, tmp_path: Path) -> Repo:
    """Where an agent clones from: it has the pull request's head on a branch. The checkout stands at its merge."""
    repo = bench.gate.repo
    repo.commit("the script", {"task.py": "print(1)\n", "requirements.txt": "clearml\n"})
    bench.github.pulls[7]["head"]["sha"] = bench.head
    bench.job.event = pull_request(7, bench.head, bench.base)
    bare = Repo(tmp_path / "remote.git")
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(bare.path))
    bare.git("update-ref", "refs/heads/topic", bench.head)
    bare.git("update-ref", "refs/heads/main", bench.base)
    repo.git("remote", "set-url", "origin", f"file://{bare.path}")
    return bare


def launched(server: ClearMLServer) -> Json:
    """The only task that there is."""
    (task,) = server.tasks.values()
    return task


def test_the_documented_example_of_check_remotely_runnable(bench: Bench, remote: Repo, tmp_path: Path) -> None:
    server, head = bench.gate.server, bench.head
    Robot(server, "wait", "take", "wait", "report", queue="GPU Queue")
    bench.gate.repo.git("checkout", "--quiet", "--detach", bench.base)
    done = run(RUNNABLE, bench, tmp_path, **credentials(bench, RUNNABLE), **EXAMPLE)
    assert done.returncode == 0, done.stderr
    task = launched(server)
    assert (task["status"], "archived" in task["system_tags"]) == ("stopped", True)
    assert (task["name"], server.store.projects[task["project"]]["name"]) == ("cicd_test_task", "Github CICD")
    script = task["script"]
    assert (script["version_num"], script["entry_point"], script["working_dir"]) == (head, "task.py", ".")
    assert (script["diff"], script["requirements"]) == ("", {"pip": "clearml\n"})
    arguments = {name: hyperparam["value"] for name, hyperparam in task["hyperparams"]["Args"].items()}
    assert arguments == {"arg1": "foo", "arg2": "bar"}
    assert remote.git("for-each-ref", "--format=%(refname)") == "refs/heads/main\nrefs/heads/topic"
    assert "runnable" in done.stdout


@pytest.mark.parametrize("given", ["", "hack=empty_string_doesnt_work"])
def test_the_check_has_no_arguments_by_default(given: str, bench: Bench, remote: Repo, tmp_path: Path) -> None:
    server = bench.gate.server
    Robot(server, "wait", "take", "wait", "report", queue="GPU Queue")
    inputs = {**EXAMPLE, "EXECUTION_ARGS": given}
    done = run(RUNNABLE, bench, tmp_path, **credentials(bench, RUNNABLE), **inputs)
    assert done.returncode == 0, done.stderr
    assert "Args" not in launched(server)["hyperparams"]


def test_a_task_that_fails_on_the_agent_fails_the_job(bench: Bench, remote: Repo, tmp_path: Path) -> None:
    Robot(bench.gate.server, "take", "fail", queue="GPU Queue")
    done = run(RUNNABLE, bench, tmp_path, **credentials(bench, RUNNABLE), **EXAMPLE)
    assert done.returncode == 1
    assert "failed" in done.stdout


def test_a_queue_that_no_worker_serves(bench: Bench, remote: Repo, tmp_path: Path) -> None:
    bench.gate.server.add_queue("GPU Queue")
    done = run(RUNNABLE, bench, tmp_path, **credentials(bench, RUNNABLE), **EXAMPLE)
    assert (done.returncode, bench.gate.server.tasks) == (3, {})
    assert "has no active workers" in done.stdout


def test_inputs_of_the_check_are_text(bench: Bench, remote: Repo, tmp_path: Path) -> None:
    """Neither the shell nor our own command line makes more of them."""
    inputs = {**EXAMPLE, "QUEUE_NAME": "--force $(id); `id`", "CLEARML_TASK_NAME": "--help"}
    done = run(RUNNABLE, bench, tmp_path, **credentials(bench, RUNNABLE), **inputs)
    assert done.returncode == 2
    assert "there is no queue '--force $(id); `id`'" in done.stderr
    assert "uid=" not in done.stdout + done.stderr


# Sleeping takes no time in it.
SIGNALLED = """#!/bin/sh
exec "{python}" -c "
import sys, time
time.sleep = lambda seconds, sleep=time.sleep: sleep(min(seconds, 0.01))
from git_clearml.cli import main
sys.exit(main(sys.argv[1:]))
" "$@"
"""


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_cancelled_job_leaves_no_task(
    number: signal.Signals, status: int, bench: Bench, remote: Repo, tmp_path: Path
) -> None:
    """The runner signals the step's own process, which is bash, and nothing below it."""
    server = bench.gate.server
    server.add_worker("gpu:0", ["GPU Queue"])
    program(tmp_path).write_text(SIGNALLED.format(python=sys.executable))
    process = start(RUNNABLE, bench, tmp_path, **credentials(bench, RUNNABLE), **EXAMPLE)
    end = time.monotonic() + 60
    while "tasks.enqueue" not in server.calls() and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == status, (out, err)
    assert launched(server)["status"] == "stopped"
