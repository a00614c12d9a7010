"""A server with a million tasks: every question is bounded, and no bound makes a refusal that would not have been."""

from __future__ import annotations

import os
import random
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from git_clearml.clearml.model import Result
from git_clearml.git.repository import Repository
from git_clearml.model import RunRecord
from git_clearml.record import lockfile, notes
from git_clearml.run.store import RunStore
from tests.support.clearml_cost import MILLION, cost, looked_at
from tests.support.program import Gate

DAY = 86_400
DIRTY = "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-1\n+2\n"


def ago(days: float) -> str:
    return (datetime.now(timezone.utc) - timedelta(days=days)).isoformat()


def commit(gate: Gate, days: float) -> str:
    """A commit that says it was made so many days ago; less than none is a time to come."""
    date = f"@{int(time.time() - days * DAY)} +0000"
    gate.repo.write({"train.py": f"print({random.random()})\n"})
    gate.repo.git("commit", "--quiet", "--all", "--message", "change", env={"GIT_COMMITTER_DATE": date})
    return gate.repo.head


def queries(gate: Gate) -> list[dict[str, Any]]:
    return [request.body for request in gate.server.requests if request.call == "tasks.get_all_ex"]


def test_a_fresh_commit_takes_one_cheap_question(gate: Gate) -> None:
    gate.task(commit=commit(gate, 0.1))
    result = gate.verify()
    assert (result.status, len(result.calls)) == (0, 1)
    assert sum(looked_at(gate.server.requests)) < 20_000
    assert result.json["looked_back_to"]


def test_a_refusal_takes_three(gate: Gate) -> None:
    gate.task(commit=commit(gate, 0.1), diff=DIRTY)
    result = gate.verify()
    assert (result.status, len(result.calls)) == (1, 3)
    assert sum(looked_at(gate.server.requests)) < 60_000
    gate.repo.commit("no task at all")
    result = gate.verify()
    assert (result.status, len(result.calls)) == (1, 3)
    assert sum(looked_at(gate.server.requests)) < 60_000


def test_an_old_commit_is_found_in_the_week_after_it(gate: Gate) -> None:
    gate.task(commit=commit(gate, 300), last_update=ago(297))
    result = gate.verify()
    assert result.status == 0
    assert sum(looked_at(gate.server.requests)) < 20_000
    assert datetime.fromisoformat(result.json["looked_back_to"]) < datetime.now(timezone.utc) - timedelta(days=300)


@pytest.mark.parametrize(
    ("days", "touched"),
    [
        (days, touched)
        for days in (400, 30, -3, 20_000)
        for touched in (0, 20, 250)
        if not 0 < days < touched  # it would have run before it was made
    ],
)
def test_no_bound_refuses_what_has_run(gate: Gate, days: float, touched: float) -> None:
    """Commit dates of last year, of a month ago, of the future, of 1971."""
    gate.task(commit=commit(gate, days), last_update=ago(touched))
    assert gate.verify().status == 0


def test_what_was_touched_before_the_commit_was_made_is_left_out(gate: Gate) -> None:
    """By a day more than clocks differ; --since looks further back, once."""
    gate.task(commit=commit(gate, 1), last_update=ago(20))
    result = gate.verify()
    assert (result.status, len(result.calls)) == (1, 3)
    looked = datetime.fromisoformat(result.json["looked_back_to"])
    assert abs(looked - (datetime.now(timezone.utc) - timedelta(days=2))) < timedelta(hours=1)
    result = gate.call("verify", "--since", ago(30)[:10])
    assert (result.status, len(result.calls)) == (0, 1)
    for word in ("yesterday", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"):
        assert gate.call("verify", "--since", word).status == 2


def test_500_commits_of_ten_years_in_one_question_each_window(gate: Gate) -> None:
    commits = [commit(gate, days) for days in range(3600, 0, -240)]
    for number, name in enumerate(commits):
        gate.task(commit=name, last_update=ago(3600 - number * 240))
    result = gate.verify(*commits)
    assert result.status == 0
    assert len(result.calls) <= 60
    assert all(cost(body) < MILLION / 8 for body in queries(gate))


@pytest.mark.parametrize("place", ["run record", "note", "lock", "lock at HEAD", "lock of another"])
def test_the_ids_that_this_clone_knows_come_first(gate: Gate, place: str) -> None:
    """They say where to look. What the server has of them is judged like anything else."""
    name = commit(gate, 300)
    task = gate.task(commit=name, last_update=ago(100))
    gate.task(commit="a" * 40)
    result = Result(task, "train", "Vision", "completed", "https://example.com/x", name, ago(100))
    if place == "run record":
        record = RunRecord(
            id="0" * 32, commit=name, tree="1" * 40, command=("python",), host="h", user="u", pid=1, pid_started="1",
            started="2026-01-02T03:04:05+00:00", ended="2026-01-02T03:05:05+00:00", exit_status=0,
            tasks=((task, "completed"),),
        )  # fmt: skip
        RunStore(os.path.realpath(gate.repo.path / ".git")).write(record)
    elif place == "note":
        for each in (name, gate.repo.git("rev-parse", "HEAD~1").strip()):
            notes.record(Repository(str(gate.repo.path)), each, [result])
    else:
        ran = "b" * 40 if place == "lock of another" else name
        gate.repo.commit("results", {"clearml.lock": lockfile.to_text(ran, [result])})
    verified = gate.verify(name)
    assert (verified.status, verified.commit["task"]["id"]) == (0, task)
    assert (len(verified.calls) == 2) == (place != "lock of another")
    if place != "lock of another":
        assert sum(looked_at(gate.server.requests)) < 20_000
    gate.server.tasks[task]["script"]["diff"] = DIRTY
    assert gate.verify(name).status == 1


@pytest.mark.parametrize("policy", ["block", "warn"])
def test_time_that_is_over_between_two_windows_is_undecided_and_says_how_far_it_has_looked(
    gate: Gate, policy: str
) -> None:
    """Never a pass, even where an unreachable server would be one: whoever makes a commit chooses its date."""
    gate.repo.policy(f'on-unreachable = "{policy}"')
    name = commit(gate, 300)
    gate.task(commit=name, last_update=ago(50))
    asked = iter(range(100))

    def slow(call: str, body: Any) -> None:
        if next(asked) >= 3:  # of the first window two questions, since it is short
            time.sleep(3)

    gate.server.hook = slow
    result = gate.verify("--timeout", "1.5")
    assert (result.status, result.json["errors"][0]["code"]) == (3, "timeout")
    assert "have been looked at" in result.json["errors"][0]["message"]
    day = result.json["hint"].partition("--since ")[2].split()[0]
    gate.server.hook = None
    assert gate.call("verify", "--since", day).status == 0
