"""A `git cat-file` that stays: the same answers as from one that is started for each question."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
from pathlib import Path

import pytest

from git_clearml.errors import CannotDecide
from git_clearml.git.repository import Repository
from git_clearml.git.runner import Runner
from tests.support.repos import make_repo

LARGE = 3_000_000


def git_of(repository: Repository) -> int:
    """The process that stays for contents."""
    assert repository._batch._git is not None
    return repository._batch._git._process.pid


def is_there(process: int) -> bool:
    return Path(f"/proc/{process}").exists() if Path("/proc").exists() else False


def test_many_names_and_large_objects(tmp_path: Path) -> None:
    made = make_repo(tmp_path / "repo", {"a.bin": "x" * LARGE, "empty": "", "b": "1\n2\n"})
    repository = Repository(str(made.path))
    paths = ["a.bin", "empty", "b", *(f"missing/{number}/{'n' * 100}" for number in range(200))]
    names = repository.names_of(f"{made.head}:{path}" for path in paths)
    assert names[3:] == [""] * 200
    contents = repository.blobs([*names[:3], made.head])
    assert [len(contents[name]) for name in names[:3]] == [LARGE, 0, 4]
    assert repository._contents(["0" * 40, names[2]]) == {"0" * 40: None, names[2]: b"1\n2\n"}
    assert repository.existing_files([(made.head, "b"), (made.head, "c" * 5000)]) == {(made.head, "b")}


def test_a_git_that_is_killed_is_started_again(tmp_path: Path) -> None:
    made = make_repo(tmp_path / "repo", {"a": "1\n"})
    repository = Repository(str(made.path))
    (name,) = repository.names_of([f"{made.head}:a"])
    for _ in range(5):
        repository._small.clear()
        assert repository.blobs([name]) == {name: b"1\n"}
        if repository._batch._git is not None:  # else this one was asked by itself
            os.kill(git_of(repository), 9)
    repository._small.clear()
    repository.blobs([name])
    repository.forget()
    repository._small.clear()
    assert repository.blobs([name]) == {name: b"1\n"}


def test_an_interruption_leaves_no_half_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_repo(tmp_path / "repo", {"a": "x" * LARGE, "b": "2\n"})
    repository = Repository(str(made.path))
    large, small = repository.names_of([f"{made.head}:a", f"{made.head}:b"])
    read, reads = repository._batch._read, itertools.count()

    def interrupted() -> bytes:
        if next(reads) == 3:
            raise KeyboardInterrupt
        return read()

    monkeypatch.setattr(repository._batch, "_read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        repository.blobs([large])
    assert repository.blobs([small, large]) == {small: b"2\n", large: b"x" * LARGE}


def test_it_goes_with_the_repository_and_sees_what_is_new(tmp_path: Path) -> None:
    made = make_repo(tmp_path / "repo", {"a": "1\n"})
    repository = Repository(str(made.path))
    assert repository.trees([made.head, "0" * 40]).keys() == {made.head}
    second = made.commit("second", {"a": "2\n"})
    made.git("gc", "--quiet", "--prune=now")
    third = made.commit("third", {"a": "3\n"})
    assert repository.trees([made.head, second, third]).keys() == {second, third}
    repository.blobs([third])
    process = git_of(repository)
    del repository
    gc.collect()
    assert not is_there(process)


@pytest.mark.parametrize("more", ["echo banner", "printf banner", "(sleep 0.2; echo later) &"])
def test_a_git_that_prints_more_than_its_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str) -> None:
    """No answer is taken for that of another question."""
    made = make_repo(tmp_path / "repo", {"a": "1\n", "b": "2\n"})
    names = made.git("rev-parse", "HEAD:a", "HEAD:b").split()
    git = shutil.which("git")
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "git"
    script.write_text(f'#!/bin/sh\ncase "$*" in *cat-file*) {more};; esac\nexec {git} "$@"\n')
    script.chmod(0o755)
    repository = Repository(str(made.path))
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    for _ in range(3):
        repository._small.clear()
        try:
            assert repository.blobs(names) == {names[0]: b"1\n", names[1]: b"2\n"}
        except CannotDecide:
            continue


def test_a_git_that_cannot_stay_is_asked_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer says why there is none."""
    made = make_repo(tmp_path / "repo", {"a": "1\n"})
    repository = Repository(str(made.path))
    starts: list[str] = []
    start = Runner._start

    def starting(runner: Runner, arguments: tuple[str, ...], env: dict[str, str], stdin: object, alone: bool) -> object:
        starts.append(arguments[-1])
        words = ("cat-file", "--no-such-mode") if stdin == -1 else arguments
        return start(runner, words, env, stdin, alone)

    monkeypatch.setattr(Runner, "_start", starting)
    assert repository.trees([made.head]) == {made.head: made.git("rev-parse", "HEAD^{tree}")}
    assert len(starts) == 2
