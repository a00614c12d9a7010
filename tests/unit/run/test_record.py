"""Run records as JSON and as a user property; the store that keeps them."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.base import process
from git_clearml.model import Diff, DiffKind, Metric, RunRecord, Session
from git_clearml.run import record as run_records
from git_clearml.run.record import Damaged
from git_clearml.run.store import MAX_BYTES, RunStore

COMMIT = "a" * 40
SESSION = Session(
    "offline-1f",
    "/cache/offline/offline-1f",
    name="train",
    project="P/Q",
    commit=COMMIT,
    repository="file:///r",
    entry_point="train.py",
    working_dir=".",
    diff=Diff(DiffKind.DIRTY, "train.py (+1 -0)"),
    metrics=(Metric("validation", "accuracy", 0.5, 0.1, 0.9),),
    run="0" * 32,
    notes=("a note",),
)
RECORD = RunRecord(
    id="0" * 32,
    commit=COMMIT,
    tree="b" * 40,
    command=("python", "train.py", "--lr", "1"),
    host="here",
    user="me",
    pid=4711,
    pid_started="boot/1",
    started="2026-01-02T03:04:05.000+00:00",
    ended="2026-01-02T03:05:05.000+00:00",
    exit_status=0,
    dirty=("tr\udce4in.py",),
    untracked=("new.py",),
    edited=("model.py",),
    wrote=("dvc.lock",),
    submodules=(("sub", "c" * 40),),
    tasks=(("offline-1f", ""),),
    sessions=(SESSION,),
    offline_dir="/cache/offline",
    notes=("said",),
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_a_record_comes_back_as_it_was() -> None:
    assert run_records.parse(json.dumps(run_records.to_json(RECORD))) == RECORD


def test_a_record_of_an_earlier_version_comes_back() -> None:
    """Such a record says where the command ran, and what the code was."""
    earlier = {**run_records.to_json(RECORD), "cwd": "/r", "code_before": "1", "code_after": "2"}
    assert run_records.from_json(earlier) == RECORD


def test_an_open_record_has_neither_end_nor_status() -> None:
    opened = RECORD._replace(ended="", exit_status=None, alive=True)
    assert run_records.from_json(run_records.to_json(opened)) == opened._replace(alive=False)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"schema": 2}, "schema"),
        ({"schema": True}, "schema"),
        ({"id": "x"}, "id"),
        ({"commit": COMMIT[1:]}, "commit"),
        ({"exit_status": None}, "end without"),
        ({"ended": ""}, "end without"),
        ({"exit_status": True}, "exit_status"),
        ({"exit_status": "0"}, "exit_status"),
        ({"dirty": "no"}, "dirty"),
        ({"dirty": None}, "dirty"),
        ({"tasks": [["one"]]}, "tasks"),
        ({"tasks": [{"id": "one"}]}, "tasks"),
        ({"sessions": [1]}, "sessions"),
        ({"sessions": [{"diff": {"kind": "spotless"}}]}, "diff"),
        ({"sessions": [{"diff": {"kind": "clean"}, "metrics": [["a", "b", 1, 1, 10**400]]}]}, "number"),
        ({"pid": 1.5}, "pid"),
    ],
)
def test_a_record_that_says_something_else_is_damaged(changes: dict[str, Any], why: str) -> None:
    found = run_records.from_json({**run_records.to_json(RECORD), **changes}, "somewhere")
    assert isinstance(found, Damaged)
    assert why in found.why
    assert found.where == "somewhere"


@pytest.mark.parametrize("missing", ["schema", "commit", "exit_status", "dirty", "untracked", "edited", "tasks"])
def test_what_is_missing_never_reads_as_clean(missing: str) -> None:
    document = run_records.to_json(RECORD)
    del document[missing]
    assert isinstance(run_records.from_json(document), Damaged)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"text"', "[" * 100_000, b"\xff\xfe", "{}", "NaN"])
def test_what_is_no_record_is_damaged(text: str | bytes) -> None:
    assert isinstance(run_records.parse(text), Damaged)


@given(ANYTHING)
def test_any_json_is_a_record_or_damaged(document: Any) -> None:
    assert isinstance(run_records.from_json(document), (RunRecord, Damaged))


@given(st.sampled_from(sorted(run_records.to_json(RECORD))), ANYTHING)
def test_any_value_in_any_place_is_a_record_or_damaged(key: str, value: Any) -> None:
    assert isinstance(run_records.from_json({**run_records.to_json(RECORD), key: value}), (RunRecord, Damaged))


@given(st.binary())
def test_any_bytes_are_damaged(content: bytes) -> None:
    assert isinstance(run_records.parse(content), Damaged)


def test_a_property_keeps_what_the_rules_need() -> None:
    text = run_records.to_property(RECORD)
    found = run_records.from_property(text)
    assert isinstance(found, RunRecord)
    assert (found.exit_status, found.tasks) == (0, RECORD.tasks)
    assert (found.untracked, found.edited) == (("new.py",), ("model.py",))
    assert found.dirty == ("tr\ufffdin.py",)
    assert found.sessions == ()
    text.encode("utf-8")


def test_a_property_of_very_much_is_cut_and_stays_dirty() -> None:
    many = tuple(f"{'d' * 300}/{number}.py" for number in range(5000))
    text = run_records.to_property(RECORD._replace(dirty=many, untracked=many, edited=many, command=many))
    assert len(text) < 200_000
    found = run_records.from_property(text)
    assert isinstance(found, RunRecord)
    assert found.dirty
    assert found.untracked
    assert found.edited
    assert (found.id, found.commit, found.exit_status) == (RECORD.id, COMMIT, 0)


def test_a_property_of_another_kind_is_damaged() -> None:
    assert isinstance(run_records.from_property("me"), Damaged)
    assert isinstance(run_records.from_property("[" * 1_000_000), Damaged)


def test_the_store_gives_back_what_it_got_and_keeps_it_private(tmp_path: Path) -> None:
    store = RunStore(str(tmp_path))
    store.write(RECORD._replace(ended="", exit_status=None))
    store.write(RECORD)
    place = tmp_path / "clearml" / "runs" / COMMIT
    assert store.of_commits([COMMIT, COMMIT, "d" * 40, "../.."]) == [RECORD]
    assert [path.name for path in place.iterdir()] == [f"{RECORD.id}.json"]
    assert stat.S_IMODE((place / f"{RECORD.id}.json").stat().st_mode) == 0o600
    assert {stat.S_IMODE(path.stat().st_mode) for path in (place, place.parent, place.parent.parent)} == {0o700}


def test_an_empty_store_has_nothing(tmp_path: Path) -> None:
    assert RunStore(str(tmp_path)).of_commits([COMMIT]) == []
    assert RunStore(str(tmp_path)).recent(5) == []


def test_recent_gives_the_newest_first(tmp_path: Path) -> None:
    store = RunStore(str(tmp_path))
    for number in range(4):
        record = RECORD._replace(id=f"{number:032x}", commit=f"{number}" * 40)
        store.write(record)
        os.utime(tmp_path / "clearml" / "runs" / record.commit / f"{record.id}.json", (number, number))
    assert [record.commit[0] for record in store.recent(3) if isinstance(record, RunRecord)] == ["3", "2", "1"]


def _spoil(path: Path, kind: str) -> None:
    content = path.read_bytes()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "large":
        path.write_bytes(content + b" " * MAX_BYTES)
    elif kind == "foreign":
        path.write_text('{"schema": 1, "hello": "world"}')
    else:
        path.unlink()
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("/etc/hostname")
    elif kind == "unreadable loop":
        path.symlink_to(path)


@pytest.mark.parametrize("kind", ["empty", "cut", "large", "foreign", "directory", "pipe", "link", "unreadable loop"])
def test_a_spoilt_record_is_damaged_and_spoils_no_other(tmp_path: Path, kind: str) -> None:
    store = RunStore(str(tmp_path))
    good = RECORD._replace(id="1" * 32)
    store.write(good)
    store.write(RECORD)
    _spoil(tmp_path / "clearml" / "runs" / COMMIT / f"{RECORD.id}.json", kind)
    damaged, other = store.of_commits([COMMIT])
    assert isinstance(damaged, Damaged)
    assert damaged.commit == COMMIT
    assert damaged.why
    assert other == good


def test_a_record_moved_to_another_commit_is_damaged(tmp_path: Path) -> None:
    store = RunStore(str(tmp_path))
    store.write(RECORD)
    runs = tmp_path / "clearml" / "runs"
    (runs / COMMIT).rename(runs / ("d" * 40))
    [found] = store.of_commits(["d" * 40])
    assert isinstance(found, Damaged)
    assert "another run" in found.why
    assert found.commit == "d" * 40


def test_what_a_killed_writer_leaves_is_not_looked_at(tmp_path: Path) -> None:
    store = RunStore(str(tmp_path))
    store.write(RECORD)
    (tmp_path / "clearml" / "runs" / COMMIT / f".{RECORD.id}.abc.tmp").write_bytes(b'{"sche')
    assert store.of_commits([COMMIT]) == [RECORD]


def test_an_open_record_is_alive_while_its_process_is(tmp_path: Path) -> None:
    store = RunStore(str(tmp_path))
    here = os.uname().nodename
    opened = RECORD._replace(ended="", exit_status=None, host=here, pid=os.getpid())
    opened = opened._replace(pid_started=process.started(os.getpid()))
    cases = {
        "1": (opened, True),
        "2": (opened._replace(pid_started="another boot/1"), False),
        "3": (opened._replace(host="elsewhere"), False),
        "4": (opened._replace(pid=0, pid_started=""), False),
        "5": (RECORD._replace(host=here, pid=opened.pid, pid_started=opened.pid_started), False),
    }
    for digit, (record, alive) in cases.items():
        store.write(record._replace(id=digit * 32))
        [found] = [
            commit for commit in store.of_commits([COMMIT]) if isinstance(commit, RunRecord) and commit.id == digit * 32
        ]
        assert found.alive is alive, digit
