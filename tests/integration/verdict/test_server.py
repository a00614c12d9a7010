"""What the server's answers are checked for again: a server, or a proxy, that ignores a filter gets no false pass."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pytest

from git_clearml.clearml.client import ClearML
from git_clearml.clearml.config import Server
from git_clearml.git.repository import Repository
from git_clearml.settings.policy import Policy
from git_clearml.verdict.evidence import RemoteEvidence
from git_clearml.verdict.offline import OfflineEvidence
from git_clearml.verdict.server import ServerEvidence
from git_clearml.verdict.time_windows import Window
from tests.support.clearml_server import ClearMLServer
from tests.support.program import Gate

TAG = "Best Performance"
COMMIT = "a" * 40
FILTERS = ("tags", "status", "system_tags", "name", "_all_", "_any_", "id", "project")


@pytest.fixture
def server() -> Iterator[ClearMLServer]:
    with ClearMLServer() as running:
        running.may_be_asked_all = True
        yield running


@pytest.fixture
def evidence(server: ClearMLServer) -> Iterator[ServerEvidence]:
    keys = Server(server.url, "https://app.example.com", server.access_key, server.secret_key)
    with contextlib.closing(ServerEvidence(ClearML(keys, 30, environment=os.environ))) as source:
        yield source


def ignores(server: ClearMLServer, *filters: str) -> None:
    """From now on the server answers as if nobody had asked for these filters."""

    def forget(_: str, body: dict[str, Any]) -> None:
        for name in filters:
            body.pop(name, None)

    server.hook = forget


@pytest.mark.parametrize(
    ("ignored", "odd"),
    [
        ("status", {"status": "failed"}),
        ("status", {"status": "in_progress"}),
        ("status", {"status": "stopped"}),
        ("system_tags", {"system_tags": ["archived"]}),
        ("tags", {"tags": ["Best"]}),
        ("tags", {"tags": []}),
    ],
)
def test_tagged_tasks_are_looked_at_again(
    ignored: str, odd: dict[str, Any], server: ClearMLServer, evidence: ServerEvidence
) -> None:
    best = server.add_task(tags=[TAG])
    published = server.add_task(tags=["x", TAG], status="published")
    server.add_task(**{"tags": [TAG], **odd})
    for filters in ((), (ignored,), FILTERS):
        ignores(server, *filters)
        assert {task.id for task in evidence.tagged(TAG, Policy())} == {best, published}


def test_tagged_tasks_of_other_projects_are_not_ours(server: ClearMLServer, evidence: ServerEvidence) -> None:
    ours = server.add_task(tags=[TAG], project="Vision")
    below = server.add_task(tags=[TAG], project="Vision/Detector")
    for project in ("Visionary", "Other/Vision", "vision", None):
        server.add_task(tags=[TAG], project=project)
    assert {task.id for task in evidence.tagged(TAG, Policy(project="Vision"))} == {ours, below}
    assert [task.id for task in evidence.tagged(TAG, Policy(project="Vision/Detector"))] == [below]
    assert len(evidence.tagged(TAG, Policy())) == 6


def test_tasks_of_other_commits_are_left_out(server: ClearMLServer, evidence: ServerEvidence) -> None:
    task = server.add_task(commit=COMMIT)
    server.add_task(commit="b" * 40)
    server.add_task(commit="")
    ignores(server, *FILTERS)
    assert [found.id for found in evidence.passing([COMMIT], Policy(), Window()).tasks] == [task]
    assert [found.id for found in evidence.all([COMMIT], Policy(), Window())] == [task]


def test_only_a_server_has_tags(gate: Gate, evidence: ServerEvidence) -> None:
    assert isinstance(evidence, RemoteEvidence)
    assert not isinstance(OfflineEvidence(Repository(str(gate.repo.path)), environment={}), RemoteEvidence)
