"""The commits that the tests' own helper makes are those that git makes, to the bit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import quick_commit
from tests.support.repos import Repo, make_repo

Change = Callable[[Path], object]


def written(name: str, content: str = "1") -> Change:
    return lambda place: Repo(place).write({name: content})


def becomes_a_file(place: Path) -> None:
    shutil.rmtree(place / "d")
    (place / "d").write_text("1")


CHANGES: dict[str, Change] = {
    "nothing": lambda _: None,
    "a file": written("x.txt"),
    "größe": written("d/e/ü b.txt", "ü"),
    "sorted as git does": lambda place: Repo(place).write({"d.x": "1", "d-": "", "d/f": "2"}),
    "an empty folder": lambda place: (place / "empty").mkdir(),
    "a mode": lambda place: (place / "x.txt").chmod(0o755),
    "a link": lambda place: (place / "l").symlink_to("../x"),
    "a deletion": lambda place: (place / "x.txt").unlink(),
    "a folder becomes a file": becomes_a_file,
    "detached": lambda place: Repo(place).git("checkout", "--quiet", "--detach"),
    "another branch": lambda place: Repo(place).git("checkout", "--quiet", "-b", "new/branch"),
    "out of the index": lambda place: Repo(place).git("rm", "--quiet", "--cached", "train.py"),
}


@pytest.mark.parametrize("options", [(), ("--object-format=sha256",)])
def test_as_git_makes_them(options: tuple[str, ...], tmp_path: Path) -> None:
    ours, gits = (make_repo(tmp_path / name, options=options) for name in ("ours", "git's"))
    for message, change in CHANGES.items():
        for repo in (ours, gits):
            change(repo.path)
        name = quick_commit.commit(ours.path, message)
        gits.git("add", "--all")
        gits.git("commit", "--quiet", "--allow-empty", "--message", message)
        assert name == ours.head == gits.head, message
        assert ours.git("ls-files", "--stage") == gits.git("ls-files", "--stage")
        assert (ours.git("status", "--porcelain"), ours.git("fsck")) == ("", "")
        assert ours.git("reflog", "--format=%H %gs") == gits.git("reflog", "--format=%H %gs")


ODD: tuple[Change, ...] = (
    written(".gitignore", "*.o\n"),
    written(".gitattributes", "* text\n"),
    written(".git/hooks/pre-commit"),
    written(".git/MERGE_HEAD"),
    written("inner/.git/HEAD"),
    lambda place: Repo(place).git("config", "core.autocrlf", "true"),
    lambda place: Repo(place).git("config", "commit.gpgSign", "true"),
    lambda place: Repo(place).git("update-index", "--assume-unchanged", "train.py"),
    lambda place: Repo(place).git("config", "--global", "core.safecrlf", "true"),
)


def test_what_is_not_plain_is_left_to_git(tmp_path: Path) -> None:
    for number, change in enumerate(ODD):
        repo = make_repo(tmp_path / f"{number}")
        change(repo.path)
        with pytest.raises(quick_commit.NotPlain):
            quick_commit.commit(repo.path, "change")
