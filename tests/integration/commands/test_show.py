"""`git clearml show`, and the ways to name a task."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from git_clearml.clearml.details import packages_in
from git_clearml.model import Task
from git_clearml.report.command_line import of_task
from git_clearml.report.history import differing
from tests.support.program import Gate
from tests.support.scripts import QUICK

FIRST, SECOND = "abcdef01" * 4, "abcdef0123456789" * 2


@pytest.mark.parametrize("command", ["show", "open", "report"])
def test_a_task_by_the_first_digits_of_its_id(gate: Gate, command: str) -> None:
    task = gate.task(id=SECOND, commit="b" * 40)
    gate.task(id=FIRST, commit="c" * 40)
    call = (command, "--format", "json")
    assert gate.call(*call, SECOND[:11]).json["task"]["id"] == task
    several = gate.call(*call, SECOND[:8])
    assert (several.status, several.errors) == (2, ["usage"])
    assert all(identity in several.err for identity in (FIRST, SECOND))
    assert gate.call(*call, "12345678").errors == ["usage"]
    assert gate.call(*call, SECOND[:7]).errors == ["unknown-revision"]


def test_what_git_knows_is_a_commit(gate: Gate) -> None:
    mine = gate.task()
    gate.task(id=gate.repo.head[:32], commit="b" * 40)
    for name in (gate.repo.head[:12], gate.repo.head, "HEAD"):
        assert gate.call("show", "--format", "json", name).json["task"]["id"] == mine


def test_one_question_for_a_task_and_one_for_what_is_on_record(gate: Gate) -> None:
    task = gate.task()
    result = gate.call("show", task)
    assert (result.status, result.calls) == (0, ("tasks.get_all_ex",) * 2)
    address = f"{gate.server.url}/projects/p/tasks/{task}/scalars"
    assert gate.call("show", "--format", "json", address).json["task"]["id"] == task


def test_a_diff_that_is_not_on_record_is_not_none(gate: Gate) -> None:
    assert gate.call("show", "--format", "json", gate.task(diff=None)).json["uncommitted"] is None


def test_a_run_without_a_server(gate: Gate, tmp_path: Path) -> None:
    env = dict.fromkeys(gate.server.env)
    env["CLEARML_CACHE_DIR"] = str(tmp_path)
    gate.repo.commit("script", {"train.py": QUICK})
    assert gate.call("run", "--", "python", "train.py", "--token=hushhush", "--lr=1", env=env, alone=True).status == 0
    shown = gate.call("show", "--format", "json", env=env)
    document = shown.json
    assert document["task"]["arguments"] == ["--token=[secret]", "--lr=1"]
    assert (document["uncommitted"]["files"], document["task"]["source"]) == ([], "offline")
    assert document["task"]["host"]
    assert "hushhush" not in json.dumps(document)


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        ("numpy == 1.2\r\n# Python 3\ntorch>=2,<3 ; python_version>'3'\n", {"numpy": "==1.2", "torch": ">=2,<3"}),
        ("Foo_Bar.baz[x,y]==1  # why\n-r other.txt\n--hash=1\nplain", {"foo-bar-baz": "==1", "plain": ""}),
        ("a @ https://me:pw@host/a.whl\ngit+https://host/x\n", {"a": "@ https://host/a.whl"}),
        ("", {}),
    ],
)
def test_packages(text: str, packages: dict[str, str]) -> None:
    assert packages_in(text) == packages


def test_a_long_line_of_requirements_is_read_at_once() -> None:
    assert packages_in(f"a==1{' ' * 300_000}b") == {"a": "==1b"}


def test_packages_that_differ() -> None:
    ran = {"a": "==1", "b": "==1", "c": "==1", "d": "==1", "e": ""}
    wanted = {"a": "==1", "b": "==2", "c": ">=2", "e": "==1", "unused": "==1"}
    assert [(each.name, each.wanted) for each in differing(ran, wanted)] == [("b", "==2"), ("d", None)]


@pytest.mark.parametrize(
    ("entry_point", "words", "arguments"),
    [
        ("train.py", "python train.py --lr=1", "--lr=1"),
        ("'my train.py' fast", "python,my train.py,fast,--lr=1", "fast --lr=1"),
        ("-m pkg.mod x", "python -m pkg.mod x --lr=1", "x --lr=1"),
        ("it's.py", "python it's.py --lr=1", "--lr=1"),
        ("", "", ""),
    ],
)
def test_the_command_line(entry_point: str, words: str, arguments: str) -> None:
    line = of_task(Task("1", "server", entry_point=entry_point), [("Args/lr", "1"), ("Args/x", ""), ("General/y", "2")])
    assert line.words == tuple(words.split("," if "," in words else None))
    assert line.arguments == tuple(arguments.split())
