"""Reads the documents that a ClearML server sends: every value is checked before anything relies on it. Pure.

Numbers in brackets are points of the README of tests/contract/recordings.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from git_clearml.base import jsonvalue
from git_clearml.base.ids import is_clearml_id
from git_clearml.clearml.config import DOCTOR
from git_clearml.clearml.properties import CHECK, CHECK_TAG, LAUNCH, SECTION
from git_clearml.errors import BadAnswer
from git_clearml.model import Metric
from git_clearml.settings.policy import Best, MetricRule

Value = TypeVar("Value")
WHICH = DOCTOR
_VALUES = {"last": "value", "min": "min_value", "max": "max_value"}


def metric_keys(metric: str) -> list[tuple[str, str]]:
    """The md5 keys of TITLE/SERIES [18], for each slash that may be the one between them."""
    slashes = [match.start() for match in re.finditer("/", metric)]
    return [(_md5(metric[:slash]), _md5(metric[slash + 1 :])) for slash in slashes]


def metric_path(ruled: Best | MetricRule) -> str:
    """Where the policy's value of a metric stands in a task, "" for no metric, or one of several slashes."""
    keys = metric_keys(ruled.metric)
    return f"last_metrics.{'.'.join(keys[0])}.{_VALUES[ruled.value]}" if len(keys) == 1 else ""


def _md5(text: str) -> str:
    return hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def metric_value(metrics: Mapping[str, Any], ruled: Best | MetricRule) -> float | None:
    """The policy's value of a metric, None when the task has none that is a number."""
    key = _VALUES[ruled.value]
    for title, series in metric_keys(ruled.metric):
        entry = part(part(metrics, title), series)
        if (value := _number(entry.get(key))) is not None:
            return value
    return None


def named_metrics(metrics: Mapping[str, Any], names: Sequence[str]) -> tuple[Metric, ...]:
    """Those of these metrics (TITLE/SERIES) that a task's `last_metrics` have; what is no number is NaN."""
    reported = []
    for name in dict.fromkeys(names):
        entries = [part(part(metrics, title), series) for title, series in metric_keys(name)]
        if entry := next(filter(None, entries), None):
            title, _, series = name.rpartition("/")
            reported.append(Metric(title, series, *_numbers(entry)))
    return tuple(reported)


def metrics(document: Mapping[str, Any]) -> tuple[Metric, ...]:
    """Everything in a task's `last_metrics`, by name; the names stand in the entries, the keys are their md5 [18].

    What is no number is NaN. Raises BadAnswer for what is no such map.
    """
    titles = part(document, "last_metrics")
    entries = (part(part(titles, title), series) for title in titles for series in part(titles, title))
    reported = [Metric(text(entry, "metric"), text(entry, "variant"), *_numbers(entry)) for entry in entries]
    return tuple(sorted(reported, key=lambda metric: (metric.metric, metric.variant)))


def _numbers(entry: Mapping[str, Any]) -> tuple[float, float, float]:
    last, low, high = (math.nan if (value := _number(entry.get(key))) is None else value for key in _VALUES.values())
    return last, low, high


def _number(value: Any) -> float | None:
    """The number, None for what is none. One that no float can hold is an infinity."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def objects(data: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The list of objects under a key. Raises BadAnswer for anything else."""
    values = data.get(key)
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise BadAnswer(f"the server answered without a list of {key}", WHICH)
    return values


def identity(document: Mapping[str, Any]) -> str:
    """The document's id, which may stand in a query or a URL."""
    identity = document.get("id")
    if not isinstance(identity, str) or not is_clearml_id(identity):
        raise BadAnswer("the server sent a task without a valid id", WHICH)
    return identity


def part(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object under a key, {} where there is none."""
    value = document.get(key)
    return {} if value is None else _checked(jsonvalue.mapping, value, key)


def text(document: Mapping[str, Any], key: str) -> str:
    """The text under a key, "" where there is none."""
    value = document.get(key)
    return "" if value is None else _checked(jsonvalue.text, value, key)


def texts(document: Mapping[str, Any], key: str) -> list[str]:
    """A list of texts; [] where there is none."""
    return list(_checked(jsonvalue.texts, document.get(key) or [], key))


def _checked(read: Callable[[Any, str], Value], value: Any, key: str) -> Value:
    try:
        return read(value, key)
    except jsonvalue.Malformed as error:
        raise BadAnswer(f"the server's answer cannot be used: {error}", WHICH) from None


def user_property(document: Mapping[str, Any], name: str) -> Any:
    """The value of a user property of the task, None where it has none of that name."""
    return part(part(part(document, "hyperparams"), SECTION), name).get("value")


def launched(document: Mapping[str, Any], task: str) -> bool:
    """Does the task itself, and not one that it was cloned from, bear the name of a `git clearml run --queue`?"""
    value = user_property(document, LAUNCH)
    if not value:
        return False
    from git_clearml.clearml.lease import from_property

    lease = from_property(value)
    return lease is not None and lease.task == task


def is_check(document: Mapping[str, Any], task: str) -> bool:
    """Was this very task launched by `git clearml check-runnable`?

    A clone carries the tag and the property of its origin, but the lease in the property names the origin. What bears
    the tag without a lease, or a lease that cannot be read or names no task, is taken for a check.
    """
    value = user_property(document, CHECK)
    if not value:
        return CHECK_TAG in texts(document, "tags")
    from git_clearml.clearml.lease import from_property

    lease = from_property(value)
    return lease is None or lease.task in ("", task)
