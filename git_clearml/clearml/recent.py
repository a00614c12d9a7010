"""The tasks that were lately run of a repository: what a policy can be proposed from. Never evidence.

A server has no index of repositories, so the question is bounded to a week, and to thirty days only where that holds
none (contract/README.md, "What a question costs"): two questions, and one for the metrics of a few tasks by their ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from git_clearml.base.exchange import MEGABYTE
from git_clearml.base.words import moment
from git_clearml.clearml import query, response
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.properties import CHECK_TAG
from git_clearml.errors import CannotDecide

DAYS = (7, 30)
_MOST = 500
_MEASURED = 10  # tasks whose metrics are looked at
_LIMIT = 4 * MEGABYTE
_FIELDS = (
    "id",
    "name",
    "status",
    "project.name",
    "script.repository",
    "script.entry_point",
    "script.working_dir",
    "execution.queue.name",
    "tags",
    "last_update",
)


@dataclass(frozen=True)
class RecentTask:
    """A task as it was recorded: untrusted text, "" for what is not on record. `metrics` are TITLE/SERIES."""

    id: str
    name: str = ""
    project: str = ""
    entry_point: str = ""
    working_dir: str = ""
    queue: str = ""
    metrics: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Recent:
    """The newest first. `days` is how far back was looked; `measured` are the ids of tasks whose metrics are known."""

    tasks: tuple[RecentTask, ...] = ()
    days: int = DAYS[-1]
    measured: frozenset[str] = frozenset()


def of_repository(api: ClearML, names: Collection[str], is_ours: Callable[[str], bool], now: datetime) -> Recent:
    """Tasks of the repository, archived ones and those of check-runnable left out; 500 at most.

    `names` are the last parts of its URLs, by which the server looks; `is_ours` then says it of a whole URL. Raises the
    errors of ClearML.call.
    """
    if not names:
        return Recent()
    pattern = rf"(^|[/:])({'|'.join(map(re.escape, sorted(names)))})(\.git)?/*$"
    for days in DAYS:
        body = {
            "_all_": {"fields": ["script.repository"], "pattern": pattern},
            "system_tags": ["-archived"],
            **query.updated(now - timedelta(days=days)),
        }
        documents, _ = query.first(api, body, _FIELDS, _MOST)
        ours = [document for document in query.newest_first(documents) if _is_run(document, is_ours)]
        if ours:
            metrics = _metrics(api, ours)
            return Recent(tuple(_task(document, metrics) for document in ours), days, frozenset(metrics))
    return Recent()


def _is_run(document: Mapping[str, Any], is_ours: Callable[[str], bool]) -> bool:
    url = response.text(response.part(document, "script"), "repository")
    updated = moment(response.text(document, "last_update"))
    return updated is not None and is_ours(url) and CHECK_TAG not in response.texts(document, "tags")


def _metrics(api: ClearML, documents: list[Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    """What the newest completed tasks have reported, without the resource monitor's; {} where that is too much."""
    completed = [document for document in documents if response.text(document, "status") == "completed"]
    ids = [response.identity(document) for document in completed[:_MEASURED]]
    try:
        with_metrics = query.by_ids(api, ids, ["last_metrics"], limit=_LIMIT) if ids else {}
        reported = {task: response.metrics(document) for task, document in with_metrics.items()}
    except CannotDecide:
        return {}
    return {task: frozenset(metric.name for metric in metrics if metric.is_own) for task, metrics in reported.items()}


def _task(document: Mapping[str, Any], metrics: Mapping[str, frozenset[str]]) -> RecentTask:
    script = response.part(document, "script")
    identity = response.identity(document)
    return RecentTask(
        id=identity,
        name=response.text(document, "name"),
        project=response.text(response.part(document, "project"), "name"),
        entry_point=response.text(script, "entry_point"),
        working_dir=response.text(script, "working_dir"),
        queue=response.text(response.part(response.part(document, "execution"), "queue"), "name"),
        metrics=metrics.get(identity, frozenset()),
    )
