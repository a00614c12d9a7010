"""A server, or a proxy before one, that ignores filters: no commit passes by it, and no task but the right one is acted
upon. Each filter by itself, and all of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest

from git_clearml.agent import poll
from git_clearml.clearml import lease, tasks
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.config import Server
from tests.support.check_bench import Bench, bench
from tests.support.check_world import owned, owner
from tests.support.clearml_server import ClearMLServer
from tests.support.program import Gate, inside
from tests.support.pushing import make_yard
from tests.support.robot import Robot

FILTERS = ("_all_", "_any_", "status", "system_tags", "tags", "name", "last_update")
OTHER = "b" * 40
BEST = "Best Performance"
METRIC = ("--metric", "validation/accuracy")
DIRTY = "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-a\n+b\n"

ignored = pytest.mark.parametrize("ignored", [*({name} for name in FILTERS), set(FILTERS)], ids=[*FILTERS, "all"])
NEVER_COUNTS = {
    "dirty": ("_any_", {"diff": DIRTY}),
    "large": ("_any_", {"diff": "x" * 500_000}),
    "absent": ("_any_", {"diff": None}),
    "failed": ("status", {"status": "failed"}),
    "running": ("status", {"status": "in_progress"}),
    "stopped": ("status", {"status": "stopped"}),
    "archived": ("system_tags", {"system_tags": ["archived"]}),
    "other-commit": ("_all_", {"commit": OTHER}),
    "other-name": ("name", {"name": "other"}),
}


@pytest.mark.parametrize("case", NEVER_COUNTS)
def test_what_does_not_count_does_not(case: str, gate: Gate) -> None:
    ignored, fields = NEVER_COUNTS[case]
    gate.repo.policy('task-name = "train"')
    gate.task(**fields)
    honest = gate.verify()
    assert honest.status in (1, 4)
    for names in ({ignored}, set(FILTERS)):
        gate.server.ignored = names
        deaf = gate.verify()
        assert (deaf.status, deaf.json["commits"]) == (honest.status, honest.json["commits"])


@ignored
def test_what_counts_does(ignored: set[str], gate: Gate) -> None:
    gate.task(diff=DIRTY)
    gate.task(commit=OTHER)
    gate.task(status="failed")
    good = gate.task()
    gate.server.ignored = ignored
    assert gate.accepts().commit["task"]["id"] == good


def test_diffs_that_nobody_asked_for(gate: Gate) -> None:
    """40 of 500 kB are more than an answer may have; what is asked next may be longer."""
    for _ in range(40):
        gate.task(diff="x" * 500_000)
    gate.server.ignored = FILTERS
    gate.refuses("dirty")
    good = gate.task()
    assert gate.accepts(requests=1).commit["task"]["id"] == good


def test_an_honest_server_sends_no_diff_on_a_pass(gate: Gate) -> None:
    gate.task()
    for _ in range(5):
        gate.task(diff="x" * 500_000)
    gate.accepts()
    assert gate.server.requests[0].response_bytes < 5_000


@ignored
def test_near_misses_are_tasks_that_may_be_meant(ignored: set[str], gate: Gate) -> None:
    gate.repo.policy('task-name = "train"')
    lost = gate.task(commit="")
    gate.task(commit="", name="other")
    gate.task(commit="", system_tags=["archived"])
    gate.server.ignored = ignored
    misses = gate.verify().commit["near_misses"]
    assert [miss["task"]["id"] for miss in misses] == [lost]


@ignored
def test_the_best_tag(ignored: set[str], gate: Gate) -> None:
    gate.task(metrics={"validation": {"accuracy": 0.8}}, id="1" * 32)
    best = gate.task(commit=OTHER, tags=[BEST], metrics={"validation": {"accuracy": 0.7}})
    others = [
        gate.task(commit=OTHER, metrics={"validation": {"accuracy": 0.9}}, **fields)
        for fields in (
            {},
            {"tags": [BEST], "status": "failed"},
            {"tags": [BEST], "system_tags": ["archived"]},
            {"tags": [BEST.lower()]},
            {"tags": [BEST], "project": "Other"},
        )
    ]
    before = copy.deepcopy({task: gate.server.tasks[task]["tags"] for task in others})
    gate.server.ignored = ignored
    result = gate.call("compare", "--format", "json", *METRIC, "--tag-best")
    assert (result.status, result.json["best"]["task"]["id"]) == (0, best)
    assert gate.server.tasks["1" * 32]["tags"] == [BEST]
    assert gate.server.tasks[best]["tags"] == []
    assert {task: gate.server.tasks[task]["tags"] for task in others} == before


@ignored
def test_report_and_log_show_the_commits_own_tasks(ignored: set[str], gate: Gate) -> None:
    mine = gate.task(metrics={"validation": {"accuracy": 0.8}})
    gate.task(commit=OTHER, metrics={"validation": {"accuracy": 0.9}})
    gate.task(system_tags=["archived"])
    gate.server.ignored = ignored
    assert gate.call("report", "--format", "json").json["task"]["id"] == mine
    commits = gate.call("log", "--fetch", "--format", "json").json["commits"]
    assert [[task["id"] for task in commit["tasks"]] for commit in commits] == [[mine]]


@ignored
def test_run_queue_follows_its_own_task(ignored: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll, "pause", lambda *_: 0.01)
    with ClearMLServer() as server:
        yard = make_yard(tmp_path, server)
        server.add_queue("gpu")
        yard.publish()
        owned(server, owner(), status="in_progress", script__version_num=OTHER)
        server.add_task(status="queued", commit=yard.repo.head)
        before = copy.deepcopy(server.tasks)
        Robot(server, "take", "report", "complete")
        server.ignored = ignored
        words = ("run", "--queue", "gpu", "--wait", "--", "python", "train.py")
        done = inside(*words, cwd=yard.repo.path, env=server.env)
        (mine,) = [task for task in server.tasks if task not in before]
        assert (done.status, done.out.splitlines()[:1]) == (0, [mine])
        assert {task: server.tasks[task] for task in before} == before


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path / "work") as made:
        made.yard.publish("main")
        yield made


@ignored
def test_a_check_takes_no_other_pass_and_sweeps_nothing_else(ignored: set[str], work: Bench) -> None:
    server = work.world.server
    stale = owner(deadline=1.0)
    server.add_task(tags=[lease.TAG], status="in_progress")
    owned(server, stale, names_itself=False, status="in_progress")
    owned(server, stale, tags=[lease.TAG, lease.DONE], status="in_progress")
    before = copy.deepcopy(server.tasks)
    server.ignored = ignored
    result = work.check()
    assert (result.json["outcome"], result.json["earlier"]) == ("runnable", False)
    assert {task: server.tasks[task] for task in before} == before


@ignored
def test_a_draft_to_go_on_with_is_a_draft(ignored: set[str]) -> None:
    with ClearMLServer() as server:
        server.add_task(status="completed", tags=["mine"])
        server.add_task(status="created", tags=["yours"])
        server.ignored = ignored
        keys = Server(server.url, server.url, server.access_key, server.secret_key)
        api = ClearML(keys, 30.0, environment={})
        assert tasks.draft_with(api, "mine") == ""
        draft = server.add_task(status="created", tags=["mine"])
        assert tasks.draft_with(api, "mine") == draft
        api.close()
