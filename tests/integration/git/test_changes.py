"""What differs between trees: of a git that stays to be asked again, and where it cannot read one of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from git_clearml.errors import CannotDecide
from git_clearml.git import changes, diff_tree, runner
from git_clearml.git.repository import Repository
from git_clearml.git.runner import GitDialogue, Runner
from tests.support.repos import make_repo

GONE = "1" * 40


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_tree_that_is_missing_is_no_equal_one(place: int, tmp_path: Path) -> None:
    made = make_repo(tmp_path / "repo", {"a": "1\n"})
    first = made.git("rev-parse", "HEAD^{tree}").strip()
    made.commit("b", {"b": "2\n"})
    second = made.git("rev-parse", "HEAD^{tree}").strip()
    repository = Repository(str(made.path))
    pairs = [(first, second), (second, first)]
    assert [(number, each.path) for number, each in changes.between(repository, pairs)] == [(0, "b"), (1, "b")]
    assert [number for number, _ in changes.between(repository, [(first, first), (first, second)])] == [1]
    pairs.insert(place, (first, GONE))
    with pytest.raises(CannotDecide):
        list(changes.between(repository, pairs))
    with pytest.raises(CannotDecide):
        list(changes.files(repository, [first, GONE]))


@pytest.mark.parametrize("most", [0, 300, 10**9])
def test_one_git_answers_many_questions_and_a_large_answer_is_read_as_it_comes(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diff_tree, "_MOST", most)
    made = make_repo(tmp_path / "repo", {"a": "1\n"})
    trees = [made.git("rev-parse", "HEAD^{tree}").strip()]
    for number in range(4):
        made.commit(f"{number}", {f"{number} é\n{k}": "x" for k in range(number)} | {"a": f"{number}"})
        trees.append(made.git("rev-parse", "HEAD^{tree}").strip())
    repository = Repository(str(made.path))
    pairs = [(before, after) for before in trees for after in trees] * 20
    alone = list(changes.between(Runner(str(made.path)), pairs))
    for _ in range(3):
        assert list(changes.between(repository, pairs)) == alone
        kept = repository._diff_tree._git
        assert (kept is not None) == (most == 10**9)
        if kept is not None:
            os.kill(kept._process.pid, 9)  # the next question starts another one
            kept._process.wait()
    with pytest.raises(CannotDecide):
        list(changes.between(repository, [(trees[0], GONE), (trees[0], trees[1])]))
    assert list(changes.between(repository, pairs[:9])) == [each for each in alone if each[0] < 9]


def test_an_interruption_leaves_no_half_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_repo(tmp_path / "repo", {"a": "1\n"})
    first = made.git("rev-parse", "HEAD^{tree}").strip()
    made.commit("b", {"b": "2\n"})
    second = made.git("rev-parse", "HEAD^{tree}").strip()
    repository = Repository(str(made.path))
    list(changes.between(repository, [(first, first)]))

    def interrupted(self: object, seconds: float) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(GitDialogue, "read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(changes.between(repository, [(first, second)]))
    assert list(changes.between(repository, [(first, first)])) == []


def test_a_file_called_like_the_end_of_an_answer_does_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read a byte at a time, every name stands at the end of what has been read once."""
    monkeypatch.setattr(runner, "_BLOCK", 1)
    made = make_repo(tmp_path / "repo", {"a": "1\n"})
    first = made.git("rev-parse", "HEAD^{tree}").strip()
    names = [f"git-clearml-{number}\n" for number in range(1, 4)]
    made.commit("names", {**dict.fromkeys(names, "x"), "z.py": "code"})
    second = made.git("rev-parse", "HEAD^{tree}").strip()
    repository = Repository(str(made.path))
    for _ in range(3):
        assert [change.path for _, change in changes.between(repository, [(first, second)])] == [*names, "z.py"]
