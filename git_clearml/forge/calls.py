"""Asks a forge within one budget of seconds, whatever its client library does: the deadline ends everything."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from git_clearml.base.secrets import Secrets
from git_clearml.errors import CannotDecide, TimedOut

READ_SECONDS = 15
TRIES = 6  # after the first one
BACKOFF_SECONDS = 0.5  # 0, 1, 2, 4, 8, 16 s before a further try where the forge does not say when

Result = TypeVar("Result")


@dataclass
class Clock:
    """Seconds that only go forward, and how to let some pass."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Access:
    """One repository (owner/name) at an API, and how that is asked: `budget` seconds for everything together.

    `log` gets a line per question. Neither the token nor any other of the `secrets` stands in an error, or there.
    """

    repository: str
    token: str
    api: str
    budget: float
    secrets: Secrets = field(default_factory=Secrets)
    log: Callable[[str], None] = lambda _: None
    clock: Clock = field(default_factory=Clock)


@dataclass(frozen=True)
class Operation:
    """What is asked of the forge, as a verb phrase, and what gives the right to it ("" where that is another matter).

    Of GitHub `rights` is the line of a workflow, of another forge what kind of token it takes.
    """

    what: str
    rights: str = ""


class Calls:
    """The calls to one API, in whose lines of the log it has this name.

    `explain` says in our words what an exception of the client library means; one that it raises is a bug.
    """

    def __init__(self, access: Access, name: str, explain: Callable[[Exception, Operation], CannotDecide]) -> None:
        self._access, self._name, self._explain, self._clock = access, name, explain, access.clock
        self._deadline = access.clock.monotonic() + access.budget

    def call(self, work: Callable[[], Result], operation: Operation) -> Result:
        """What `work` returns. Its exceptions are explained, and raised as CannotDecide.

        It runs in a thread of its own, which the deadline abandons: a read timeout alone ends no slow answer.
        """
        started = self._clock.monotonic()
        outcomes: queue.SimpleQueue[tuple[Result | None, Exception | None]] = queue.SimpleQueue()

        def run() -> None:
            try:
                outcomes.put((work(), None))
            except Exception as error:  # noqa: BLE001 - handed over to the thread that asked
                outcomes.put((None, error))

        if self.remaining() > 0:
            threading.Thread(target=run, daemon=True).start()
        try:
            result, error = outcomes.get(timeout=max(0.0, self.remaining()))
        except queue.Empty:
            message = f"{self._access.api} did not answer within {self._access.budget:g} s"
            raise TimedOut(message, "git config clearml.timeout 300") from None
        if error is not None:
            raise self._explain(error, operation) from None
        self._access.log(f"{self._name}: {operation.what}, {1000 * (self._clock.monotonic() - started):.0f} ms")
        return result  # type: ignore[return-value]  # an error is None only where there is a result

    def remaining(self) -> float:
        """The seconds that are left of the budget."""
        return self._deadline - self._clock.monotonic()

    def wait(self, seconds: float) -> None:
        """Waits before a further try, and says so."""
        if seconds > 0:
            self._access.log(f"{self._name}: again in {seconds:g} s")
            self._clock.sleep(seconds)
