"""The windows that a question about commits is cut into, against a plain model: whatever may count lies in one."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.clearml import query
from git_clearml.errors import TimedOut
from git_clearml.verdict import time_windows
from git_clearml.verdict.time_windows import Window

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)
ZERO = datetime.fromtimestamp(0, timezone.utc)
moments = st.datetimes(datetime(1970, 1, 1), datetime(2026, 11, 24), timezones=st.just(timezone.utc))
anytime = st.datetimes(datetime(1970, 1, 1), datetime(2050, 1, 1), timezones=st.just(timezone.utc))


def holds(window: Window, time: datetime) -> bool:
    return (window.since is None or time >= window.since) and (window.until is None or time < window.until)


@given(st.lists(anytime, max_size=5), moments, st.integers(-86_400, 86_400))
def test_a_task_updated_after_its_commit_was_made_lies_in_a_window(
    times: list[datetime], ran: datetime, skew: int
) -> None:
    """Commits of any dates, clocks that differ by a day at most."""
    plan = time_windows.later(times, NOW)
    commit = ran + timedelta(seconds=skew)  # when it says that it was made: before it ran, by another clock
    if times and min(times) <= commit:
        assert any(holds(window, ran) for window in plan)


@given(st.lists(anytime, min_size=1, max_size=5))
def test_windows_end_at_the_present_and_leave_no_gap(times: list[datetime]) -> None:
    plan = time_windows.later(times, NOW)
    assert any(window.until is None for window in plan)
    assert len(plan) <= 40
    ordered = sorted(plan, key=lambda window: window.since or ZERO)
    for window, following in itertools.pairwise(ordered):
        assert window.until is None or window.until == following.since
    said = all(datetime(2005, 4, 7, tzinfo=timezone.utc) <= time <= NOW + DAY for time in times)
    assert (time_windows.looked_back_to(plan) == "") != said


def test_a_fresh_commit_needs_one_window() -> None:
    assert time_windows.first(NOW) == Window(NOW - 8 * DAY)
    assert time_windows.later([NOW - 2 * DAY, NOW], NOW) == (Window(NOW - 3 * DAY),)
    assert time_windows.later([], NOW) == (Window(NOW - DAY),)


def test_an_old_commit_is_looked_for_in_the_week_after_it_then_further_on() -> None:
    plan = time_windows.later([NOW - 300 * DAY], NOW)
    lengths = [window.until - window.since for window in plan if window.until and window.since]
    assert plan[0] == Window(NOW - 301 * DAY, NOW - 294 * DAY)
    assert lengths == [7 * DAY, 28 * DAY, 112 * DAY, 112 * DAY]
    assert plan[-1].until is None


@pytest.mark.parametrize("time", [ZERO, NOW + 2 * DAY, datetime(2038, 1, 19, tzinfo=timezone.utc)])
def test_a_date_that_says_nothing_makes_one_look_backwards(time: datetime) -> None:
    plan = time_windows.later([NOW - DAY, time], NOW)
    assert plan[0] == Window(NOW - 8 * DAY)
    assert plan[1].until == NOW - 8 * DAY
    assert (plan[-2].since, plan[-1]) == (None, Window(NOW))
    assert time_windows.looked_back_to(plan) == ""
    assert time_windows.looked_back_to(plan[:2]) == "2026-10-19T12:00:00+00:00"


def test_a_named_time_is_asked_from_once() -> None:
    since = NOW - 500 * DAY
    assert (time_windows.first(NOW, since), time_windows.later([NOW], NOW, since)) == (Window(since), (Window(since),))


def test_the_filter() -> None:
    zone = timezone(timedelta(hours=2))
    assert query.updated(*Window()) == {}
    bounds = query.updated(*Window(NOW, NOW.astimezone(zone) + DAY))
    assert bounds == {"last_update": [">=2026-11-24T12:00:00", "<2026-11-25T12:00:00"]}


def test_what_had_been_looked_at_when_the_time_was_over() -> None:
    error = TimedOut("no answer in time", "try again")
    onwards = time_windows.later([NOW - 300 * DAY], NOW)
    backwards = time_windows.later([ZERO], NOW)
    assert time_windows.unfinished(error, onwards, 0) is error
    assert "--since 2026-02-03 " in time_windows.unfinished(error, onwards, 1).hint
    assert "before 2026-02-03 have been" in time_windows.unfinished(error, onwards, 1).message
    assert "--since 2026-10-19 " in time_windows.unfinished(error, backwards, 1).hint
    assert "since 2026-11-16 have been" in time_windows.unfinished(error, backwards, 1).message
    assert "--since 2019-01-01 " in time_windows.unfinished(error, backwards, len(backwards) - 2).hint
    assert "--since 2026-11-24 " in time_windows.unfinished(error, backwards, len(backwards) - 1).hint


@given(st.lists(anytime, max_size=5))
def test_wherever_the_time_is_over_it_can_be_told(times: list[datetime]) -> None:
    plan = time_windows.later(times, NOW)
    for number in range(1, len(plan)):
        unfinished = time_windows.unfinished(TimedOut("no answer in time", "try again"), plan, number)
        assert (unfinished.code, "--since 2" in unfinished.hint) == ("timeout", True)


@given(anytime, st.integers(0, 100))
def test_trees_are_looked_for_a_month_before_their_commit(time: datetime, days: int) -> None:
    window = time_windows.before([time], NOW)
    assert window.until is None
    assert window.since is not None
    assert window.since <= NOW - 30 * DAY or time > NOW


@given(st.lists(anytime, max_size=3), st.lists(st.integers(1, 2000), max_size=60))
def test_trees_are_looked_for_back_to_the_beginning_without_a_gap(times: list[datetime], lengths: list[int]) -> None:
    window: Window | None = time_windows.before(times, NOW)
    assert window is not None
    assert window.until is None
    assert NOW - 113 * DAY < (window.since or ZERO) <= NOW - 30 * DAY
    for days in (*lengths, 0):
        following = time_windows.earlier(window, days * DAY if days else None)
        if following is None:
            break
        assert following.until == window.since
        window = following
    assert time_windows.earlier(window, DAY) is None
