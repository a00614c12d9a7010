"""What differs between trees, where git cannot read one of them: it says so, goes on, and ends with status 0."""

from __future__ import annotations

from pathlib import Path

import pytest

from git_clearml.errors import CannotDecide
from git_clearml.git import changes
from git_clearml.git.repository import Repository
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
