"""`git clearml run --queue --seeds`: a task for each seed, side by side."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

from git_clearml.agent import poll, queue_wait
from git_clearml.agent.queue_launch import QueueRun
from git_clearml.agent.watch import Watch
from git_clearml.commands import run_seeds, run_waiting
from git_clearml.commands.run_waiting import Awaited, Call, Ordered
from git_clearml.forge import run_outputs
from git_clearml.git.remote_branch import RemoteBranch
from git_clearml.record import record as records
from git_clearml.verdict.model import Outcome


@dataclass
class _Flight:
    """An order that was launched, or is being so, and what is known of its task."""

    seed: int
    ordered: Ordered
    launch: QueueRun
    watch: Watch


class Fleet:
    """The tasks of one call, and how those that are no longer looked at ended, by their seeds."""

    def __init__(self, call: Call, orders: Mapping[int, Ordered], where: RemoteBranch | None) -> None:
        self._call, self._where = call, where
        self._waiting, self._flying = dict(orders), list[_Flight]()
        self._total, self._places = len(orders), call.arguments.parallel or len(orders)
        self.statuses: dict[int, int] = {}
        self.launched = 0

    @property
    def left(self) -> list[int]:
        """The seeds that were not launched."""
        return list(self._waiting)

    def awaited(self) -> list[Awaited]:
        """The tasks that are on their way."""
        return [self._task(flight) for flight in self._flying if flight.launch.task]

    def run(self) -> None:
        """Launches all, no more at once than there are places, and waits for all where that is wanted.

        A place whose task is not known to have ended is not free: then no more are launched, but for the others.
        """
        may_launch = True
        while (self._waiting and may_launch) or (self._flying and self._call.arguments.wait):
            if self._waiting and may_launch and len(self._flying) < self._places:
                self._launch(next(iter(self._waiting)))
            else:
                may_launch &= self._land()

    def _launch(self, seed: int) -> None:
        call, ordered = self._call, self._waiting[seed]
        call.say(f"seed {seed} ({self.launched + 1} of {self._total})")
        launch = QueueRun(call.repository, call.api, ordered.order, call.progress)
        flight = _Flight(seed, ordered, launch, poll.begun(time.monotonic()))
        self._flying.append(flight)
        started = run_waiting.start(call, launch, ordered)
        del self._waiting[seed]
        self.launched += 1
        if not call.arguments.wait:
            launch.settled()
            run_outputs.tell_launch(started.task, started.url, ordered.order.commit.hash, os.environ)

    def _land(self) -> bool:
        """Waits for the next that ends, and tells how. Is its place free?"""
        call, timeout = self._call, self._call.judging.rulings[0].personal.wait_timeout
        watches = {flight.launch.task: flight.watch for flight in self._flying}
        watches, ends = queue_wait.next_ended(call.api, watches, timeout, tick=self._tick)
        for flight in [*self._flying]:
            flight.watch = watches[flight.launch.task]
            if (waited := ends.get(flight.launch.task)) is None:
                continue
            if call.arguments.wait:
                waited = run_waiting.given_up(call, flight.launch.task, waited)
                self._flying.remove(flight)
                call.say(f"seed {flight.seed} has ended" if waited.over else f"seed {flight.seed} has not ended")
                self.statuses[flight.seed] = run_waiting.finish(call, self._task(flight), waited)
            else:
                self._flying.remove(flight)
            ends[flight.launch.task] = waited
        return all(waited.over for waited in ends.values())

    def _task(self, flight: _Flight) -> Awaited:
        launch, ordered = flight.launch, flight.ordered
        return Awaited(launch.task, ordered.order.commit, self._where, launch.settled, ordered.entry)

    def _tick(self, watches: Mapping[str, Watch]) -> None:
        queued = sum(each.waiting for each in watches.values())
        self._call.progress.state(f"{queued} queued, {len(watches) - queued} running")


def run(call: Call, orders: Mapping[int, Ordered]) -> int:
    """Launches the orders, by their seeds; waits for all where that is wanted. The worst exit status: 1, 3, 4, 0.

    A task that fails keeps no other from being launched. An interruption lets those that were launched go on, or aborts
    them, as it does with one.
    """
    fleet = Fleet(call, orders, records.find_target(call.repository, call.commit.hash, call.recording))
    with run_waiting.interruptible(call, fleet.awaited):
        fleet.run()
    statuses = [*fleet.statuses.values(), *([4] if fleet.left else [])]
    tell = call.console.announce if any(statuses) else call.console.say
    for line in _closing(fleet, call):
        tell(f"git clearml: {line}")
    return next((outcome.status for outcome in Outcome if outcome.status in statuses), 0)


def _closing(fleet: Fleet, call: Call) -> list[str]:
    """How many were launched, or ended well, and for how many metrics that is enough; what was not launched."""
    lines = []
    if fleet.statuses:
        good = sum(status == 0 for status in fleet.statuses.values())
        failed = [str(seed) for seed, status in fleet.statuses.items() if status]
        facts = [f"{good} of {fleet.launched} tasks completed"]
        facts += [f"{run_seeds.named(failed)} did not"] if failed else []
        then = "; next: git clearml verify" if good else ""
        counts = {rule.metric: good for rule in call.policy.metrics}
        lines.append("; ".join([", ".join(facts), *run_seeds.min_runs(counts, call.policy)]) + then)
    else:
        many = "task" if fleet.launched == 1 else "tasks"
        lines.append(f"{fleet.launched} {many} launched; next: git clearml verify --wait")
    if fleet.left:
        left = f"not launched, because no place got free in time: {run_seeds.named([*map(str, fleet.left)])}"
        lines.append(f"{left}; to go on: the same with --seeds {len(fleet.left)} --first-seed {fleet.left[0]}")
    return lines
