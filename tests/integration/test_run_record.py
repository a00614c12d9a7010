"""`git clearml run --record`: what came out, as a note or as a commit; never as evidence."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from git_clearml import following
from tests.support.clearml_server import ClearMLServer
from tests.support.program import Result, inside, outside
from tests.support.pushing import Yard, make_yard, on_path
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
    return outside("run", *words, "--", sys.executable, script, cwd=yard.repo.path)


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
    done = here(yard, "--record", "notes", "--push-record")
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
    done = here(yard, "--record", "commit", "--before-push", "exit 7")
    assert done.status == 3
    assert "the results commit is kept" in done.err
    assert yard.remote.git("rev-parse", "main") == before


@pytest.mark.parametrize("kind", ["notes", "commit"])
def test_a_failed_run_is_recorded_as_such_and_is_no_result(kind: str, yard: Yard) -> None:
    head = yard.repo.commit("fails", {"train.py": FAILS})
    yard.publish()
    done = here(yard, "--record", kind)
    assert done.status == 3  # the command's own
    assert (note(yard)["status"], yard.repo.head) == ("failed", head)
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
    yard.repo.write({"train.py": QUICK + "# edited\n"})
    done = here(yard, "--allow-dirty", "--record", "notes")
    assert done.status == 3
    assert "not recorded: uncommitted changes in train.py" in done.err


def test_a_run_without_a_task_has_nothing_to_record(yard: Yard) -> None:
    yard.repo.commit("quiet", {"train.py": "print('up to date')\n"})
    yard.publish()
    done = here(yard, "--record", "commit")
    assert done.status == 0
    assert "nothing to record: the run made no ClearML task" in done.err


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
