"""`git clearml check-runnable` with a real clearml-agent 3.0.3, which clones over HTTP and runs real scripts.

Those marked `slow` are left out where time is short: `make e2e M="e2e and not slow"`. What a light agent cannot show is
a requirement that cannot be installed: it installs nothing. That takes an agent of its own, and a package index.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.e2e.workshop import IDLE, Project, Workshop, workshop
from tests.support.pushing import refs_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

WORKS = "print('works')\n"
RAISES = "def load(path):\n    return open(path)\n\n\nprint('loading')\nload('nosuch.csv')\n"
WAITS = "import time\nprint('waiting', flush=True)\ntime.sleep(300)\n"
SDK = """
import argparse, time
from clearml import Task

task = Task.init("Vision/Detector", "train", auto_connect_frameworks=False, auto_resource_monitoring=False)
parser = argparse.ArgumentParser()
parser.add_argument("--warm-up", type=int, default=0)
for iteration in range(parser.parse_args().warm_up):
    task.get_logger().report_scalar("loss", "train", 1 / (iteration + 1), iteration=iteration)
    time.sleep(0.2)
time.sleep(300)
"""


def refs(project: Project) -> set[str]:
    return set(refs_of(project.remote))


def test_a_training_that_reports_is_runnable_and_stopped(shop: Workshop) -> None:
    project = shop.project("reports", {"main.py": SDK})
    checked = project.check("--args", "warm-up=1500").came_to("runnable", 0, None)
    task = checked.task
    assert (task["status"], checked.archived) == ("stopped", True)
    assert (task["name"], task["type"], task["script"]["diff"]) == ("cicd_test_task", "testing", "")
    assert shop.server.store.projects[task["project"]]["name"] == "Github CICD"
    assert task["script"]["version_num"] == project.repo.head
    assert "git-clearml-check" in task["tags"]
    assert checked.json["seconds_running"] > 0


@pytest.mark.slow
def test_a_training_that_only_reports_iteration_0_is_runnable(shop: Workshop) -> None:
    project = shop.project("iteration0", {"src/train.py": SDK})
    words = ("--folder", "src", "--entry-point", "train.py", "--args", "warm-up=1", "--archive", "never")
    checked = project.check(*words)
    checked.came_to("runnable", 0, None)
    assert (checked.task["status"], checked.task["last_iteration"], checked.archived) == ("stopped", 0, False)


def test_a_script_that_ends_at_once_is_runnable_and_not_launched_again(shop: Workshop) -> None:
    project = shop.project("ends", {"main.py": WORKS})
    checked = project.check().came_to("runnable", 0, None)
    assert (checked.task["status"], checked.archived) == ("completed", True)
    project.repo.git("commit", "--quiet", "--amend", "--message", "the same files")
    again = project.check().came_to("runnable", 0, None)
    assert (again.task, again.json["earlier"], again.json["task"]) == ({}, True, checked.task["id"])


def test_a_script_that_raises(shop: Workshop) -> None:
    project = shop.project("raises", {"main.py": RAISES})
    checked = project.check().came_to("failed", 1, "script-failed")
    assert "FileNotFoundError: [Errno 2] No such file or directory: 'nosuch.csv'" in checked.json["sentence"]
    assert "loading" in checked.json["log_tail"]
    assert any("load('nosuch.csv')" in line for line in checked.json["log_tail"])
    assert not any("access_key" in line for line in checked.json["log_tail"])
    assert (checked.task["status"], checked.archived) == ("failed", False)


def test_a_module_that_the_agent_does_not_have(shop: Workshop) -> None:
    project = shop.project("module", {"main.py": "import nosuchmodule.of_ours\n"})
    checked = project.check("--archive", "always").came_to("failed", 1, "package-not-found")
    assert "'nosuchmodule'" in checked.json["sentence"]
    assert (checked.task["status"], checked.archived) == ("failed", True)


def test_a_script_that_is_killed(shop: Workshop) -> None:
    project = shop.project("killed", {"main.py": "import os\nos.kill(os.getpid(), 9)\n"})
    project.check().came_to("failed", 1, "out-of-memory")


def test_an_entry_point_that_the_commit_lacks_is_refused(shop: Workshop) -> None:
    project = shop.project("entry", {"train.py": WORKS})
    project.repo.write({"main.py": WORKS})  # it is not the working tree that counts
    checked = project.check().came_to("failed", 1, "entry-point-missing")
    assert checked.task == {}


def test_a_queue_that_nobody_serves_and_one_that_is_not_there(shop: Workshop) -> None:
    project = shop.project("queues", {"main.py": WORKS})
    assert project.check("--queue", IDLE).came_to("no-worker", 3, None).task == {}
    [note] = project.check("--queue", IDLE).json["notes"]
    assert "default" in note
    assert project.check("--queue", "nosuch").came_to("undecided", 2, None).task == {}
    assert shop.server.store.queue_named("nosuch") is None


def test_a_commit_that_is_not_pushed_goes_by_a_side_ref(shop: Workshop) -> None:
    project = shop.project("side", {"main.py": RAISES})
    head = project.repo.commit("mended", {"main.py": WORKS})
    shop.git.requests.clear()
    checked = project.check().came_to("runnable", 0, None)
    assert (checked.task["status"], checked.task["script"]["version_num"]) == ("completed", head)
    pushes = [request for request in shop.git.requests if request == "POST /side.git/git-receive-pack"]
    assert len(pushes) == 2  # there and gone
    assert refs(project) == {"refs/heads/main"}


def test_a_commit_that_is_not_pushed_goes_as_a_diff(shop: Workshop) -> None:
    project = shop.project("diff", {"main.py": RAISES})
    pushed = project.repo.head
    project.repo.commit("mended", {"main.py": "from ours import words\nprint(words)\n", "ours.py": "words = 'ü'\n"})
    shop.git.requests.clear()
    checked = project.check("--as-diff").came_to("runnable", 0, None)
    assert (checked.task["status"], checked.task["script"]["version_num"]) == ("completed", pushed)
    assert "+words = 'ü'" in checked.task["script"]["diff"]
    assert not any("git-receive-pack" in request for request in shop.git.requests)


def test_a_script_that_never_reports_runs_into_the_limit(shop: Workshop) -> None:
    project = shop.project("silent", {"main.py": WAITS})
    checked = project.check("--execution-timeout", "8").came_to("timeout", 1, "execution-timeout")
    assert (checked.task["status"], checked.archived) == ("stopped", False)
    assert checked.json["log_tail"]
    assert checked.json["seconds_running"] >= 8


def test_a_repository_without_the_commit(shop: Workshop) -> None:
    """The agent is told to clone a mirror that does not get what is pushed to the remote."""
    mirror = shop.project("mirror", {"main.py": WORKS})
    project = shop.project("mirrored", {"main.py": RAISES})
    checked = project.check("--repository", shop.git.url(mirror.remote.path)).came_to("failed", 1, "commit-not-found")
    assert project.repo.head in "".join(checked.json["log_tail"])


def test_a_repository_that_the_agent_cannot_reach(shop: Workshop) -> None:
    project = shop.project("unreached", {"main.py": WORKS})
    checked = project.check("--repository", "http://me:secret@127.0.0.1:1/project.git")
    checked.came_to("failed", 1, "repository-unreachable")
    assert "secret" not in checked.result.out + checked.result.err


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_in_the_middle_leaves_nothing(shop: Workshop, number: signal.Signals, status: int) -> None:
    project = shop.project(f"interrupted{status}", {"main.py": WORKS})
    project.repo.commit("not pushed", {"main.py": WAITS})
    with project.interrupted(number, "--archive", "always") as found:
        assert any(ref.startswith("refs/heads/git-clearml/") for ref in refs(project))
    (checked,) = found
    checked.came_to("interrupted", status, None)
    assert (checked.task["status"], checked.archived) == ("stopped", True)


@pytest.mark.slow
def test_what_a_kill_leaves_is_swept_by_the_next_check(shop: Workshop) -> None:
    project = shop.project("swept", {"main.py": WAITS})
    project.repo.commit("not pushed", {"main.py": "# once more\n" + WAITS})
    with project.interrupted(signal.SIGKILL) as found:
        pass
    (killed,) = found
    assert killed.task["status"] == "in_progress"
    assert len(refs(project)) == 2
    project.repo.commit("works", {"main.py": WORKS})
    project.check("--archive", "never", sweeps=killed.task["id"]).came_to("runnable", 0, None)
    assert shop.server.tasks[killed.task["id"]]["status"] == "stopped"
    assert refs(project) == {"refs/heads/main"}


@pytest.mark.slow
def test_a_requirement_that_cannot_be_installed(tmp_path: Path) -> None:
    """With an agent that installs: it asks a package index, and finds there what every task gets besides.

    Without requirements it takes the commit's requirements.txt, unless it is told to take none.
    """
    with workshop(tmp_path, installs=True) as shop:
        project = shop.project("requires", {"main.py": WORKS, "requirements.txt": "no-such-package-of-ours==1.0\n"})
        checked = project.check().came_to("failed", 1, "package-not-found")
        assert "no-such-package-of-ours==1.0" in checked.json["sentence"]
        project.check("--requirements", "none").came_to("runnable", 0, None)
