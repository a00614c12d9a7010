"""The loopback server answers the 72 queries of semantics.json as the real one did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.clearml_server import ClearMLServer
from tests.support.raw_client import RawClient

SEMANTICS = json.loads((Path(__file__).parent / "recordings" / "semantics.json").read_text(encoding="utf-8"))
STAGES = [SEMANTICS[key] for key in SEMANTICS if key.startswith("tasks stage")]
ONE_STAGE = "tasks of stage 1"


class World:
    """A server with the tasks that the queries are about."""

    def __init__(self, client: RawClient, stages: int) -> None:
        self.client = client
        self.project = self.client.data("projects.create", {"name": "contract/find"})["id"]
        self.ids: dict[str, str] = {}
        for stage in STAGES[:stages]:
            for task in stage:
                self._make(task)

    def _make(self, task: dict[str, Any]) -> None:
        fields = ("name", "type", "script", "tags")
        body = {key: task[key] for key in fields if task[key]}
        task_id = self.client.data("tasks.create", {**body, "project": self.project})["id"]
        self.ids[task["name"]] = task_id
        for call in task["then"]:
            self.client.data(call, {"tasks": [task_id]} if call == "tasks.archive" else {"task": task_id})

    def filled(self, request: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(request).replace("<project>", self.project)
        for name, task_id in self.ids.items():
            text = text.replace(f"<id of '{name}'>", task_id)
        filled: dict[str, Any] = json.loads(text)
        return filled


@pytest.fixture(scope="module")
def worlds() -> Iterator[dict[bool, World]]:
    with ClearMLServer() as one, ClearMLServer() as two, RawClient(one) as first, RawClient(two) as second:
        yield {True: World(first, 1), False: World(second, 2)}


def test_every_query_is_there() -> None:
    assert len(SEMANTICS["queries"]) == 72


@pytest.mark.parametrize("query", SEMANTICS["queries"], ids=lambda query: str(query["id"]))
def test_query(worlds: dict[bool, World], query: dict[str, Any]) -> None:
    world = worlds[query["given"] == ONE_STAGE]
    # Names are asked for on top, as an answer without them could not be compared.
    request = world.filled(query["request"])
    only = request.get("only_fields")
    if isinstance(only, list) and only and "names" in query["expect"]:
        request["only_fields"] = [*only, "name"]

    status, answer = world.client.call(query["call"], request)

    expect = query["expect"]
    assert status == expect["status"], query["says"]
    assert answer["meta"]["result_code"] == expect["status"]
    assert answer["meta"]["result_subcode"] == expect.get("result_subcode", 0)
    names = [task["name"] for task in answer["data"].get("tasks", [])]
    assert sorted(names) == expect.get("names", [])
    if "names in order" in expect:
        assert names == expect["names in order"]
