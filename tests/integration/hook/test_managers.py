"""Our native hook beside that of pre-commit or prek, each the real one: a push is judged whole, and told once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from git_clearml.hook import hooks_path, owner
from tests.support.apart import Apart
from tests.support.clearml_server import ClearMLServer
from tests.support.pushing import BIN, Yard, make_yard, recorder, write_hook
from tests.support.tools import require

# Our hook as pre-commit has it, without the environment that pre-commit would build for it.
CONFIG = """\
repos:
- repo: local
  hooks:
  - id: clearml-verify
    name: a ClearML task ran these commits
    entry: git-clearml hook pre-push
    language: system
    stages: [pre-push, manual]
    always_run: true
    pass_filenames: false
    verbose: true
"""


def one_of(first: str, second: str) -> pytest.MarkDecorator:
    """With the first of them; with the second in `make slow`."""
    return pytest.mark.parametrize("manager", [first, pytest.param(second, marks=pytest.mark.slow)], indirect=True)


@pytest.fixture(params=["pre-commit", "prek"])
def manager(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if not (BIN / name).exists():
        require(name)
    if name == "pre-commit":  # its hook is a script for bash
        require("bash")
    return name


@pytest.fixture
def yard(tmp_path: Path, apart: Apart) -> Iterator[Yard]:
    with ClearMLServer() as server:
        yard = make_yard(tmp_path, server)
        yard.at_hand = apart
        yard.env |= {"PREK_HOME": str(tmp_path / "prek"), "PRE_COMMIT_HOME": str(tmp_path / "pre-commit")}
        yard.repo.commit("hooks", {".pre-commit-config.yaml": CONFIG})
        yield yard


def shell(yard: Yard, command: str) -> None:
    done = yard.push("-c", command, command=["sh"])
    assert done.status == 0, done.said


@pytest.fixture
def both(yard: Yard, manager: str) -> Yard:
    """Both hooks, ours before theirs."""
    yard.install()
    shell(yard, f"{manager} install -t pre-push")
    return are_there(yard, manager)


def are_there(yard: Yard, manager: str) -> Yard:
    assert owner.read_hook(yard.hook).owner == manager
    assert owner.read_hook(yard.hook.with_name(hooks_path.LEGACY)).owner == "ours"
    assert f"{manager} runs it" in yard.command("install").err
    return yard


def test_every_ref_is_judged(yard: Yard, manager: str) -> None:
    """Theirs came first, and the advice of `install` is followed as it is printed."""
    shell(yard, f"{manager} install -t pre-push")
    shell(yard, yard.command("install", status=2).talk()[1])
    are_there(yard, manager)
    yard.repo.git("branch", "good")
    yard.task()
    bad = yard.repo.commit("bad")
    assert bad[:12] in yard.refuses("origin", "good", "main").said


@pytest.mark.parametrize(
    ("manager", "remember"),
    [
        ("pre-commit", "0"),
        ("prek", "86400"),
        pytest.param("pre-commit", "86400", marks=pytest.mark.slow),
        pytest.param("prek", "0", marks=pytest.mark.slow),
    ],
    indirect=["manager"],
)
def test_a_verdict_is_told_once(remember: str, both: Yard) -> None:
    both.repo.git("config", "clearml.remember", remember)
    refused = both.refuses("origin", "main", requests=6).said
    assert refused.count("rejected") == 1
    assert refused.count("next: ") == 1
    assert refused.count("git clearml: refused, as said before") == 1
    both.task()
    verified = both.accepts("origin", "main", moved=["refs/heads/main"], requests=None).said
    assert verified.count("git clearml: verified") == 1
    both.repo.commit("not run")
    skipped = both.accepts("origin", "main", requests=0, env={"GIT_CLEARML_SKIP": "1"}).said
    assert skipped.count("this push is not verified") == 1


@one_of("prek", "pre-commit")
def test_told_in_full_where_only_theirs_refuses(both: Yard) -> None:
    """What the native hook has let pass is no refusal that has been told."""
    both.task()
    both.accepts("origin", "main", requests=None)
    both.repo.commit("not run")
    both.push("origin", "main")  # notes the refusal of that commit
    both.repo.git("commit", "--quiet", "--amend", "--allow-empty", "-m", "another")
    env = {"PRE_COMMIT": "1", "PRE_COMMIT_REMOTE_BRANCH": "refs/heads/main", "PRE_COMMIT_REMOTE_NAME": "origin"}
    said = both.push("hook", "pre-push", command=["git-clearml"], env=env).said
    assert "rejected" in said
    assert "as said before" not in said


@one_of("pre-commit", "prek")
def test_by_hand_it_is_told_in_full(both: Yard, manager: str) -> None:
    both.refuses("origin", "main", requests=6)
    done = both.push("run", "--hook-stage", "pre-push", "--all-files", command=[manager])
    assert done.status == 1
    assert "rejected" in done.said


@one_of("prek", "pre-commit")
def test_the_push_command_tells_once(both: Yard) -> None:
    both.task()
    push = ["git", "clearml", "push"]
    said = both.accepts("origin", "main", moved=["refs/heads/main"], requests=None, command=push).said
    assert said.count("git clearml: verified") == 1


@one_of("prek", "pre-commit")
def test_uninstall_leaves_theirs_and_a_strangers(yard: Yard, manager: str, tmp_path: Path) -> None:
    write_hook(yard.hook, recorder(tmp_path / "theirs"))
    yard.install()
    shell(yard, f"{manager} install -t pre-push")
    yard.refuses("origin", "main", requests=6)
    yard.command("uninstall")
    yard.refuses("origin", "main")  # by theirs
    assert (tmp_path / "theirs.stdin").read_text().startswith("refs/heads/main")


@pytest.mark.parametrize("name", ["pre-commit", "prek"])
def test_doctor_knows_both(name: str, yard: Yard) -> None:
    write_hook(yard.hook, f"#!/bin/sh\n# File generated by {name}: https://example.com\nexit 0\n")
    (check,) = [check for check in yard.command("doctor", "--format", "json").json["checks"] if check["name"] == "hook"]
    assert check["message"].startswith(f"only {name}'s hook is installed")
    assert check["fix"] == f"{name} uninstall -t pre-push && git clearml install && {name} install -t pre-push"
