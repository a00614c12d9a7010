"""Offline sessions before they are imported: what the SDK gets to see of them, and which it never does."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.clearml.properties import IMPORT, PROPERTY
from git_clearml.model import RunRecord
from git_clearml.run import staging
from git_clearml.run.staging import Staged
from tests.support import builders, offline_runs
from tests.support.odd_json import JSON, spoilt

RUN = "0" * 32


def record(folder: Path, **changes: Any) -> RunRecord:
    return builders.run(id=RUN, offline_dir=str(folder.parent), **changes)


def staged(folder: Path, tmp_path: Path, **changes: Any) -> Staged | str:
    place = tmp_path / "copies"
    place.mkdir()
    return staging.stage(str(folder), record(folder, **changes), str(place))


def document(copy: Staged) -> dict[str, Any]:
    read = json.loads(Path(copy.folder, "task.json").read_text())
    assert isinstance(read, dict)
    return read


@pytest.mark.parametrize(
    ("project", "expected"),
    [(None, "Untitled"), ("", "Untitled"), (" ", "Untitled"), (" Vision ", "Vision"), ("abc", "abc")],
)
def test_the_project_of_a_session_without_one(tmp_path: Path, project: Any, expected: str) -> None:
    copy = staged(offline_runs.session(tmp_path, RUN, builders.HASH, project_name=project), tmp_path)
    assert isinstance(copy, Staged)
    assert document(copy)["project_name"] == expected


def test_a_project_that_no_server_takes(tmp_path: Path) -> None:
    problem = staged(offline_runs.session(tmp_path, RUN, builders.HASH, project_name="ab"), tmp_path)
    assert isinstance(problem, str)
    assert "'ab'" in problem


@pytest.mark.parametrize(("ended", "own", "expected"), [("B", "", "A to B"), ("", "", "killed"), ("B", "mine", "mine")])
def test_the_comment_says_when_it_ran(tmp_path: Path, ended: str, own: str, expected: str) -> None:
    folder = offline_runs.session(tmp_path, RUN, builders.HASH, comment=own)
    copy = staged(folder, tmp_path, started="A", ended=ended)
    assert isinstance(copy, Staged)
    assert "A" in copy.comment
    assert expected in copy.comment


@pytest.mark.parametrize("zipped", [False, True])
def test_the_copy_has_no_code_and_the_name_of_something_unfinished(tmp_path: Path, zipped: bool) -> None:
    properties = {PROPERTY: {"value": "{}"}, "owner": {"value": "me"}}
    folder = offline_runs.session(
        tmp_path, RUN, builders.HASH, parent="p", session_api_version="2.1",
        hyperparams={"Environment": {"GIT_CLEARML_RUN": {"value": RUN}}, "properties": properties},
    )  # fmt: skip
    if zipped:
        offline_runs.zipped(folder)
    copy = staged(folder, tmp_path)
    assert isinstance(copy, Staged)
    task = document(copy)
    assert (task["name"], task["id"]) == (f"unfinished import of {folder.name}", folder.name)
    assert not {"script", "parent", "session_api_version"} & task.keys()
    assert {name: item["value"] for name, item in task["hyperparams"]["properties"].items()} == {
        "owner": "me", IMPORT: folder.name
    }  # fmt: skip
    assert (copy.name, copy.script["version_num"], copy.script["branch"]) == ("train", builders.HASH, "main")
    assert sorted(os.listdir(copy.folder))[-3:] == ["log.jsonl", "metrics.jsonl", "task.json"]


def test_half_a_line_of_a_killed_run_is_left_out_and_of_a_good_one_refused(tmp_path: Path) -> None:
    folder = offline_runs.session(tmp_path, RUN, builders.HASH)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('[{"type": "training_stats_sc')
    copy = staged(folder, tmp_path, exit_status=None, ended="")
    assert isinstance(copy, Staged)
    assert len(Path(copy.folder, "metrics.jsonl").read_text().splitlines()) == 1
    (tmp_path / "again").mkdir()
    assert "damaged" in str(staged(folder, tmp_path / "again"))


def _zip(change: Callable[[zipfile.ZipFile], object]) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        with zipfile.ZipFile(offline_runs.zipped(folder), "a") as archive:
            change(archive)

    return make


def _link_in_zip(archive: zipfile.ZipFile) -> None:
    member = zipfile.ZipInfo("data/x")
    member.external_attr = 0o120777 << 16
    archive.writestr(member, "/etc/passwd")


def _task(**changes: Any) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        file = folder / "task.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))

    return make


def _artifact(uri: str) -> Callable[[Path], object]:
    return _task(execution={"artifacts": [{"key": "a", "uri": uri}]})


SPOILED: dict[str, Callable[[Path], object]] = {
    "gone": lambda folder: os.rename(folder, folder.with_name("away")),
    "truncated zip": lambda folder: os.truncate(offline_runs.zipped(folder), 400),
    "no zip": lambda folder: offline_runs.zipped(folder).write_text("none"),
    "path above in the zip": _zip(lambda archive: archive.writestr("../../evil", "x")),
    "absolute path in the zip": _zip(lambda archive: archive.writestr("/tmp/evil", "x")),
    "windows path in the zip": _zip(lambda archive: archive.writestr("..\\evil", "x")),
    "link in the zip": _zip(_link_in_zip),
    "empty task.json": lambda folder: (folder / "task.json").write_text(""),
    "link to task.json": lambda folder: (
        (folder / "task.json").rename(folder / "t"), (folder / "task.json").symlink_to("t")
    ),
    "link in data": lambda folder: (folder / "data" / "x").symlink_to("/etc/passwd"),
    "data a link": lambda folder: (shutil.rmtree(folder / "data"), (folder / "data").symlink_to("/etc")),
    "link to the log": lambda folder: ((folder / "log.jsonl").unlink(), (folder / "log.jsonl").symlink_to("/etc/x")),
    "artifact elsewhere": _artifact("/etc/passwd"),
    "artifact above": _artifact("../../../etc/passwd"),
    "artifacts no list": _task(execution={"artifacts": [1]}),
    "model elsewhere": _task(offline_output_models=[{"weights": {"weights_filename": "/etc/passwd"}}]),
    "model of no kind": _task(offline_output_models=["x"]),
    "image above": lambda folder: (folder / "metrics.jsonl").write_text('[{"key": "../../../etc/x", "url": "x"}]\n'),
    "another run": _task(hyperparams={"Environment": {"GIT_CLEARML_RUN": {"value": "1" * 32}}}),
    "another commit": _task(script={"version_num": "f" * 40}),
    "no commit": _task(script={}),
    "another session": _task(id="offline-" + "f" * 32),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILED)
def test_what_is_no_sound_session_is_never_given_to_the_sdk(tmp_path: Path, name: str) -> None:
    folder = offline_runs.session(tmp_path, RUN, builders.HASH)
    SPOILED[name](folder)
    reason = staged(folder, tmp_path)
    assert isinstance(reason, str), reason
    assert reason
    assert not (tmp_path / "evil").exists()
    assert not Path("/tmp/evil").exists()


@given(st.integers(0, 1000), JSON | st.just("gone"), st.sampled_from(["task.json", "metrics.jsonl", "log.jsonl"]))
def test_anything_in_one_place_of_a_session(where: int, value: Any, name: str) -> None:
    """It is refused, or it is the session of this run and this commit."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        folder = offline_runs.session(place, RUN, builders.HASH)
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(spoilt(content, where, value)) + "\n")
        copy = staged(folder, place)
        if isinstance(copy, str):
            assert copy
            return
        assert document(copy)["id"] == folder.name
        assert (copy.script["version_num"], type(copy.name)) == (builders.HASH, str)


def test_a_model_in_the_session_goes_along(tmp_path: Path) -> None:
    folder = offline_runs.session(tmp_path, RUN, builders.HASH)
    (folder / "models").mkdir()
    model = folder / "models" / "m.pt"
    model.write_text("weights")
    _task(offline_output_models=[{"init": {}, "weights": {"weights_filename": str(model)}}])(folder)
    offline_runs.zipped(folder)
    copy = staged(folder, tmp_path)
    assert isinstance(copy, Staged)
    [moved] = document(copy)["offline_output_models"]
    assert Path(moved["weights"]["weights_filename"]).read_text() == "weights"
    assert moved["weights"]["weights_filename"].startswith(copy.folder)
