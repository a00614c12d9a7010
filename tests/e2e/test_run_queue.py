"""`git clearml run --queue` with a real clearml-agent: from a tag to the comment, the note and the green commit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.workshop import QUEUE, Project, Workshop
from tests.support.actions import Job, pull_request, repository
from tests.support.github_server import BOT, GitHubServer
from tests.support.program import Result, inside
from tests.support.pushing import on_path, refs_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

TRAIN = """
import sys
from clearml import Task

task = Task.init("Vision/Detector", "train", auto_connect_frameworks=False, auto_resource_monitoring=False)
print("arguments:", sys.argv[1:])
task.get_logger().report_scalar("validation", "accuracy", float(sys.argv[1]), iteration=1)
task.get_logger().report_single_value("final", 0.5)
"""
QUICK = "print('trained')\n"
TESTS = "def test_good():\n    pass\n\n\ndef test_other():\n    assert {result}\n"


def run(project: Project, *words: str, **env: str | None) -> Result:
    around: dict[str, str | None] = {**project.shop.server.env, "PATH": on_path(), **env}
    return inside("run", "--queue", QUEUE, *words, cwd=project.repo.path, env=around)


def verified(project: Project, **env: str | None) -> Result:
    around: dict[str, str | None] = {**project.shop.server.env, **env}
    return inside("verify", "--format", "json", cwd=project.repo.path, env=around)


def test_from_the_tag_to_the_comment(shop: Workshop, tmp_path: Path) -> None:
    """A tag is pushed, its job trains; metrics stand on the pull request, the note is pushed, verify is green."""
    project = shop.project("tagged", {"train.py": TRAIN})
    base = project.repo.head
    project.repo.git("checkout", "--quiet", "-b", "topic")
    head = project.repo.commit("better", {"notes.txt": "x\n"})
    project.repo.git("tag", "run-1")
    project.repo.git("push", "--quiet", "origin", "topic", "run-1")
    project.repo.git("checkout", "--quiet", "run-1")
    ref = {"GITHUB_REF": "refs/tags/run-1", "GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "run-1"}
    event = {"ref": "refs/tags/run-1", "after": head, "repository": repository()}
    job = Job(tmp_path / "job", "push", event, head, more=ref)
    words = ("--wait", "--record", "notes", "--push-record", "--", "python", "train.py", "0.75", "a b")
    done = run(project, *words, **job.env)
    assert done.status == 0, done.err + done.out
    assert "validation" in done.out
    assert "0.75" in done.out
    task = shop.server.tasks[job.outputs["task-id"]]
    assert (task["status"], task["tags"], task["script"]["version_num"]) == ("completed", ["run-1"], head)
    assert (job.outputs["outcome"], job.outputs["commit"]) == ("completed", head)
    assert "0.75" in job.summary
    noted = json.loads(project.remote.git("notes", "--ref=clearml", "show", head))
    assert (noted["task"], noted["metrics"]["validation/accuracy"]) == (task["id"], 0.75)
    with GitHubServer() as github:
        github.add_pull(7, head, base)
        pull = Job(tmp_path / "pull", event=pull_request(7, head, base), api=github.url)
        judged = inside(
            "verify",
            "--comment",
            cwd=project.repo.path,
            env={**shop.server.env, **pull.env, **remote_of_event(project)},
        )
        assert judged.status == 0, judged.err + judged.out
        (comment,) = github.by(BOT)
        assert "0.75" in comment["body"]
    shown = inside("log", "-n", "1", cwd=project.repo.path)
    assert "recorded" in shown.out
    assert "completed" in shown.out


def remote_of_event(project: Project) -> dict[str, str]:
    """The event names a repository on GitHub; this is where its clone URL leads."""
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{project.shop.git.url(project.remote.path)}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/acme/detector.git",
    }


@pytest.mark.slow
def test_a_results_commit_on_a_branch_that_has_moved(shop: Workshop) -> None:
    project = shop.project("moved", {"train.py": QUICK})
    ran = project.repo.head
    other = project.repo.clone(shop.root / "moved-other")
    other.git("remote", "set-url", "origin", str(project.remote.path))
    theirs = other.commit("meanwhile", {"theirs.txt": "x\n"})
    other.git("push", "--quiet", "origin", "main")
    done = run(project, "--wait", "--record", "commit", "--", "python", "train.py")
    assert done.status == 0, done.err + done.out
    tip = project.remote.git("rev-parse", "main")
    assert project.remote.git("rev-parse", "main^") == theirs
    assert project.remote.git("diff", "--name-only", "main^", "main") == "clearml.lock"
    assert tip not in (ran, theirs)


@pytest.mark.slow
def test_seeds_side_by_side_each_with_its_task(shop: Workshop) -> None:
    project = shop.project("seeds", {"train.py": TRAIN.replace("argv[1]", "argv[2]")})
    rule = ("[[tool.git-clearml.metrics]]", 'metric = "validation/accuracy"', 'of = "worst"', "min-runs = 3")
    project.repo.policy(*rule, "at-least = 1")
    project.repo.git("push", "--quiet", "origin", "main")
    words = ("--wait", "--seeds", "3", "--first-seed", "1", "--parallel", "2", "--record", "notes")
    done = run(project, *words, "--", "python", "train.py", "--seed", "{seed}")
    assert done.status == 0, done.err + done.out
    ran = [task for task in shop.server.tasks.values() if task["script"].get("version_num") == project.repo.head]
    assert sorted(task["script"]["entry_point"] for task in ran) == [f"train.py --seed {seed}" for seed in (1, 2, 3)]
    judged = verified(project)
    (metric,) = judged.json["commits"][0]["metrics"]
    assert (judged.status, metric["value"], metric["runs"]) == (0, 1.0, 3)


def test_a_commit_that_is_nowhere_but_here(shop: Workshop) -> None:
    """Launched and left; the next command attaches, and deletes the side ref when the task has ended."""
    project = shop.project("here", {"train.py": QUICK})
    head = project.repo.commit("mine", {"train.py": "import time\ntime.sleep(1)\nprint('mine')\n"})
    first = run(project, "--", "python", "train.py")
    assert first.status == 0, first.err
    assert any(ref.startswith("refs/heads/git-clearml/") for ref in refs_of(project.remote))
    second = run(project, "--wait", "--", "python", "train.py")
    assert (second.status, second.out.splitlines()[0]) == (0, first.out.splitlines()[0])
    assert set(refs_of(project.remote)) == {"refs/heads/main"}
    assert (verified(project).status, project.repo.head) == (0, head)


@pytest.mark.parametrize(("result", "status"), [(True, 0), (False, 1)])
def test_tests_on_an_agent(result: bool, status: int, shop: Workshop) -> None:
    """The session's own result is the exit status, and its summary is shown."""
    files = {"tests/gpu/test_it.py": TESTS.format(result=result)}
    project = shop.project(f"tests{status}", files)
    done = run(project, "--wait", "--", "python", "-m", "pytest", "tests/gpu")
    assert done.status == status, done.err + done.out
    assert ("tests: 2 passed in" if result else "tests: 1 failed, 1 passed in") in done.out
    assert "will not count as evidence" in done.err
    assert verified(project).status == 1


ARGUMENTS = """
import argparse
from clearml import Task

parser = argparse.ArgumentParser()
parser.add_argument("-l", "--lr", type=float, default=0.1)
parser.add_argument("--fail-at", type=int, default=-1)
parser.add_argument("--amp", action="store_true")
Task.init("Vision/Detector", "train", auto_connect_frameworks=False, auto_resource_monitoring=False)
print("ran", vars(parser.parse_args()))
"""


def test_what_runs_is_what_is_on_record(shop: Workshop) -> None:
    """The template's arguments are those that the command does not mention."""
    project = shop.project("arguments", {"train.py": ARGUMENTS})
    first = run(project, "--wait", "--", "python", "train.py", "--lr", "0.5", "--fail-at", "3")
    assert first.status == 0, first.err
    template = first.out.splitlines()[0]
    assert values(shop, template)["lr"] == "0.5"
    done = run(project, "--wait", "--follow", "--from", template, "--", "python", "train.py", "-l", "0.9", "--amp")
    assert done.status == 0, done.err
    assert "ran {'lr': 0.9, 'fail_at': 3, 'amp': True}" in done.out
    assert values(shop, done.out.splitlines()[0]) == {"lr": "0.9", "fail_at": "3", "amp": "True"}


def values(shop: Workshop, task: str) -> dict[str, str]:
    return {name: item["value"] for name, item in shop.server.tasks[task]["hyperparams"]["Args"].items()}


@pytest.mark.slow
def test_from_a_template(shop: Workshop) -> None:
    project = shop.project("template", {"train.py": "import sys\nprint(sys.argv)\n"})
    assert run(project, "--wait", "--", "python", "train.py", "--lr", "1").status == 0
    verdict = verified(project)
    head = project.repo.commit("next", {"train.py": "import sys\nprint('next', sys.argv)\n"})
    done = run(project, "--wait", "--follow", "--from", verdict.commit["task"]["id"])
    assert done.status == 0, done.err
    assert "next ['train.py', '--lr', '1']" in done.out.replace(str(shop.root), "")
    assert verified(project).commit["commit"] == head
