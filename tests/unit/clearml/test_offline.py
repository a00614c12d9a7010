"""ClearML offline sessions: folders and zips, sound and spoilt."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.clearml import offline as offline_sessions
from git_clearml.model import Curve, DiffKind, Metric, Session
from tests.support.odd_json import JSON, spoilt

RUN = "0" * 32
NAME = "offline-00ff"


def task_json(name: str = NAME, run: str = RUN, **script: Any) -> dict[str, Any]:
    """What clearml 2.1 writes, without what we do not read."""
    marker = {"section": "Environment", "name": "GIT_CLEARML_RUN", "type": "str", "value": run}
    facts = {"diff": "", "entry_point": "train.py", "repository": "file:///r", "working_dir": "."}
    facts["version_num"] = "a" * 40
    return {
        "id": name,
        "name": "train",
        "project_name": "P/Q",
        "hyperparams": {"Environment": {"GIT_CLEARML_RUN": marker}},
        "script": {**facts, **script},
    }


def scalar(iteration: int, value: Any, metric: str = "loss", variant: str = "train") -> dict[str, Any]:
    return {"type": "training_stats_scalar", "iter": iteration, "metric": metric, "variant": variant, "value": value}


def lines(*lists: Any) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in lists)


def make(where: Path, task: Any = None, metrics: bytes | None = None, name: str = NAME) -> Path:
    """A session's folder."""
    place = where / name
    place.mkdir(parents=True)
    content = task if isinstance(task, bytes) else json.dumps(task_json(name) if task is None else task).encode()
    (place / "task.json").write_bytes(content)
    if metrics is not None:
        (place / "metrics.jsonl").write_bytes(metrics)
    return place


def make_zip(where: Path, members: dict[str, bytes], name: str = NAME, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    where.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(where / f"{name}.zip", "w", compression) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return where / name


def read(path: Path) -> Session:
    return offline_sessions.read(str(path), str(path.parent))


def test_a_sound_folder(tmp_path: Path) -> None:
    session = read(make(tmp_path, metrics=lines([scalar(0, 1.0), scalar(1, 0.5)])))
    assert (session.id, session.name, session.project, session.run) == (NAME, "train", "P/Q", RUN)
    assert (session.commit, session.repository, session.entry_point) == ("a" * 40, "file:///r", "train.py")
    assert session.diff.kind is DiffKind.CLEAN
    assert session.metrics == (Metric("loss", "train", 0.5, 0.5, 1.0),)
    assert session.damage == ""


def test_a_sound_zip(tmp_path: Path) -> None:
    members = {"task.json": json.dumps(task_json()).encode(), "metrics.jsonl": lines([scalar(0, 1)])}
    session = read(make_zip(tmp_path, members))
    assert (session.damage, session.run, len(session.metrics)) == ("", RUN, 1)


def test_a_diff_is_classified_and_a_missing_one_is_absent(tmp_path: Path) -> None:
    dirty = read(make(tmp_path, task_json(diff="diff --git a/x.py b/x.py\n"), name=NAME))
    assert dirty.diff.kind is DiffKind.DIRTY
    without = task_json("offline-01")
    del without["script"]["diff"]
    assert read(make(tmp_path, without, name="offline-01")).diff.kind is DiffKind.ABSENT


def test_a_session_without_a_script_has_no_commit(tmp_path: Path) -> None:
    session = read(make(tmp_path, {**task_json(), "script": None}))
    assert (session.commit, session.damage) == ("", "")


WRONG: dict[str, Any] = {
    "empty": b"",
    "blank": b" \n",
    "cut": json.dumps(task_json()).encode()[:40],
    "not UTF-8": b"\xff\xfe{}",
    "a list": [],
    "a number": 7,
    "deep": b"[" * 100_000,
    "another id": {**task_json(), "id": "offline-11"},
    "no id": {**task_json(), "id": None},
    "script is text": {**task_json(), "script": "train.py"},
    "version is a number": task_json(version_num=7),
    "diff is a list": task_json(diff=["x"]),
    "name is an object": {**task_json(), "name": {}},
    "too large": b" " * (offline_sessions.TASK_BYTES + 1),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_spoilt_task_is_damage(tmp_path: Path, kind: str, zipped: bool) -> None:
    content = WRONG[kind] if isinstance(WRONG[kind], bytes) else json.dumps(WRONG[kind]).encode()
    session = read(make_zip(tmp_path, {"task.json": content}) if zipped else make(tmp_path, content))
    assert NAME in session.damage
    assert session.run == ""


def test_the_zip_stands_in_for_a_damaged_folder(tmp_path: Path) -> None:
    make(tmp_path, b"")
    assert read(make_zip(tmp_path, {"task.json": json.dumps(task_json()).encode()})).damage == ""


def test_a_folder_without_a_task_is_damage(tmp_path: Path) -> None:
    place = make(tmp_path)
    (place / "task.json").unlink()
    assert "cannot be read" in read(place).damage


def test_a_session_that_is_gone_is_damage(tmp_path: Path) -> None:
    assert "is gone" in read(tmp_path / NAME).damage


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip at all"])
def test_a_spoilt_zip_is_damage(tmp_path: Path, content: bytes) -> None:
    (tmp_path / f"{NAME}.zip").write_bytes(content)
    assert "damaged zip" in read(tmp_path / NAME).damage


def test_a_cut_zip_is_damage(tmp_path: Path) -> None:
    path = make_zip(tmp_path, {"task.json": json.dumps(task_json()).encode()})
    file = tmp_path / f"{NAME}.zip"
    file.write_bytes(file.read_bytes()[:-30])
    assert read(path).damage


def test_a_zip_with_a_wrong_checksum_is_damage(tmp_path: Path) -> None:
    content = json.dumps(task_json()).encode()
    path = make_zip(tmp_path, {"task.json": content}, compression=zipfile.ZIP_STORED)
    file = tmp_path / f"{NAME}.zip"
    file.write_bytes(file.read_bytes().replace(b'"train"', b'"brain"', 1))
    assert read(path).damage


def test_a_zip_bomb_is_damage_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = make_zip(tmp_path, {"task.json": b" " * (offline_sessions.TASK_BYTES + 1)})
    assert "larger than 20 MB" in read(bomb).damage


def test_a_zip_bomb_that_lies_about_its_size_is_damage(tmp_path: Path) -> None:
    size = offline_sessions.TASK_BYTES + 1000
    bomb = make_zip(tmp_path, {"task.json": b" " * size})
    file = tmp_path / f"{NAME}.zip"
    file.write_bytes(file.read_bytes().replace(size.to_bytes(4, "little"), (10).to_bytes(4, "little")))
    assert read(bomb).damage


def test_members_that_would_escape_are_not_read(tmp_path: Path) -> None:
    members = {"../task.json": b"{}", "/task.json": b"{}", "sub/task.json": json.dumps(task_json()).encode()}
    assert "no task.json" in read(make_zip(tmp_path / "offline", members)).damage
    assert not (tmp_path / "task.json").exists()


def test_symbolic_links_are_not_followed(tmp_path: Path) -> None:
    elsewhere = make(tmp_path / "elsewhere")
    offline = tmp_path / "offline"
    offline.mkdir()
    (offline / NAME).symlink_to(elsewhere)
    assert "not a folder" in read(offline / NAME).damage
    inside = make(offline, name="offline-02")
    (inside / "task.json").unlink()
    (inside / "task.json").symlink_to(elsewhere / "task.json")
    assert read(inside).damage
    members = {"task.json": json.dumps(task_json("offline-03")).encode()}
    archive = make_zip(tmp_path / "elsewhere", members, "offline-03")
    (offline / "offline-03.zip").symlink_to(f"{archive}.zip")
    assert "not a zip" in read(offline / "offline-03").damage


@pytest.mark.parametrize(
    "path", ["/etc", "{}/../offline-00ff", "{}/sub/offline-00ff", "{}/offline-xyz", "offline-00ff", ""]
)
def test_a_path_outside_the_offline_folder_is_not_read(tmp_path: Path, path: str) -> None:
    offline = tmp_path / "offline"
    make(offline)
    make(tmp_path)
    assert "outside" in offline_sessions.read(path.format(offline), str(offline)).damage


def test_metrics_of_the_highest_iteration_count_as_last() -> None:
    content = lines([scalar(5, 0.1), scalar(2, 0.9)], [scalar(5, 0.2), scalar(-(2**31), 3, "Summary", "f1")])
    metrics, unreadable = offline_sessions.parse_metrics(content)
    assert unreadable == 0
    assert metrics == (Metric("loss", "train", 0.2, 0.1, 0.9), Metric("Summary", "f1", 3.0, 3.0, 3.0))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", None, True, 10**400])
def test_what_is_no_number_is_no_metric(value: Any) -> None:
    assert offline_sessions.parse_metrics(lines([scalar(0, value)])) == ((), 0)


def test_a_damaged_line_makes_all_values_doubtful(tmp_path: Path) -> None:
    content = lines([scalar(0, 1)]) + b'[{"type": "training_stats_sc'
    session = read(make(tmp_path, metrics=content))
    assert session.damage == ""
    assert session.metrics == ()
    assert "damaged" in session.notes[0]


def test_too_many_metrics_are_left_out_with_a_note(tmp_path: Path) -> None:
    place = make(tmp_path, metrics=b"")
    with (place / "metrics.jsonl").open("wb") as file:
        file.truncate(offline_sessions.METRICS_BYTES + 1)
    session = read(place)
    assert (session.damage, session.metrics) == ("", ())
    assert "64 MB" in session.notes[0]


@given(st.binary(max_size=300))
def test_any_bytes_as_metrics(content: bytes) -> None:
    offline_sessions.parse_metrics(content)


@given(st.integers(0, 1000), JSON | st.just("gone"))
def test_anything_in_one_place_of_a_task(where: int, value: Any) -> None:
    content = json.dumps(spoilt(task_json(), where, value)).encode()
    session = offline_sessions._session(f"/nowhere/{NAME}", content, b"")
    texts = (session.id, session.name, session.project, session.commit, session.repository, session.run)
    assert all(type(text) is str for text in texts)
    assert session.damage or (session.id == NAME and session.diff.kind)


def test_only_the_marker_tells_whose_a_session_is(tmp_path: Path) -> None:
    make(tmp_path)
    make(tmp_path, task_json("offline-02", run="1" * 32), name="offline-02")
    make(tmp_path, b"", name="offline-03")
    make(tmp_path, {**task_json("offline-04"), "hyperparams": {"Environment": []}}, name="offline-04")
    (tmp_path / "offline-05").write_text("")
    (tmp_path / "notes.txt").write_text("")
    found, unreadable = offline_sessions.of_run(str(tmp_path), RUN, 0)
    assert [session.id for session in found] == [NAME]
    assert [session.id for session in unreadable] == ["offline-03", "offline-05"]


def test_sessions_from_long_before_the_run_are_not_opened(tmp_path: Path) -> None:
    place = make(tmp_path)
    for path in (place / "task.json", place):
        os.utime(path, (1000, 1000))
    assert offline_sessions.of_run(str(tmp_path), RUN, 100_000) == ([], [])
    assert offline_sessions.of_run(str(tmp_path / "nowhere"), RUN, 0) == ([], [])


def test_the_offline_folder_is_the_one_of_the_sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WHERE", "there")
    conf = tmp_path / "clearml.conf"
    find = offline_sessions.offline_dir
    assert find({"HOME": str(tmp_path)}) == f"{tmp_path}/.clearml/cache/offline"
    conf.write_text('sdk { storage { cache { default_base_dir: "~/$WHERE" } } }')
    assert find({"HOME": str(tmp_path)}) == f"{tmp_path}/there/offline"
    assert find({"HOME": str(tmp_path), "CLEARML_CACHE_DIR": "/c"}) == "/c/offline"
    assert find({"HOME": str(tmp_path), "TRAINS_CACHE_DIR": "/t"}) == "/t/offline"


def test_curves(tmp_path: Path) -> None:
    """Of the names asked for, in order, out of the folder or the zip; what is none is left out."""
    events = [scalar(2, 0.5), scalar(0, 0.1), scalar(1, 0.3), scalar(1, 0.4), scalar(-(2**31), 9), scalar(10**400, 1)]
    events += [scalar(3, float("nan")), {**scalar(4, 1.0), "metric": ["x"]}, {**scalar(5, 1.0), "iter": "5"}]
    content = lines(*([event] for event in events)) + b"not JSON\n[1]\n"
    name = (events[0]["metric"], events[0]["variant"])
    folder, archive = tmp_path / "offline-aa", tmp_path / "offline-bb"
    folder.mkdir()
    (folder / "metrics.jsonl").write_bytes(content)
    with zipfile.ZipFile(f"{archive}.zip", "w") as file:
        file.writestr("metrics.jsonl", content)
    for path in (folder, archive):
        assert offline_sessions.curves(str(path), {name}) == {name: Curve(((0, 0.1), (1, 0.4), (2, 0.5)))}
        assert offline_sessions.curves(str(path), {("no", "such")}) == {}
    assert offline_sessions.curves(str(tmp_path / "gone"), {name}) == {}
