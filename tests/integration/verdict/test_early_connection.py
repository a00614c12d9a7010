"""The server is connected to before git is asked where it will be; where it will not, no connection is made."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from git_clearml.verdict import early_connection
from tests.support.program import Gate


def begins(gate: Gate, directory: Path | None = None, evidence: str | None = None, **env: str) -> bool:
    """Does it begin to connect there?"""
    os.chdir(directory or gate.repo.path)
    home = {name: os.environ[name] for name in ("HOME", "GIT_CONFIG_GLOBAL") if name in os.environ}
    client = early_connection.begin({"evidence": evidence}, {**home, **gate.server.env, **env})
    if client is not None:
        client.close()
    return client is not None


@pytest.fixture(autouse=True)
def _back_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_pass_takes_one_connection_and_one_request(gate: Gate) -> None:
    gate.task()
    gate.accepts()
    assert gate.server.opened == 1
    assert begins(gate)
    (gate.repo.path / "deep" / "er").mkdir(parents=True)
    assert begins(gate, gate.repo.path / "deep" / "er")


OTHERS: dict[str, Callable[[Gate], bool]] = {
    "offline by a flag": lambda gate: begins(gate, evidence="offline"),
    "no repository": lambda gate: begins(gate, gate.repo.path.parent),
    "a CI job": lambda gate: begins(gate, CI="true"),
    "another repository": lambda gate: begins(gate, GIT_DIR="/elsewhere/.git"),
    "a setting for one call": lambda gate: begins(gate, GIT_CONFIG_COUNT="1"),
    "an unknown variable of ours": lambda gate: begins(gate, GIT_CLEARML_NOSUCH="1"),
    "somebody else's": lambda gate: begins(gate, GIT_TEST_ASSUME_DIFFERENT_OWNER="1"),
    "no server": lambda gate: begins(gate, CLEARML_API_HOST="", CLEARML_API_ACCESS_KEY="", CLEARML_API_SECRET_KEY=""),
    "half of the credentials": lambda gate: begins(gate, CLEARML_API_SECRET_KEY=""),
}


@pytest.mark.parametrize("where", OTHERS.values(), ids=OTHERS.keys())
def test_where_nobody_is_asked_or_nobody_knows(where: Callable[[Gate], bool], gate: Gate) -> None:
    assert not where(gate)


def policy(text: str) -> Callable[[Gate], object]:
    return lambda gate: gate.repo.write({"pyproject.toml": f"[tool.git-clearml]\n{text}\n"})


CHANGES: dict[str, Callable[[Gate], object]] = {
    "offline by policy": policy('evidence = "offline"'),
    "a policy that cannot be read": policy("evidence = "),
    "an unknown key": policy("nosuch = 1"),
    "a policy that is too large": policy("#" * 1_000_000),
    "a setting of ours": lambda gate: gate.repo.git("config", "clearml.nosuch", "1"),
    "a branch without a commit": lambda gate: gate.repo.git("symbolic-ref", "HEAD", "refs/heads/nosuch"),
    "a branch that is packed": lambda gate: gate.repo.git("pack-refs", "--all"),
    "a detached HEAD": lambda gate: gate.repo.git("checkout", "--quiet", "--detach"),
}


@pytest.mark.parametrize(("name", "change"), CHANGES.items(), ids=CHANGES.keys())
def test_what_lies_in_the_repository_decides(name: str, change: Callable[[Gate], object], gate: Gate) -> None:
    change(gate)
    assert begins(gate) == (name in ("a branch that is packed", "a detached HEAD"))


@pytest.mark.parametrize("words", [("nosuch",), ("--since", "nosuch"), ("--policy-from", "nosuch"), ("--add-tag", "")])
def test_a_mistyped_call_makes_no_connection(words: tuple[str, ...], gate: Gate) -> None:
    assert gate.verify(*words).status == 2
    assert gate.server.opened == 0


def test_another_server_than_the_one_that_was_guessed(gate: Gate) -> None:
    """A connection is used for the server, and by the credentials, that it was made for."""
    os.chdir(gate.repo.path)
    guessed = early_connection.begin({}, {**gate.server.env, "CLEARML_API_ACCESS_KEY": "ANOTHER"})
    right = early_connection.begin({}, gate.server.env)
    assert guessed
    assert right
    right.close()
    right.take_over(guessed)
    assert right._ahead is None
    guessed.close()
