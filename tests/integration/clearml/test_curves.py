"""Curves as a ClearML server sends them, and as anything else that answers in its place."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.clearml import curves
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.config import Server
from git_clearml.errors import BadAnswer, CannotDecide, Error
from git_clearml.model import Curve
from tests.support.clearml_events import NO_ITERATION, add_all, scalar
from tests.support.clearml_server import ClearMLServer

NAME = ("loss", "train")
TASK, OTHER = "a" * 32, "b" * 32


@pytest.fixture(scope="module")
def server() -> Iterator[ClearMLServer]:
    with ClearMLServer() as running:
        for identity, factor in ((TASK, 1.0), (OTHER, 2.0)):
            running.add_task(id=identity)
            events = [scalar(identity, *NAME, factor * step, step) for step in range(300)]
            single = scalar(identity, "Summary", "f1", 0.5, NO_ITERATION)
            others = [scalar(identity, "loss", "val", 1.0, 0), scalar(identity, ":monitor:gpu", "gpu", 1.0, 0)]
            add_all(running.store, [*events, single, *others])
        yield running


@pytest.fixture(scope="module")
def api(server: ClearMLServer) -> Iterator[ClearML]:
    keys = Server(server.url, server.url, server.access_key, server.secret_key)
    with contextlib.closing(ClearML(keys, 30, environment=os.environ, sleep=lambda _: None)) as made:
        yield made


def answered(server: ClearMLServer, api: ClearML, data: Any, tasks: tuple[str, ...] = (TASK,)) -> Any:
    """The curves that are made of this answer."""
    server.reset_log()
    api.renew()
    body = {"meta": {"result_code": 200}, "data": data}
    server.fail_next(200, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return curves.of_tasks(api, tasks, [NAME])


def test_one_request_for_what_is_wanted(server: ClearMLServer, api: ClearML) -> None:
    server.reset_log()
    shown = curves.of_tasks(api, [TASK], [NAME, ("Summary", "f1"), ("none", "such"), NAME])
    assert server.calls() == ["events.scalar_metrics_iter_histogram"]
    assert shown.keys() == {TASK}
    assert shown[TASK].keys() == {NAME}
    points = shown[TASK][NAME].points
    assert 60 < len(points) <= curves.SAMPLES
    assert points[0] == (0, 1)  # the mean of three


def test_of_two_tasks_at_once(server: ClearMLServer, api: ClearML) -> None:
    server.reset_log()
    shown = curves.of_tasks(api, [TASK, OTHER, TASK], [NAME, ("loss", "val")])
    assert server.calls() == ["events.multi_task_scalar_metrics_iter_histogram"]
    assert shown[OTHER][NAME].points == tuple((x, 2 * y) for x, y in shown[TASK][NAME].points)
    assert shown[TASK]["loss", "val"].points == ((0, 1),)


def test_nothing_is_asked_for_nothing(server: ClearMLServer, api: ClearML) -> None:
    server.reset_log()
    assert curves.of_tasks(api, [TASK], []) == {}
    assert curves.of_tasks(api, [], [NAME]) == {}
    with pytest.raises(BadAnswer):
        curves.of_tasks(api, ["x/y"], [NAME])
    assert not server.calls()


def test_a_question_names_no_more_than_500(server: ClearMLServer, api: ClearML) -> None:
    server.reset_log()
    assert curves.of_tasks(api, [TASK], [NAME, *(("many", str(n)) for n in range(3000))])[TASK].keys() == {NAME}
    (call,) = server.requests
    assert sum(len(each["variants"]) for each in call.body["metrics"]) == curves.MOST


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("x", "y", "points"),
    [
        ([0, 1], [1, 2], ((0, 1), (1, 2))),
        ([2, 0, 1], [3, 1, 2], ((0, 1), (1, 2), (2, 3))),
        ([1, 0, 1], [1, 2, 3], ((0, 2), (1, 3))),  # the last of equal ones
        ([0, "1", None, True, NAN, INF, 10**400, 2], [1] * 8, ((0, 1), (2, 1))),
        ([-(2**31), 5], [1, 2], ((5, 2),)),  # a single value is no point of a curve
        ([0, 1], [1], None),
        ([0, 1], None, None),
        ("01", "01", None),
        ({"0": 1}, [1], None),
        ([], [], None),
        (list(range(10_001)), [1] * 10_001, None),
    ],
)
def test_points(server: ClearMLServer, api: ClearML, x: Any, y: Any, points: Any) -> None:
    entry = {"name": "train", "x": x, "y": y}
    expected = {NAME: Curve(points)} if points else {}
    assert answered(server, api, {"loss": {"train": entry, "val": entry}, "acc": {"train": entry}}) == {TASK: expected}
    both = answered(server, api, {"metrics": {"loss": {"train": {OTHER: entry, "c" * 32: entry}}}}, (TASK, OTHER))
    assert both == {TASK: {}, OTHER: expected}


def test_values_that_are_no_numbers_are_gaps(server: ClearMLServer, api: ClearML) -> None:
    values = [0, NAN, INF, -INF, "1", None, True, 10**400, [1]]
    curve = answered(server, api, {"loss": {"train": {"x": list(range(9)), "y": values}}})[TASK][NAME]
    assert [x for x, y in curve.points if math.isfinite(y)] == [0]
    assert [x for x, y in curve.points if math.isnan(y)] == list(range(1, 9))


def test_ten_thousand_series_of_a_server_that_ignores_the_names(server: ClearMLServer, api: ClearML) -> None:
    entry = {"name": "n", "x": [0, 1], "y": [0, 1]}
    many: dict[str, Any] = {f"layer {n}": {"norm": entry} for n in range(10_000)}
    assert answered(server, api, {**many, "loss": {"train": entry}})[TASK].keys() == {NAME}


def test_more_bytes_than_can_be_held(server: ClearMLServer, api: ClearML) -> None:
    with pytest.raises(CannotDecide):
        answered(server, api, {"loss": {"train": {"name": "x" * 9_000_000, "x": [0], "y": [0]}}})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["loss", "train", "x", "y"]), inner),
    max_leaves=12,
)


@given(JSON, st.sampled_from(["whole", "metric", "variant"]))
def test_whatever_comes(server: ClearMLServer, api: ClearML, value: Any, place: str) -> None:
    data = {"whole": value, "metric": {"loss": value}, "variant": {"loss": {"train": value}}}[place]
    for tasks in ((TASK,), (TASK, OTHER)):
        with contextlib.suppress(Error):
            for found in answered(server, api, {"metrics": data} if len(tasks) > 1 else data, tasks).values():
                assert found.keys() <= {NAME}
