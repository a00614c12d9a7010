"""How two tasks differ in what is on record of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from git_clearml.model import Metric, Task
from git_clearml.report import compare
from git_clearml.verdict.metric_rules import Ruled


class Pair(NamedTuple):
    """A name with both sides' values, None where a side has none."""

    name: str
    a: str | None
    b: str | None


class MetricPair(NamedTuple):
    """A metric's last values, of the policy's metric the values that it names; None where a side has not reported it.

    `delta` is b minus a; `direction` says which way is better, max or min, "" where nobody says; `which` of its values
    these are: last, min or max.
    """

    name: str
    a: float | None
    b: float | None
    delta: float | None
    direction: str = ""
    which: str = "last"


class CodeFile(NamedTuple):
    """A file that differs; lines added and deleted, None for a binary file."""

    path: str
    added: int | None
    deleted: int | None


@dataclass(frozen=True)
class Difference:
    """Two tasks, or one and the working tree (`b` is None). A part that was not asked for is None.

    The numbers beside the parts are of what is the same on both sides. `uncommitted`: which of the two ran with changes
    on top of its commit. Text in it comes from a server: untrusted.
    """

    a: Task
    b: Task | None
    uncommitted: tuple[bool, bool] = (False, False)
    files: tuple[CodeFile, ...] | None = None
    notes: tuple[str, ...] = ()
    parameters: tuple[Pair, ...] | None = None
    same_parameters: int = 0
    packages: tuple[Pair, ...] | None = None
    same_packages: int = 0
    metrics: tuple[MetricPair, ...] | None = None
    same_metrics: int = 0

    @property
    def differs(self) -> bool:
        """Does anything that was asked for?"""
        return any((self.files, self.parameters, self.packages, self.metrics))


def pairs(a: Mapping[str, str], b: Mapping[str, str]) -> tuple[tuple[Pair, ...], int]:
    """Those that differ, by name, and how many are the same."""
    names = sorted({**a, **b})
    differing = tuple(Pair(name, a.get(name), b.get(name)) for name in names if a.get(name) != b.get(name))
    return differing, len(names) - len(differing)


def metric_pairs(
    a: Sequence[Metric], b: Sequence[Metric], ruled: Mapping[str, Ruled]
) -> tuple[tuple[MetricPair, ...], int]:
    """The same of metrics, those that the policy names (`ruled`) first; ClearML's resource monitor's are left out."""
    ours, theirs = _values(a, ruled), _values(b, ruled)
    places = {name: number for number, name in enumerate(ruled)}
    names = sorted({**ours, **theirs}, key=lambda name: (places.get(name, len(places)), name.casefold(), name))
    every = [_pair(name, ours.get(name), theirs.get(name), ruled.get(name)) for name in names]
    differing = tuple(pair for pair in every if repr(pair.a) != repr(pair.b))  # NaN is NaN
    return differing, len(every) - len(differing)


def _pair(name: str, a: float | None, b: float | None, rules: Ruled | None) -> MetricPair:
    direction, which = (rules.direction, rules.value) if rules else ("", "last")
    return MetricPair(name, a, b, compare.difference(b, a), direction, which)


def _values(metrics: Sequence[Metric], ruled: Mapping[str, Ruled]) -> dict[str, float]:
    named = {each.name: each for each in metrics if each.is_own}
    return {name: getattr(each, ruled[name].value if name in ruled else "last") for name, each in named.items()}
