"""events.*: adding events, what a task keeps of them (points 18 to 20), and reading them back (point 31).

The recordings of the reading calls come from a stand-in behind the real server: their names and nesting are
the server's, order and totals are not proven.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import operator
from typing import Any

from tests.support.clearml_common import (
    USER_ID,
    ApiError,
    Json,
    new_id,
    now,
    parse_time,
    required_text,
    stamp,
)
from tests.support.clearml_store import Store

SCALAR = "training_stats_scalar"
NO_ITERATION = -(2**31)  # of single values (point 18)


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def scalar(task_id: str, metric: str, variant: str, value: float, iteration: int = 0) -> Json:
    """A scalar event as clients send it."""
    names = {"metric": metric, "variant": variant, "timestamp": int(now().timestamp() * 1000)}
    return {"type": SCALAR, "task": task_id, "iter": iteration, "value": value, **names}


def add(store: Store, body: Json) -> Json:
    return add_all(store, [body])


def add_batch(store: Store, body: Json) -> Json:
    return add_all(store, body["json_lines"] if "json_lines" in body else body.get("events") or [])


def add_all(store: Store, events: list[Json]) -> Json:
    """Takes the events of known tasks that are not published; 400/131 when none is (point 20)."""
    errors: dict[str, int] = {}
    accepted: dict[str, list[Json]] = {}
    for event in events:
        task_id = event.get("task") or ""
        if task_id in store.tasks and store.tasks[task_id]["status"] != "published":
            accepted.setdefault(task_id, []).append(event)
        else:
            reason = f"Invalid task id {task_id}"
            errors[reason] = errors.get(reason, 0) + 1
    if errors and not accepted:
        raise ApiError(400, 131, "Events not added", **errors)
    for task_id, batch in accepted.items():
        _keep(store, store.tasks[task_id], batch)
    added = sum(len(batch) for batch in accepted.values())
    return {"added": added, "errors": sum(errors.values()), "errors_info": errors}


def _keep(store: Store, task: Json, batch: list[Json]) -> None:
    """Stores a batch and what it changes in its task."""
    metrics = copy.deepcopy(task["last_metrics"])
    _merge_metrics(metrics, [event for event in batch if event.get("type") == SCALAR])
    stored = store.events.setdefault(task["id"], [])
    stored.extend(_stored(event) for event in batch)
    moment = stamp()
    task["last_metrics"] = metrics
    task["metric_stats"] = _metric_stats(batch)  # of the last batch alone [30-16, 30-27]
    task["last_iteration"] = max([task["last_iteration"], *(event.get("iter") or 0 for event in batch)])
    task.update(last_update=moment, last_change=moment, last_changed_by=USER_ID)
    if task["status"] == "in_progress" and "started" in task:  # [30-9, 30-12]
        task["active_duration"] = int((now() - parse_time(task["started"])).total_seconds())


def _stored(event: Json) -> Json:
    """An event with what the server adds to it [20-7, 20-20, 20-24]."""
    moment = now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    kept = {"metric": "", "variant": "", **event, "model_event": False, "@timestamp": moment}
    if event.get("type") != "log":
        kept["worker"] = event.get("worker") or "<unknown>"
    if "plot_str" in event:
        kept["plot_len"] = len(event["plot_str"])
    return kept


def _metric_stats(batch: list[Json]) -> Json:
    stats: Json = {}
    for event in batch:
        name = event.get("metric") or ""
        entry = stats.setdefault(md5(name), {"metric": name, "event_stats_by_type": {}})
        entry["event_stats_by_type"][event.get("type")] = {"last_update": event.get("timestamp")}
    return stats


def _merge_metrics(metrics: Json, scalars: list[Json]) -> None:
    """Merges a batch into `last_metrics`; events without a value count for nothing [12-6].

    A batch is taken in order of iteration, so `value` is that of its highest one [12-4]. How the server weighs
    `value` across batches is not recorded; as an entry keeps no iteration for it, the later batch wins.
    """
    for event in sorted(scalars, key=lambda each: each.get("iter") or 0):
        value = event.get("value")
        if value is None:
            continue
        value = 0 + value  # a text is an HTTP 500 of exactly this kind (point 19)
        metric, variant = event.get("metric") or "", event.get("variant") or ""
        variants = metrics.setdefault(md5(metric), {})
        iteration = event.get("iter") or 0
        entry = variants.get(md5(variant))
        if entry is None:
            variants[md5(variant)] = _first_entry(metric, variant, value, iteration)
        else:
            _count_in(entry, value, iteration)
    for entry in (each for variants in metrics.values() for each in variants.values()):
        entry["mean_value"] = round(float(entry["mean_value"]), 2)  # [12-13]: 0.475 is 0.47


def _first_entry(metric: str, variant: str, value: float, iteration: int) -> Json:
    """[12-13]: `value`, minimum and maximum stay integers, the first value and the mean do not."""
    return {
        "metric": metric,
        "variant": variant,
        "value": value,
        "min_value": value,
        "min_value_iteration": iteration,
        "max_value": value,
        "max_value_iteration": iteration,
        "first_value": float(value),
        "first_value_iteration": iteration,
        "count": 1,
        "mean_value": float(value),
    }


def _count_in(entry: Json, value: float, iteration: int) -> None:
    entry["value"] = value
    if value < entry["min_value"]:
        entry.update(min_value=value, min_value_iteration=iteration)
    if value > entry["max_value"]:
        entry.update(max_value=value, max_value_iteration=iteration)
    if iteration < entry["first_value_iteration"]:
        entry.update(first_value=float(value), first_value_iteration=iteration)
    total = entry["mean_value"] * entry["count"] + value
    entry["count"] += 1
    entry["mean_value"] = total / entry["count"]


def _events(store: Store, task_id: str, kind: str) -> list[Json]:
    """The events of one type of a task; an unknown task is 400/101 (point 31)."""
    store.all_tasks([task_id])
    return [event for event in store.events.get(task_id, []) if event.get("type") == kind]


def get_task_log(store: Store, body: Json) -> Json:
    """`navigate_earlier` (the default): newest first, before `from_timestamp`; else oldest first, after it."""
    log = _events(store, required_text(body, "task"), "log")
    earlier, since = body.get("navigate_earlier", True), body.get("from_timestamp")
    log.sort(key=lambda event: event["timestamp"], reverse=earlier)
    found = [
        event
        for event in log
        if since is None or (event["timestamp"] < since if earlier else event["timestamp"] > since)
    ]
    events = copy.deepcopy(found[: body.get("batch_size") or 100])
    return {"events": events, "returned": len(events), "total": len(log)}


def get_task_events(store: Store, body: Json) -> Json:
    kind = body.get("event_type") or ""
    events = copy.deepcopy(_events(store, required_text(body, "task"), kind))
    return {"returned": len(events), "total": len(events), "scroll_id": new_id(), "events": events}


def _by_name(events: list[Json], body: Json | None = None) -> dict[str, dict[str, list[Json]]]:
    """Scalars by metric and variant, in order of iteration; those that the body names under `metrics` [53].

    Without names, or without variants of one, there is no such filter.
    """
    wanted = {entry["metric"]: entry.get("variants") for entry in (body or {}).get("metrics") or []}
    if wanted:
        events = [
            event
            for event in events
            if event["metric"] in wanted
            and (not wanted[event["metric"]] or event["variant"] in (wanted[event["metric"]] or []))
        ]
    named: dict[str, dict[str, list[Json]]] = {}
    for event in sorted(events, key=lambda each: (each["metric"], each["variant"], each.get("iter") or 0)):
        named.setdefault(event["metric"], {}).setdefault(event["variant"], []).append(event)
    return named


def _curve(events: list[Json], body: Json, name: str) -> Json:
    """x and y of a curve; `samples` averages neighbours into at most that many points."""
    key = "timestamp" if body.get("key") == "timestamp" else "iter"
    step = -(-len(events) // int(body.get("samples") or len(events)))
    groups = [events[start : start + step] for start in range(0, len(events), step)]
    # Added one by one, as the server does: since Python 3.12 the sum of floats is a better one.
    means = [functools.reduce(operator.add, (event["value"] for event in group)) / len(group) for group in groups]
    return {"name": name, "x": [group[0][key] for group in groups], "y": means}


def _curves_of(store: Store, task_id: str) -> list[Json]:
    """The scalars of a task but its single values, which are no curve.

    So apiserver/bll/event/event_metrics.py of clearml-server has it; in the recordings there is none of them.
    """
    return [event for event in _events(store, task_id, SCALAR) if event.get("iter") != NO_ITERATION]


def iter_histogram(store: Store, body: Json) -> Json:
    named = _by_name(_curves_of(store, required_text(body, "task")), body)
    return {
        metric: {variant: _curve(events, body, variant) for variant, events in variants.items()}
        for metric, variants in named.items()
    }


def multi_task_iter_histogram(store: Store, body: Json) -> Json:
    metrics: Json = {}
    for task in store.all_tasks(body.get("tasks") or []):
        for metric, variants in _by_name(_curves_of(store, task["id"]), body).items():
            for variant, events in variants.items():
                curves = metrics.setdefault(metric, {}).setdefault(variant, {})
                curves[task["id"]] = _curve(events, body, task["name"])
    return {"metrics": metrics}


def get_scalar_metric_data(store: Store, body: Json) -> Json:
    scalars = _events(store, required_text(body, "task"), SCALAR)
    events = [copy.deepcopy(event) for event in reversed(scalars) if event["metric"] == body.get("metric")]
    return {"events": events, "returned": len(events), "total": len(events), "scroll_id": new_id()}


def get_scalar_metrics_and_variants(store: Store, body: Json) -> Json:
    named = _by_name(_events(store, required_text(body, "task"), SCALAR))
    return {"metrics": {metric: sorted(variants) for metric, variants in named.items()}}


def get_latest_scalar_values(store: Store, body: Json) -> Json:
    named = _by_name(_events(store, required_text(body, "task"), SCALAR))
    metrics = [
        {"name": metric, "variants": [_latest(variant, events) for variant, events in variants.items()]}
        for metric, variants in named.items()
    ]
    task = store.task(body["task"])
    times = {"last_iter": task["last_iteration"], "last_timestamp": now().timestamp() * 1000}
    return {"metrics": metrics, "name": None, "status": "created", **times}  # name and status so [20-22]


def _latest(variant: str, events: list[Json]) -> Json:
    value = events[-1]["value"]
    return {"name": variant, "last_value": value, "last_10_value": value}


def get_single_values(store: Store, body: Json) -> Json:
    """Values reported without an iteration; only their absence is recorded [20-23]."""
    answers: list[Json] = []
    for task in store.all_tasks(body.get("tasks") or []):
        values = [
            {key: event.get(key) for key in ("metric", "variant", "value", "timestamp")}
            for event in _events(store, task["id"], SCALAR)
            if event.get("iter") == NO_ITERATION
        ]
        if values:
            answers.append({"task": task["id"], "task_name": task["name"], "values": values})
    return {"tasks": answers}


def get_task_plots(store: Store, body: Json) -> Json:
    plots = copy.deepcopy(_events(store, required_text(body, "task"), "plot"))
    return {"plots": plots, "returned": len(plots), "total": len(plots), "scroll_id": None}


def get_multi_task_plots(store: Store, body: Json) -> Json:
    answer: dict[str, Any] = {}
    count = 0
    for task in store.all_tasks(body.get("tasks") or []):
        for plot in _events(store, task["id"], "plot"):
            variants = answer.setdefault(plot["metric"], {}).setdefault(plot["variant"], {})
            iterations = variants.setdefault(task["id"], {})
            entry = iterations.setdefault(str(plot["iter"]), {"name": task["name"], "plots": []})
            entry["plots"].append(copy.deepcopy(plot))
            count += 1
    return {"plots": answer, "returned": count, "total": count, "scroll_id": new_id()}


CALLS = {
    "events.add": add,
    "events.add_batch": add_batch,
    "events.get_task_log": get_task_log,
    "events.get_task_events": get_task_events,
    "events.scalar_metrics_iter_histogram": iter_histogram,
    "events.multi_task_scalar_metrics_iter_histogram": multi_task_iter_histogram,
    "events.get_scalar_metric_data": get_scalar_metric_data,
    "events.get_scalar_metrics_and_variants": get_scalar_metrics_and_variants,
    "events.get_task_latest_scalar_values": get_latest_scalar_values,
    "events.get_task_single_value_metrics": get_single_values,
    "events.get_task_plots": get_task_plots,
    "events.get_multi_task_plots": get_multi_task_plots,
}
