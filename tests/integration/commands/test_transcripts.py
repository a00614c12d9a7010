"""Every outcome of `report`, `compare`, `log`, `bisect`, `open`, `show`, `checkout`: what users get to read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import pytest

from git_clearml.clearml.model import Result
from git_clearml.git.repository import Repository
from git_clearml.model import Metric
from git_clearml.record import notes
from tests.support.faults import closed_port
from tests.support.program import Gate
from tests.support.transcript import Transcript

TAG = "Best Performance"
BEST_POLICY = ("[tool.git-clearml.best]", 'metric = "loss/train"', 'direction = "min"')
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
DIFF = "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-a\n+b\n"
BINARY = "diff --git a/w.bin b/w.bin\nindex 1..2 100644\nBinary files a/w.bin and b/w.bin differ\n"
ARGUMENTS = {"lr": "0.001", "epochs": "3", "api_key": "not-to-be-seen"}
FORBIDDEN = b'{"meta": {"result_code": 403, "result_msg": "no"}, "data": {}}'

pytestmark = pytest.mark.usefixtures("commits_of_one_day")


class Says:
    """Calls one command again and again, and writes down what it says."""

    def __init__(self, gate: Gate, command: str) -> None:
        self._gate, self._command = gate, command
        self.transcript = Transcript(command, {"REPOSITORY": gate.repo.path, "http://server": gate.server.url})

    def __call__(self, title: str, *words: str, env: Mapping[str, str | None] | None = None) -> None:
        self.transcript.add(title, (self._command, *words), self._gate.call(self._command, *words, env=env))


def parameter(section: str, name: str, value: str) -> dict[str, str]:
    return {"section": section, "name": name, "value": value}


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
    gate.repo.default_branch(gate.repo.policy('project = "Vision"', *BEST_POLICY))
    gate.repo.commit("change")
    says = Says(gate, "compare")
    again(gate, metrics=loss(0.1))
    says("better")
    says("better, as Markdown", "--format", "markdown")
    says("what --tag-best would do", "--tag-best", "--dry-run")
    says("--tag-best in a CI job before the merge", "--tag-best", env={"CI": "true"})
    gate.server.fail_next(403, FORBIDDEN, call="tasks.update_tags")
    says("the tag could not be moved", "--tag-best")
    says("the tag moves", "--tag-best")
    says("it is the best one already")
    again(gate, metrics=loss(0.2))
    says("equal")
    again(gate, metrics=loss(0.3))
    says("worse")
    says("worse, but within the tolerance of a flag", "--tolerance", "50%")
    gate.server.add_task(name="another best", commit="c" * 40, tags=[TAG], metrics=loss(0.25))
    says("several tasks bear the tag")
    again(gate, metrics=loss(0.0))
    says("a 0 that may have been NaN")
    again(gate, metrics={"loss": {"training": 0.1}})
    says("the metric was not reported")
    gate.server.store.tasks.clear()
    gate.task(metrics=loss(0.3))
    says("the first task ever")
    again(gate, metrics=loss(0.1), diff=DIFF)
    says("rejected")
    again(gate, status="in_progress")
    says("pending")
    says("the server does not answer", env=unreachable())
    says("without a server", "--tag-best", env=dict.fromkeys(gate.server.env))
    says("a metric without a series", "--metric", "loss")
    says("an unknown revision", "nosuch")
    gate.repo.policy('project = "Vision"')
    says("no metric")
    says.transcript.compare()


def test_report(gate: Gate) -> None:
    first = gate.repo.head
    gate.task(name="older", metrics=loss(0.5))
    gate.repo.commit("second")
    says = Says(gate, "report")
    says("no task has run the commit")
    task = gate.task(metrics={**loss(0.3), "lr": {"lr": 3e-05}, ":monitor:gpu": {"gpu_0": 97.5}})
    says("no best task yet")
    gate.server.add_task(name="the best", commit="b" * 40, tags=[TAG], metrics={**loss(0.2), "test": {"f1": 0.8}})
    says("next to the best task")
    says("as Markdown", "--format", "markdown")
    says("next to another commit", "--against", first)
    says("next to none", "--against", "")
    says("some metrics only, and one that there is not", "--metric", "lr", "--metric", "no/such")
    says("with those of the resource monitor", "--all", "--against", "")
    says("any task by its id", task, "--against", "")
    gate.repo.commit("third")
    gate.task()
    says("a task without metrics", "--against", "")
    top = gate.server.add_task("pipeline", type="controller", metrics=loss(0.4), entry_point="pipeline.py")
    for number, fields in enumerate(({"metrics": {**loss(0.3), "f1": {"test": 0.8}}}, {"status": "failed"})):
        gate.server.add_task(f"step {number}", parent=top, id=f"{number}" * 32, **fields)
    says("a pipeline with its steps", top, "--steps", "--against", "")
    says("a pipeline with its steps as Markdown", top, "--steps", "--against", "", "--format", "markdown")
    gate.repo.commit("fourth")
    gate.task(diff=DIFF, metrics=loss(0.1))
    says("rejected")
    gate.repo.commit("fifth")
    gate.task(status="in_progress")
    says("pending")
    says("the server does not answer", env=unreachable())
    says("an unknown revision", "nosuch")
    says("an unknown task", "f" * 32)
    says.transcript.compare()


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
    says = Says(gate, "log")
    says("from notes")
    says("as Markdown", "--format", "markdown")
    says("one metric, by which commits are sorted", "--sort", "m/accuracy")
    says("a metric that no task has", "-n", "1", "--metric", "m/typo")
    says("paths", "--", "train.py")
    says("git's graph", "--graph")
    says("placeholders of ours", "-n", "2", "--format", "%h %<(10)%(clearml:status)%(clearml:metric:m/loss) %s")
    says("no placeholder", "--format", "%(clearml:stauts)")
    says("a format without one", "--format", "oneline")
    says("a graph as JSON", "--graph", "--json")
    says("a graph in another order", "--graph", "--sort", "m/loss")
    gate.task(metrics=loss(0.3), name="train")
    says("from the server too", "--fetch")
    says("the server does not answer", "--fetch", "-n", "2", env=unreachable())
    says("without a server", "--fetch", "-n", "1", env=dict.fromkeys(gate.server.env))
    says("an unknown revision", "nosuch")
    says("a path outside of the repository", "--", "/etc/passwd")
    says("a negative count", "-n", "-1")
    says.transcript.compare()


def test_bisect(gate: Gate) -> None:
    gate.repo.policy("[tool.git-clearml.best]", 'metric = "m/accuracy"')
    says = Says(gate, "bisect")
    limit = ("--worse-than", "0.9")
    says("no commit has a number", *limit)
    for number, value in enumerate((0.95, 0.7, 0.93, None, None, 0.85, 0.8)):
        gate.repo.commit(f"change {number}", {"train.py": str(number)})
        if value is not None:
            gate.task(metrics={"m": {"accuracy": value}}, name=f"train {number}")
    says("commits without a number hide it", *limit)
    gate.task(metrics={"m": {"accuracy": 0.92}}, name="train again", commit=gate.repo.git("rev-parse", "HEAD~2"))
    says("found", *limit)
    says("as Markdown", *limit, "--format", "markdown")
    says("the range is named", *limit, "HEAD~5..HEAD~1")
    says("less is better", "--worse-than", "0.9", "--direction", "min")
    says("it does not fall", "--worse-than", "0.5")
    says("nothing is better", "--worse-than", "0.99")
    says("worse already", *limit, "HEAD~5", "HEAD")
    says("the wrong way round", *limit, "HEAD", "HEAD~1")
    note(gate, "1", accuracy=0.91)
    says("the server does not answer", *limit, env=unreachable())
    says("no limit")
    says("no number", "--worse-than", "much")
    says("not a metric", *limit, "--metric", "accuracy")
    says("an unknown revision", *limit, "nosuch")
    says.transcript.compare()


def test_open(gate: Gate) -> None:
    says = Says(gate, "open")
    says("no task has run the commit")
    gate.task(diff=DIFF, name="dirty")
    says("the nearest task")
    task = gate.task(name="train")
    says("the task")
    says("the task of an id", task)
    says("the server does not answer", env=unreachable())
    note(gate, "1")
    says("the server does not answer, and a task is on record", env=unreachable())
    note(gate, "2" * 32)
    gone = dict.fromkeys(gate.server.env)
    says("without a server, by the id of a task on record", "2" * 32, env=gone)
    says("an unknown revision", "nosuch")
    says("an unknown task", "f" * 32)
    says.transcript.compare()


def test_show(gate: Gate) -> None:
    says = Says(gate, "show")
    says("no task has run the commit")
    gate.repo.commit("Learn slower", {"requirements.txt": "numpy==1.24.0\ntorch>=2\n"})
    gate.task(
        started="2026-01-02T03:04:05",
        completed="2026-01-02T04:16:05",
        last_worker="gpu-box:0",
        script__requirements={"pip": "# Python 3.11\n\nnumpy == 1.26.4\ntorch == 2.1\nrich == 13.0\n"},
        hyperparams={"Args": {name: parameter("Args", name, value) for name, value in ARGUMENTS.items()}},
        models__output=[{"name": "checkpoint", "model": "c" * 32}],
        execution__artifacts=[
            {"key": "data", "type": "custom", "mode": "output", "uri": "s3://b/d", "hash": "ab" * 32}
        ],
        metrics={**loss(0.3), "lr": {"lr": 3e-05}, ":monitor:gpu": {"gpu_0": 97.5}},
    )
    says("the task of HEAD")
    says("as JSON", "--format", "json")
    at = {"started": "2026-01-02T03:04:05", "completed": None}
    task = gate.task(
        diff=DIFF + BINARY, commit="b" * 40, status="failed", name="\x1b[31mtrain\u202e", id="89715b8b" * 4, **at
    )
    says("uncommitted changes on top of a commit that is not here, by the first digits of its id", task[:10])
    says("a whole script instead of a diff", gate.task(diff="import clearml\n", commit=None, entry_point=None, **at))
    gate.repo.commit("another")
    gate.task(status="in_progress", started=None, completed=None)
    says("the nearest task")
    says("an unknown task", "f" * 32)
    says("an unknown revision", "nosuch")
    says("the server does not answer", env=unreachable())
    says.transcript.compare()


def test_checkout(gate: Gate) -> None:
    says = Says(gate, "checkout")
    at = {"started": "2026-01-02T03:04:05", "completed": None}
    says("no task has run the commit", "HEAD")
    arguments = {"Args": {name: parameter("Args", name, value) for name, value in ARGUMENTS.items()}}
    task = gate.task(diff=DIFF.replace("-a", "-print('training')"), hyperparams=arguments, **at)
    says("what would be done", "--dry-run", task, "old")
    says("a worktree", task, "old")
    says("a directory that exists", task, "old")
    says("as JSON, on a branch", "--format", "json", "--branch", "again", task, "again")
    says("a branch that exists", "--branch", "again", task, "once-more")
    says("as it was committed", gate.task(**at), "plain")
    stale = gate.task(diff=DIFF, **at)
    says("a diff that would not apply", "--dry-run", stale, "stale")
    says("a diff that does not apply", stale, "stale")
    says("no diff on record", gate.task(diff=None, **at), "unknown")
    says("a binary file, of which nothing but its name was recorded", gate.task(diff=BINARY, **at), "binary")
    says("no commit on record", gate.task(commit=None, diff="import os\n"), "none")
    away = gate.task(commit="b" * 40)
    says("a commit that would be fetched", "--dry-run", away, "away")
    says("an unknown task", "f" * 32)
    says("the server does not answer", task, "new", env=unreachable())
    says.transcript.compare()


def test_diff(gate: Gate) -> None:
    says = Says(gate, "diff")
    gate.repo.policy(*BEST_POLICY)
    gate.repo.commit("two files", {"train.py": "a\n", "b.py": "b\n"})
    lines = "".join(f"{name} == {version}\n" for name, version in (("numpy", 1), ("torch", 2), ("rich", 3)))
    args = {name: {"section": "Args", "name": name, "value": value} for name, value in ARGUMENTS.items()}
    at = {"started": "2026-01-02T03:04:05", "completed": "2026-01-02T04:05:06"}
    common = {**at, "script__requirements": {"pip": lines}, "hyperparams": {"Args": args}}
    old = gate.task(name="yesterday", diff=DIFF, **common, metrics={**loss(0.25), "lr": {"lr": 0.1}, "n": {"n": 1}})
    gate.repo.commit("slower", {"b.py": "c\n"})
    later = {"Args": {**args, "lr": parameter("Args", "lr", "\x1b[31m0.01"), "more": parameter("Args", "more", "1")}}
    requirements = {"pip": lines.replace("1", "1.5").replace("rich == 3\n", "")}
    metrics = {**loss(0.5), "lr": {"lr": 0.1}, "f1": {"f1": 0.7}}
    new = gate.task(name="today", **at, script__requirements=requirements, hyperparams=later, metrics=metrics)
    says("two tasks", old, new)
    says("a diffstat, of some paths", "--stat", old, "HEAD", "--", "b.py")
    says("metrics and packages only", "--metrics", "--packages", "--exit-code", old, new)
    says("as JSON", "--format", "json", old, new)
    says("the same task twice", "--exit-code", new, new)
    gate.repo.write({"b.py": "d\n"})
    says("the working tree", "--exit-code", old)
    stale = gate.task(diff=DIFF.replace("-a", "-stale"), **at)
    says("a diff that does not apply", "--code", stale, old)
    says("of the working tree nothing else is known", "--metrics", old, ".")
    says("the working tree first", ".", old)
    says("nothing but the working tree", ".")
    says("a path outside of the repository", old, new, "--", "/etc/passwd")
    says("an unknown task", old, "f" * 32)
    says("the server does not answer", old, new, env=unreachable())
    says.transcript.compare()
