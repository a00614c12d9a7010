"""The records of side refs: what is read of them, which are abandoned, and what is no side ref's name."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from git_clearml.base import process as processes
from git_clearml.errors import CannotDecide
from git_clearml.git import side_ref_record as records
from git_clearml.git.repository import Repository
from git_clearml.git.side_ref_record import SideRef, abandoned, recorded
from tests.support.builders import HASH
from tests.support.repos import make_repo

NOW = 1767323045.0
LEAF = f"{HASH[:12]}-00c0ffee"
OURS = SideRef(
    f"refs/heads/git-clearml/{LEAF}", "origin", "https://example.com/project.git", HASH, "", os.getpid(),
    processes.started(os.getpid()), processes.here(), NOW, NOW + 86400.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(str(make_repo(tmp_path_factory.mktemp("records") / "repo").path))


@pytest.fixture
def repository(clone: Repository) -> Repository:
    """Its one record is that of OURS."""
    shutil.rmtree(Path(clone.common_dir, "clearml"), ignore_errors=True)
    records.write(clone, OURS)
    return clone


def record_of(repository: Repository) -> Path:
    return Path(repository.common_dir, "clearml/side-refs", f"{LEAF}.json")


def rewrite(repository: Repository, **changes: Any) -> None:
    """Other values in the record's document; None takes one out."""
    document = {**json.loads(record_of(repository).read_text()), **changes}
    record_of(repository).write_text(json.dumps({key: value for key, value in document.items() if value is not None}))


def test_what_was_written_is_read(repository: Repository) -> None:
    assert recorded(repository) == [OURS]
    records.forget(repository, OURS)
    assert recorded(repository) == []
    shutil.rmtree(record_of(repository).parent)
    assert recorded(repository) == []


ABANDONED: list[tuple[dict[str, Any], bool]] = [
    ({}, False),
    ({"pid": 0}, True),
    ({"pid": 10**30}, True),
    ({"pid_started": "another boot/1"}, True),
    ({"pid": 0, "host": "elsewhere"}, False),
    ({"pid": 0, "task": "x"}, False),
    ({"pid_started": ""}, False),
    ({"pid_started": "", "created": NOW - 86401}, True),
    ({"pid_started": "", "created": NOW - 86399}, False),
    ({"pid_started": "", "pid": 0}, True),
    ({"host": "elsewhere", "deadline": NOW - 1}, True),
    ({"host": "elsewhere", "deadline": NOW + 1}, False),
    ({"host": "elsewhere", "deadline": NOW - 1, "task": "x"}, False),
    ({"host": "elsewhere", "deadline": 0.0}, False),
]


def test_which_are_abandoned(repository: Repository) -> None:
    for changes, gone in ABANDONED:
        records.write(repository, OURS)
        rewrite(repository, **changes)
        left = abandoned(repository, host=processes.here(), now=NOW)
        assert [side_ref.ref for side_ref in left] == ([OURS.ref] if gone else []), changes


def test_a_record_of_an_earlier_version(repository: Repository) -> None:
    """It has no deadline, and says nothing of a server."""
    rewrite(repository, host="elsewhere", deadline=None, server=None)
    assert recorded(repository) == [replace(OURS, host="elsewhere", deadline=0.0)]
    assert abandoned(repository, host=processes.here(), now=NOW * 2) == []


DAMAGE: dict[str, str | dict[str, Any]] = {
    "empty": "",
    "no JSON": "{",
    "deep": "[" * 100_000,
    "a list": "[]",
    "a key less": {"url": None},
    "a number for a text": {"remote": 7},
    "a text for a number": {"pid": "7"},
    "a flag for a number": {"pid": True},
    "no time": {"created": "now"},
    "no number": {"created": float("nan")},
    "no deadline": {"deadline": "never"},
    "a deadline that is no number": {"deadline": float("inf")},
    "a server that is none": {"server": 7},
    "another ref": {"ref": "refs/heads/main"},
    "another folder": {"ref": f"refs/heads/git-clearmlx/{LEAF}"},
    "a tag": {"ref": f"refs/tags/git-clearml/{LEAF}"},
    "no folder": {"ref": LEAF},
    "another file's ref": {"ref": f"refs/heads/git-clearml/{HASH[:12]}-ffffffff"},
    "a refspec": {"ref": f"refs/heads/git-clearml/{LEAF}:refs/heads/main"},
    "another commit": {"commit": "1" * 40},
    "a short commit": {"commit": HASH[:12]},
    "a line break": {"remote": "origin\n"},
    "a task that is none": {"task": "../x"},
}


def test_damaged_records_are_skipped(repository: Repository) -> None:
    for name, changes in DAMAGE.items():
        records.write(repository, OURS)
        if isinstance(changes, str):
            record_of(repository).write_text(changes)
        else:
            rewrite(repository, **changes)
        assert recorded(repository) == [], name


def test_foreign_files_are_skipped(repository: Repository) -> None:
    record = record_of(repository)
    place = record.parent
    (place / ".new-x").write_text(record.read_text())
    (place / f"{'0' * 12}-00000000.json").write_text(record.read_text())
    (place / f"{'1' * 12}-00000000.json").mkdir()
    (place / f"{'2' * 12}-00000000.json").symlink_to(record)
    (place / f"{'3' * 12}-00000000.json").write_text("x" * 30_000)
    os.mkfifo(place / f"{'4' * 12}-00000000.json")
    (place / "README").write_text("hello")
    assert recorded(repository) == [OURS]


def test_the_oldest_first(repository: Repository) -> None:
    made = [OURS]
    for number, created in enumerate((NOW - 5, NOW + 5)):
        made.append(replace(OURS, ref=f"{OURS.ref[:-1]}{number}", created=created))
        records.write(repository, made[-1])
    assert recorded(repository) == [made[1], made[0], made[2]]


NO_SIDE_REFS = (
    "refs/heads/main",
    "refs/heads/git-clearml/",
    "refs/heads/git-clearml/x",
    f"refs/heads/git-clearml/{HASH[:12]}",
    f"refs/heads/git-clearml/{HASH[:12]}-0000000",
    f"refs/heads/git-clearml/{LEAF}/x",
    f"refs/heads/git-clearml/../git-clearml/{LEAF}",
    f"refs/heads/git-clearml/{LEAF}\n",
    "refs/heads/git-clearml/000000000000-00000000",
    f"refs/tags/git-clearml/{LEAF}",
    f"git-clearml/{LEAF}",
    f"+refs/heads/git-clearml/{LEAF}",
    LEAF,
    "",
)


def test_what_is_no_side_ref_of_a_commit() -> None:
    assert records.leaf_of(OURS.ref, HASH) == LEAF
    names = [(ref, HASH) for ref in NO_SIDE_REFS]
    names += [(f"refs/heads/git-clearml/{'0' * 12}-00000000", commit) for commit in ("", "HEAD", "0" * 12, "main")]
    for ref, commit in names:
        with pytest.raises(CannotDecide, match="is no side ref of commit"):
            records.leaf_of(ref, commit)
