"""Signals of this very process: raised, held, and taken for the first one again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from git_clearml.base import signals
from git_clearml.errors import Interrupted

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hold(clock: Clock) -> Iterator[signals.Hold]:
    with signals.heeded(clock) as hold:
        yield hold


@pytest.mark.parametrize("number", signals.HEEDED)
def test_each_is_raised_with_its_own_status(number: int, hold: signals.Hold) -> None:
    with pytest.raises(KeyboardInterrupt if number == INT else Interrupted) as raised, hold.released():
        signal.raise_signal(number)
    assert number == INT or raised.value.args == (128 + number,)


def test_what_follows_what_was_raised_waits(hold: signals.Hold, clock: Clock) -> None:
    with hold.released():
        try:
            signal.raise_signal(TERM)
        except Interrupted:
            clock.now += 10
            signal.raise_signal(TERM)
            signal.raise_signal(HUP)
    assert (hold.arrived, hold.statuses) == ([TERM, HUP], [143, 129])


def test_what_waits_is_raised_as_soon_as_it_may(hold: signals.Hold) -> None:
    signal.raise_signal(TERM)
    with pytest.raises(Interrupted), hold.released():
        pytest.fail("it goes on")
    assert hold.arrived == []


@pytest.mark.parametrize(
    ("second", "after", "arrived"),
    [(TERM, 1.9, [TERM]), (TERM, 2.0, [TERM, TERM]), (INT, 0.0, [TERM, INT])],
)
def test_the_first_one_again(second: int, after: float, arrived: list[int], hold: signals.Hold, clock: Clock) -> None:
    signal.raise_signal(TERM)
    clock.now += after
    signal.raise_signal(second)
    assert (hold.arrived, hold.seen) == (arrived, 2)


def test_held_twice_is_told_to_whoever_holds_outside(hold: signals.Hold) -> None:
    with signals.held() as inner:
        signal.raise_signal(TERM)
    assert (inner.arrived, hold.arrived, hold.seen) == ([TERM], [TERM], 1)


def test_held_inside_of_what_is_released_is_raised_at_its_end(hold: signals.Hold) -> None:
    steps = []

    def play() -> None:
        with signals.held():
            signal.raise_signal(TERM)
            steps.append("held")
        steps.append("released")

    with pytest.raises(Interrupted), hold.released():
        play()
    assert steps == ["held"]


def test_on_the_way_out_nothing_else_is_raised(hold: signals.Hold) -> None:
    """One that was raised inside goes through; what comes meanwhile waits outside as well."""

    def play() -> None:
        try:
            with signals.held() as inner, inner.released():
                signal.raise_signal(INT)
        finally:
            signal.raise_signal(TERM)

    with pytest.raises(KeyboardInterrupt), hold.released():
        play()
    assert hold.arrived == [TERM]


def test_one_that_was_swallowed_inside_leaves_the_outside_open(hold: signals.Hold) -> None:

    def play() -> None:
        with signals.held() as inner, contextlib.suppress(KeyboardInterrupt), inner.released():
            signal.raise_signal(INT)
        signal.raise_signal(TERM)

    with pytest.raises(Interrupted), hold.released():
        play()


def test_other_peoples_handlers_wait_as_well() -> None:
    numbers: list[int] = []
    before = signal.signal(TERM, lambda number, _: numbers.append(number))
    try:
        with signals.held():
            signal.raise_signal(TERM)
            assert numbers == []
        assert numbers == [TERM]
        with signals.heeded() as hold:
            signal.raise_signal(TERM)
            assert hold.arrived == [TERM]
        assert numbers == [TERM]  # dropped at the end
    finally:
        signal.signal(TERM, before)


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(HUP, signal.SIG_IGN)
    try:
        with signals.heeded() as hold, hold.released():
            signal.raise_signal(HUP)
        assert hold.seen == 0
    finally:
        signal.signal(HUP, before)


def in_a_child(play: Callable[[signals.Hold], bool]) -> int:
    """Whether `play` holds in a process whose parent we are."""
    pid = os.fork()
    if pid == 0:
        with signals.heeded() as hold:
            os._exit(0 if play(hold) else 1)
    time.sleep(0.3)
    os.kill(pid, TERM)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(not hasattr(signal, "sigtimedwait"), reason="the system does not tell the sender")
@pytest.mark.parametrize("first", [TERM, INT])
def test_from_our_parent_it_is_the_first_one_again(first: int) -> None:
    """Whenever it comes, if one of its kind was there: a parent passes on what it has got."""

    def play(hold: signals.Hold) -> bool:
        signal.raise_signal(first)
        signals._desk.last = {number: moment - 60 for number, moment in signals._desk.last.items()}
        hold.pause(2.0)
        return hold.arrived == ([TERM] if first == TERM else [INT, TERM])

    assert in_a_child(play) == 0


def test_a_pause_ends_with_a_signal_that_counts() -> None:
    with signals.heeded() as hold:
        stranger = subprocess.Popen(["/bin/sh", "-c", f"sleep 0.2; kill -TERM {os.getpid()}"])
        before = time.monotonic()
        hold.pause(30.0)
        assert time.monotonic() < before + 20
        assert hold.arrived == [TERM]
        stranger.wait()
        hold.pause(0.01)


def test_what_a_destructor_swallows_is_raised_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does what Python calls when a lock of an import goes: Ctrl-C would do nothing, and show a traceback."""

    class Dying:
        def __del__(self) -> None:
            signal.raise_signal(INT)

    def die() -> None:
        Dying()
        time.sleep(30)

    with signals.heeded() as hold, pytest.raises(KeyboardInterrupt), hold.released():
        die()
    assert "Traceback" not in capsys.readouterr().err

    def start_slowly(timer: threading.Timer, start: Callable[[threading.Timer], None] = threading.Timer.start) -> None:
        start(timer)
        time.sleep(0.03)  # the machine has other things to do

    with monkeypatch.context() as patch, signals.heeded() as hold:
        patch.setattr(threading.Timer, "start", start_slowly)
        with pytest.raises(KeyboardInterrupt), hold.released():
            die()
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("held", [True, False])
def test_what_arrives_while_something_else_is_swallowed(held: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dying:
        def __del__(self) -> None:
            raise ValueError

    def die() -> None:
        Dying()
        time.sleep(0 if held else 30)

    monkeypatch.setattr(sys, "unraisablehook", lambda _: signal.raise_signal(TERM))
    with signals.heeded() as hold:
        if held:
            die()
            assert (hold.arrived, hold.seen) == ([TERM], 1)
        else:
            with pytest.raises(Interrupted), hold.released():
                die()
