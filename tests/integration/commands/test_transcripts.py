"""Every outcome of `report`, `compare`, `log` and `open`, in one file for each: what a tired user gets to read."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from git_clearml.clearml.model import Result
from git_clearml.git.repository import Repository
from git_clearml.model import Metric
from git_clearml.record import notes
from tests.support.faults import closed_port
from tests.support.gate_transcript import Transcript
from tests.support.program import Gate

SNAPSHOTS = Path(__file__).parent / "snapshots"
TAG = "Best Performance"
BEST_POLICY = ("[tool.git-clearml.best]", 'metric = "loss/train"', 'direction = "min"')
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
DIFF = "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-a\n+b\n"
FORBIDDEN = b'{"meta": {"result_code": 403, "result_msg": "no"}, "data": {}}'


def unreachable() -> dict[str, str]:
    return {"CLEARML_API_HOST": f"http://127.0.0.1:{closed_port()}"}


def loss(value: float) -> dict[str, dict[str, float]]:
    return {"loss": {"train": value}}


def again(gate: Gate, **fields: Any) -> str:
    """A server with one best task of another commit, and this one of HEAD."""
    gate.server.store.tasks.clear()
    gate.server.add_task(name="the best", commit="b" * 40, tags=[TAG], metrics=loss(0.2))
    return gate.task(**fields)


def test_compare(gate: Gate) -> None:
    gate.repo.policy('project = "Vision"', *BEST_POLICY)
    transcript = Transcript(gate)
    again(gate, metrics=loss(0.1))
    transcript.call("better", "compare")
    transcript.call("better, as Markdown", "compare", "--format", "markdown")
    transcript.call("what --tag-best would do", "compare", "--tag-best", "--dry-run")
    transcript.call("--tag-best in a CI job before the merge", "compare", "--tag-best", env={"CI": "true"})
    gate.server.fail_next(403, FORBIDDEN, call="tasks.update_tags")
    transcript.call("the tag could not be moved", "compare", "--tag-best")
    transcript.call("the tag moves", "compare", "--tag-best")
    transcript.call("it is the best one already", "compare")
    again(gate, metrics=loss(0.2))
    transcript.call("equal", "compare")
    again(gate, metrics=loss(0.3))
    transcript.call("worse", "compare")
    transcript.call("worse, but within the tolerance of a flag", "compare", "--tolerance", "50%")
    gate.server.add_task(name="another best", commit="c" * 40, tags=[TAG], metrics=loss(0.25))
    transcript.call("several tasks bear the tag", "compare")
    again(gate, metrics=loss(0.0))
    transcript.call("a 0 that may have been NaN", "compare")
    again(gate, metrics={"loss": {"training": 0.1}})
    transcript.call("the metric was not reported", "compare")
    gate.server.store.tasks.clear()
    gate.task(metrics=loss(0.3))
    transcript.call("the first task ever", "compare")
    again(gate, metrics=loss(0.1), diff=DIFF)
    transcript.call("rejected", "compare")
    again(gate, status="in_progress")
    transcript.call("pending", "compare")
    transcript.call("the server does not answer", "compare", env=unreachable())
    transcript.call("without a server", "compare", "--tag-best", env=dict.fromkeys(gate.server.env))
    transcript.call("a metric without a series", "compare", "--metric", "loss")
    transcript.call("an unknown revision", "compare", "nosuch")
    gate.repo.policy('project = "Vision"')
    transcript.call("no metric", "compare")
    transcript.same_as(SNAPSHOTS / "compare.txt")


def test_report(gate: Gate) -> None:
    first = gate.repo.head
    gate.task(name="older", metrics=loss(0.5))
    gate.repo.commit("second")
    transcript = Transcript(gate)
    transcript.call("no task has run the commit", "report")
    task = gate.task(metrics={**loss(0.3), "lr": {"lr": 3e-05}, ":monitor:gpu": {"gpu_0": 97.5}})
    transcript.call("no best task yet", "report")
    gate.server.add_task(name="the best", commit="b" * 40, tags=[TAG], metrics={**loss(0.2), "test": {"f1": 0.8}})
    transcript.call("next to the best task", "report")
    transcript.call("as Markdown", "report", "--format", "markdown")
    transcript.call("next to another commit", "report", "--against", first)
    transcript.call("next to none", "report", "--against", "")
    transcript.call("some metrics only, and one that there is not", "report", "--metric", "lr", "--metric", "no/such")
    transcript.call("with those of the resource monitor", "report", "--all", "--against", "")
    transcript.call("any task by its id", "report", task, "--against", "")
    gate.repo.commit("third")
    gate.task()
    transcript.call("a task without metrics", "report", "--against", "")
    gate.repo.commit("fourth")
    gate.task(diff=DIFF, metrics=loss(0.1))
    transcript.call("rejected", "report")
    gate.repo.commit("fifth")
    gate.task(status="in_progress")
    transcript.call("pending", "report")
    transcript.call("the server does not answer", "report", env=unreachable())
    transcript.call("an unknown revision", "report", "nosuch")
    transcript.call("an unknown task", "report", "f" * 32)
    transcript.same_as(SNAPSHOTS / "report.txt")


def note(gate: Gate, task: str, status: str = "completed", url: str = "https://app.example.com/1", **m: float) -> None:
    """Puts a task on record for HEAD; the metrics by their series, of the title `m`."""
    metrics = tuple(Metric("m", series, value, value, value) for series, value in m.items())
    result = Result(task, f"train {task}", "Vision", status, url, metrics=metrics)
    notes.record(Repository(str(gate.repo.path)), gate.repo.head, [result], now=lambda: WHEN)


def test_log(gate: Gate) -> None:
    note(gate, "1", accuracy=0.9, loss=0.5, zz=1.0)
    note(gate, "2", "failed")
    gate.repo.commit("second")
    note(gate, "3", accuracy=0.95)
    gate.repo.commit("third")
    transcript = Transcript(gate)
    transcript.call("from notes", "log")
    transcript.call("as Markdown", "log", "--format", "markdown")
    transcript.call("one metric, by which commits are sorted", "log", "--sort", "m/accuracy")
    transcript.call("a metric that no task has", "log", "-n", "1", "--metric", "m/typo")
    transcript.call("paths", "log", "--", "train.py")
    gate.task(metrics=loss(0.3), name="train")
    transcript.call("from the server too", "log", "--fetch")
    transcript.call("the server does not answer", "log", "--fetch", "-n", "2", env=unreachable())
    transcript.call("without a server", "log", "--fetch", "-n", "1", env=dict.fromkeys(gate.server.env))
    transcript.call("an unknown revision", "log", "nosuch")
    transcript.call("a path outside of the repository", "log", "--", "/etc/passwd")
    transcript.call("a negative count", "log", "-n", "-1")
    transcript.same_as(SNAPSHOTS / "log.txt")


def test_open(gate: Gate) -> None:
    transcript = Transcript(gate)
    transcript.call("no task has run the commit", "open")
    gate.task(diff=DIFF, name="dirty")
    transcript.call("the nearest task", "open")
    task = gate.task(name="train")
    transcript.call("the task", "open")
    transcript.call("the task of an id", "open", task)
    transcript.call("the server does not answer", "open", env=unreachable())
    note(gate, "1")
    transcript.call("the server does not answer, and a task is on record", "open", env=unreachable())
    note(gate, "2" * 32)
    gone = dict.fromkeys(gate.server.env)
    transcript.call("without a server, by the id of a task on record", "open", "2" * 32, env=gone)
    transcript.call("an unknown revision", "open", "nosuch")
    transcript.call("an unknown task", "open", "f" * 32)
    transcript.same_as(SNAPSHOTS / "open.txt")
