"""What SIGINT, SIGTERM and SIGHUP do to us: each ends us through the `finally` blocks, with its own status.

Whoever ends a program often says it twice: `timeout` and CI runners signal a whole process group, and the git above us
(`git clearml`) passes on what it has got itself (git, run-command.c, cleanup_children_on_signal). So a second signal of
the same kind is the first one again when it comes within AGAIN seconds, or from our own parent. A handler is not told
who has sent a signal; only `Hold.pause` is, because it fetches them: everywhere else the time decides alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

from git_clearml.errors import Interrupted

HEEDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN = 2.0
"""Seconds for which a second signal of the same kind is the first one."""


def status_of(interruption: BaseException) -> int:
    """The exit status for a KeyboardInterrupt or an Interrupted: 128 and the number of the signal."""
    return interruption.status if isinstance(interruption, Interrupted) else 128 + signal.SIGINT


class _Desk:
    """Where signals arrive: there is one of it in a process, as of the handlers themselves."""

    def __init__(self) -> None:
        self.clock: Callable[[], float] = time.monotonic
        self.last: dict[int, float] = {}  # when the last one of its kind that counted came
        self.hold: Hold | None = None
        self.swallower: CodeType | None = None  # of the hook for what Python swallows
        self.came = 0  # how many signals have arrived, and did the last one
        self.came_early = False  # while that hook was running?
        self.comes_again = False  # is one on its way that has gone nowhere?

    def arrive(self, number: int, frame: FrameType | None = None) -> None:
        """The handler of every heeded signal. Raises what ends us, unless the signals are held."""
        while frame is not None and frame.f_code is not self.swallower:
            frame = frame.f_back
        hold, now = self.hold, self.clock()
        self.came_early, self.came = frame is not None and (hold is None or hold.is_open), self.came + 1
        if self.came_early:  # what is raised there is swallowed, too
            if not self.comes_again:
                self.deliver_again(number)
            return
        if hold is not None:
            hold.seen += 1
        if number in self.last and now - self.last[number] < AGAIN:
            return
        self.last[number] = now
        self.deliver(number)

    def deliver(self, number: int) -> None:
        hold = self.hold
        if hold is None or hold.is_open:
            if hold is not None:
                hold.is_open = False  # from here on nothing else is raised: whoever catches this cleans up
            raise KeyboardInterrupt if number == signal.SIGINT else Interrupted(128 + number)
        hold.arrived.append(number)

    def deliver_again(self, number: int) -> None:
        """What was raised has gone nowhere: a while later, since whatever runs now would swallow it, too.

        No lock is taken where a handler may come in between.
        """
        self.comes_again = True
        self.last.pop(number, None)
        hold = self.hold
        if hold is not None:
            hold.is_open = True

        def again() -> None:
            self.came_early = True
            while self.hold is hold and self.came_early:
                before = self.came
                os.kill(os.getpid(), number)
                while self.hold is hold and self.came == before:
                    time.sleep(0.01)
            self.comes_again = False

        later = threading.Timer(0.01, again)
        later.daemon = True
        later.start()


class Hold:
    """Signals that wait. `arrived` has those that counted, in order; `seen` is how many there were, counted or not."""

    def __init__(self) -> None:
        self.arrived: list[int] = []
        self.seen = 0
        self.is_open = False

    @property
    def statuses(self) -> list[int]:
        """The exit statuses for those that have arrived, in order."""
        return [128 + number for number in self.arrived]

    @contextlib.contextmanager
    def released(self) -> Iterator[None]:
        """Inside, a signal is raised: one that waits at once, and one only. Those after it wait again."""
        self.is_open = True
        try:
            if self.arrived:
                _desk.deliver(self.arrived.pop(0))
            yield
        finally:
            self.is_open = False

    def drop(self) -> None:
        """Whatever has arrived is dealt with."""
        self.arrived.clear()

    def pause(self, seconds: float) -> None:
        """Sleeps so many seconds, less when a signal arrives that counts; knows the sender where the system tells."""
        if not _in_main_thread() or not hasattr(signal, "sigtimedwait"):  # macOS has none
            _sleep(self, seconds)
            return
        before, end = len(self.arrived), time.monotonic() + seconds
        heeded = {number for number in HEEDED if signal.getsignal(number) == _desk.arrive}
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, heeded)
        try:
            while len(self.arrived) == before and (left := end - time.monotonic()) > 0:
                info = signal.sigtimedwait(heeded, left)
                if info is None:
                    continue
                if info.si_signo in _desk.last and 0 < info.si_pid == os.getppid():
                    self.seen += 1
                else:
                    _desk.arrive(info.si_signo)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


_desk = _Desk()


@contextlib.contextmanager
def heeded(clock: Callable[[], float] = time.monotonic) -> Iterator[Hold]:
    """From entering to leaving the signals arrive here, and are held; what has arrived at the end is dropped.

    One that is ignored stays so, as `nohup` has it. `clock` is in seconds, for tests.
    """
    hold, outer = Hold(), _desk.hold
    if not _in_main_thread():
        yield hold
        return
    _desk.hold, _desk.clock, _desk.last = hold, clock, {}
    before = {number: signal.getsignal(number) for number in HEEDED}
    ours = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    unraisable = sys.unraisablehook

    def swallowed(what: sys.UnraisableHookArgs) -> None:
        """Python swallows what is raised inside of a destructor, or of what it calls when a lock of an import goes."""
        if isinstance(what.exc_value, (KeyboardInterrupt, Interrupted)):
            _desk.deliver_again(status_of(what.exc_value) - 128)
        else:
            unraisable(what)

    sys.unraisablehook, _desk.swallower = swallowed, swallowed.__code__
    for number in ours:
        signal.signal(number, _desk.arrive)
    try:
        yield hold
    finally:
        for number in ours:
            signal.signal(number, before[number])
        sys.unraisablehook = unraisable
        _desk.hold, _desk.clock = outer, time.monotonic


@contextlib.contextmanager
def held() -> Iterator[Hold]:
    """Nothing that arrives inside is raised before the end, and nothing then that was dropped.

    Where nobody heeds signals, those with a handler of somebody else's wait as well, and go to it at the end.
    """
    hold, outer = Hold(), _desk.hold
    if not _in_main_thread():
        yield hold
        return
    _desk.hold = hold
    theirs = _taken_over()
    try:
        yield hold
    except (KeyboardInterrupt, Interrupted):
        if outer is not None:
            outer.is_open = False  # on its way out, nothing else is raised in its place
        raise
    finally:
        _desk.hold = outer
        for number, handler in theirs.items():
            signal.signal(number, handler)
        if outer is not None:
            outer.seen += hold.seen
        for number in hold.arrived:
            theirs.get(number, lambda number, _: _desk.deliver(number))(number, None)


def _taken_over() -> dict[int, Any]:
    """The handlers of others, in whose place ours stands now. A signal that has none ends us as before."""
    handlers: dict[int, Any] = {number: signal.getsignal(number) for number in HEEDED}
    theirs = {number: handler for number, handler in handlers.items() if callable(handler) and handler != _desk.arrive}
    if theirs:
        _desk.last = {}
    for number in theirs:
        signal.signal(number, _desk.arrive)
    return theirs


def _sleep(hold: Hold, seconds: float) -> None:
    """Sleeps in short naps, since Python goes on sleeping after a handler."""
    before, end = len(hold.arrived), time.monotonic() + seconds
    while len(hold.arrived) == before and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
