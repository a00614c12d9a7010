"""Whose the forge's token is, asked of each forge; without one, or without its remote, nothing is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from git_clearml.doctor import forge
from git_clearml.git.repository import Repository
from tests.support import forges
from tests.support.repos import make_repo

API = {
    "github": {"GITHUB_API_URL": "{url}", "GITHUB_SERVER_URL": "{url}"},
    "gitea": {"GITHUB_API_URL": "{url}"},
    "gitlab": {"CI_API_V4_URL": "{url}", "CI_SERVER_URL": "{server}"},
    "bitbucket": {"BITBUCKET_API_URL": "{url}"},
}


@pytest.mark.parametrize("kind", forges.KINDS, ids=lambda kind: kind.name)
def test_whose_it_is(kind: forges.Kind, tmp_path: Path) -> None:
    with kind.server() as server:
        host = "https://bitbucket.org" if kind.name == "bitbucket" else server.url.partition("/api/")[0]
        repository = Repository(str(make_repo(tmp_path / "repo", remote=f"{host}/{kind.repository}.git").path))
        environment = {name: value.format(url=server.url, server=host) for name, value in API[kind.name].items()}
        held = {**environment, kind.variable: kind.token}
        assert (forge.examine(repository, environment, 5), server.calls) == ([], [])
        (unseen,) = forge.examine(repository, held, 5)
        assert (unseen.level, "does not see this repository" in unseen.message) == ("warn", True)
        server.refs["refs/heads/main"] = "1" * 40
        (check,) = forge.examine(repository, held, 5)
        assert (check.name, check.level) == ("forge-token", "ok")
        assert check.message.startswith(f"{kind.variable} is that of ")
        assert kind.token not in check.message
        (wrong,) = forge.examine(repository, {**environment, kind.variable: "wrong-token-1234567"}, 5)
        assert (wrong.level, "1234567" in wrong.message) == ("warn", False)


PUSH = {"admin": False, "maintain": False, "push": True, "triage": True, "pull": True}
WRITING = [
    ("github", {"permissions": PUSH}, "ok", "Hub"),
    ("github", {"permissions": PUSH | {"push": False}}, "ok", "it may set no commit status"),
    ("gitea", {"permissions": {"admin": False, "push": False, "pull": True}}, "ok", "it may set no commit status"),
    ("github", {"permissions": PUSH, "archived": True}, "warn", "no comment can be written: it is archived"),
    ("gitlab", {"scopes": ["read_api", "read_user"]}, "warn", "its scopes are read_api, read_user; it needs api"),
    ("gitlab", {"scopes": []}, "ok", "Lab"),
]
"""A forge, what its server knows, the check's level, and the end of its message."""


@pytest.mark.parametrize(("name", "told", "level", "end"), WRITING)
def test_what_may_be_written_as_far_as_the_forge_tells(
    name: str, told: dict[str, Any], level: str, end: str, tmp_path: Path
) -> None:
    [kind] = [kind for kind in forges.KINDS if kind.name == name]
    with kind.server() as server:
        server.refs["refs/heads/main"] = "1" * 40
        for key, value in told.items():
            setattr(server, key, value)
        host = server.url.partition("/api/")[0]
        repository = Repository(str(make_repo(tmp_path / "repo", remote=f"{host}/{kind.repository}.git").path))
        environment = {name: value.format(url=server.url, server=host) for name, value in API[kind.name].items()}
        (check,) = forge.examine(repository, {**environment, kind.variable: kind.token}, 5)
        assert check.level == level
        assert end in check.message
        assert ("no commit status" in check.message) is ("no commit status" in end)
        assert {call.verb for call in server.calls} <= {"GET", "POST"}  # the latter of GraphQL, for the viewer
        assert not server.comments


def test_a_remote_that_is_elsewhere(tmp_path: Path) -> None:
    repository = Repository(str(make_repo(tmp_path / "repo", remote="/somewhere/else").path))
    assert forge.examine(repository, {"GITHUB_TOKEN": "x" * 20}, 5) == []
