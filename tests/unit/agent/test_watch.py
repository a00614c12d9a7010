"""What the looks at a launched task add up to: each state has its outcome, and no state is waited for without end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.agent.model import CheckOutcome, Limits
from git_clearml.agent.poll import pause
from git_clearml.agent.watch import Watch, after_poll, check_end, run_end
from git_clearml.base import patience
from git_clearml.clearml.activity import has_reported
from git_clearml.clearml.model import TaskState
from git_clearml.model import MONITOR

LIMITS = Limits(queued=1800.0, running=600.0)
QUEUE = "q" * 32
STATES = ("queued", "created", "in_progress", "completed", "failed", "stopped", "closed", "published", "", "odd")


def seen(status: str = "in_progress", **changes: Any) -> TaskState:
    return TaskState(status, **{"queue": QUEUE, **changes})


def watch(status: str = "in_progress", **changes: Any) -> Watch:
    own = {key: changes.pop(key) for key in ("queued", "running", "unavailable_since") if key in changes}
    return Watch(changes.pop("now", 0.0), seen(status, **changes), **own)


def outcome(watched: Watch, limits: Limits = LIMITS) -> tuple[str, str] | None:
    """The outcome and its cause, None as long as one has to wait."""
    end = check_end(watched, limits, QUEUE)
    return (end.outcome.value, end.cause) if end else None


# --- states -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "alive", "expected"),
    [
        ("queued", False, None),
        ("in_progress", False, None),
        ("in_progress", True, ("runnable", "")),
        ("completed", False, ("runnable", "")),
        ("completed", True, ("runnable", "")),
        ("failed", False, ("failed", "")),
        ("failed", True, ("failed", "")),  # with the first report, or before it
        ("stopped", False, ("failed", "aborted")),
        ("stopped", True, ("runnable", "")),
        ("closed", False, ("undecided", "closed")),
        ("closed", True, ("runnable", "")),
        ("published", False, ("undecided", "published")),
        ("published", True, ("runnable", "")),
        ("publishing", True, ("runnable", "")),
        ("created", False, ("undecided", "reset")),
        ("", False, ("undecided", "deleted")),
        ("odd", True, None),
    ],
)
def test_what_a_state_comes_to(status: str, alive: bool, expected: tuple[str, str] | None) -> None:
    assert outcome(watch(status, alive=alive)) == expected


@pytest.mark.parametrize("status", [each for each in STATES if each not in ("", "created")])
def test_another_queue_proves_nothing_of_ours(status: str) -> None:
    there = watch(status, queue="e" * 32, queue_name="elsewhere", alive=True)
    assert outcome(there) == ("undecided", "moved")
    assert check_end(there, LIMITS) == check_end(watch(status, alive=True), LIMITS, QUEUE)  # nobody said which is ours
    assert outcome(replace(there, seen=replace(there.seen, queue=""))) != ("undecided", "moved")  # not on record


def test_kubernetes_moves_tasks_to_a_queue_of_its_own() -> None:
    between = watch("stopped", reason="moving to k8s pending queue")
    assert between.waiting
    assert outcome(between) is None
    assert outcome(replace(between, queued=1800.0)) == ("timeout", "queue-timeout")
    pending = watch("queued", queue="k" * 32, queue_name="k8s_scheduler")
    assert outcome(pending) is None
    assert outcome(replace(pending, seen=replace(pending.seen, status="in_progress", alive=True))) == ("runnable", "")


# --- limits -----------------------------------------------------------------------------------------------------------


def test_the_queue_and_the_execution_have_each_their_limit() -> None:
    assert outcome(watch("queued", queued=1799.9, running=599.0)) is None
    assert outcome(watch("queued", queued=1800.0)) == ("timeout", "queue-timeout")
    assert outcome(watch("in_progress", queued=1799.0, running=599.9)) is None
    assert outcome(watch("in_progress", running=600.0)) == ("timeout", "execution-timeout")
    assert outcome(watch("in_progress", running=600.0, alive=True)) == ("runnable", "")
    taken_late = watch("in_progress", queued=1800.4, running=599.9)
    assert outcome(taken_late) is None
    assert outcome(replace(taken_late, running=600.0)) == ("timeout", "execution-timeout")
    assert outcome(watch("odd", queued=1000.0, running=1400.0)) == ("undecided", "unknown-status")


def test_a_server_that_is_away_is_borne_for_so_long() -> None:
    away = watch("in_progress", now=1000.0, running=599.0, unavailable_since=701.0)
    assert outcome(away) is None
    assert outcome(replace(away, running=9999.0)) is None  # what it would say now, nobody knows
    assert outcome(replace(away, unavailable_since=700.0)) == ("undecided", "server-away")


def test_what_passes_between_two_looks_belongs_to_the_former_state() -> None:
    one = Watch(100.0, seen("queued"))
    two = after_poll(one, seen("in_progress"), 130.0)
    assert (two.queued, two.running) == (30.0, 0.0)
    three = after_poll(two, None, 135.0)
    assert (three.queued, three.running, three.unavailable_since, three.seen) == (30.0, 5.0, 130.0, two.seen)
    four = after_poll(three, None, 140.0)
    assert (four.running, four.unavailable_since) == (10.0, 130.0)
    five = after_poll(four, seen("queued"), 141.0)
    assert (five.queued, five.running, five.unavailable_since) == (30.0, 11.0, None)
    assert after_poll(five, seen(), 139.0).queued == 30.0  # a clock that goes back takes nothing away


LOOKS = st.one_of(st.none(), st.builds(seen, st.sampled_from(STATES), alive=st.booleans()))


@given(st.lists(LOOKS, min_size=1), st.floats(0.1, 5000), st.floats(0.1, 5000))
def test_every_watch_ends(looks: list[TaskState | None], queued: float, running: float) -> None:
    """Whatever is seen, and then for ever the last of it: over soon after all limits together."""
    limits = Limits(queued, running)
    one, now, left = Watch(0.0, TaskState("queued")), 0.0, list(looks)
    while True:
        look = left.pop(0) if len(left) > 1 else left[0]
        one = after_poll(one, look, now)
        if check_end(one, limits, QUEUE):
            break
        step = pause(one, limits)
        assert 0 < step <= 30.0
        now += step
        assert now <= queued + running + patience.SECONDS + 31.0


@given(st.floats(0, 2000), st.sampled_from(["queued", "in_progress"]))
def test_the_pause_ends_with_the_limit(spent: float, status: str) -> None:
    one = watch(status, queued=spent, running=spent)
    limit = LIMITS.queued if one.waiting else LIMITS.running
    assert pause(one, LIMITS) <= max(0.5, limit - spent)


# --- the waiting for a training ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("queued", None),
        ("in_progress", None),
        ("odd", None),
        ("completed", 0),
        ("failed", 1),
        ("stopped", 1),
        ("closed", 3),
        ("published", 3),
        ("created", 3),
        ("", 3),
    ],
)
def test_only_a_completed_training_is_a_success(status: str, expected: int | None) -> None:
    end = run_end(watch(status, alive=True), 3600.0)
    assert (end.status if end else None) == expected


def test_the_waiting_for_a_training_has_its_limits() -> None:
    assert run_end(watch(queued=3000.0, running=599.0), 3600.0) is None
    late = run_end(watch(queued=3000.0, running=600.0), 3600.0)
    assert late is not None
    assert (late.status, late.sentence) == (4, "still in_progress after 3600 s of waiting")
    gone = run_end(watch("completed", now=1000.0, unavailable_since=100.0), 3600.0)
    assert gone is not None
    assert gone.status == 3
    assert run_end(watch("completed", now=1000.0, unavailable_since=701.0), 3600.0) is None


def test_an_outcome_has_its_exit_status() -> None:
    statuses = {each.value: each.status for each in CheckOutcome}
    assert statuses == {
        "runnable": 0,
        "failed": 1,
        "timeout": 1,
        "no-worker": 3,
        "undecided": 3,
        "interrupted": 130,
    }


# --- its own reports ------------------------------------------------------------------------------------------------


def scalars(*titles: str) -> dict[str, Any]:
    return {"last_metrics": {title: {"v": {"metric": title, "variant": "v", "value": 0.0}} for title in titles}}


def stats(title: str, *types: str) -> dict[str, Any]:
    return {
        "metric_stats": {"x": {"metric": title, "event_stats_by_type": {each: {"last_update": 1} for each in types}}}
    }


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, False),
        ({"last_metrics": None, "metric_stats": None, "last_iteration": None}, False),
        ({"last_iteration": 0}, False),
        ({"last_iteration": 1}, True),
        ({"last_iteration": -(2**31)}, False),
        (scalars("loss"), True),  # of whatever iteration, 0 as well
        (scalars(""), True),
        (scalars("Summary"), True),
        (scalars(f"{MONITOR}gpu"), False),
        ({**scalars(f"{MONITOR}machine"), "last_iteration": 180}, False),  # the monitor counts seconds
        ({**scalars(f"{MONITOR}machine", "loss"), "last_iteration": 180}, True),
        (stats("confusion", "plot"), True),
        (stats("samples", "training_debug_image"), True),
        (stats("", "log"), False),
        ({**stats("", "log"), "last_iteration": 3}, True),
        (stats(f"{MONITOR}gpu", "training_stats_scalar"), False),
        ({**stats(f"{MONITOR}gpu", "training_stats_scalar"), "last_iteration": 240}, False),
    ],
)
def test_the_tasks_own_reports_are_signs_of_life(document: dict[str, Any], expected: bool) -> None:
    assert has_reported(document) == expected
