"""`git clearml check-runnable`: its outcomes, what is refused before anything is made, what an agent gets to run."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from git_clearml.git import side_ref as side_refs
from git_clearml.git.repository import Repository
from tests.support.check_bench import Bench, bench
from tests.support.check_world import owner_of
from tests.support.clearml_common import KEY_NAME, ApiError, now, stamp
from tests.support.clearml_server import ClearMLServer
from tests.support.program import command, inside, process_environment
from tests.support.pushing import bare, make_yard, refs_of
from tests.support.repos import make_repo


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path / "work") as made:
        yield made


def forbidden(call: str) -> dict[str, Any]:
    """What a server says to somebody without the rights."""
    meta = {"result_code": 403, "result_subcode": 20, "result_msg": "Forbidden (you may not)"}
    body = json.dumps({"meta": meta, "data": {}}).encode()
    return {"status": 403, "body": body, "headers": {"Content-Type": "application/json"}, "call": call}


# --- outcomes ---------------------------------------------------------------------------------------------------------


def test_runnable(work: Bench) -> None:
    result = work.check()
    task = work.world.task
    assert result.json == {
        "schema": 1,
        "command": "check-runnable",
        "outcome": "runnable",
        "exit_code": 0,
        "commit": work.repo_head,
        "task": task["id"],
        "url": f"{work.world.server.url}/projects/*/experiments/{task['id']}/output/log",
        "queue": "default",
        "seconds_queued": 0.0,
        "seconds_running": 0.0,
        "cause": None,
        "sentence": "the task completed",
        "log_tail": [],
        "earlier": False,
        "left": [],
        "hint": None,
        "notes": [
            f"{work.repo_head[:12]} is not on the remote; pushed there temporarily",
            f"no requirements.txt in {work.repo_head[:12]}: the agent installs no packages",
        ],
        "errors": [],
    }
    assert "archived" in task["system_tags"]
    assert refs_of(work.yard.remote) == {}
    assert side_refs.recorded(Repository(str(work.yard.repo.path))) == []


def test_it_takes_few_requests(work: Bench) -> None:
    """Proved already? Queue, workers, abandoned checks, project; the task is made, seen, named, queued, looked at."""
    work.yard.publish("main")
    calls = work.check("--archive", "never").calls
    assert calls == (
        "tasks.get_all_ex",
        "queues.get_all",
        "workers.get_all",
        "tasks.get_all_ex",
        "projects.get_all",
        "projects.create",
        "tasks.create",
        "tasks.get_all_ex",
        "tasks.edit",
        "tasks.enqueue",
        "tasks.get_all_ex",
        "tasks.update_tags",
    )


def marks(work: Bench) -> list[list[str]]:
    """The tags that were added, request by request."""
    return [request.body["add_tags"] for request in work.world.server.requests if request.call == "tasks.update_tags"]


@pytest.mark.parametrize(
    ("story", "passes", "at_once", "pushed"),
    [
        (("complete",), True, True, True),
        (("complete",), True, False, False),
        (("fail",), False, True, True),
        (("scalar",), True, False, True),
        ((), False, False, True),
    ],
    ids=str,
)
def test_a_task_that_no_check_will_touch_again_is_marked(
    story: tuple[str, ...], passes: bool, at_once: bool, pushed: bool, work: Bench
) -> None:
    """Together with the pass where it has ended by then and has no side ref, else at the end: one request at most."""
    if pushed:
        work.yard.publish("main")
    work.world.story = [(0.0, "pull"), *((0.0, what) for what in story)]
    work.world.abort_after = 0.0
    work.check("--execution-timeout", "0.01", status=0 if passes else 1)
    passed = [f"git-clearml-runnable-{work.yard.repo.git('rev-parse', 'HEAD^{tree}').strip()}"] if passes else []
    expected = [[*passed, "git-clearml-ended"]] if at_once else [*([passed] if passed else []), ["git-clearml-ended"]]
    assert marks(work) == expected
    calls = work.world.server.calls()
    if "tasks.stop" in calls:
        assert calls.index("tasks.stop") < len(calls) - 1 - calls[::-1].index("tasks.update_tags")
    assert "git-clearml-ended" in work.world.task["tags"]


LOG = """task 1 pulled from q by worker w1
Executing task id [1]:
cloning: https://example.com/team/project.git
Starting Task Execution:
loading
no data in /data
Process failed, exit code 1
"""


def failing(work: Bench, log: str) -> None:
    """From now on the agent fails what it gets, with this console log."""
    work.world.story = [(0.0, "pull"), (0.0, "fail")]
    work.world.on_launch = lambda world, task: world.server.store.events.setdefault(task, []).append(
        {"type": "log", "task": task, "msg": log, "timestamp": 1}
    )


def test_failed(work: Bench) -> None:
    failing(work, LOG)
    result = work.check(status=1)
    document = result.json
    assert (document["outcome"], document["cause"]) == ("failed", "script-failed")
    assert document["sentence"].startswith("the task failed: the script ended with exit code 1")
    assert document["log_tail"] == ["loading", "no data in /data", "Process failed, exit code 1"]
    assert document["hint"] == f"git clearml open {document['task']}"
    assert (document["left"], document["errors"], result.err.count("hint:")) == ([], [], 0)
    task = work.world.task
    assert (task["status"], task["system_tags"]) == ("failed", [])  # archive = success: it stays to be looked at
    assert not any(tag.startswith("git-clearml-runnable") for tag in task["tags"])
    assert refs_of(work.yard.remote) == {}


def test_failed_in_words(work: Bench) -> None:
    failing(work, LOG)
    work.world.again()
    result = work.gate.call("check-runnable")
    assert result.status == 1
    lines = result.out.splitlines()
    assert lines[0].startswith(f"failed {work.repo_head[:12]}: the task failed: the script ended with exit code 1")
    assert lines[1] == "  0 s in the queue 'default', 0 s running on w1"
    assert f"  {work.world.server.url}/projects/*/experiments/{work.world.task['id']}/output/log" in lines
    assert "  the end of its log:" in lines
    assert lines[-1].startswith("next: git clearml open ")


def test_nobody_takes_it(work: Bench) -> None:
    """In real time: two looks, and the two seconds for which an aborted task has to stay so."""
    work.world.story = ()
    document = work.check("--queue-timeout", "0.2", status=1).json
    assert (document["outcome"], document["cause"]) == ("timeout", "queue-timeout")
    assert document["sentence"] == "no agent started it within 0 s"
    assert document["seconds_queued"] >= 0.2
    assert (document["seconds_running"], document["left"]) == (0.0, [])
    task = work.world.task
    assert (task["status"], task["status_message"]) == ("stopped", f"Stopped by {KEY_NAME}")
    assert work.world.server.store.queues[task["execution"]["queue"]]["entries"] == []


def test_no_sign_of_life(work: Bench) -> None:
    work.world.story = [(0.0, "pull"), (0.0, "monitor")]
    work.world.abort_after = 0.0
    document = work.check("--execution-timeout", "0.2", status=1).json
    assert (document["outcome"], document["cause"], document["left"]) == ("timeout", "execution-timeout", [])
    assert "--execution-timeout" in document["hint"]
    assert document["seconds_running"] >= 0.2
    assert work.world.task["status_message"] == "Changed by clearml-agent"


def test_a_server_that_refuses_us_meanwhile_is_undecided(work: Bench) -> None:
    work.world.story = ()
    work.world.on_launch = lambda world, task: world.server.fail_next(401, b"{}", {}, count=99)
    document = work.check("--archive", "never", status=3).json
    assert (document["outcome"], [error["code"] for error in document["errors"]]) == ("undecided", ["unauthorized"])
    assert document["task"]
    assert len(document["left"]) == 2


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_every_form_has_the_same_status(form: str, work: Bench) -> None:
    result = work.gate.call("check-runnable", "--format", form)
    assert (result.status, "runnable" in result.out, work.repo_head[:12] in result.out or form == "markdown") == (
        0,
        True,
        True,
    )


# --- refused before anything is made ----------------------------------------------------------------------------------


def nothing_was_made(work: Bench) -> None:
    store = work.world.server.store
    assert store.tasks == {}
    assert store.projects == {}
    assert [queue["name"] for queue in store.queues.values()] == ["default"]
    assert refs_of(work.yard.remote) == {}
    assert side_refs.recorded(Repository(str(work.yard.repo.path))) == []


def test_a_missing_queue(work: Bench) -> None:
    work.world.server.add_worker("w7", ["default"])
    document = work.check("--queue", "gpu", status=2).json
    assert (document["outcome"], document["task"]) == ("undecided", None)
    (error,) = document["errors"]
    assert error["code"] == "bad-setting"
    assert error["message"] == f"there is no queue 'gpu' on {work.world.server.url}; queues with workers: default"
    said = work.gate.call("check-runnable", "--queue", "gpu")
    assert said.talk()[1] == "clearml-agent daemon --queue gpu --create-queue --detached"
    nothing_was_made(work)


def test_a_queue_is_meant_by_its_exact_name(work: Bench) -> None:
    for name in ("defaul", "Default", "default ", "def.*", "", "^default$"):
        work.check("--queue", name, status=2)
    nothing_was_made(work)


def test_a_queue_without_workers(work: Bench) -> None:
    work.world.server.store.workers.clear()
    work.world.server.add_worker("w7", ["cpu queue"])
    document = work.check(status=3).json
    assert (document["outcome"], document["task"], document["errors"]) == ("no-worker", None, [])
    assert document["sentence"] == "queue 'default' has no active workers"
    assert document["notes"][-1] == "queues with workers: cpu queue"
    assert document["hint"] == "clearml-agent daemon --queue default"
    assert [queue["name"] for queue in work.world.server.store.queues.values()] == ["default", "cpu queue"]
    assert work.world.server.tasks == {}
    assert refs_of(work.yard.remote) == {}


def test_a_worker_that_was_killed_is_told_with_its_last_sign_of_life(work: Bench) -> None:
    work.world.server.store.workers["w1"]["last_activity_time"] = stamp(now() - timedelta(seconds=150))
    document = work.check(status=3).json
    assert document["sentence"] == "queue 'default' has no active workers; its agent w1 was last seen 2 minutes ago"


def test_a_worker_that_has_not_been_seen_for_long_is_none(work: Bench) -> None:
    work.world.server.store.workers["w1"]["last_activity_time"] = "2026-01-02T03:04:05.000000+00:00"
    assert work.check(status=3).json["outcome"] == "no-worker"
    nothing_was_made(work)


def test_no_rights(work: Bench) -> None:
    """The latest question first: what is left of its refusals is not reached by the next one."""
    for call in ("projects.create", "projects.get_all", "queues.get_all", "tasks.get_all_ex"):
        for _ in range(4):
            work.world.server.fail_next(**forbidden(call))
        document = work.check(status=3).json
        assert (call, document["outcome"], document["task"]) == (call, "undecided", None)
        assert [error["code"] for error in document["errors"]] == ["forbidden"], call
    nothing_was_made(work)


def test_no_right_to_make_tasks(work: Bench) -> None:
    """That is only known when it is tried; nothing of it stays."""
    work.world.server.fail_next(**forbidden("tasks.create"))
    document = work.check(status=3).json
    assert ([error["code"] for error in document["errors"]], document["left"]) == (["forbidden"], [])
    assert work.world.server.tasks == {}
    assert refs_of(work.yard.remote) == {}


def test_an_entry_point_that_the_commit_lacks(work: Bench) -> None:
    work.yard.repo.write({"untracked.py": "print()\n"})
    for entry_point, folder in (
        ("nosuch.py", "."),
        ("main.py", "src"),
        ("/main.py", "."),
        ("../main.py", "."),
        ("main.py", "/"),
        ("", "."),
        ("   ", "."),
        ("src", "."),
        ("-m", "."),
        ("-m nosuch.module", "."),
        ("main.py\n", "a/../.."),
        ("untracked.py", "."),
    ):
        result = work.check(f"--entry-point={entry_point}", "--folder", folder, status=1)
        assert (result.json["outcome"], result.json["cause"]) == ("failed", "entry-point-missing"), entry_point
        assert (result.json["task"], result.json["errors"], result.calls) == (None, [], ())
        assert "--entry-point" in result.json["hint"]
    nothing_was_made(work)


def test_an_entry_point_of_another_commit(work: Bench) -> None:
    work.yard.repo.git("mv", "main.py", "other.py")
    work.yard.repo.commit("moved")
    work.check(status=1)
    assert work.check("HEAD~1").json["commit"] == work.yard.repo.git("rev-parse", "HEAD~1")


def test_what_can_never_be_checked(work: Bench) -> None:
    words: tuple[str, ...]
    for words in (
        ("--args", "epochs"),
        ("--args", "--epochs 1"),
        ("--args", "=1"),
        ("--args=--=1",),
        ("--args=---epochs=1",),
        ("--args", "'a=1"),
        ("--packages", "'torch"),
        ("--execution-timeout", "0"),
        ("--execution-timeout", "-1"),
        ("--execution-timeout", "nan"),
        ("--execution-timeout", "inf"),
        ("--execution-timeout", "1e12"),
        ("--queue-timeout", "0"),
        ("--queue-timeout=-0.5",),
        ("--queue-timeout", "soon"),
        ("--task-name", "ab"),
        ("--project", "x"),
        ("--archive", "sometimes"),
        ("nosuchrev",),
        ("HEAD", "HEAD~1"),
        ("HEAD~1..HEAD",),
    ):
        result = work.check(*words, status=2)
        assert (result.json["outcome"], len(result.json["errors"])) == ("undecided", 1), words
        assert "hint: " in result.err, words
    nothing_was_made(work)


def test_requirements_that_nobody_can_read(work: Bench) -> None:
    (work.yard.repo.path / "requirements.txt").write_bytes("numpy\n".encode("utf-16"))
    work.yard.repo.commit("from Windows")
    assert "requirements.txt is not UTF-8" in work.check(status=2).err
    nothing_was_made(work)


def test_no_remote(work: Bench) -> None:
    work.yard.repo.git("remote", "remove", "origin")
    result = work.check(status=2)
    assert [error["code"] for error in result.json["errors"]] == ["usage"]
    assert "git remote add origin" in result.err
    nothing_was_made(work)


def test_a_remote_that_does_not_answer(work: Bench, tmp_path: Path) -> None:
    work.yard.repo.git("remote", "set-url", "origin", str(tmp_path / "nosuch.git"))
    result = work.check(status=3)
    assert (result.json["outcome"], [error["code"] for error in result.json["errors"]]) == (
        "undecided",
        ["unreachable"],
    )
    nothing_was_made(work)


def test_a_remote_that_takes_no_side_ref(work: Bench) -> None:
    hook = work.yard.remote.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'not in here' >&2\nexit 1\n")
    hook.chmod(0o755)
    document = work.check(status=3).json
    assert ([error["code"] for error in document["errors"]], document["left"]) == (["publish-failed"], [])
    assert document["hint"] == "push the branch; a check does without: git clearml check-runnable --as-diff"
    assert work.world.server.tasks == {}
    assert side_refs.recorded(Repository(str(work.yard.repo.path))) == []


def test_no_credentials(work: Bench) -> None:
    env = dict.fromkeys(work.world.server.env)
    result = work.check(status=3, env=env)
    assert [error["code"] for error in result.json["errors"]] == ["not-configured"]
    assert "clearml-init" in result.err
    nothing_was_made(work)


def test_wrong_credentials(work: Bench) -> None:
    result = work.check(status=3, env={"CLEARML_API_SECRET_KEY": "wrong"})
    assert [error["code"] for error in result.json["errors"]] == ["unauthorized"]
    nothing_was_made(work)


def test_no_server(work: Bench) -> None:
    result = work.check(status=3, env={"CLEARML_API_HOST": "http://127.0.0.1:9"})
    assert [error["code"] for error in result.json["errors"]] == ["unreachable"]


def test_outside_of_a_repository(work: Bench, tmp_path: Path) -> None:
    result = inside("check-runnable", "--format", "json", cwd=tmp_path, env=work.world.server.env)
    assert (result.status, result.errors) == (2, ["not-a-repository"])


def test_a_dry_run_makes_nothing(work: Bench) -> None:
    result = work.gate.call("check-runnable", "--dry-run", "--args", "epochs=1", "--docker", "python:3.12 --ipc=host")
    assert (result.status, result.calls) == (0, ())
    assert (result.json["queue"], result.json["project"]) == ("default", "<project>")
    assert result.json["script"]["version_num"] == work.repo_head
    assert result.json["container"] == {"image": "python:3.12", "arguments": "--ipc=host"}
    assert "it would be pushed as refs/heads/git-clearml/" in result.err
    refused = work.gate.call("check-runnable", "--dry-run", "--entry-point", "nosuch.py")
    assert (refused.status, refused.calls) == (1, ())
    assert f"nosuch.py is not in commit {work.repo_head[:12]}" in refused.out
    usual = work.gate.call("check-runnable", "--dry-run", "--entry-point", "nosuch.py", "--format", "text")
    assert f"git clearml check-runnable --entry-point main.py {work.repo_head[:12]}" in usual.out
    nothing_was_made(work)


# --- answers that are none --------------------------------------------------------------------------------------------


def answering(work: Bench, call: str, data: Any) -> None:
    """From now on the server says this to a call, and does nothing."""
    own, meta = work.world.server._answer, {"result_code": 200, "result_subcode": 0, "result_msg": "OK"}

    def answer(path: str, authorization: str | None, body: Any, lines: bool) -> tuple[int, Any]:
        if path.endswith(f"/{call}"):
            return 200, {"meta": meta, "data": data}
        return own(path, authorization, body, lines)

    work.world.server._backend.answer = answer  # type: ignore[method-assign]


def test_an_answer_that_is_none_is_undecided(work: Bench) -> None:
    answers: tuple[tuple[str, Any], ...] = (
        ("queues.get_all", {}),
        ("queues.get_all", {"queues": None}),
        ("queues.get_all", {"queues": ["default"]}),
        ("queues.get_all", {"queues": [{"name": "default"}]}),
        ("queues.get_all", {"queues": [{"name": "default", "id": ""}]}),
        ("queues.get_all", {"queues": [{"name": "default", "id": ["x"]}]}),
        ("queues.get_all", {"queues": [{"name": "default", "id": "../../x"}]}),
        ("workers.get_all", {}),
        ("workers.get_all", {"workers": {}}),
        ("workers.get_all", {"workers": [{"id": "w1", "queues": "default"}]}),
        ("workers.get_all", {"workers": [{"id": "w1", "queues": [{"id": 7}]}]}),
        ("projects.get_all", {"projects": 7}),
        ("projects.create", {}),
        ("projects.create", {"id": ""}),
        ("projects.create", {"id": "a b"}),
    )
    for call, data in answers:
        answering(work, call, data)
        document = work.check(status=3).json
        assert (document["outcome"], [error["code"] for error in document["errors"]]) == ("undecided", ["bad-answer"])
    nothing_was_made(work)


def test_workers_of_no_queue_are_none_of_ours(work: Bench) -> None:
    workers: list[Any]
    for workers in ([], [{"id": "w1", "queues": []}], [{"id": "w1", "queues": None}, {}]):
        answering(work, "workers.get_all", {"workers": workers})
        assert work.check(status=3).json["outcome"] == "no-worker"
    nothing_was_made(work)


def test_a_task_without_an_id_is_none(work: Bench) -> None:
    """Nothing is asked about it, and nothing about any other: only what has to do with one's own id or nonce."""
    others = [work.world.server.add_task(status="in_progress"), work.world.server.add_task(status="queued")]
    changing = {"tasks.stop", "tasks.archive", "tasks.edit", "tasks.enqueue", "tasks.update_tags"}
    for answer in ({}, *({"id": identity} for identity in ("", None, 7, ["x"], "a/b", "x" * 65))):
        answering(work, "tasks.create", answer)
        result = work.check(status=3)
        assert (result.json["outcome"], result.json["task"]) == ("undecided", None), answer
        assert set(work.world.server.tasks) == set(others)
        assert not set(result.calls) & changing, answer
        assert refs_of(work.yard.remote) == {}


def test_a_server_that_knows_no_single_properties_is_asked_for_all(work: Bench) -> None:
    own = work.world.server.hook
    assert own is not None

    def old(call: str, body: Any) -> None:
        if any(field.startswith("hyperparams.") for field in body.get("only_fields") or []):
            raise ApiError(400, 14, "Invalid field")
        own(call, body)

    work.world.server.hook = old
    assert work.check().json["outcome"] == "runnable"
    assert work.check().json["earlier"]


def test_many_queues_are_not_all_named(work: Bench) -> None:
    work.world.server.add_worker("w2", [f"queue {number:02}" for number in range(12)])
    message = work.gate.call("check-runnable", "--queue", "gpu").talk()[0]
    named = f"queues with workers: default, {', '.join(f'queue {n:02}' for n in range(9))} and 3 more"
    assert message.endswith(f"; {named}")


def test_nobody_works_at_all(work: Bench) -> None:
    work.world.server.store.workers.clear()
    message = work.gate.call("check-runnable", "--queue", "gpu").talk()[0]
    assert message.endswith("; no queue has active workers")


def test_a_log_that_cannot_be_read_is_said(work: Bench) -> None:
    work.world.story = [(0.0, "pull"), (0.0, "fail")]
    refusal = b'{"meta": {"result_code": 500, "result_msg": "no"}, "data": {}}'
    work.world.server.fail_next(500, refusal, {}, call="events.get_task_log")
    document = work.check(status=1).json
    assert (document["outcome"], document["cause"], document["log_tail"]) == ("failed", None, [])
    assert any(note.startswith("its log could not be read: ") for note in document["notes"])


def test_a_server_that_knows_no_plots_is_waited_for(work: Bench) -> None:
    """An old one; completed counts all the same."""
    work.world.story = [(0.0, "pull"), (0.0, "log"), (0.5, "complete")]
    answering(work, "events.get_task_plots", {"plots": "none"})
    work.world.now = 0.0
    own = work.world.server.hook
    assert own is not None

    def passing(call: str, body: Any) -> None:
        work.world.now += 0.3
        own(call, body)

    work.world.server.hook = passing
    assert work.check().json["outcome"] == "runnable"


# --- the launched task ------------------------------------------------------------------------------------------------


def test_the_task_is_the_commit_and_nothing_else(work: Bench) -> None:
    work.yard.repo.commit("with packages", {"requirements.txt": "numpy==2.0  # ü\n"})
    work.yard.publish("main")
    task = work.launched()
    assert task["script"] == {
        "binary": "python3",
        "repository": f"file://{work.yard.remote.path}",
        "version_num": work.repo_head,
        "branch": "",
        "entry_point": "main.py",
        "working_dir": ".",
        "diff": "",
        "requirements": {"pip": "numpy==2.0  # ü\n"},
    }
    assert (task["name"], task["type"], task["container"]) == ("cicd_test_task", "testing", {})
    assert work.world.server.store.projects[task["project"]]["name"] == "Github CICD"
    assert task["execution"]["queue"] == work.world.server.add_queue("default")
    assert "git-clearml-check" in task["tags"]
    assert set(task["hyperparams"]) == {"properties"}
    assert set(task["hyperparams"]["properties"]) == {"git_clearml_check"}


def test_its_owner_and_deadline(work: Bench) -> None:
    task = work.launched("--queue-timeout", "100", "--execution-timeout", "50")
    owner = owner_of(task)
    assert owner["task"] == task["id"]
    assert owner["tree"] == work.yard.repo.git("rev-parse", "HEAD^{tree}")
    assert owner["side_ref"].startswith(f"refs/heads/git-clearml/{work.repo_head[:12]}-")
    assert (owner["schema"], len(owner["nonce"]), len(owner["what"])) == (1, 16, 16)
    assert owner["pid"] == os.getpid()
    assert 0 <= time.time() + 750 - owner["deadline"] < 60


def test_it_runs_nothing_of_the_working_tree(work: Bench) -> None:
    work.yard.repo.commit("good", {"requirements.txt": "numpy\n"})
    work.yard.repo.write({"requirements.txt": "evil\n", "main.py": "raise SystemExit\n", "untracked.py": ""})
    task = work.launched()
    assert (task["script"]["requirements"], task["script"]["diff"]) == ({"pip": "numpy\n"}, "")


def test_every_input_has_its_flag(work: Bench) -> None:
    work.yard.repo.commit("nested", {"src/app/train.py": "print()\n", "src/deps/base.txt": "numpy\n"})
    task = work.launched(
        *("--entry-point", "app/train.py", "--folder", "src", "--requirements", "deps/base.txt"),
        *("--args", "epochs=1 lr=0.1", "--docker", "nvidia/cuda:12 --ipc=host -e A=b"),
        *("--project", "Team/Checks", "--task-name", "does it run?"),
    )
    script = task["script"]
    assert (script["entry_point"], script["working_dir"]) == ("app/train.py", "src")
    assert script["requirements"] == {"pip": "numpy\n"}
    assert task["container"] == {"image": "nvidia/cuda:12", "arguments": "--ipc=host -e A=b"}
    assert work.world.server.store.projects[task["project"]]["name"] == "Team/Checks"
    assert task["name"] == "does it run?"
    assert {name: item["value"] for name, item in task["hyperparams"]["Args"].items()} == {"epochs": "1", "lr": "0.1"}


def test_every_input_has_its_setting(work: Bench) -> None:
    work.world.server.add_worker("w1", ["gpu queue"])
    work.yard.repo.write({"src/train.py": "print()\n"})
    work.yard.repo.policy(
        "[tool.git-clearml.runnable]",
        'queue = "gpu queue"',
        'project = "Team/Checks"',
        'task-name = "does it run?"',
        'entry-point = "train.py"',
        'folder = "src"',
        'args = ["epochs=1", "--note=two words"]',
        'requirements = "none"',
        'docker = "python:3.12"',
        "execution-timeout = 20",
        "queue-timeout = 30",
        'archive = "always"',
    )
    failing(work, LOG)
    work.check(status=1)
    task = work.world.task
    queue = work.world.server.store.queues[task["execution"]["queue"]]["name"]
    assert (queue, task["name"], task["script"]["working_dir"]) == ("gpu queue", "does it run?", "src")
    assert task["hyperparams"]["Args"]["note"]["value"] == "two words"
    assert task["container"]["image"] == "python:3.12"
    assert "archived" in task["system_tags"]


# --- where the agent gets it from -------------------------------------------------------------------------------------


def test_a_pushed_commit_needs_no_side_ref(work: Bench) -> None:
    work.yard.publish("main")
    pushed: list[str] = []
    work.world.on_launch = lambda world, task: pushed.extend(refs_of(work.yard.remote))
    result = work.check("--archive", "never")
    assert pushed == ["refs/heads/main"]
    assert work.world.task["script"]["version_num"] == work.repo_head
    assert not any("not on the remote" in note for note in result.json["notes"])


def test_an_unpushed_commit_is_there_as_long_as_the_check_lasts(work: Bench) -> None:
    pushed: dict[str, str] = {}
    work.world.on_launch = lambda world, task: pushed.update(refs_of(work.yard.remote))
    task = work.launched()
    ((ref, commit),) = pushed.items()
    assert commit == task["script"]["version_num"] == work.repo_head
    assert ref == owner_of(task)["side_ref"]
    assert refs_of(work.yard.remote) == {}
    assert task["script"]["branch"] == ""


def test_as_a_diff_nothing_is_pushed(work: Bench) -> None:
    work.yard.publish("main")
    base = work.repo_head
    work.yard.repo.commit("new", {"main.py": "print('new')\n"})
    pushed: list[str] = []
    work.world.on_launch = lambda world, task: pushed.extend(refs_of(work.yard.remote))
    result = work.check("--archive", "never", "--as-diff")
    script = work.world.task["script"]
    assert (script["version_num"], "+print('new')" in script["diff"]) == (base, True)
    assert (pushed, refs_of(work.yard.remote)) == (["refs/heads/main"], {"refs/heads/main": base})
    assert any(f"runs {base[:12]} and a diff of" in note for note in result.json["notes"])
    assert owner_of(work.world.task)["side_ref"] == ""
    assert owner_of(work.world.task)["tree"] == work.yard.repo.git("rev-parse", "HEAD^{tree}")


def test_as_a_diff_needs_an_ancestor_on_the_remote(work: Bench) -> None:
    result = work.check("--as-diff", status=2)
    assert "hint: git clearml check-runnable" in result.err
    assert "--as-diff" not in result.err
    nothing_was_made(work)


def test_the_agent_gets_a_url_without_credentials(work: Bench) -> None:
    """Another URL for the agent than ours; what cannot be asked from here is asked by ours."""
    seen: set[str] = set()
    for url, expected in (
        ("https://me:hunter22@example.com/team/project.git", "https://example.com/team/project.git"),
        ("https://hunter22@example.com/team/project.git", "https://example.com/team/project.git"),
        ("ssh://git@example.com:2222/team/project.git", "ssh://git@example.com:2222/team/project.git"),
        ("git@example.com:team/project.git", "git@example.com:team/project.git"),
    ):
        result = work.check("--archive", "never", "--force", "--repository", url)
        [task] = [task for name, task in work.world.server.tasks.items() if name not in seen]
        seen.add(task["id"])
        assert task["script"]["repository"] == expected
        assert "hunter22" not in result.out + result.err + json.dumps(work.world.server.tasks)


def test_credentials_of_the_remote_stay_here(work: Bench) -> None:
    config = work.yard.repo.git
    config("remote", "set-url", "origin", "https://me:hunter22@example.com/team/project.git")
    config(
        "config", f"url.file://{work.yard.remote.path}.insteadOf", "https://me:hunter22@example.com/team/project.git"
    )
    task = work.launched()
    assert task["script"]["repository"] == f"file://{work.yard.remote.path}"
    assert "hunter22" not in json.dumps(task)


def test_without_a_remote_the_given_repository_is_pushed_to(work: Bench) -> None:
    work.yard.repo.git("remote", "remove", "origin")
    task = work.launched("--repository", f"file://{work.yard.remote.path}")
    assert task["script"]["repository"] == f"file://{work.yard.remote.path}"
    assert owner_of(task)["side_ref"]
    assert refs_of(work.yard.remote) == {}


def test_a_relative_remote_is_seen_from_the_top(work: Bench) -> None:
    work.yard.repo.git("remote", "set-url", "origin", "../remote.git")
    work.yard.repo.write({"deep/er/x": ""})
    result = work.check("--archive", "never", cwd=work.yard.repo.path / "deep" / "er")
    assert work.world.task["script"]["repository"] == f"file://{work.yard.remote.path}"
    assert result.json["left"] == []


@pytest.mark.parametrize("place", ["a clone ü", "with 'quotes' & $more"])
def test_odd_places(place: str, tmp_path: Path) -> None:
    with bench(tmp_path / place) as work:
        work.yard.repo.git("checkout", "--quiet", "-b", "größe/eins")
        task = work.launched()
        assert task["script"]["version_num"] == work.repo_head
        assert refs_of(work.yard.remote) == {}


def test_sha256(tmp_path: Path) -> None:
    with bench(tmp_path / "long", None, "--object-format=sha256") as work:
        task = work.launched()
        assert len(task["script"]["version_num"]) == 64
        assert len(owner_of(task)["tree"]) == 64
        assert refs_of(work.yard.remote) == {}


def test_from_a_bare_repository(work: Bench, tmp_path: Path) -> None:
    copy = bare(tmp_path / "bare.git")
    work.yard.repo.git("push", "--quiet", str(copy.path), "main")
    copy.git("remote", "add", "origin", str(work.yard.remote.path))
    result = inside("check-runnable", "main", cwd=copy.path, env=work.world.server.env)
    assert result.status == 0, result.err
    assert work.world.task["script"]["version_num"] == work.repo_head


def test_a_shallow_clone_whose_tip_the_remote_has(work: Bench, tmp_path: Path) -> None:
    work.yard.repo.commit("more")
    work.yard.publish("main")
    shallow = make_repo(tmp_path / "shallow", {}, remote=f"file://{work.yard.remote.path}")
    shallow.git("fetch", "--quiet", "--depth=1", "origin", "main")
    shallow.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    result = inside("check-runnable", "--archive", "never", cwd=shallow.path, env=work.world.server.env)
    assert result.status == 0, result.err
    assert "side ref" not in result.out + result.err


def test_a_revision_is_anything_git_knows(work: Bench) -> None:
    first = work.repo_head
    work.yard.repo.commit("second")
    work.yard.repo.git("tag", "-a", "v1", "-m", "one", first)
    assert work.check("v1").json["commit"] == first


# --- another check at the same time -----------------------------------------------------------------------------------


def test_two_checks_of_one_commit_at_once(tmp_path: Path) -> None:
    """Each launches a task, each has a side ref of its own, and neither sweeps the other."""
    with ClearMLServer() as server:
        yard = make_yard(tmp_path, server)
        yard.repo.commit("main", {"main.py": ""})
        server.add_worker("w1")

        def agent(call: str, body: Any) -> None:
            """Both are on the queue before either is run."""
            queued = [task for task in server.tasks.values() if task["status"] == "queued"]
            if len(queued) == 2 or len(server.tasks) > len(queued) == 1:
                for task in queued:
                    server.store.take_off_queues(task["id"])
                    task["status"] = "completed"

        server.hook = agent
        words = command("check-runnable", "--force", "--format", "json")
        options: dict[str, Any] = {"cwd": yard.repo.path, "env": process_environment(server.env)}
        both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) for _ in range(2)]
        results = [(json.loads(process.communicate(timeout=60)[0]), process.returncode) for process in both]
        assert [(document["outcome"], status) for document, status in results] == [("runnable", 0)] * 2
        assert sorted(document["task"] for document, _ in results) == sorted(server.tasks)
        assert len({owner_of(task)["side_ref"] for task in server.tasks.values()}) == 2
        assert refs_of(yard.remote) == {}
