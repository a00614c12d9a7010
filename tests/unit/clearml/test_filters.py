"""Filters applied again to an answer: as the server applies them, which the loopback server has from recordings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.clearml import filters, query
from git_clearml.errors import BadAnswer
from tests.support import clearml_query

A, B, C = "a" * 40, "b" * 40, "A" * 40
TIMES = ("2026-01-01T00:00:00.000000+00:00", "2026-01-02T03:04:05.678000+00:00", "2026-02-01T00:00:00.000000+00:00")
TAGS = st.lists(st.sampled_from(["x", "y", "archived"]), unique=True, max_size=3)

DOCUMENTS = st.fixed_dictionaries(
    {"id": st.sampled_from(["1", "2"]), "status": st.sampled_from(["completed", "failed", "created"])},
    optional={
        "name": st.sampled_from(["train", "train 2", "Train"]),
        "tags": TAGS,
        "system_tags": TAGS,
        "last_update": st.sampled_from(TIMES),
        "script": st.fixed_dictionaries(
            {},
            optional={"version_num": st.sampled_from([A, B, A + "-dirty"]), "diff": st.sampled_from(["", "\n", "+1"])},
        ),
    },
)
BOUNDS = st.sampled_from([">=2026-01-02T00:00:00", "<2026-01-02T03:04:05.678", "<=2026-01-02T03:04:05.678Z", ">2026"])
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from([["1"], ["1", "2"], ["3"]]),
        "status": st.sampled_from([["completed"], ["completed", "failed"]]),
        "system_tags": st.just(["-archived"]),
        "tags": st.sampled_from([["x"], ["x", "y"], ["__$all", "x", "y"], ["__$all", "x", "__$not", "y"], ["-x", "y"]]),
        "name": st.just("^train$"),
        "last_update": st.lists(BOUNDS.filter(lambda bound: bound != ">2026"), min_size=1, max_size=2),
        "_all_": st.sampled_from([query.of_commits(pattern)["_all_"] for pattern in query.patterns([A, B])]),
        "_any_": st.just({"fields": ["script.diff"], "pattern": "^$"}),
        "order_by": st.just(["-last_update"]),
    },
)


@given(DOCUMENTS, QUERIES)
def test_what_the_server_would_leave_out_is_left_out(document: dict[str, Any], asked: dict[str, Any]) -> None:
    if "last_update" not in document:  # without a time nothing speaks against a task
        asked.pop("last_update", None)
    assert filters.passes(asked)(document) == bool(clearml_query.matching([document], asked, clearml_query.TASKS))


@pytest.mark.parametrize(
    ("value", "passes"), [("t1", True), ("t2", False), ("", False), (None, False), ("T1", False), ("t1 ", False)]
)
def test_properties_are_exact(value: str | None, passes: bool) -> None:
    asked = {"hyperparams.properties.git_clearml_tree.value": ["t1"]}
    assert filters.fields(asked) == list(asked)
    document = {"hyperparams": {"properties": {"git_clearml_tree": {"value": value}}}}
    assert filters.passes(asked)(document) is passes
    assert not filters.passes(asked)({})


@pytest.mark.parametrize(("project", "passes"), [("p", True), ({"id": "p"}, True), ({"id": "q"}, False), ({}, False)])
def test_references_come_as_ids_and_as_objects(project: Any, passes: bool) -> None:
    assert filters.passes({"project": ["p"]})({"project": project}) is passes
    assert filters.passes({"parent": "p"})({"parent": project}) is passes


def test_prefixes_of_hashes() -> None:
    names = [f"{number:040x}" for number in range(1 << 32, (1 << 32) + 600)]
    many = [f"{number:016x}" + "0" * 24 for number in range(600)]
    (pattern, *_) = query.patterns(many)
    test = filters.passes(query.of_commits(pattern))
    assert test({"script": {"version_num": many[0]}})
    assert not test({"script": {"version_num": "f" * 40}})
    assert not test({"script": {}})
    assert len(list(query.patterns(names))) == 1


@pytest.mark.parametrize("time", ["", "yesterday", "2026-13-01T00:00:00", None])
def test_what_is_no_time_is_within_no_bound(time: str | None) -> None:
    assert not filters.passes({"last_update": [">=2026-01-01T00:00:00"]})({"last_update": time})


@pytest.mark.parametrize("asked", [{"version": ["1"]}, {"filters": {"tags": {}}}, {"last_update": [">=soon"]}])
def test_a_filter_without_a_test_is_not_asked(asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no t"):
        filters.passes(asked)


@pytest.mark.parametrize("document", [{"status": 5}, {"tags": "x"}, {"script": []}, {"last_update": 7}])
def test_fields_of_the_wrong_type(document: dict[str, Any]) -> None:
    asked = {
        "status": ["completed"],
        "tags": ["x"],
        "last_update": [">=2026-01-01T00:00:00"],
        **query.of_commits(f"^({A})$"),
    }
    (name,) = document
    only = {key: value for key, value in asked.items() if key == name or (name == "script" and key == "_all_")}
    with pytest.raises(BadAnswer):
        filters.passes(only)(document)
