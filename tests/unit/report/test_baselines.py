"""What `[[metrics]]` say next to their baselines, at the bounds; and who may accept what is worse."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.model import Metric
from git_clearml.report import baselines
from git_clearml.report.baselines import Baseline
from git_clearml.report.measures import ComparisonOutcome
from git_clearml.settings.policy import Best, MetricRule, Policy
from git_clearml.verdict.model import Measured
from tests.support.builders import task, verdict

THE_BEST = "the best task"


def rule(**changes: Any) -> MetricRule:
    return MetricRule(**{"metric": "validation/accuracy", **changes})


# rule, value, baseline -> outcome, code
COMPARED: list[tuple[dict[str, Any], float | None, float | None, str, str]] = [
    ({}, 0.9, None, "pass", ""),  # nothing to compare with
    ({}, 0.9, 0.9, "pass", ""),
    ({}, 0.91, 0.9, "pass", ""),
    ({}, 0.89, 0.9, "fail", "metric-worse"),
    ({"on_worse": "warn"}, 0.89, 0.9, "warned", ""),
    ({"direction": "min"}, 0.89, 0.9, "pass", ""),
    ({"direction": "min"}, 0.91, 0.9, "fail", "metric-worse"),
    ({"tolerance": "0.005"}, 0.895, 0.9, "pass", ""),  # decimal numbers: exactly the tolerance
    ({"tolerance": "0.005"}, 0.89499, 0.9, "fail", "metric-worse"),
    ({"tolerance": "0.5%"}, 0.8955, 0.9, "pass", ""),
    ({"tolerance": "0.5%"}, 0.89549, 0.9, "fail", "metric-worse"),
    ({"tolerance": "10%", "direction": "min"}, -0.9, -1.0, "pass", ""),
    ({"tolerance": "10%", "direction": "min"}, -0.89, -1.0, "fail", "metric-worse"),
    ({"tolerance": "10%"}, -0.01, 0.0, "fail", "metric-worse"),  # of 0 a percentage is nothing
]


@pytest.mark.parametrize(("rules", "value", "baseline", "outcome", "code"), COMPARED)
def test_each_rule_at_its_bounds(
    rules: dict[str, Any], value: float | None, baseline: float | None, outcome: str, code: str
) -> None:
    measured = Measured(rule(**rules), value=value, runs=1, task="a")
    result = baselines.compared(measured, Baseline(baseline, THE_BEST))
    assert (result.outcome, result.code, result.baseline) == (outcome, code, baseline)
    assert bool(result.message) == (outcome != "pass")


def test_what_has_failed_already_is_no_worse_than_that() -> None:
    failed = Measured(rule(), "fail", 0.5, code="metric-limit", message="is 0.5")
    assert baselines.compared(failed, Baseline(0.9, THE_BEST)) == failed._replace(baseline=0.9, baseline_is=THE_BEST)
    missing = Measured(rule(), "missing", code="metric-missing")
    assert baselines.compared(missing, Baseline(0.9, THE_BEST)).outcome == "missing"


@pytest.mark.parametrize("value", [None, math.nan, math.inf, 0.0])
def test_a_best_task_without_a_number_is_no_baseline(value: float | None) -> None:
    metrics = () if value is None else (Metric("validation", "accuracy", value, value, value),)
    low = rule(direction="min")
    assert baselines.of_task(task(metrics=metrics), low, THE_BEST).value is None
    assert baselines.of_task(None, low, THE_BEST) == Baseline(None, THE_BEST)
    assert baselines.of_task(task(metrics=(Metric("validation", "accuracy", 1, 2, 3),)), low, THE_BEST).value == 1


ACCEPTS: list[tuple[list[str], dict[str, str]]] = [
    ([], {}),
    (["a/b: why"], {"a/b": "why"}),
    (["a/b:why"], {"a/b": "why"}),
    (["a/b : why: because"], {"a/b": "why: because"}),
    (["a/b:"], {}),
    (["a/b:   "], {}),
    (["a/b"], {}),
    (["a/b why"], {}),
    (["A/B: why"], {}),  # ClearML's names are exact
    (["a/bc: why"], {}),
    (["other/metric: why"], {}),
    (["a/b: c: why"], {"a/b: c": "why"}),  # the longer name
    (["a/b: c"], {"a/b": "c"}),
    (["long title/with blanks: why"], {"long title/with blanks": "why"}),
    (["a/b: first", "a/b: second"], {"a/b": "first"}),
    (["a/b:", "a/b: second"], {"a/b": "second"}),
    (["a/b: x", "long title/with blanks: y"], {"a/b": "x", "long title/with blanks": "y"}),
]


@pytest.mark.parametrize(("values", "expected"), ACCEPTS)
def test_what_a_trailer_accepts(values: list[str], expected: dict[str, str]) -> None:
    names = ["a/b", "a/b: c", "long title/with blanks"]
    assert baselines.acceptances(values, names) == expected


def test_a_trailer_lifts_no_limit() -> None:
    reasons = {"validation/accuracy": "smaller model"}
    worse = Measured(rule(), "fail", 0.5, code="metric-worse", message="is worse")
    accepted = baselines.accepted(worse, reasons)
    assert (accepted.outcome, accepted.code, accepted.reason) == ("accepted", "", "smaller model")
    for code in ("metric-limit", "metric-missing", "too-few-runs"):
        assert baselines.accepted(worse._replace(code=code), reasons) == worse._replace(code=code)
    assert baselines.accepted(worse, {"a/b": "why"}) == worse
    warned = Measured(rule(), "warned", 0.5)
    assert baselines.accepted(warned, reasons) == warned


numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(numbers, numbers, st.sampled_from(["max", "min"]), st.sampled_from(["0", "0.5%", "2"]))
def test_it_is_worse_exactly_where_more_than_the_tolerance_is_lost(
    value: float, baseline: float, direction: str, tolerance: str
) -> None:
    from fractions import Fraction

    ours, theirs = Fraction(repr(value)), Fraction(repr(baseline))
    allowed = {"0": Fraction(0), "0.5%": abs(theirs) / 200, "2": Fraction(2)}[tolerance]
    lost = theirs - ours if direction == "max" else ours - theirs
    measured = Measured(rule(direction=direction, tolerance=tolerance), value=value, runs=1)
    result = baselines.compared(measured, Baseline(baseline, THE_BEST))
    assert (result.outcome == "fail") == (lost > allowed)


def test_the_own_fields_speak_of_the_first_and_the_status_of_all() -> None:
    rules = Policy(metrics=(rule(), rule(metric="validation/recall")), best=Best(metric="validation/accuracy"))
    runs = (task(id="a" * 32), task(id="b" * 32))
    lines = [Baseline(0.8, THE_BEST, task(id="c" * 32)), Baseline(0.9, THE_BEST, task(id="c" * 32))]
    results = [
        baselines.compared(Measured(each, value=value, runs=2, task=runs[n].id), lines[n])
        for n, (each, value) in enumerate(zip(rules.metrics, (0.85, 0.7), strict=True))
    ]
    shown = baselines.comparison(verdict(runs=runs), results, lines, rules, None)
    assert (shown.outcome, shown.status, shown.metric) == (ComparisonOutcome.BETTER, 1, "validation/accuracy")
    assert (shown.current_value, shown.best_value, shown.delta) == (0.85, 0.8, 0.05)
    assert shown.current == runs[0]
    assert [each.rule.metric for each in shown.failing] == ["validation/recall"]
