"""`git clearml run --record`: what came out, as a note or as a commit; never as evidence."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from git_clearml.agent import poll as following
from tests.support.clearml_server import ClearMLServer
from tests.support.program import Result, inside, process_environment
from tests.support.program import command as program
from tests.support.pushing import Yard, make_yard, on_path, refs_of, write_hook
from tests.support.robot import Robot
from tests.support.scripts import QUICK

POLICY = ('results-paths = ["metrics.json"]',)
WRITES = QUICK + "open('metrics.json', 'w').write('{}' + chr(10))\n"
FAILS = QUICK + "sys.exit(3)\n"


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    """A pushed commit whose training needs no server."""
    monkeypatch.setattr(following, "pause", lambda *_: 0.01)
    with ClearMLServer() as server:
        server.add_queue("gpu")
        yard = make_yard(tmp_path, server)
        yard.repo.write({"train.py": QUICK, "metrics.json": "{ }\n"})
        yard.repo.policy(*POLICY)
        yard.publish()
        yield yard


def here(yard: Yard, *words: str, script: str = "train.py") -> Result:
    """A run on this machine, offline."""
    return inside("run", *words, "--", sys.executable, script, cwd=yard.repo.path)


def queued(yard: Yard, *words: str) -> Result:
    env = {**yard.server.env, "PATH": on_path()}
    return inside("run", "--queue", "gpu", "--wait", *words, "--", "python", "train.py", cwd=yard.repo.path, env=env)


def note(yard: Yard, rev: str = "HEAD") -> dict[str, object]:
    (line,) = yard.repo.git("notes", "--ref=clearml", "show", rev).splitlines()
    document = json.loads(line)
    assert isinstance(document, dict)
    return document


def test_a_note_leaves_head_and_its_evidence_as_they_are(yard: Yard) -> None:
    head = yard.repo.head
    done = here(yard, "--record", "notes")
    assert done.status == 0, done.err
    assert f"recorded in the note of {head[:12]}" in done.err
    assert (yard.repo.head, yard.repo.git("status", "--porcelain")) == (head, "")
    assert (note(yard)["status"], note(yard)["metrics"]) == ("completed", {"validation/accuracy": 0.75})
    assert inside("verify", cwd=yard.repo.path).status == 0
    shown = inside("log", "-n", "1", cwd=yard.repo.path)
    assert "recorded" in shown.out
    assert "0.75" in shown.out


def test_notes_are_pushed(yard: Yard) -> None:
    Robot(yard.server, "take", "complete")
    done = queued(yard, "--record", "notes", "--push-record")
    assert done.status == 0, done.err
    assert note(yard)["task"] in yard.remote.git("notes", "--ref=clearml", "show", yard.repo.head)


def test_a_results_commit_is_verified_by_its_parent(yard: Yard) -> None:
    """From a queue, every branch protected: the run, the results commit, its push through our own hook."""
    yard.install()
    ran = yard.repo.head
    Robot(yard.server, "take", "report", "complete")
    done = queued(yard, "--record", "commit", "--skip-ci")
    assert done.status == 0, done.err + done.out
    head = yard.repo.head
    assert yard.repo.git("rev-parse", "HEAD^") == ran
    assert yard.repo.git("log", "-1", "--format=%s").startswith("policy-results")
    assert "[skip ci]" in yard.repo.git("log", "-1", "--format=%B")
    assert yard.remote.git("rev-parse", "main") == head
    assert yard.repo.git("diff", "--name-only", "HEAD^", "HEAD") == "clearml.lock"
    assert yard.repo.git("status", "--porcelain") == ""
    verdict = inside("verify", "--format", "json", cwd=yard.repo.path, env=yard.server.env)
    assert (verdict.status, verdict.commit["equivalence"], verdict.commit["evidence_commit"]) == (0, "results", ran)
    again = inside("run", "--attach", verdict.commit["task"]["id"], cwd=yard.repo.path, env=yard.server.env)
    assert again.status == 0


def test_what_the_run_writes_goes_along(yard: Yard) -> None:
    yard.repo.commit("writes", {"train.py": WRITES})
    yard.publish()
    done = here(yard, "--record", "commit", "--add", "metrics.json")
    assert done.status == 0, done.err
    changed = yard.repo.git("diff", "--name-only", "HEAD^", "HEAD").splitlines()
    assert changed == ["clearml.lock", "metrics.json"]
    assert inside("verify", cwd=yard.repo.path).status == 0


def test_a_command_before_the_push_that_fails_stops_it(yard: Yard) -> None:
    before = yard.remote.git("rev-parse", "main")
    Robot(yard.server, "take", "complete")
    done = queued(yard, "--record", "commit", "--before-push", "exit 7")
    assert done.status == 3
    assert "the results commit is kept" in done.err
    assert yard.remote.git("rev-parse", "main") == before


@pytest.mark.parametrize("queue", [True, False])
def test_interrupted_before_the_push(queue: bool, yard: Yard) -> None:
    """The kept commit is named, and the same call pushes it: on a queue without a second training."""
    Robot(yard.server, "take", "complete")
    where = ("--queue", "gpu", "--wait") if queue else ()
    command = "test -e ../go || { touch ../pushing; exec >/dev/null 2>&1; until test -e ../go; do sleep 0.1; done; }"
    python = "python" if queue else sys.executable
    words = (*where, "--record", "commit", "--before-push", command, "--", python, "train.py")
    env = {**(yard.server.env if queue else {}), "PATH": on_path()}
    running = subprocess.Popen(
        program("run", *words),
        cwd=yard.repo.path,
        env=process_environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (yard.repo.path.parent / "pushing").exists():
        assert running.poll() is None, running.communicate()
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=120)
    (kept,) = yard.repo.git("for-each-ref", "--format=%(objectname)", "refs/clearml/results").split()
    assert running.returncode == 143
    assert f"the results commit is kept, and not pushed: {kept}; by hand: git push origin {kept[:12]}:refs/" in err
    (yard.repo.path.parent / "go").touch()
    if queue:
        again = inside("run", *words, cwd=yard.repo.path, env=env)
        assert (again.status, len(yard.server.tasks)) == (0, 1), again.err
        assert yard.remote.git("rev-parse", "main") == kept


def test_notes_that_could_not_be_pushed_cost_no_second_training(yard: Yard) -> None:
    Robot(yard.server, "take", "complete")
    hook = write_hook(yard.remote.path / "hooks" / "pre-receive", "#!/bin/sh\nexit 1\n")
    assert queued(yard, "--record", "notes", "--push-record").status == 3
    hook.unlink()
    again = queued(yard, "--record", "notes", "--push-record")
    assert (again.status, len(yard.server.tasks)) == (0, 1), again.err
    assert note(yard)["task"] in yard.remote.git("notes", "--ref=clearml", "show", yard.repo.head)


@pytest.mark.parametrize("kind", ["notes", "commit"])
def test_a_failed_run_is_recorded_as_such_and_is_no_result(kind: str, yard: Yard) -> None:
    head = yard.repo.commit("fails", {"train.py": FAILS})
    yard.publish()
    done = here(yard, "--record", kind)
    assert done.status == 3  # the command's own
    assert (note(yard)["status"], yard.repo.head) == ("failed", head)
    pushed = "refs/notes/clearml" in refs_of(yard.remote)  # or it would be gone with a runner
    assert pushed is (kind == "commit")
    assert inside("verify", cwd=yard.repo.path).status == 1


@pytest.mark.parametrize(("step", "status"), [("fail", 1), ("stop", 1)])
def test_the_same_on_a_queue(step: str, status: int, yard: Yard) -> None:
    Robot(yard.server, "take", step)
    head = yard.repo.head
    done = queued(yard, "--record", "commit")
    assert (done.status, yard.repo.head) == (status, head)
    assert note(yard)["status"] == {"fail": "failed", "stop": "stopped"}[step]
    assert "no results commit" in done.err


def test_a_timeout_records_nothing(yard: Yard) -> None:
    Robot(yard.server, "take")
    done = queued(yard, "--record", "notes", "--wait-timeout", "0.05")
    assert done.status == 4
    with pytest.raises(AssertionError):
        note(yard)


def test_a_dirty_run_is_not_recorded(yard: Yard) -> None:
    """That is said before the work."""
    yard.repo.write({"train.py": QUICK + "open('worked', 'w').close()\n"})
    done = here(yard, "--allow-dirty", "--record", "notes")
    assert done.status == 2
    assert "no run with uncommitted changes is recorded: train.py" in done.err
    assert not (yard.repo.path / "worked").exists()


@pytest.mark.parametrize("queue", [True, False])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--record", "notes", "--push-record"), "there is no remote to push the notes to"),
        (("--record", "commit", "--branch", "main", "--committer", "Robot"), "not a committer: 'Robot'"),
    ],
)
def test_a_wish_that_cannot_be_met_is_said_before_the_work(
    queue: bool, words: tuple[str, ...], message: str, yard: Yard
) -> None:
    Robot(yard.server, "take", "complete")
    if "--push-record" in words:
        yard.repo.git("remote", "remove", "origin")
    done = queued(yard, *words) if queue else here(yard, *words)
    assert (done.status, yard.server.tasks) == (2, {})
    assert message in done.err
    assert not (yard.repo.path / ".git" / "clearml" / "runs").exists()


def test_a_server_that_is_away_after_the_run_hides_its_tasks(yard: Yard) -> None:
    """That is no run without a task."""
    yard.server.fail_next(403, call="tasks.get_all_ex")
    words = ("run", "--record", "notes", "--", sys.executable, "-c", "pass")
    done = inside(*words, cwd=yard.repo.path, env=yard.server.env)
    assert done.status == 3
    assert "created no ClearML task" not in done.err
    assert "which tasks it made is not known" in done.err
    assert "not recorded: the server did not tell which tasks the run made" in done.err
    (record,) = (yard.repo.path / ".git" / "clearml" / "runs").rglob("*.json")
    assert json.loads(record.read_text())["notes"][0].startswith("its tasks on the server are not known: ")


def test_a_run_without_a_task_has_nothing_to_record(yard: Yard) -> None:
    yard.repo.commit("quiet", {"train.py": "print('up to date')\n"})
    yard.publish()
    done = here(yard, "--record", "commit")
    assert done.status == 0
    assert "nothing to record: the run created no ClearML task" in done.err


def test_a_record_that_cannot_be_written_is_a_failure(yard: Yard) -> None:
    notes = yard.repo.path / ".git" / "refs" / "notes"
    notes.write_text("in the way\n")
    done = here(yard, "--record", "notes")
    assert done.status == 3
    assert "hint: " in done.err


def test_a_failure_keeps_its_own_status_when_the_record_fails_too(yard: Yard) -> None:
    yard.repo.commit("fails", {"train.py": QUICK + "sys.exit(9)\n"})
    (yard.repo.path / ".git" / "refs" / "notes").write_text("in the way\n")
    assert here(yard, "--record", "notes").status == 9


@pytest.mark.parametrize("queue", [True, False])
def test_two_branches_are_an_error_before_the_work(queue: bool, yard: Yard) -> None:
    """No hour of training is lost to a question that could be asked before it."""
    yard.publish("main", "HEAD:refs/heads/feature/\u00fcber")
    yard.repo.git("checkout", "--quiet", "--detach")
    Robot(yard.server, "take", "complete")
    done = queued(yard, "--record", "commit") if queue else here(yard, "--record", "commit")
    assert (done.status, yard.server.tasks) == (2, {})
    assert "feature/\u00fcber" in done.err
    assert "--branch" in done.err
