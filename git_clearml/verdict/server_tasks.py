"""A ClearML server's documents of tasks: what is asked of it, and what it answers as a task of ours. Pure.

Numbers in brackets are points of the README of tests/contract/recordings.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from git_clearml.base.ids import page_at
from git_clearml.clearml import diff, response
from git_clearml.clearml.properties import CHECK, LAUNCH, PROPERTY
from git_clearml.model import Task
from git_clearml.run.record import run_of
from git_clearml.settings.policy import Policy
from git_clearml.verdict import metric_rules, statuses

_TAGGED_FIELDS = (
    "id",
    "name",
    "status",
    "project.name",
    "script.version_num",
    "system_tags",
    "tags",
    "completed",
    "last_update",
)
_FIELDS = (
    *_TAGGED_FIELDS,
    "script.repository",
    "script.entry_point",
    "script.working_dir",
    "script.branch",
    "started",
    "last_iteration",
    "last_worker",
    "runtime._exec_agent_hostname",
    f"hyperparams.properties.{PROPERTY}",
    f"hyperparams.properties.{CHECK}",
)
CLEAN = {"_any_": {"fields": ["script.diff"], "pattern": "^$"}, "system_tags": ["-archived"]}
"""The filter for unarchived tasks with an empty diff [8]."""

_WORKER = "^.+$"  # one line, which no diff is


def task_of(document: Mapping[str, Any], policy: Policy, web: str) -> Task:
    """A task of the server as ours. Raises BadAnswer for a field of the wrong type."""
    script, project = response.part(document, "script"), response.part(document, "project")
    runtime = response.part(document, "runtime")
    identity, project_id = response.identity(document), response.text(project, "id")
    tags = response.texts(document, "system_tags")
    iteration, metrics = document.get("last_iteration"), response.part(document, "last_metrics")
    return Task(
        id=identity,
        source="server",
        name=response.text(document, "name"),
        project=response.text(project, "name"),
        status=response.text(document, "status"),
        commit=response.text(script, "version_num"),
        repository=response.text(script, "repository"),
        entry_point=response.text(script, "entry_point"),
        working_dir=response.text(script, "working_dir"),
        branch=response.text(script, "branch"),
        archived="archived" in tags,
        by_agent=bool(document.get("last_worker") and runtime.get("_exec_agent_hostname"))
        and "development" not in tags,
        launched=response.launched(document, identity),
        is_check=response.is_check(document, identity),
        started=response.text(document, "started"),
        completed=response.text(document, "completed"),
        updated=response.text(document, "last_update"),
        iteration=iteration if isinstance(iteration, int) else None,
        diff=diff.classify(response.text(script, "diff")) if script.get("diff") is not None else None,
        value=response.metric_value(metrics, policy.ranking),
        metrics=response.named_metrics(metrics, [rule.metric for rule in policy.metrics]),
        url=page_at(web, identity, project_id),
        **run_of(document),
    )


def that_count(policy: Policy) -> dict[str, Any]:
    """The filter for unarchived tasks that ended and have an empty diff [8]."""
    return {**clean(policy), "status": list(statuses.counting(policy))}


def clean(policy: Policy) -> dict[str, Any]:
    """The filter for unarchived tasks with an empty diff; where each run counts, for all whose diff may count as clean.

    Those with ClearML's own, and what workers ran, by one or the other of two fields [5]: of an agent's task no diff
    field is needed, and a server finds none that is not there [7]. Their diffs come along. Else such are looked for
    only where no other task counts.
    """
    if not metric_rules.needs_all(policy, in_order=False):
        return CLEAN
    return {**CLEAN, "_any_": {"fields": ["script.diff", "last_worker"], "pattern": f"{diff.OWN}|{_WORKER}"}}


def preferred_first(policy: Policy) -> dict[str, list[str]]:
    """The order that rules.preference has: the best metric, the latest `completed`, the id. {} where none says so."""
    latest, ranking = ["-completed", "-id"], policy.ranking
    if not ranking.metric:
        return {"order_by": latest}
    path = response.metric_path(ranking)
    return {"order_by": ["-" * (ranking.direction == "max") + path, *latest]} if path else {}


def is_sorted(values: Sequence[float | None], policy: Policy) -> bool:
    """Are these metrics the best first? A server may ignore an order [16], and then better ones may be elsewhere."""
    sign = -1 if policy.ranking.direction == "max" else 1
    numbers = [math.inf if value is None else sign * value for value in values]
    return not policy.ranking.metric or all(before <= after for before, after in itertools.pairwise(numbers))


def fields(policy: Policy) -> list[str]:
    """What the decision needs and no more: of the metrics only those that the policy names."""
    launch = [f"hyperparams.properties.{LAUNCH}"] if policy.require_run_record else []
    return [*_FIELDS, *launch, *_metric_fields(policy)]


def tagged_fields(policy: Policy) -> list[str]:
    """What is asked of tasks that bear a tag."""
    return [*_TAGGED_FIELDS, *_metric_fields(policy)]


def _metric_fields(policy: Policy) -> list[str]:
    names = dict.fromkeys([policy.best.metric, *(rule.metric for rule in policy.metrics)])
    return [f"last_metrics.{title}.{series}" for name in names for title, series in response.metric_keys(name)]
