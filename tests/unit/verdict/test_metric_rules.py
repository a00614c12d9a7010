"""What `[[metrics]]` want of a commit's tasks: each rule at its bounds, and all of them against a plain model."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.model import Metric, Task
from git_clearml.settings.policy import Best, Equivalence, MetricRule, Policy
from git_clearml.verdict import metric_rules, next_run
from git_clearml.verdict.model import Outcome, Verdict
from git_clearml.verdict.rules import judge
from tests.support.builders import HASH, commit, facts, policy, run, task

NAN, INF = math.nan, math.inf


def rule(**changes: Any) -> MetricRule:
    return MetricRule(**{"metric": "validation/accuracy", **changes})


def of(*values: float | None, **changes: Any) -> list[Task]:
    """Accepted tasks with these last values, None for no such metric."""
    return [
        task(
            id=f"{number:032x}",
            metrics=() if value is None else (Metric("validation", "accuracy", value, value, value),),
            **changes,
        )
        for number, value in enumerate(values)
    ]


def verdict(rules: MetricRule, tasks: list[Task], **changes: Any) -> Verdict:
    exactly = {HASH: Equivalence.COMMIT}.get
    return judge(commit(), tasks, policy(metrics=(rules,), **changes), facts(), equivalent=exactly)


# The rule, the accepted tasks' values; whether it holds, the value and of how many runs, the reason where it does not.
HOLDS: list[tuple[dict[str, Any], list[float | None], str, float | None, int, str]] = [
    ({}, [0.5], "pass", 0.5, 1, ""),
    ({"at_least": 0.8}, [0.8], "pass", 0.8, 1, ""),
    ({"at_least": 0.8}, [math.nextafter(0.8, 0)], "fail", math.nextafter(0.8, 0), 1, "metric-limit"),
    ({"at_most": 0.8}, [0.8], "pass", 0.8, 1, ""),
    ({"at_most": 0.8}, [math.nextafter(0.8, 1)], "fail", math.nextafter(0.8, 1), 1, "metric-limit"),
    ({"at_least": 0.8, "at_most": 0.8}, [0.8], "pass", 0.8, 1, ""),
    ({"at_least": -1.0}, [-1.0], "pass", -1.0, 1, ""),
    ({"at_least": 0.0}, [0.0], "pass", 0.0, 1, ""),
    # which of several runs
    ({"at_least": 0.8}, [0.7, 0.9], "pass", 0.9, 2, ""),
    ({"at_most": 0.8}, [0.7, 0.9], "fail", 0.9, 2, "metric-limit"),
    ({"direction": "min", "at_most": 0.8}, [0.7, 0.9], "pass", 0.7, 2, ""),
    ({"of": "worst", "at_least": 0.8}, [0.7, 0.9], "fail", 0.7, 2, "metric-limit"),
    ({"of": "worst", "direction": "min"}, [0.7, 0.9], "pass", 0.9, 2, ""),
    ({"of": "median"}, [0.3, 0.1, 0.2], "pass", 0.2, 3, ""),
    ({"of": "median"}, [0.4, 0.1, 0.3, 0.2], "pass", 0.2, 4, ""),  # the lower of the two
    ({"of": "median", "direction": "min"}, [0.4, 0.1, 0.3, 0.2], "pass", 0.3, 4, ""),  # the higher
    ({"of": "median"}, [0.4, 0.1], "pass", 0.1, 2, ""),
    ({"of": "median"}, [0.4], "pass", 0.4, 1, ""),
    # none, or no number
    ({}, [None], "missing", None, 0, "metric-missing"),
    ({}, [NAN], "missing", None, 0, "metric-missing"),
    ({"at_least": 0.8}, [INF], "missing", None, 0, "metric-missing"),
    ({"direction": "min", "at_most": 0.8}, [-INF], "missing", None, 0, "metric-missing"),
    ({}, [None, NAN, INF], "missing", None, 0, "metric-missing"),
    ({"at_least": 0.8}, [None, 0.8, NAN], "pass", 0.8, 1, ""),
    ({"of": "median"}, [None, 0.8, NAN, 0.6, 0.7], "pass", 0.7, 3, ""),
    ({"of": "worst"}, [0.8, None], "missing", None, 1, "metric-missing"),
    ({"of": "worst"}, [0.8, NAN], "missing", None, 1, "metric-missing"),
    # a suspect 0
    ({"direction": "min", "at_most": 0.8}, [0.0], "missing", None, 0, "metric-missing"),
    ({"direction": "min", "at_most": 0.8}, [-0.0], "missing", None, 0, "metric-missing"),
    ({"direction": "min", "zero_is_a_value": True}, [0.0], "pass", 0.0, 1, ""),
    ({"direction": "min"}, [0.0, 0.5], "pass", 0.5, 1, ""),
    ({"direction": "min", "of": "worst"}, [0.0, 0.5], "missing", None, 1, "metric-missing"),
    # so many there must be
    ({"min_runs": 3}, [0.1, 0.2, 0.3], "pass", 0.3, 3, ""),
    ({"min_runs": 3}, [0.1, 0.2], "fail", 0.2, 2, "too-few-runs"),
    ({"min_runs": 3}, [0.1, 0.2, None], "fail", 0.2, 2, "too-few-runs"),
    ({"min_runs": 2, "at_least": 0.8}, [0.1], "fail", 0.1, 1, "too-few-runs"),
    ({"min_runs": 2}, [None, None], "missing", None, 0, "metric-missing"),
]


@pytest.mark.parametrize(("rules", "values", "outcome", "value", "runs", "code"), HOLDS)
def test_each_rule_at_its_bounds(
    rules: dict[str, Any], values: list[float | None], outcome: str, value: float | None, runs: int, code: str
) -> None:
    judged = verdict(rule(**rules), of(*values))
    (result,) = judged.metrics
    assert (result.outcome, result.value, result.runs, result.code) == (outcome, value, runs, code)
    assert judged.outcome is (Outcome.REJECTED if code else Outcome.VERIFIED)
    assert (judged.task is None, judged.accepted, len(judged.runs)) == (bool(code), len(values), len(values))
    assert {reason.code for miss in judged.near_misses for reason in miss.reasons} == ({code} if code else set())
    if code:
        assert "validation/accuracy" in judged.near_misses[0].reasons[0].message


@pytest.mark.parametrize("which", ["last", "min", "max"])
def test_which_of_the_metric_s_values_is_meant(which: str) -> None:
    measured = task(metrics=(Metric("validation", "accuracy", 0.5, 0.1, 0.9), Metric("train", "loss", 1, 1, 1)))
    (result,) = verdict(rule(value=which), [measured]).metrics
    assert result.value == {"last": 0.5, "min": 0.1, "max": 0.9}[which]


WAITING = [
    ({"min_runs": 2}, [0.9], "queued", Outcome.PENDING),
    ({"min_runs": 2}, [0.9], "in_progress", Outcome.PENDING),
    ({"min_runs": 2}, [0.9], "failed", Outcome.REJECTED),
    ({"min_runs": 2}, [None], "queued", Outcome.PENDING),
    ({}, [None], "queued", Outcome.PENDING),  # one more run may have it
    ({"at_least": 0.95}, [0.9], "queued", Outcome.REJECTED),  # there are enough, and they say no
    ({"min_runs": 1, "of": "worst"}, [0.9, None], "queued", Outcome.REJECTED),
    ({"min_runs": 1}, [0.9], "queued", Outcome.VERIFIED),
]


@pytest.mark.parametrize(("rules", "values", "status", "outcome"), WAITING)
def test_too_few_runs_are_waited_for(
    rules: dict[str, Any], values: list[float | None], status: str, outcome: Outcome
) -> None:
    judged = verdict(rule(**rules), [*of(*values), task(id="f" * 32, status=status, completed="")])
    assert judged.outcome is outcome
    if outcome is Outcome.PENDING:
        assert judged.near_misses[0].pending


def test_what_waits_for_runs_and_also_fails_is_refused() -> None:
    rules = (rule(min_runs=2), rule(metric="validation/recall", at_least=0.9))
    tasks = [each._replace(metrics=(*each.metrics, Metric("validation", "recall", 0.5, 0.5, 0.5))) for each in of(0.9)]
    waiting = task(id="f" * 32, status="queued", completed="")
    judged = judge(
        commit(), [*tasks, waiting], policy(metrics=rules), facts(), equivalent={HASH: Equivalence.COMMIT}.get
    )
    assert judged.outcome is Outcome.REJECTED
    codes = {reason.code for miss in judged.near_misses for reason in miss.reasons}
    assert codes == {"too-few-runs", "metric-limit", "queued"}


def test_without_a_task_that_counts_they_are_missing() -> None:
    judged = verdict(rule(), of(0.9, status="failed"))
    assert (judged.outcome, judged.metrics[0].outcome, judged.runs) == (Outcome.REJECTED, "missing", ())
    assert [reason.code for miss in judged.near_misses for reason in miss.reasons] == ["failed"]
    assert verdict(rule(), of(0.9, status="queued", completed="")).outcome is Outcome.PENDING


def test_a_task_that_was_chosen_does_not_choose_its_seed() -> None:
    tasks = of(0.9, 0.5)
    rules = policy(metrics=(rule(of="worst", at_least=0.8),))
    exactly = {HASH: Equivalence.COMMIT}.get
    judged = judge(commit(), tasks, rules, facts(), equivalent=exactly, chosen=tasks[0].id)
    assert (judged.outcome, judged.metrics[0].value) == (Outcome.REJECTED, 0.5)
    fine = judge(commit(), of(0.9, 0.85), rules, facts(), equivalent=exactly, chosen=tasks[1].id)
    assert (fine.outcome, fine.task and fine.task.id) == (Outcome.VERIFIED, tasks[1].id)


def test_a_policy_of_today_measures_nothing() -> None:
    judged = judge(commit(), of(NAN), policy(), facts(), equivalent={HASH: Equivalence.COMMIT}.get)
    assert (judged.outcome, judged.metrics, judged.runs) == (Outcome.VERIFIED, (), ())


BEST = Best(metric="validation/accuracy")
NEEDS_ALL: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({}, {}, False),
    ({"at_least": 0.8, "min_runs": 5}, {}, False),
    ({"of": "median"}, {}, True),
    ({"of": "worst"}, {}, True),
    ({"at_most": 0.8}, {}, False),  # the tasks come in its order, the best first
    ({"at_most": 0.8}, {"best": BEST}, False),
    ({"at_most": 0.8}, {"best": Best(metric="validation/recall")}, True),
    ({"at_most": 0.8}, {"best": BEST._replace(direction="min")}, True),
    ({"at_most": 0.8, "value": "max"}, {"best": BEST}, True),
    ({"at_least": 0.8}, {"best": Best(metric="validation/recall")}, False),
    ({"direction": "min", "at_least": 0.1}, {"best": BEST}, True),
    ({"direction": "min", "at_most": 0.1}, {"best": BEST}, False),
]


@pytest.mark.parametrize(("rules", "more", "expected"), NEEDS_ALL)
def test_when_all_tasks_have_to_be_seen(rules: dict[str, Any], more: dict[str, Any], expected: bool) -> None:
    assert metric_rules.needs_all(policy(metrics=(rule(**rules),), **more)) is expected
    assert not metric_rules.needs_all(policy(**more))


# --- against a plain model

numbers = st.one_of(st.none(), st.floats(), st.sampled_from([0.0, -0.0, 0.5, NAN, INF, -INF]))
limits = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0.0, 0.5]))
rules_ = st.fixed_dictionaries(
    {
        "direction": st.sampled_from(["max", "min"]),
        "at_least": limits,
        "at_most": limits,
        "of": st.sampled_from(["best", "median", "worst"]),
        "zero_is_a_value": st.booleans(),
        "min_runs": st.integers(1, 4),
    }
).map(lambda changes: rule(**changes))


def plain(rules: MetricRule, values: list[float | None]) -> tuple[bool, float | None, int]:
    """Does it hold, by what value of how many runs? As design 14 says it, word by word."""
    fine: list[float] = []
    for value in values:
        suspect = value == 0 and rules.direction == "min" and not rules.zero_is_a_value
        if value is not None and not math.isnan(value) and abs(value) != INF and not suspect:
            fine.append(value)
    fine.sort()
    if not fine or (rules.of == "worst" and len(fine) < len(values) and len(fine) >= rules.min_runs):
        return False, None, len(fine)
    high, low = fine[-1], fine[0]
    best, worst = (high, low) if rules.direction == "max" else (low, high)
    middle = fine[(len(fine) - 1) // 2] if rules.direction == "max" else fine[len(fine) // 2]
    value = {"best": best, "median": middle, "worst": worst}[rules.of]
    holds = len(fine) >= rules.min_runs
    holds &= rules.at_least is None or value >= rules.at_least
    holds &= rules.at_most is None or value <= rules.at_most
    return holds, value, len(fine)


@given(rules_, st.lists(numbers, min_size=1, max_size=6), st.data())
def test_limits_and_of_against_a_plain_model(
    rules: MetricRule, values: list[float | None], data: st.DataObject
) -> None:
    judged = verdict(rules, data.draw(st.permutations(of(*values))))
    (result,) = judged.metrics
    holds, value, runs = plain(rules, values)
    assert (result.outcome == "pass", result.value, result.runs) == (holds, value, runs)
    assert judged.outcome is (Outcome.VERIFIED if holds else Outcome.REJECTED)


@given(rules_, st.lists(numbers, min_size=1, max_size=5), st.lists(numbers, max_size=4))
def test_a_pass_by_some_tasks_that_needs_no_more_is_a_pass_by_all(
    rules: MetricRule, values: list[float | None], more: list[float | None]
) -> None:
    """`some` are the first in the order in which they are asked for, where the policy has one."""
    policy_ = Policy(metrics=(rules,))
    if metric_rules.needs_all(policy_):
        return
    sign = -1 if rules.direction == "max" else 1
    tasks = of(*values, *more)
    tasks.sort(key=lambda each: (_unusable(each, rules), sign * (metric_rules.value_of(each.metrics, rules) or 0)))
    some = tasks[: len(values)]
    if metric_rules.measure(rules, some).outcome == "pass":
        whole = metric_rules.measure(rules, tasks)
        assert (whole.outcome, whole.value) == ("pass", metric_rules.measure(rules, some).value)


def _unusable(each: Task, rules: MetricRule) -> bool:
    return bool(metric_rules.unusable(metric_rules.value_of(each.metrics, rules), rules))


FINAL: list[tuple[dict[str, Any], list[float | None], bool]] = [
    ({"at_least": 0.8}, [0.7], False),
    ({"at_most": 0.8}, [0.9, 0.7], True),  # the best of more runs is no lower
    ({"direction": "min", "at_most": 0.8}, [0.9], False),
    ({"direction": "min", "at_least": 0.8}, [0.7], True),
    ({"of": "worst", "at_least": 0.8}, [0.9, 0.7], True),
    ({"of": "worst", "at_most": 0.8}, [0.9], False),
    ({"of": "worst", "direction": "min", "at_most": 0.8}, [0.9], True),
    ({"of": "worst", "direction": "min", "at_least": 0.8}, [0.7], False),
    ({"of": "median", "at_least": 0.8}, [0.7, 0.7], False),
    ({"of": "median", "at_most": 0.8}, [0.9], False),
    ({"of": "worst"}, [0.9, None], True),
    ({"of": "worst", "min_runs": 3}, [0.9, NAN], True),
    ({"of": "worst", "min_runs": 3, "at_least": 0.8}, [0.9, 0.7], True),
    ({"of": "worst", "min_runs": 3, "at_least": 0.8}, [0.9, 0.8], False),
    ({"of": "worst"}, [None], False),
    ({}, [None], False),
]


@pytest.mark.parametrize(("rules", "values", "final"), FINAL)
def test_where_another_run_cannot_help_none_is_proposed(
    rules: dict[str, Any], values: list[float | None], final: bool
) -> None:
    judged = verdict(rule(**rules), of(*values))
    (result,) = judged.metrics
    assert (result.final, "no further run" in result.message) == (final, final)
    following = next_run.next_command(judged, "python train.py", "")
    if not final:
        assert following in ("git clearml run -- python train.py", "git clearml report")
    else:
        assert following == (f"git clearml show {result.task}" if result.task else "git clearml report")


@given(rules_, st.lists(numbers, min_size=1, max_size=4), st.lists(numbers, max_size=4))
def test_what_is_final_fails_whatever_else_is_run(
    rules: MetricRule, values: list[float | None], more: list[float | None]
) -> None:
    if metric_rules.measure(rules, of(*values)).final:
        assert metric_rules.measure(rules, of(*values, *more)).outcome != "pass"


def test_a_seed_that_has_run_is_not_run_again() -> None:
    def ran(each: Task, seed: int) -> Task:
        return each._replace(run=run(command=("python", "train.py", "--seed", str(seed))))

    tasks = [ran(each, seed) for each, seed in zip(of(0.5, 0.6, 0.4), (7, 2, 9), strict=True)]
    judged = verdict(rule(), of(0.5))._replace(runs=tuple(tasks), metrics=verdict(rule(at_least=0.8), of(0.6)).metrics)
    expected = "git clearml run --seeds 1 --first-seed 10 -- python train.py --seed {seed}"
    assert next_run.next_command(judged, "python train.py --seed 2", "") == expected


NEXT = [
    ("python train.py", "git clearml run -- python train.py"),
    (
        "python train.py --seed 3 --epochs 5",
        "git clearml run --seeds 2 --first-seed 4 -- python train.py --seed {seed} --epochs 5",
    ),
    ("python -m pkg seed=0", "git clearml run --seeds 2 --first-seed 1 -- python -m pkg seed={seed}"),
    (
        "python train.py --random-seed=11",
        "git clearml run --seeds 2 --first-seed 12 -- python train.py --random-seed={seed}",
    ),
    ("python train.py --seeds 3", "git clearml run -- python train.py --seeds 3"),
    ("python train.py --seed auto", "git clearml run -- python train.py --seed auto"),
    ("python reseed 3", "git clearml run -- python reseed 3"),
]


@pytest.mark.parametrize(("command", "expected"), NEXT)
def test_the_next_command_runs_further_seeds(command: str, expected: str) -> None:
    judged = verdict(rule(min_runs=3), of(0.5))
    assert next_run.next_command(judged, command, "") == expected
    assert next_run.next_command(judged, command, "1a2b3c4").startswith("git checkout 1a2b3c4 && git clearml run ")


def test_a_value_is_that_of_the_metric_and_the_kind_that_the_rule_names() -> None:
    reported = (Metric("loss", "train", 0.2, 0.1, 0.9), Metric("a/b", "c/d", 1.0, 1.0, 1.0))
    for name, which, value in (
        ("loss/train", "last", 0.2),
        ("loss/train", "max", 0.9),
        ("loss/train", "min", 0.1),
        ("loss", "last", None),
        ("a/b/c/d", "last", 1.0),
    ):
        assert metric_rules.value_of(reported, MetricRule(name, value=which)) == value
