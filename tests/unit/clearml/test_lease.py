"""Whose a launched task is: what is written on it comes back as it was, and nothing else is taken for ours."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.clearml import lease as owners
from git_clearml.clearml.lease import Lease
from git_clearml.settings.policy import Runnable

TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
TASK = "d0f159060c6e45a6be0352171ce82cfa"
OWNER = Lease(
    host="build/9f7e/pid:[4026531836]",
    pid=4321,
    pid_started="9f7e/191778",
    nonce="df61440fc73a5499",
    deadline=1_800_003_000.5,
    tree=TREE,
    what="5aa27a5c3e89c84e",
    side_ref="refs/heads/git-clearml/4f7917d83936-d5042e6a",
    task=TASK,
)


def value(**changes: Any) -> str:
    """The property's value with these fields changed; `...` leaves one out."""
    document = {"schema": 1, **vars(OWNER), **changes}
    return json.dumps({key: each for key, each in document.items() if each is not ...})


TEXTS = st.text(max_size=40)
ANY = st.builds(
    Lease,
    host=TEXTS,
    pid=st.integers(0, 2**40),
    pid_started=TEXTS,
    nonce=TEXTS,
    deadline=st.floats(0, 1e12),
    tree=TEXTS,
    what=TEXTS,
    side_ref=TEXTS,
    task=TEXTS,
)


@given(ANY)
def test_what_is_written_comes_back(owner: Lease) -> None:
    item = owners.to_property(owner, owners.CHECK)
    assert (item["section"], item["name"], item["type"]) == ("properties", owners.CHECK, "str")
    assert owners.from_property(item["value"]) == owner


def test_nothing_secret_is_written() -> None:
    assert set(json.loads(owners.to_property(OWNER, owners.RUN)["value"])) == {"schema", *vars(OWNER)}


DAMAGE: dict[str, Any] = {
    "nothing": None,
    "empty": "",
    "a number": 7,
    "not JSON": value()[:-1],
    "a list": "[1]",
    "null": "null",
    "too deep": "[" * 100_000,
    "too long": value(host="h" * 9000),
    "another schema": value(schema=2),
    "no schema": value(schema=...),
    "a host that is not a string": value(host=7),
    "no host": value(host=...),
    "no task": value(task=...),
    "a task that is not a string": value(task=None),
    "no pid": value(pid=...),
    "a pid that is a text": value(pid="4321"),
    "a pid that is a truth": value(pid=True),
    "a pid with a fraction": value(pid=4321.5),
    "no deadline": value(deadline=...),
    "a deadline that is a text": value(deadline="1800003000"),
    "a deadline that is a truth": value(deadline=True),
    "a deadline that never comes": value(deadline=math.inf),
    "a deadline that is no number": value(deadline=math.nan),
    "a digit too many": value(deadline=1)[:-2] + "0" * 5000 + "}",
}


@pytest.mark.parametrize("name", DAMAGE)
def test_anything_else_is_nobodys(name: str) -> None:
    assert owners.from_property(DAMAGE[name]) is None


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda one: st.dictionaries(TEXTS, one)))
def test_no_value_is_a_traceback(document: Any) -> None:
    assert owners.from_property(json.dumps(document)) is None


def test_a_task_is_the_one_that_its_owner_names() -> None:
    clone = "e" * 32
    for status in owners.ACTIVE:
        assert owners.is_of(OWNER, TASK, status, "")
        assert owners.is_of(OWNER, TASK, status, "p" * 32)
        assert not owners.is_of(OWNER, clone, status, TASK)
        assert not owners.is_of(OWNER, clone, status, "")  # its parent was deleted


def test_a_draft_may_not_name_itself_yet() -> None:
    draft = replace(OWNER, task="")
    assert owners.is_of(draft, TASK, "created", "")
    assert not owners.is_of(draft, TASK, "created", "p" * 32)  # a clone of such a draft
    assert not owners.is_of(draft, TASK, "queued", "")
    assert not owners.is_of(draft, TASK, "in_progress", "")


@pytest.mark.parametrize(
    ("host", "alive", "late", "expected"),
    [
        (OWNER.host, True, False, False),
        (OWNER.host, False, False, True),
        ("elsewhere", False, False, False),  # a process id of there says nothing here
        ("", False, False, False),
        (OWNER.host, True, True, True),
        ("elsewhere", True, True, True),
    ],
)
def test_what_may_be_swept(host: str, alive: bool, late: bool, expected: bool) -> None:
    now = OWNER.deadline + (1 if late else -1)
    assert owners.expired(OWNER, host=host, alive=alive, now=now) == expected


def test_without_a_host_only_the_deadline_counts() -> None:
    nowhere = replace(OWNER, host="")
    assert not owners.expired(nowhere, host="", alive=False, now=OWNER.deadline)
    assert owners.expired(nowhere, host="", alive=False, now=OWNER.deadline + 1)


CHANGES: list[dict[str, Any]] = [
    {"queue": "gpu"},
    {"entry_point": "train.py"},
    {"folder": "src"},
    {"args": ("epochs=1",)},
    {"requirements": "none"},
    {"docker": "python:3.12"},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_a_pass_counts_for_what_was_run_where(change: dict[str, Any]) -> None:
    assert owners.digest(Runnable(**change)) != owners.digest(Runnable())


def test_a_pass_counts_whatever_the_task_is_called_and_how_long_one_waits() -> None:
    others = Runnable(required=True, project="Other", task_name="other", execution_timeout=1, queue_timeout=1)
    assert owners.digest(others._replace(archive="never")) == owners.digest(Runnable())


def test_packages_count_too() -> None:
    assert (
        len({owners.digest(Runnable(), *more) for more in ((), ("torch",), ("torch", "numpy"), ("torch numpy",))}) == 4
    )


def test_odd_texts_have_a_digest() -> None:
    assert owners.digest(Runnable(folder="ü \udcff\n")) != owners.digest(Runnable(folder="ü \n"))


def test_a_tag_names_its_tree() -> None:
    assert owners.passed_tag(TREE) == f"git-clearml-runnable-{TREE}"
