"""Reports and comparisons as people see them: whole, as snapshots, and line by line where it matters."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.model import Metric, Task
from git_clearml.render import json as json_view
from git_clearml.render import metrics as view
from git_clearml.render.numbers import number
from git_clearml.report import baselines, compare
from git_clearml.report.baselines import Baseline
from git_clearml.report.measures import Comparison, ComparisonOutcome, MetricsReport, Row
from git_clearml.report.rows import Selection, make_rows
from git_clearml.settings.policy import Best, MetricRule, Policy
from git_clearml.verdict.model import Measured, Outcome, Verdict

SNAPSHOTS = Path(__file__).parent / "snapshots"
RULES = Best(metric="validation/accuracy", tolerance="0.5%")
OURS = Task(
    "1" * 32, "server", "train | fast", "Vision/Detector", "p", "completed", "a" * 40,
    completed="2026-01-02T03:04:05.000000+00:00", value=0.9231, url="https://app.example.com/projects/p/experiments/1",
)  # fmt: skip
BEST = OURS._replace(id="2" * 32, name="train", commit="b" * 40, value=0.91, url="https://app.example.com/2")
ODD = (
    "pipe|in|name", "`tick`s", "<img src=x onerror=alert(1)>", "two\nlines\r\n| and a row |", "@team/owners",
    "#1 fixes", "[link](https://evil.example)", "right\u202eleft", "\x1b[31mred\x1b[0m", "-->", "tab\there",
    "émoji 🚀", "x" * 10_000, "",
)  # fmt: skip


def same_as(name: str, text: str) -> None:
    """Compares with the snapshot. UPDATE_SNAPSHOTS=1 writes it anew, to be looked at before it is committed."""
    path = SNAPSHOTS / name
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def flat(title: str, series: str, value: float) -> Metric:
    return Metric(title, series, value, value, value)


MEASURED = (
    Metric("validation", "accuracy", 0.9231, 0.1, 0.93),
    Metric("validation", "loss", 0.31415926, 0.3, 12.5),
    Metric("train", "loss", 0.0, 0.0, 7.25),
    Metric("train", "grad norm", math.nan, math.nan, math.inf),
    flat("lr", "lr", 3e-05),
    flat("data", "samples", 1234567),
    flat("data", "ratio", 1.5e-9),
    flat("Summary", "final", -12.25),
    flat(":monitor:gpu", "gpu_0_utilization", 97.5),
    flat(":monitor:machine", "memory_used_gb", 12.0),
)
BEST_MEASURED = (
    Metric("validation", "accuracy", 0.91, 0.2, 0.95),
    Metric("validation", "loss", 0.35, 0.33, 11.0),
    Metric("train", "loss", 0.12, 0.12, 7.5),
    flat("lr", "lr", 3e-05),
    flat("test", "f1", 0.8),
)


ACCURACY = MetricRule("validation/accuracy", at_least=0.8, of="median", tolerance="0.5%")
LATENCY = MetricRule("latency/p99", "min")


def report(
    measured: tuple[Metric, ...] = MEASURED,
    against: tuple[Metric, ...] | None = BEST_MEASURED,
    rules: Best = RULES,
    selection: Selection = Selection(),  # noqa: B008 - a frozen value
) -> MetricsReport:
    rows, hidden, notes = make_rows(measured, against, Policy(best=rules), selection)
    other, label = (BEST, "the best task (Best Performance)") if against is not None else (None, "")
    return MetricsReport("a" * 40, Outcome.VERIFIED, 0, OURS, other, label, "best", rows, hidden, notes)


def comparisons() -> dict[str, Comparison]:
    """One of every kind."""
    made = {
        "better": compare.decide(OURS, BEST, RULES),
        "equal": compare.decide(OURS, BEST._replace(value=0.9231), RULES),
        "worse": compare.decide(OURS._replace(value=0.5), BEST, RULES),
        "worse-within-tolerance": compare.decide(OURS._replace(value=0.909), BEST, RULES),
        "first": compare.decide(OURS, None, RULES),
        "missing": compare.decide(OURS._replace(value=0.0), BEST, RULES._replace(direction="min")),
    }
    verdicts = {"rejected": Outcome.REJECTED, "pending": Outcome.PENDING, "undecided": Outcome.UNDECIDED}
    made |= {
        name: compare.without_task(Verdict("a" * 40, outcome), Policy(best=RULES)) for name, outcome in verdicts.items()
    }
    made |= {f"metrics-{name}": of_metrics(*cases) for name, cases in RULED.items()}
    return {name: replace(each, commit="a" * 40) for name, each in made.items()}


RULED: dict[str, list[Measured]] = {
    "good": [
        Measured(ACCURACY, value=0.9231, runs=3, task=OURS.id),
        Measured(LATENCY, value=20.0, runs=3, task=OURS.id),
    ],
    "worse": [
        Measured(ACCURACY, value=0.9231, runs=1, task=OURS.id),
        Measured(LATENCY, value=31.5, runs=1, task=OURS.id),
    ],
    "accepted": [Measured(LATENCY, value=31.5, runs=1, task=OURS.id)],
    "warned": [Measured(LATENCY._replace(on_worse="warn"), value=31.5, runs=1, task=OURS.id)],
}


def of_metrics(*results: Measured) -> Comparison:
    """The comparison of these with the best task's values, the second of them accepted where it stands alone."""
    lines = [Baseline({"latency/p99": 30.0}.get(each.rule.metric, 0.91), "the best task", BEST) for each in results]
    compared = [baselines.compared(each, line) for each, line in zip(results, lines, strict=True)]
    if len(compared) == 1:
        compared = [baselines.accepted(compared[0], {"latency/p99": "a larger model, by far the better one"})]
    rules = Policy(metrics=tuple(each.rule for each in results))
    verdict = Verdict("a" * 40, Outcome.VERIFIED, task=OURS, runs=(OURS,))
    return baselines.comparison(verdict, compared, lines, rules, None)


def test_a_report_as_text() -> None:
    same_as("report.txt", view.report_text(report()))


def test_a_report_as_markdown() -> None:
    same_as("report.md", view.report_markdown(report()))


def test_a_report_of_odd_names_as_text_and_markdown() -> None:
    odd = report(tuple(flat(name, name, 1.0) for name in ODD), None)
    same_as("report-odd-names.txt", view.report_text(odd))
    same_as("report-odd-names.md", view.report_markdown(odd))


def test_every_comparison_as_text_and_markdown() -> None:
    shown = comparisons().items()
    same_as("compare.txt", "\n".join(f"# {name}\n{view.comparison_text(comparison)}" for name, comparison in shown))
    same_as("compare.md", "\n".join(f"# {name}\n{view.comparison_markdown(comparison)}" for name, comparison in shown))


def test_colour_is_for_the_first_word() -> None:
    first, _, rest = view.comparison_text(comparisons()["worse"], colour=True).partition("\n")
    assert first.startswith("\x1b[31mworse\x1b[0m ")
    assert "\x1b" not in rest


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.1, "0.1"),
        (0.123456789, "0.123457"),
        (0.9999999, "1"),
        (1.0, "1"),
        (-0.0, "0"),
        (100.0, "100"),
        (1234567.0, "1234567"),
        (999999.5, "1000000"),
        (12345.678, "12345.7"),
        (3e-05, "0.00003"),
        (1.5e-07, "1.5e-7"),
        (1e15, "1e15"),
        (999999999999999.0, "999999999999999"),
        (-1.7976931348623157e308, "-1.79769e308"),
        (5e-324, "4.94066e-324"),
        (math.nan, "NaN"),
        (math.inf, "infinity"),
        (-math.inf, "-infinity"),
        (None, "-"),
    ],
)
def test_numbers(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_a_plus_for_what_is_greater_than_zero() -> None:
    assert [number(value, signed=True) for value in (1.5, -1.5, 0.0, math.inf)] == ["+1.5", "-1.5", "0", "+infinity"]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_back_to_six_digits(value: float) -> None:
    assert float(number(value)) == pytest.approx(value, rel=5.1e-6, abs=5e-324)
    assert re.fullmatch(r"-?\d+(\.\d*[1-9])?(e-?\d+)?", number(value))


@given(st.lists(st.text(max_size=40), min_size=1, max_size=5, unique=True))
def test_every_name_is_one_cell_of_one_line(names: list[str]) -> None:
    """The cells of a row are what stands between the bars that no backslash precedes."""
    table = view.metrics_markdown([Row(name, "v", 1.0, 1.0, 1.0) for name in names])
    lines = table.splitlines()
    assert len(lines) == 2 + len(names)
    for line in lines:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 6


@pytest.mark.parametrize("commit", ODD)
def test_the_commit_of_a_task_is_text_from_elsewhere(commit: str) -> None:
    """That of a task asked for by its id may be anything at all, and nobody has compared it with a hash."""
    report = MetricsReport(commit, Outcome.VERIFIED, 0, OURS, None, "", "", ())
    shown, page = view.report_text(report), view.report_markdown(report)
    assert shown.splitlines()[0].isprintable()
    heading = page.splitlines()[0]
    assert re.fullmatch(r"### Metrics( of (`+)( ?)(?:(?!\2).)*\3\2)?", heading), heading
    assert heading.isprintable()


def test_two_thousand_metrics_fit_and_say_how_many_were_left_out() -> None:
    many = [Row(f"metric {n:04} of a layer", "weight | norm", n / 7, 0.0, n * 1.0, n / 8, n / 56) for n in range(2000)]
    for limit in (500, 5_000, 60_000):
        table = view.metrics_markdown(many, limit)
        assert limit * 0.6 < len(table) <= limit
        (left_out,) = re.findall(r"([\d,]+) more metrics are left out", table)
        assert table.count("\n| metric ") + int(left_out.replace(",", "")) == 2000 + 0
    whole = MetricsReport("a" * 40, Outcome.VERIFIED, 0, OURS, BEST, "the best task", "best", tuple(many), 3)
    assert len(view.report_markdown(whole, 60_000)) <= 60_000
    assert "left out" not in view.metrics_markdown(many)
    assert view.metrics_markdown(many[:1], 10) == "\n1 more metric is left out here.\n"
    assert view.metrics_markdown([], 10) == ""


def test_the_resource_monitor_is_hidden_unless_asked_for() -> None:
    def titles(selection: Selection) -> set[str]:
        return {row.metric for row in report(selection=selection).rows}

    assert not {title for title in titles(Selection()) if title.startswith(":monitor:")}
    assert report().hidden == 2
    assert titles(Selection(monitor=True)) >= {":monitor:gpu", ":monitor:machine"}
    assert titles(Selection((":monitor:gpu/gpu_0_utilization", "lr"))) == {":monitor:gpu", "lr"}
    assert report(selection=Selection(("lr",))).hidden == 0
    unnamed = report(selection=Selection(("nosuch",)))
    assert "the task has no metric nosuch" in unnamed.notes
    assert "reported no metrics" not in view.report_text(unnamed)


def test_only_the_resource_monitor_reported() -> None:
    only = report(MEASURED[-2:], None)
    assert "no metrics to show" in view.report_text(only)
    assert "2 :monitor: metrics are hidden; --all shows them" in view.report_text(only)
    assert "the task reported no metrics" in view.report_text(report((), None))


def test_the_arrow_knows_the_direction_only_where_the_policy_names_it() -> None:
    def line(rules: Best) -> str:
        text = view.report_text(report(rules=rules))
        return next(line for line in text.splitlines() if line.startswith("validation  loss"))

    assert line(RULES).endswith("▼")
    assert line(Best(metric="validation/loss", direction="min")).endswith("▼ better")
    assert line(Best(metric="validation/loss", direction="max")).endswith("▼ worse")


def test_the_policys_metric_is_first_and_compared_by_its_own_value() -> None:
    first = report(rules=RULES._replace(value="max")).rows[0]
    assert (first.metric, first.best, first.delta) == ("validation", 0.95, -0.02)
    assert first.note == "compared by max"


def test_zero_and_what_is_no_number_are_named() -> None:
    notes = {f"{row.metric}/{row.variant}": row.note for row in report().rows}
    assert notes["train/loss"] == "0 may have been NaN"
    assert notes["train/grad norm"] == "has NaN; has infinity"
    assert notes["validation/loss"] == ""
    meant = Best(metric="train/loss", direction="min", zero_is_a_value=True)
    assert report(rules=meant).rows[0].note == ""


def test_json_has_the_shapes_of_the_design() -> None:
    shown = json.loads(json.dumps(json_view.report(report()), allow_nan=False))
    assert shown["task"]["id"] == OURS.id
    assert set(shown) >= {"schema", "command", "commit", "task", "metrics"}
    row = shown["metrics"][0]
    assert {key: row[key] for key in ("metric", "variant", "last", "min", "max", "best", "delta")} == {
        "metric": "validation", "variant": "accuracy", "last": 0.9231, "min": 0.1, "max": 0.93, "best": 0.91,
        "delta": 0.0131,
    }  # fmt: skip
    assert next(metric for metric in shown["metrics"] if metric["variant"] == "grad norm")["last"] is None


@pytest.mark.parametrize("name", comparisons())
def test_json_of_a_comparison(name: str) -> None:
    shown = json.loads(json.dumps(json_view.compare(comparisons()[name]), allow_nan=False))
    wanted = {
        "schema", "command", "outcome", "exit_code", "metric", "direction", "current", "best", "delta", "tolerance",
        "tagged",
    }  # fmt: skip
    assert set(shown) >= wanted
    assert shown["outcome"] in ("better", "equal", "worse", "first", "missing", "undecided")
    assert (shown["outcome"], shown["exit_code"]) == {
        "better": ("better", 0), "equal": ("equal", 0), "worse": ("worse", 1), "worse-within-tolerance": ("worse", 0),
        "first": ("first", 0), "missing": ("missing", 1), "rejected": ("missing", 1), "pending": ("undecided", 4),
        "undecided": ("undecided", 3), "metrics-good": ("better", 0), "metrics-worse": ("better", 1),
        "metrics-accepted": ("worse", 0), "metrics-warned": ("worse", 0),
    }[name]  # fmt: skip
    assert ComparisonOutcome(comparisons()[name].outcome) in ComparisonOutcome


def test_the_other_tasks_values_have_the_name_of_the_other_task() -> None:
    other = replace(report(), column="other", label="commit bbbbbbbbbbbb")
    assert " other " in view.report_text(other)
    assert " best " not in view.report_markdown(other)
