"""Whatever a forge answers, in whole or in one place: what its type says, or an error of ours. Never a bug."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from git_clearml.base.ids import is_hash
from git_clearml.errors import CannotDecide
from git_clearml.forge.api import ChangeRequest, Comment, Forge, Status
from git_clearml.forge.calls import Clock
from tests.support.forge_server import Answer, Call, Fault, ForgeServer
from tests.support.forges import KINDS, Kind
from tests.support.odd_json import JSON, spoilt
from tests.support.program import Gate
from tests.support.sites import Site

HEAD, BASE = "a" * 40, "b" * 40
BODIES = st.sampled_from([
    b"", b"<!doctype html><title>Sign in</title>", b"\xff\xfe", b"[" * 100_000, b"NaN", b'{"a": 1', b"1" * 5000,
]) | JSON.map(lambda value: json.dumps(value).encode())  # fmt: skip


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def running(request: pytest.FixtureRequest) -> Iterator[tuple[Kind, ForgeServer]]:
    kind: Kind = request.param
    with kind.server() as server:
        yield kind, server


def questions(forge: Forge) -> Iterator[Callable[[], Any]]:
    """Everything that is asked of a forge."""
    yield forge.author
    yield lambda: forge.change_request(7)
    yield lambda: forge.change_request_of(HEAD, owner="stranger", branch="topic")
    yield lambda: forge.merged_by(HEAD)
    yield lambda: forge.comments(7)
    yield lambda: forge.hidden(forge.comments(7))
    yield lambda: forge.create_comment(7, "a comment")
    yield lambda: forge.edit_comment(forge.create_comment(7, "a comment"), "edited")
    yield lambda: forge.delete_comment(forge.create_comment(7, "a comment"))
    yield lambda: forge.set_status(HEAD, Status("success", "clearml", "verified"))
    yield lambda: forge.ref_at("HEAD")
    yield lambda: forge.ref_at("refs/heads/main")
    yield lambda: forge.ref_at("refs/tags/v1")
    yield lambda: forge.file_at(HEAD, "pyproject.toml")


def check(result: Any) -> None:
    """What is told is what the types say: others build addresses, arguments of git and texts from it."""
    if isinstance(result, (ChangeRequest, Comment)):
        for field in fields(result):
            value = getattr(result, field.name)
            wanted = {"int": int, "str": str, "bool": bool}.get(str(field.type), tuple)
            assert type(value) is wanted, (field.name, value)
    if isinstance(result, ChangeRequest):
        assert is_hash(result.head)
        assert result.base == "" or is_hash(result.base)
        assert all(type(url) is str for url in result.head_urls)
    if isinstance(result, (list, set)):
        for each in result:
            assert type(each) in (int, Comment)
            check(each)


def asked(kind: Kind, server: Any) -> None:
    forge = kind.forge(server, clock=Clock(sleep=lambda _: None))
    try:
        for ask in questions(forge):
            error: CannotDecide | None = None
            try:
                check(ask())
            except CannotDecide as raised:
                error = raised
            assert error is None or kind.token not in f"{error.message} {error.hint}"
    finally:
        forge.close()


QUICK = settings(suppress_health_check=list(HealthCheck))


@QUICK
@given(where=st.integers(0, 10_000), value=JSON | st.just("gone"))
@example(where=0, value="[")
@example(where=20, value="\ud800")
@example(where=142, value=[[]])
def test_anything_in_one_place(running: tuple[Kind, Any], where: int, value: Any) -> None:
    kind, server = running
    server.faults.clear()
    server.comments.clear()
    server.add_pull(7, HEAD, BASE)
    answer = type(server).answer

    def other(call: Call, headers: Any) -> Answer:
        told: Answer = answer(server, call, headers)
        if told.status < 300 and isinstance(told.data, (dict, list)):
            told.data = json.dumps(spoilt(told.data, where, value))
        return told

    server.answer = other
    try:
        asked(kind, server)
    finally:
        del server.answer


@QUICK
@given(body=BODIES, status=st.sampled_from([200, 200, 200, 201, 204, 301, 302, 400, 401, 403, 404, 409, 418, 422]))
def test_anything_at_all(running: tuple[Kind, Any], body: bytes, status: int) -> None:
    kind, server = running
    server.faults[:] = [Fault(status, raw=body if status != 204 else b"", headers={"Location": server.url})]
    asked(kind, server)


# The whole job


@pytest.fixture
def site(gate: Gate, running: tuple[Kind, Any], tmp_path: Path) -> Site:
    kind, server = running
    base = gate.repo.head
    head = gate.repo.commit("change", {"train.py": "print('better')\n"})
    return Site(gate, kind, server, tmp_path / "job", base, head)


@pytest.mark.slow
@settings(QUICK, max_examples=min(settings().max_examples, 150))
@given(st.integers(0, 10_000), JSON | st.just("gone"), st.sets(st.integers(1, 12), min_size=1), st.booleans())
def test_a_job_that_comments_passes_nothing_and_is_no_bug(
    site: Site, where: int, value: Any, spoils: set[int], trained: bool
) -> None:
    """These of the forge's answers are spoilt in one place: the verdict is what it is, or there is none."""
    server, gate = site.server, site.gate
    for told in (server.faults, server.comments, server.pulls, gate.server.tasks):
        told.clear()
    server.add_pull(7, site.head, site.base)
    if trained:
        gate.task()
    answer, count = type(server).answer, itertools.count(1)

    def other(call: Call, headers: Any) -> Answer:
        told: Answer = answer(server, call, headers)
        if told.status < 300 and isinstance(told.data, (dict, list)) and next(count) in spoils:
            told.data = json.dumps(spoilt(told.data, where, value))
        return told

    server.answer = other
    try:
        done = gate.call("verify", "--comment", env=site.request())
    finally:
        del server.answer
    assert done.status in ((0, 3) if trained else (1, 3)), done.out + done.err
    assert "a bug of git-clearml" not in done.err, done.err
    assert site.kind.token not in done.out + done.err
