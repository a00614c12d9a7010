"""The one query for tasks: its pages, what it asks of old servers, and what never gets into it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from git_clearml.clearml import query
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.config import Server
from git_clearml.errors import BadAnswer, Refused
from tests.support.clearml_server import ClearMLServer

COMMIT = "a" * 40
OLDEST_FIRST = {"order_by": ["last_update"]}
UNKNOWN_FIELD = b'{"meta": {"result_code": 400, "result_subcode": 14, "result_msg": "Invalid field"}, "data": {}}'


@pytest.fixture
def server() -> Iterator[ClearMLServer]:
    with ClearMLServer() as running:
        running.may_be_asked_all = True
        yield running


@pytest.fixture
def api(server: ClearMLServer) -> Iterator[ClearML]:
    keys = Server(server.url, "https://app.example.com", server.access_key, server.secret_key)
    with contextlib.closing(ClearML(keys, 30, environment=os.environ, sleep=lambda _: None)) as client:
        yield client


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """So many tasks are a page, and a scroll, so that a few of them are more than one."""
    monkeypatch.setattr(query, "PAGE", 3)
    monkeypatch.setattr(query, "_SCROLL", 3)
    return 3


def ids(api: ClearML, **filters: object) -> list[str]:
    return [str(document["id"]) for document in query.every(api, filters, ["id"])]


@pytest.mark.parametrize("more", [0, 1])
def test_a_scroll_gives_every_task(more: int, few: int, server: ClearMLServer, api: ClearML) -> None:
    """Of more than a page of them; a server sorts for it, so it comes second."""
    tasks = [server.add_task() for _ in range(2 * few + more)]
    assert sorted(ids(api)) == sorted(tasks)
    assert ["scroll_id" in request.body for request in server.requests] == [False, True, True, True]
    assert sorted(document["id"] for document in query.every(api, {}, ["id"], many=True)) == sorted(tasks)
    assert all("scroll_id" in request.body for request in server.requests[4:])


def test_a_page_that_is_not_full_is_all(few: int, server: ClearMLServer, api: ClearML) -> None:
    tasks = [server.add_task() for _ in range(few - 1)]
    assert sorted(ids(api)) == sorted(tasks)
    assert [set(request.body) for request in server.requests] == [{"page", "page_size", "only_fields"}]


def test_an_order_is_kept_page_by_page(few: int, server: ClearMLServer, api: ClearML) -> None:
    tasks = [server.add_task(last_update=f"2026-01-0{day}T00:00:00.000000+00:00") for day in range(1, 8)]
    assert ids(api, **OLDEST_FIRST) == tasks
    assert [request.body["page"] for request in server.requests] == [0, 1, 2]


def test_a_server_without_scrolls_is_paged(few: int, server: ClearMLServer, api: ClearML) -> None:
    server.hook = lambda _, body: (body.pop("scroll_id", None), body.setdefault("page_size", few))
    tasks = [server.add_task() for _ in range(2 * few + 1)]
    assert sorted(ids(api)) == sorted(tasks)


@pytest.mark.parametrize("query_of", [{}, OLDEST_FIRST, {"many": True}])
@pytest.mark.parametrize("more", [{}, {"scroll_id": "once more"}], ids=["pages", "scroll"])
def test_a_list_that_never_ends(
    query_of: dict[str, Any], more: dict[str, str], few: int, server: ClearMLServer, api: ClearML
) -> None:
    """A proxy that answers from its memory, or a server that looks at no page: the budget need not run out."""
    tasks = [{"id": f"{number:032x}"} for number in range(few)]
    body = json.dumps({"meta": {"result_code": 200}, "data": {"tasks": tasks, **more}}).encode()
    server.fail_next(200, body, count=1000)
    many = "many" in query_of
    with pytest.raises(BadAnswer, match="again"):
        list(query.every(api, {} if many else query_of, ["id"], many=many))
    assert len(server.calls()) <= 4


def test_the_first_of_an_order(server: ClearMLServer, api: ClearML) -> None:
    tasks = [server.add_task(last_update=f"2026-01-0{day}T00:00:00.000000+00:00") for day in range(1, 5)]
    documents, whole = query.first(api, OLDEST_FIRST, ["id"], 2)
    assert ([document["id"] for document in documents], whole) == (tasks[:2], False)
    assert query.first(api, OLDEST_FIRST, ["id"], 5)[1]
    assert len(server.calls()) == 2


def test_by_ids(few: int, server: ClearMLServer, api: ClearML) -> None:
    tasks = [server.add_task(name=f"task {number}") for number in range(2 * few + 1)]
    documents = query.by_ids(api, [tasks[4], "0" * 32, *tasks[:4]], ["id", "name"])
    assert list(documents) == [tasks[4], *tasks[:4]]
    assert documents[tasks[4]]["name"] == "task 4"
    assert len(server.calls()) == 2
    assert query.by_ids(api, [], ["id"]) == {}  # an empty list of ids would find every task


@pytest.mark.parametrize("identity", ["", "../x", "a b", "a" * 65])
def test_what_is_no_id_is_never_asked_for(identity: str, server: ClearMLServer, api: ClearML) -> None:
    server.add_task()
    assert query.task(api, identity, ["id"]) is None
    with pytest.raises(BadAnswer):
        query.by_ids(api, [identity], ["id"])
    assert server.calls() == []


def test_a_task_that_was_not_asked_for_is_not_the_one(server: ClearMLServer, api: ClearML) -> None:
    """Nor is it gone, which would let go of a task that runs: who ignores ids cannot be asked."""
    server.add_task()
    assert query.task(api, "0" * 32, ["id"]) is None
    server.ignored = {"id"}
    with pytest.raises(BadAnswer):
        query.task(api, "0" * 32, ["id"])


def test_an_old_server_is_asked_for_whole_maps(server: ClearMLServer, api: ClearML) -> None:
    task = server.add_task()
    server.fail_next(400, UNKNOWN_FIELD, {"Content-Type": "application/json"})
    fields = [
        "id",
        "runtime._exec_agent_hostname",
        "hyperparams.properties.a",
        "hyperparams.Args.b",
        "last_metrics.c.d",
    ]
    assert query.task(api, task, fields) is not None
    assert server.requests[-1].body["only_fields"] == ["id", "runtime", "hyperparams", "last_metrics"]


def test_a_server_that_does_not_know_a_field_refuses(server: ClearMLServer, api: ClearML) -> None:
    task = server.add_task()
    server.fail_next(400, UNKNOWN_FIELD, {"Content-Type": "application/json"})
    with pytest.raises(Refused):
        query.task(api, task, ["id", "hyperparams"])
    assert len(server.calls()) == 1


@pytest.mark.parametrize("commit", ["", "abc", ".*", COMMIT.upper(), COMMIT[:39], COMMIT + "\n"])
def test_what_is_no_full_hash_never_gets_into_a_query(commit: str) -> None:
    with pytest.raises(BadAnswer):
        list(query.patterns([COMMIT, commit]))


def test_patterns() -> None:
    assert list(query.patterns([])) == []
    assert list(query.patterns([COMMIT, COMMIT])) == [f"^({COMMIT})$"]
    many = [f"{number:040x}" for number in range(500)]
    (pattern,) = query.patterns(many)
    assert pattern.count("|") == 499
    (shortened,) = query.patterns([f"{number:016x}{number:024x}" for number in range(501)])
    assert shortened.startswith(f"^({0:016x}|{1:016x}|")
    assert shortened.endswith(")")
    assert all(len(pattern) <= 32_000 for pattern in query.patterns([f"{number:064x}" for number in range(600)]))
