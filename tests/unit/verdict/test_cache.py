"""Verdicts on disk: what is not exactly as it was written is as if it were not there."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.settings.policy import Policy
from git_clearml.verdict.cache import Cache, Circumstances

DAY = 86_400.0
KEY = "e" * 64
NOW = 1_800_000_000.0


def memory(place: Path, lifetime: float = DAY, now: float = NOW) -> Cache:
    return Cache(str(place / "clearml" / "verified"), lifetime, now=lambda: now)


def file_of(place: Path, key: str = KEY) -> Path:
    return place / "clearml" / "verified" / key


def test_what_was_verified_is_known_for_its_lifetime(tmp_path: Path) -> None:
    assert not memory(tmp_path).recall(KEY)
    memory(tmp_path).remember([KEY])
    assert memory(tmp_path).recall(KEY)
    assert memory(tmp_path, now=NOW + DAY - 1).recall(KEY)
    assert not memory(tmp_path, now=NOW + DAY).recall(KEY)
    assert not memory(tmp_path, lifetime=60, now=NOW + 61).recall(KEY)
    assert not memory(tmp_path).recall("f" * 64)


def test_a_time_to_come_is_not_believed(tmp_path: Path) -> None:
    memory(tmp_path).remember([KEY])
    assert not memory(tmp_path, now=NOW - 1).recall(KEY)


def test_zero_is_off(tmp_path: Path) -> None:
    memory(tmp_path, lifetime=0).remember([KEY])
    assert not (tmp_path / "clearml").exists()
    memory(tmp_path).remember([KEY])
    assert not memory(tmp_path, lifetime=0).recall(KEY)


def test_only_the_owner_can_read_it_and_nothing_can_be_read_from_it(tmp_path: Path) -> None:
    memory(tmp_path).remember([KEY])
    assert stat.S_IMODE(file_of(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE(file_of(tmp_path).parent.stat().st_mode) == 0o700
    assert json.loads(file_of(tmp_path).read_text()) == {"key": KEY, "verified": NOW}
    assert os.listdir(file_of(tmp_path).parent) == [KEY]


DAMAGE = {
    "empty": b"",
    "truncated": b'{"key": "' + KEY.encode(),
    "not JSON": b"verified",
    "not UTF-8": b"\xff\xfe\x00",
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "no time": json.dumps({"key": KEY}).encode(),
    "no key": json.dumps({"verified": NOW}).encode(),
    "another key": json.dumps({"key": "f" * 64, "verified": NOW}).encode(),
    "a time that is a list": json.dumps({"key": KEY, "verified": []}).encode(),
    "a time that is a word": json.dumps({"key": KEY, "verified": "now"}).encode(),
    "no number": json.dumps({"key": KEY, "verified": float("nan")}).encode(),
    "infinity": json.dumps({"key": KEY, "verified": float("-inf")}).encode(),
    "a number beyond floats": b'{"key": "' + KEY.encode() + b'", "verified": -1' + b"0" * 400 + b"}",
    "a true that is no time": json.dumps({"key": KEY, "verified": True}).encode(),
    "deep": b"[" * 4096,
    "long": json.dumps({"key": KEY, "verified": NOW, "x": "x" * 5000}).encode(),
}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_as_if_it_were_not_there(content: bytes, tmp_path: Path) -> None:
    memory(tmp_path).remember([KEY])
    file_of(tmp_path).write_bytes(content)
    assert not memory(tmp_path).recall(KEY)
    memory(tmp_path).remember([KEY])
    assert memory(tmp_path).recall(KEY)


@given(st.binary(max_size=200))
def test_no_bytes_are_taken_for_a_verdict(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        memory(Path(name)).remember([KEY])
        file_of(Path(name)).write_bytes(content)
        assert not memory(Path(name)).recall(KEY)


def _directory(path: Path) -> None:
    path.mkdir(parents=True)


def _loop(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(path)


def _file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")


@pytest.mark.parametrize("make", [_directory, _loop])
def test_something_else_in_its_place(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(file_of(tmp_path))
    assert not memory(tmp_path).recall(KEY)
    memory(tmp_path).remember([KEY, "f" * 64])
    assert memory(tmp_path).recall("f" * 64)
    assert [name for name in os.listdir(file_of(tmp_path).parent) if name.startswith(".new-")] == []


@pytest.mark.parametrize("depth", [0, 1])
def test_a_file_where_the_directory_should_be(depth: int, tmp_path: Path) -> None:
    _file(file_of(tmp_path).parents[depth])
    memory(tmp_path).remember([KEY])
    assert not memory(tmp_path).recall(KEY)


def test_a_disk_that_fails_in_the_middle_leaves_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("git_clearml.base.files.os.replace", full)
    memory(tmp_path).remember([KEY])
    assert os.listdir(file_of(tmp_path).parent) == []
    assert not memory(tmp_path).recall(KEY)


def test_what_has_expired_goes_once_there_is_much_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("git_clearml.verdict.cache._CROWDED", 5)
    memory(tmp_path).remember([f"{number}" * 64 for number in range(5)])
    (file_of(tmp_path).parent / ".new-left-by-a-kill").write_text("{")
    for path in file_of(tmp_path).parent.iterdir():
        os.utime(path, (NOW - DAY - 1, NOW - DAY - 1))
    fresh = file_of(tmp_path, "0" * 64)
    os.utime(fresh, (NOW - 1, NOW - 1))
    memory(tmp_path).remember([KEY])
    assert sorted(os.listdir(fresh.parent)) == sorted([fresh.name, KEY])


CASE = Circumstances("http://127.0.0.1:8008 KEY", frozenset({"example.com/team/project"}), Policy())
OTHERS = [
    CASE._replace(source="http://127.0.0.1:8009 KEY"),
    CASE._replace(source="http://127.0.0.1:8008 OTHER"),
    CASE._replace(repositories=frozenset({"example.com/team/other"})),
    CASE._replace(repositories=frozenset({"example.com/team/project", "example.com/team/other"})),
    CASE._replace(policy=Policy(project="Vision")),
    CASE._replace(policy=Policy(allow_no_repository=True)),
    CASE._replace(policy=Policy()._replace(published="reject")),
]


@pytest.mark.parametrize("other", OTHERS)
def test_other_circumstances_are_another_question(other: Circumstances) -> None:
    assert other.key("a" * 40) != CASE.key("a" * 40)


def test_the_key_tells_commits_apart_and_nothing_else() -> None:
    assert CASE.key("a" * 40) == CASE._replace().key("a" * 40)
    assert CASE.key("a" * 40) != CASE.key("b" * 40)
    assert "KEY" not in CASE.key("a" * 40)
    assert len(CASE.key("a" * 40)) == 64
