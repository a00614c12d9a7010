"""Which span of time a question about commits is bounded to. Pure.

A ClearML server has no index of commits, but one of when tasks were last updated: of a million tasks it answers a
question about a week in 26 ms and one about all in 10 to 45 s (contract/README.md, "What a question costs"). A task
that ran a commit was updated after the commit was made: nothing is missed by not looking further back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from git_clearml.errors import TimedOut, Unfinished

_MARGIN = timedelta(days=1)  # by which clocks may differ
_RECENT = timedelta(days=8)
_BEFORE = timedelta(days=30)
_FIRST = timedelta(days=7)
_GROWTH = 4
LONGEST = timedelta(days=112)  # about 100,000 of a million tasks of three years, for which a server needs ten seconds
_SHORT = timedelta(days=36)
_CLEARML_IS_BORN = datetime(2019, 1, 1, tzinfo=timezone.utc)  # as Trains; a server has nothing from before
_GIT_IS_BORN = datetime(2005, 4, 7, tzinfo=timezone.utc)


class Window(NamedTuple):
    """Tasks last updated from `since` on and before `until`; None is no bound."""

    since: datetime | None = None
    until: datetime | None = None


def first(now: datetime, since: datetime | None = None) -> Window:
    """What is looked at first: the last days, where the task of a push usually is; or all since a time that was named.

    The dates of the commits need not be known for that.
    """
    return Window(since or now - _RECENT)


def later(times: Collection[datetime], now: datetime, since: datetime | None = None) -> tuple[Window, ...]:
    """The windows that hold every task that may have run commits made at these times, the most likely first.

    From the oldest commit on, a week, then ever more, up to the present. A date to come, or from before there was git,
    says nothing: then from now backwards. Tasks that are updated while one asks are in one of the windows.
    """
    if since is not None:
        return (Window(since),)
    if any(not _GIT_IS_BORN <= time <= now + _MARGIN for time in times):
        return tuple(_backwards(now))
    return tuple(_onwards(min(times, default=now) - _MARGIN, now))


def start(times: Collection[datetime], now: datetime) -> datetime:
    """The time before which no task that may have run one of these commits was last updated."""
    if any(not _GIT_IS_BORN <= time <= now + _MARGIN for time in times):
        return _CLEARML_IS_BORN
    return max(min(times, default=now) - _MARGIN, _CLEARML_IS_BORN)


def before(times: Collection[datetime], now: datetime) -> Window:
    """What is looked at first for tasks of the trees that commits of these times have, under other names.

    A tree is mostly run shortly before its commit is amended, rebased or squashed. Older runs are in `earlier` windows.
    """
    credible = [time for time in times if _GIT_IS_BORN <= time <= now]  # an older date is none
    return Window(max(min(credible, default=now) - _BEFORE, now - LONGEST))


def earlier(window: Window, length: timedelta | None) -> Window | None:
    """The time of this length before a window, all of it for None; None where ClearML had not been born."""
    if window.since is None or window.since <= _CLEARML_IS_BORN:
        return None
    return Window(max(window.since - length, _CLEARML_IS_BORN) if length else _CLEARML_IS_BORN, window.since)


def further_back(looked_back_to: str) -> str:
    """The date from which to ask, as --since takes it, for what lies before that time (ISO 8601)."""
    return f"{datetime.fromisoformat(looked_back_to) - _BEFORE:%Y-%m-%d}"


def is_short(window: Window, first: Window, now: datetime) -> bool:
    """Is it so short that a server answers two questions about it in no time? Not where the first look was at all of
    it."""
    since, until = window.since or _CLEARML_IS_BORN, window.until or now
    looked_at = window.until is None and first.since is not None and since >= first.since
    return not looked_at and until - since <= _SHORT


def looked_back_to(plan: Sequence[Window]) -> str:
    """The time, in ISO 8601, before which these windows have nothing; "" where they have everything."""
    starts = [window.since for window in plan]
    return "" if None in starts else min(start for start in starts if start).isoformat(timespec="seconds")


def unfinished(error: TimedOut, plan: Sequence[Window], number: int) -> TimedOut:
    """The error of a question about one of these windows, with what the windows before it have answered."""
    window = plan[number]
    if not number:
        return error
    if plan[0].until is not None or window.until is None:  # from the past to the present, or what is new meanwhile
        day = f"{window.since:%Y-%m-%d}"
        return _unfinished(error, f"tasks last updated before {day} have been looked at", day)
    return unfinished_before(error, window, "tasks")


def unfinished_before(error: TimedOut, window: Window, what: str) -> TimedOut:
    """The same, of a question about a window that has not been answered, where all after it have."""
    day = f"{window.since or _CLEARML_IS_BORN:%Y-%m-%d}"
    return _unfinished(error, f"{what} last updated since {window.until:%Y-%m-%d} have been looked at", day)


def _unfinished(error: TimedOut, seen: str, day: str) -> Unfinished:
    return Unfinished(f"{error.message}; {seen}", f"git clearml verify --since {day} --timeout 300")


def _onwards(start: datetime, now: datetime) -> Iterator[Window]:
    if start < _CLEARML_IS_BORN < now:
        yield Window(start, _CLEARML_IS_BORN)
        start = _CLEARML_IS_BORN
    length = _FIRST
    while start + length < now - _RECENT:
        yield Window(start, start + length)
        start, length = start + length, min(length * _GROWTH, LONGEST)
    yield Window(start)


def _backwards(now: datetime) -> Iterator[Window]:
    start, length = now - _RECENT, _FIRST * _GROWTH
    yield Window(start)
    while start - length > _CLEARML_IS_BORN:
        yield Window(start - length, start)
        start, length = start - length, min(length * _GROWTH, LONGEST)
    yield Window(None, start)
    yield Window(now)  # what has been updated meanwhile
