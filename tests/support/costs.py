"""What each test costs of CPU, and tests/costly.txt: the names of those that `make test` leaves to `make costly`.

`make costs` measures all tests with this file as pytest's plugin, and writes the list anew. It wants Linux, and a quiet
machine: on a loaded one everything costs more.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

import pytest

LIST = Path(__file__).resolve().parents[1] / "costly.txt"
MOST = 0.08  # seconds of CPU: what a test may take that is run after each change
_ALWAYS = ("tests/unit/test_house.py",)  # it holds the house, whatever that costs


def listed() -> frozenset[str]:
    """The functions that are left to `make costly`, as `tests/unit/test_x.py::test_y`."""
    return frozenset(LIST.read_text(encoding="utf-8").split())


def function(nodeid: str) -> str:
    """The name of a test without that of its case."""
    return nodeid.partition("[")[0]


def choose(costs: Mapping[str, float]) -> list[str]:
    """The costly ones of these functions."""
    return sorted(name for name, cost in costs.items() if cost > MOST and not name.startswith(_ALWAYS))


_COSTS: dict[str, list[float]] = defaultdict(list)
"""Of each function those of its cases; in the process that hears of all tests."""

_BEGAN = pytest.StashKey[float]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    item.stash[_BEGAN] = _spent()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "teardown":
        report.user_properties.append(("cost", _spent() - item.stash[_BEGAN]))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if cost := dict(report.user_properties).get("cost"):
        _COSTS[function(report.nodeid)].append(cost)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):  # a worker of xdist tells its controller
        means = {name: sum(costs) / len(costs) for name, costs in _COSTS.items()}
        LIST.write_text("".join(f"{name}\n" for name in choose(means)), encoding="utf-8")
        left = sum(sum(costs) for name, costs in _COSTS.items() if name not in listed())
        print(f"\n{sum(map(sum, _COSTS.values())):.0f} s of CPU for all, {left:.0f} s for those that are not costly")


def _spent() -> float:
    """Seconds of CPU of this process and of its children, those that still run included."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages) + sum(_of(child) for child in _children())


def _children() -> Iterator[str]:
    for tasks in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            yield from tasks.read_text().split()


def _of(process: str) -> float:
    with contextlib.suppress(OSError):
        fields = Path("/proc", process, "stat").read_text().rpartition(")")[2].split()
        return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")  # utime .. cstime, see proc(5)
    return 0.0
