"""`git clearml report`: a task's metrics, next to the best task's or any other's."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.support.clearml_events import NO_ITERATION, add_all, scalar
from tests.support.clearml_server import SECRET_KEY
from tests.support.faults import closed_port
from tests.support.program import Gate, Result, outside
from tests.support.scripts import QUICK

TAG = "Best Performance"
MEASURED = {
    "validation": {"accuracy": 0.92, "loss": 0.31},
    "lr": {"lr": 3e-05},
    ":monitor:gpu": {"gpu_0_utilization": 97.5},
    ":monitor:machine": {"cpu": 12.0},
}
BEST = {"validation": {"accuracy": 0.9, "loss": 0.35}, "test": {"f1": 0.8}}


def report(gate: Gate, *words: str, **options: Any) -> Result:
    """`report --format json`; its status is that of the JSON."""
    result = gate.call("report", "--format", "json", *words, **options)
    assert result.json["exit_code"] == result.status
    assert result.json["command"] == "report"
    return result


def rows(result: Result) -> dict[str, tuple[float | None, ...]]:
    """TITLE/SERIES -> last, min, max, best, delta."""
    return {
        f"{row['metric']}/{row['variant']}": tuple(row[key] for key in ("last", "min", "max", "best", "delta"))
        for row in result.json["metrics"]
    }


def best_task(gate: Gate, **fields: Any) -> str:
    return gate.server.add_task(**{"name": "the best", "commit": "b" * 40, "tags": [TAG], "metrics": BEST, **fields})


def test_the_accepted_tasks_metrics_next_to_the_best_tasks(gate: Gate) -> None:
    mine, other = gate.task(metrics=MEASURED), best_task(gate)
    result = report(gate)
    assert (result.status, result.json["outcome"], result.json["commit"]) == (0, "verified", gate.repo.head)
    assert (result.json["task"]["id"], result.json["against"]["id"]) == (mine, other)
    assert rows(result) == {
        "lr/lr": (3e-05, 3e-05, 3e-05, None, None),
        "validation/accuracy": (0.92, 0.92, 0.92, 0.9, 0.02),
        "validation/loss": (0.31, 0.31, 0.31, 0.35, -0.04),
    }
    assert result.json["hidden"] == 2
    assert result.json["notes"] == ["the other task also has test/f1"]
    assert result.calls == ("tasks.get_all_ex",) * 4


def test_no_best_task_yet(gate: Gate) -> None:
    gate.task(metrics=MEASURED)
    result = report(gate)
    assert (result.status, result.json["against"]) == (0, None)
    assert result.json["notes"] == ["no best task yet: none is tagged 'Best Performance'"]
    assert {row[3:] for row in rows(result).values()} == {(None, None)}
    assert result.calls == ("tasks.get_all_ex",) * 3
    shown = gate.call("report").out
    assert "delta" not in shown
    assert "2 :monitor: metrics are hidden; --all shows them" in shown


def test_against_nothing(gate: Gate) -> None:
    gate.task(metrics=MEASURED)
    best_task(gate)
    result = report(gate, "--against", "")
    assert (result.json["against"], result.json["notes"]) == (None, [])
    assert result.calls == ("tasks.get_all_ex",) * 2


def test_the_best_task_itself(gate: Gate) -> None:
    gate.task(metrics=MEASURED, tags=[TAG])
    assert rows(report(gate))["validation/loss"] == (0.31, 0.31, 0.31, 0.31, 0.0)


def test_of_several_best_tasks_the_best(gate: Gate) -> None:
    gate.repo.policy("[tool.git-clearml.best]", 'metric = "validation/loss"', 'direction = "min"')
    gate.task(metrics=MEASURED)
    best_task(gate, metrics={"validation": {"loss": 0.0}})
    good = best_task(gate, metrics={"validation": {"loss": 0.2}})
    best_task(gate, metrics={"validation": {"loss": 0.3}})
    result = report(gate)
    assert result.json["against"]["id"] == good
    assert result.json["metrics"][0]["variant"] == "loss"
    assert "▲ worse" in gate.call("report").out


def test_min_and_max_and_single_values(gate: Gate) -> None:
    mine = gate.task()
    store = gate.server.store
    with store.lock:
        add_all(store, [scalar(mine, "loss", "train", value, step) for step, value in enumerate((2.5, 0.5, 1.0))])
        add_all(store, [scalar(mine, "Summary", "final", 0.77, NO_ITERATION)])
    assert rows(report(gate)) == {
        "loss/train": (1.0, 0.5, 2.5, None, None),
        "Summary/final": (0.77, 0.77, 0.77, None, None),
    }


def test_chosen_metrics(gate: Gate) -> None:
    gate.task(metrics=MEASURED)
    assert list(rows(report(gate, "--metric", "validation"))) == ["validation/accuracy", "validation/loss"]
    both = report(gate, "--metric", "lr/lr", "--metric", ":monitor:gpu", "--metric", "nosuch/one")
    assert list(rows(both)) == [":monitor:gpu/gpu_0_utilization", "lr/lr"]
    assert (both.status, both.json["hidden"]) == (0, 0)
    assert "the task has no metric nosuch/one" in both.json["notes"]


def test_all_of_them(gate: Gate) -> None:
    gate.task(metrics=MEASURED)
    assert len(rows(report(gate, "--all"))) == 5


def test_no_metrics(gate: Gate) -> None:
    gate.task()
    assert report(gate).json["metrics"] == []
    assert "the task reported no metrics" in gate.call("report").out


def test_against_a_commit_and_a_task(gate: Gate) -> None:
    first = gate.repo.head
    older = gate.task(metrics=BEST)
    gate.repo.commit("second")
    gate.task(metrics=MEASURED)
    for against in ("HEAD~1", first, first[:9], older):
        result = report(gate, "--against", against)
        assert result.json["against"]["id"] == older
        assert rows(result)["validation/accuracy"][3:] == (0.9, 0.02)
    shown = gate.call("report", "--against", "HEAD~1").out
    assert f"against commit {first[:12]}:" in shown
    assert " other " in shown


def test_against_a_commit_without_evidence(gate: Gate) -> None:
    first = gate.repo.head
    gate.repo.commit("second")
    gate.task(metrics=MEASURED)
    result = report(gate, "--against", "HEAD~1")
    assert (result.status, result.json["against"]) == (0, None)
    assert result.json["notes"] == [f"no task counts for commit {first[:12]}: nothing to compare with"]


def test_any_task_by_its_id(gate: Gate) -> None:
    """Evidence or not: it is asked for by name."""
    failed = gate.server.add_task(status="failed", commit="c" * 40, metrics=MEASURED)
    result = report(gate, failed)
    assert (result.status, result.json["task"]["id"], result.json["task"]["status"]) == (0, failed, "failed")
    assert (result.json["commit"], result.json["outcome"]) == ("c" * 40, None)
    assert len(result.json["metrics"]) == 3
    nowhere = gate.server.add_task(project=None, metrics=MEASURED)
    assert report(gate, nowhere).json["commit"] is None
    assert gate.call("report", nowhere).out.startswith("metrics of this task:\n")


@pytest.mark.parametrize(
    ("fields", "status", "outcome", "said"),
    [
        ({"diff": "- a\n+ b\n"}, 1, "rejected", "ran with uncommitted changes"),
        ({"status": "in_progress"}, 4, "pending", "still running"),
    ],
)
def test_without_evidence_there_are_no_numbers(
    gate: Gate, fields: dict[str, Any], status: int, outcome: str, said: str
) -> None:
    near = gate.task(metrics=MEASURED, **fields)
    result = report(gate)
    assert (result.status, result.json["outcome"], result.json["task"]) == (status, outcome, None)
    assert result.json["metrics"] == []
    shown = gate.call("report")
    assert (shown.status, "0.92" in shown.out) == (status, False)
    assert said in shown.out
    assert "next: git clearml" in shown.out
    assert said in gate.call("report", "--format", "markdown").out
    assert report(gate, near).status == 0


def test_no_task_at_all(gate: Gate) -> None:
    result = gate.call("report")
    assert (result.status, "no ClearML task has run this commit" in result.out) == (1, True)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("nosuch",), "unknown-revision"),
        (("f" * 32,), "usage"),
        (("--against", "nosuch"), "unknown-revision"),
        (("--against", "f" * 32), "usage"),
        (("--metric",), "usage"),
        (("--format", "xml"), "usage"),
        (("--timeout", "-1"), "bad-setting"),
    ],
)
def test_called_wrongly(gate: Gate, words: tuple[str, ...], code: str) -> None:
    gate.task(metrics=MEASURED)
    result = gate.call("report", *words)
    assert (result.status, result.out) == (2, "")
    assert result.talk()[1]
    if "--format" not in words:
        shown = report(gate, *words)
        assert (shown.status, shown.errors, shown.json["outcome"]) == (2, [code], "undecided")


def test_undecided(gate: Gate) -> None:
    gone = {"CLEARML_API_HOST": f"http://127.0.0.1:{closed_port()}"}
    result = report(gate, env=gone)
    assert (result.status, result.json["outcome"], result.errors) == (3, "undecided", ["unreachable"])
    assert "cannot tell whether" in gate.call("report", env=gone).out
    assert "refuses connections" in gate.call("report", "--format", "markdown", env=gone).out


@pytest.mark.parametrize(
    "metrics",
    [
        [],
        {"x": []},
        {"x": {"y": []}},
        {"x": {"y": {"metric": 1}}},
        {"x": {"y": {"metric": "a", "variant": ["b"]}}},
    ],
)
def test_metrics_that_are_none(gate: Gate, metrics: Any) -> None:
    """An answer that is not what a ClearML server says is no reason for a traceback, nor for an empty report."""
    mine = gate.task()
    gate.server.tasks[mine]["last_metrics"] = metrics
    result = report(gate)
    assert (result.status, result.errors) == (3, ["bad-answer"])


def test_values_that_are_no_numbers(gate: Gate) -> None:
    mine = gate.task()
    entry = {"metric": "a", "variant": "b", "value": None, "min_value": "x", "max_value": 10**400}
    gate.server.tasks[mine]["last_metrics"] = {"x": {"y": entry}}
    result = report(gate)
    assert rows(result) == {"a/b": (None, None, None, None, None)}
    assert result.json["metrics"][0]["note"] == "has NaN; has infinity"


def test_what_a_server_says_can_do_nothing(gate: Gate) -> None:
    evil = "\x1b[2J::error::x\n| `code` <img> @team #1 [a](https://evil.example) \u202e"
    gate.task(name=evil, metrics={evil: {evil: 1.0}})
    text, markdown = gate.call("report").out, gate.call("report", "--format", "markdown").out
    for out in (text, markdown):
        assert "\x1b" not in out
        assert "\n::error" not in out
        assert "\u202e" not in out
        assert SECRET_KEY not in out
    assert "<img>" not in markdown
    assert "@team" not in markdown
    assert "](https" not in markdown.replace("](<", "")
    assert len([line for line in markdown.splitlines() if line.startswith("| ")]) == 2


def test_offline_sessions_have_metrics_and_no_best_task(gate: Gate) -> None:
    gone: dict[str, str | None] = dict.fromkeys(gate.server.env)
    gate.repo.commit("a script", {"train.py": QUICK})
    assert outside("run", "--", sys.executable, "train.py", cwd=gate.repo.path, env=gone).status == 0
    result = report(gate, env=gone)
    assert (result.status, result.json["task"]["source"], result.json["against"]) == (0, "offline", None)
    assert rows(result) == {"validation/accuracy": (0.75, 0.75, 0.75, None, None)}
    name = result.json["task"]["id"]
    (line,) = [line for line in gate.call("report", env=gone).out.splitlines() if "accuracy" in line]
    assert line.split()[-1] == "▄"  # reported once
    assert rows(report(gate, name, "--against", "HEAD", env=gone))["validation/accuracy"][3:] == (0.75, 0.0)
    words = ("compare", "--metric", "validation/accuracy", "--format", "json")
    compared = gate.call(*words, env=gone)
    assert (compared.status, compared.json["outcome"]) == (0, "first")
    assert "offline sessions have no tags: there is no best task to compare with" in compared.json["notes"]
    refused = gate.call(*words, "--tag-best", env=gone)
    assert (refused.status, refused.errors) == (2, ["usage"])
    unknown = report(gate, "f" * 32, env=gone)
    assert (unknown.status, unknown.errors) == (2, ["usage"])


def test_trends_at_a_terminal_that_can_show_them_and_charts_in_markdown(gate: Gate) -> None:
    gate.repo.policy("[tool.git-clearml.best]", 'metric = "validation/accuracy"')
    task = gate.task()
    add_all(gate.server.store, [scalar(task, "validation", "accuracy", step / 10, step) for step in range(10)])
    shown = gate.call("report")
    assert shown.calls[-1] == "events.scalar_metrics_iter_histogram"
    assert [line.split()[-1] for line in shown.out.splitlines() if "accuracy" in line] == ["▁▁▂▃▄▅▆▇██"]
    assert "mermaid" not in shown.out
    markdown = gate.call("report", "--format", "markdown").out
    assert "▁▁▂▃▄▅▆▇██ |" in markdown
    assert "line [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]" in markdown
    assert "events.scalar_metrics_iter_histogram" not in report(gate).calls
    ascii_only = gate.call("report", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}, alone=True)
    assert (ascii_only.status, "trend" in ascii_only.out) == (0, False)
    assert "events.scalar_metrics_iter_histogram" not in ascii_only.calls
