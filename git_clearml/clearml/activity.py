"""Does a task's document show that the task's own code runs? Over what a server sends; asks nothing.

Numbers in brackets are points of the README of tests/contract/recordings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from git_clearml.clearml import response
from git_clearml.model import MONITOR


def has_reported(document: Mapping[str, Any]) -> bool:
    """Has the task reported anything of its own: a scalar, a plot, an image, or an iteration?

    The resource monitor's metrics do not count, nor, once it has reported, the iteration: that may be its seconds.
    `metric_stats` is that of the last batch of events alone [20]: what it lacks may have been reported before.
    """
    titles = [metric.metric for metric in response.metrics(document)]
    stats = response.part(document, "metric_stats")
    for entry in (response.part(stats, key) for key in stats):
        if set(response.part(entry, "event_stats_by_type")) - {"log"}:
            titles.append(response.text(entry, "metric"))
    if any(is_own(title) for title in titles):
        return True
    iteration = document.get("last_iteration")
    return not titles and isinstance(iteration, int) and iteration > 0


def is_own(title: str) -> bool:
    """Is this a metric of the task's code, and not of ClearML's resource monitor?"""
    return not title.startswith(MONITOR)
