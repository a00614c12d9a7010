"""What a question costs a ClearML server: how many tasks it looks at, by contract/README.md's "What a question costs".

A table of a real server with a million tasks of three years. None of those tasks has to be there: they are counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from tests.support.clearml_common import parse_time

YEARS = timedelta(days=3 * 365)
TAGGED = 50  # tasks that bear a tag of ours
MILLION = 1_000_000


def looked_at(requests: Iterable[Any], population: int = MILLION) -> list[int]:
    """For each query of tasks, how many tasks the server has looked at."""
    return [
        cost(request.body, population) for request in requests if request.call in ("tasks.get_all_ex", "tasks.get_all")
    ]


def cost(body: dict[str, Any], population: int = MILLION) -> int:
    """How many tasks a server of so many looks at for this query: those that the best index leaves over.

    `_id`, `(company, tags)` and `(company, last_update, system_tags)` are indexed; a commit, a status, a name are not.
    An order over everything, and a scroll over everything, look at everything.
    """
    costs = [population]
    if body.get("id"):
        costs.append(len(body["id"]))
    if any(not tag.startswith(("-", "__$")) for tag in body.get("tags") or []):
        costs.append(TAGGED)
    if body.get("last_update"):
        costs.append(_within(body["last_update"], population))
    return min(costs)


def is_bounded(call: str, body: Any) -> bool:
    """Is this no question that would have a server look at every task?"""
    indexed = any(body.get(name) for name in ("id", "last_update")) or cost(body) < MILLION
    return call not in ("tasks.get_all_ex", "tasks.get_all") or indexed


def _within(bounds: list[str], population: int) -> int:
    """How many of them were last updated within these bounds; they are evenly spread."""
    now = datetime.now(timezone.utc)
    since, until = now - YEARS, now
    for bound in bounds:
        time = parse_time(bound.lstrip("<>="))
        if bound.startswith(">"):
            since = max(since, time)
        else:
            until = min(until, time)
    return round(population * max((until - since) / YEARS, 0.0))


_MEASURED = ((0, 0.007), (900, 0.010), (6_700, 0.026), (29_000, 2.3), (MILLION, 43.8))
"""Tasks looked at, and the seconds that the real server took for that; between two of them by their share."""


def seconds(call: str, body: dict[str, Any]) -> float:
    """How long a real server with a million tasks takes for this question."""
    tasks = cost(body) if call in ("tasks.get_all_ex", "tasks.get_all") else 0
    for (fewer, quick), (more, slow) in itertools.pairwise(_MEASURED):
        if tasks <= more:
            return quick + (slow - quick) * (tasks - fewer) / (more - fewer)
    return _MEASURED[-1][1]
