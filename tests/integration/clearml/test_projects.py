"""Projects by their names, and the names that none can have."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from git_clearml.clearml import projects
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.config import Server
from git_clearml.errors import UsageError
from tests.support.clearml_server import ClearMLServer


@pytest.fixture
def api(server: ClearMLServer) -> Iterator[ClearML]:
    keys = Server(server.url, server.url, server.access_key, server.secret_key)
    with contextlib.closing(ClearML(keys, 30, environment={})) as client:
        yield client


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("ab", "ab"),
        ("Vision/ab", "ab"),
        ("ab/Vision", "ab"),
        ("a/b/Vision", "a"),
        ("Vision/  ", ""),
        ("/", ""),
    ],
)
def test_every_part_of_a_path_has_three_characters(api: ClearML, name: str, part: str) -> None:
    with pytest.raises(UsageError) as raised:
        projects.project(api, name)
    assert repr(part) in raised.value.message
    assert raised.value.status == 2


def test_an_older_server_has_shorter_ones(server: ClearMLServer, api: ClearML) -> None:
    there = server.add_project("ML/ab")
    assert projects.project(api, "ML/ab") == there


@pytest.mark.parametrize("name", ["Vision/Detector", "/Vision/Detector", "Vision//Detector/"])
def test_slashes_too_many_make_no_other_project(server: ClearMLServer, api: ClearML, name: str) -> None:
    made = projects.project(api, name)
    assert projects.project(api, "Vision/Detector") == made
    assert server.store.projects[made]["name"] == "Vision/Detector"


def test_a_server_that_ignores_names(server: ClearMLServer, api: ClearML) -> None:
    server.add_project("Other")
    server.ignored = {"name"}
    made = projects.project(api, "Vision")
    assert server.store.projects[made]["name"] == "Vision"
    assert projects.project(api, "Vision") == made
