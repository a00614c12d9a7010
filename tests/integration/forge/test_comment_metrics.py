"""The metrics in a comment: next to the best task's, else next to the base's, and however many there are."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from git_clearml.render import comment as view
from tests.integration.forge.test_comment import Bench
from tests.support.actions import Job, pull_request
from tests.support.clearml_events import add_all, scalar
from tests.support.github_server import GitHubServer
from tests.support.program import ROOT, Gate
from tests.unit.render.test_comment import Reader

MINE = {"loss": {"train": 0.1, "val": 0.3}, "lr": {"lr": 0.01}, ":monitor:gpu": {"gpu_0": 90.0}}
THEIRS = {"loss": {"train": 0.2, "val": 0.3}, "lr": {"lr": 0.01}}


@pytest.fixture
def bench(gate: Gate, tmp_path: Path) -> Iterator[Bench]:
    """Pull request 7 of HEAD."""
    base = gate.repo.head
    head = gate.repo.commit("change", {"train.py": "print('better')\n"})
    with GitHubServer() as github:
        github.add_pull(7, head, base)
        yield Bench(gate, github, Job(tmp_path / "job", event=pull_request(7, head, base), api=github.url), base)


def rows(bench: Bench) -> tuple[list[list[str]], list[list[str]]]:
    """The comment's metrics in sight, and those below the fold: name, variant, last, other, delta."""
    before, _, after = bench.ours().partition("<details>")
    parts = ([row for row in Reader(part).rows if row[0] != "metric"] for part in (before, "<div>" + after))
    shown, folded = ([[row[0], row[1], row[2], *row[5:7]] for row in part] for part in parts)
    return shown, folded


def test_next_to_the_best_task(bench: Bench) -> None:
    bench.gate.server.add_task(commit="b" * 40, tags=["Best Performance"], metrics=THEIRS, name="the best")
    bench.gate.task(commit=bench.base, metrics={"loss": {"train": 9.0}})
    bench.gate.task(metrics=MINE)
    assert bench.comment().status == 0
    assert rows(bench) == (
        [["loss", "train", "0.1", "0.2", "-0.1"]],
        [["loss", "val", "0.3", "0.3", "0"], ["lr", "lr", "0.01", "0.01", "0"]],
    )
    assert "Against the best task" in bench.ours()
    assert "gpu" not in Reader(bench.ours()).text.replace(":monitor:", "")


def test_without_a_best_task_next_to_the_bases(bench: Bench) -> None:
    bench.gate.task(commit=bench.base, metrics=THEIRS, name="before")
    bench.gate.task(metrics=MINE)
    assert bench.comment().status == 0
    assert rows(bench)[0] == [["loss", "train", "0.1", "0.2", "-0.1"]]
    assert f"Against commit {bench.base[:12]}: [before]" in bench.ours()
    assert "no best task yet" in bench.ours()


def test_with_neither(bench: Bench) -> None:
    bench.gate.task(metrics=MINE)
    assert bench.comment().status == 0
    page = Reader(bench.ours())
    assert [row[:3] for row in page.rows[1:]] == [
        ["loss", "train", "0.1"],
        ["loss", "val", "0.3"],
        ["lr", "lr", "0.01"],
    ]
    assert f"no task counts for commit {bench.base[:12]}" in page.text
    assert "details" not in page.tags


@pytest.mark.slow
def test_two_thousand_of_them(bench: Bench) -> None:
    names = [f"weight | norm of #{number} @team" for number in range(2000)]
    other = {"layer": dict.fromkeys(names, 0.5)}
    bench.gate.server.add_task(commit="b" * 40, tags=["Best Performance"], metrics=other)
    bench.gate.task(metrics={"layer": {name: number / 7 for number, name in enumerate(names)}})
    assert bench.comment().status == 0
    body = bench.ours()
    assert 40_000 < len(body) <= view.LIMIT
    shown, folded = rows(bench)
    left_out = [int(number.replace(",", "")) for number in re.findall(r"([\d,]+) more metrics are left out", body)]
    assert len(shown) + len(folded) + sum(left_out) == 2000
    assert body.startswith(view.marker("verify"))
    assert "### ✅ Verified" in bench.job.summary


def curve(bench: Bench, task: str, name: str, values: list[float]) -> None:
    title, _, series = name.rpartition("/")
    add_all(bench.gate.server.store, [scalar(task, title, series, value, step) for step, value in enumerate(values)])


@pytest.fixture
def curves(gate: Gate, tmp_path: Path) -> Iterator[Bench]:
    """Pull request 7 of HEAD, whose policy names a metric that the best task has too."""
    base = gate.repo.policy("[tool.git-clearml.best]", 'metric = "validation/accuracy"')
    head = gate.repo.commit("change", {"train.py": "print('better')\n"})
    with GitHubServer() as github:
        github.add_pull(7, head, base)
        made = Bench(gate, github, Job(tmp_path / "job", event=pull_request(7, head, base), api=github.url), base)
        best = gate.server.add_task(commit="b" * 40, tags=["Best Performance"], name="the best")
        mine = gate.task(name="mine")
        curve(made, best, "validation/accuracy", [step / 200 for step in range(80)])
        curve(made, mine, "validation/accuracy", [step / 100 for step in range(100)])
        curve(made, mine, "loss/train", [1 / (step + 1) for step in range(30)])
        curve(made, mine, "lr", [0.1] * 30)
        yield made


def test_trends_and_a_chart_next_to_the_best_task(curves: Bench) -> None:
    result = curves.comment()
    asked = [name for name in result.calls if name.startswith("events.")]
    assert (result.status, asked) == (0, ["events.multi_task_scalar_metrics_iter_histogram"])
    for body in (curves.ours(), curves.job.summary):
        rows = {row[1]: row[-1] for row in Reader(body).rows if len(row) > 5}
        assert rows["accuracy"] == "▁▁▁▂▂▃▃▃▄▄▅▅▆▆▆▇▇███"
        assert rows["train"][0] == "█"
        assert rows["train"][1:] == "".join(sorted(rows["train"][1:], reverse=True))
        assert rows["variant"] == "trend"
        assert body.count("```mermaid\nxychart-beta\n") == 1
        lines = [line for line in body.splitlines() if line.startswith("line [")]
        assert [line.count(",") for line in lines] == [49, 49]
        lines_are = "first line (blue): this task, second line (orange): the best task; drawn as far as both go."
        assert f"validation/accuracy, {lines_are}" in body
    before = curves.ours()
    assert "comment unchanged" in curves.comment().out
    assert curves.ours() == before


def test_one_request_for_one_task(curves: Bench) -> None:
    curves.gate.server.store.tasks = {
        name: task for name, task in curves.gate.server.tasks.items() if task["name"] == "mine"
    }
    result = curves.comment()
    assert [name for name in result.calls if name.startswith("events.")] == ["events.scalar_metrics_iter_histogram"]
    assert curves.ours().count("line [") == 1
    assert not [name for name in curves.gate.verify().calls if name.startswith("events.")]


def test_without_the_curves_the_comment_is_posted_all_the_same(curves: Bench) -> None:
    curves.gate.server.fail_next(500, b"{}", count=9, call="events.multi_task_scalar_metrics_iter_histogram")
    result = curves.comment()
    assert result.status == 0
    assert "warning: the curves are left out: " in result.err
    assert "accuracy" in curves.ours()
    assert "trend" not in curves.ours()
    assert "mermaid" not in curves.ours()


def test_a_metric_without_a_curve_is_said_in_a_line(curves: Bench) -> None:
    curves.gate.server.store.events.clear()
    assert curves.comment().status == 0
    assert "validation/accuracy has no curve: the task reported less than two values of it." in curves.ours()


EXAMPLE = ROOT / "docs" / "examples" / "comment.md"


def test_the_example_in_docs_is_what_the_command_posts(curves: Bench) -> None:
    """UPDATE_SNAPSHOTS=1 writes it anew, to be looked at before it is committed."""
    server = curves.gate.server
    for task in list(server.tasks):
        del server.tasks[task]
    best = server.add_task(id="b" * 32, commit="b" * 40, tags=["Best Performance"], name="train, cosine schedule")
    mine = curves.gate.task(id="a" * 32, name="train, larger crops")
    for task, last, speed in ((mine, 0.93, 18), (best, 0.91, 24)):
        rise = [last * (1 - math.exp(-step / speed)) + 0.004 * math.sin(3 * step) for step in range(100)]
        curve(curves, task, "validation/accuracy", [round(value, 4) for value in rise])
        curve(curves, task, "train/loss", [round(2.3 * math.exp(-step / speed) + 0.05, 4) for step in range(100)])
        curve(curves, task, "lr/lr", [round(0.05 * (1 + math.cos(math.pi * step / 100)), 5) for step in range(100)])
    result = curves.comment("--dry-run")
    assert result.status == 0
    lines = result.out.partition("\ncomment skipped")[0].splitlines()
    body = "\n".join(line for line in lines if not line.startswith(("<!--", "<sub>"))).strip() + "\n"
    body = re.sub(r"http://127.0.0.1:\d+/projects/\w+/", "https://app.example.com/projects/detector/", body)
    body = body.replace(curves.gate.repo.head[:12], "1f3a9c0d2e4b")
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        EXAMPLE.write_text(body, encoding="utf-8")
    assert body == EXAMPLE.read_text(encoding="utf-8"), "UPDATE_SNAPSHOTS=1 rewrites it"


def test_the_policys_metrics_next_to_those_of_the_pull_requests_base(gate: Gate, tmp_path: Path) -> None:
    """By the accepted policy: the head's own would take any loss."""
    rule = ("[[tool.git-clearml.metrics]]", 'metric = "loss/val"', 'direction = "min"', 'against = "base"')
    base = gate.repo.policy(*rule, "at-most = 0.5", 'of = "median"')
    for loss in (0.1, 0.2, 0.3):
        gate.task(metrics={"loss": {"val": loss}})
    head = gate.repo.policy(*rule, "at-most = 9", 'of = "best"')
    for loss in (0.1, 0.25, 0.4):
        gate.task(metrics={"loss": {"val": loss}})
    with GitHubServer() as github:
        github.add_pull(7, head, base)
        bench = Bench(gate, github, Job(tmp_path / "job", event=pull_request(7, head, base), api=github.url), base)
        result = gate.verify("--comment", "--compare", env=bench.job.env)
        assert result.status == 1
        (metric,) = result.commit["metrics"]
        facts = (metric["value"], metric["runs"], metric["at_most"], metric["baseline"], metric["outcome"])
        assert facts == (0.25, 3, 0.5, 0.2, "fail")
        (shown,) = [each for each in Reader(bench.ours()).rows if each[0] == "loss/val"]
        assert shown == ["loss/val", "0.25", "median of 3 runs", "≤ 0.5", f"0.2 (the base {base[:12]})", "fail"]
        gate.task(metrics={"loss": {"val": 0.6}})
        gate.task(metrics={"loss": {"val": 0.6}})
        assert gate.verify("--comment", "--compare", env=bench.job.env).json["outcome"] == "verified"
        gate.task(metrics={"loss": {"val": 0.6}})
        limited = gate.verify("--comment", env=bench.job.env)
        assert (limited.status, limited.codes) == (1, ["metric-limit"])
        assert "must be at most 0.5" in Reader(bench.ours()).text
