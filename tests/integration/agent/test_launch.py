"""The requirements file that an agent gets: read from the commit, wherever it is named."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from git_clearml.agent.launch import NO_PACKAGES, check_launch
from git_clearml.commands import check_runnable
from git_clearml.git.repository import Repository
from git_clearml.settings.policy import Runnable
from tests.support.repos import make_repo

FILES = {"requirements.txt": "root\n", "src/requirements.txt": "src\n", "src/only.txt": "folder\n", "src/main.py": ""}
ODD = {"bom.txt": "\ufeffmarked\n", "empty.txt": "", "blank.txt": "\n \n"}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repo = make_repo(tmp_path / "repo", {"main.py": ""})
    repo.write({**FILES, **ODD, "../outside.txt": "evil\n"})
    (repo.path / "a link.txt").symlink_to("src/only.txt")
    (repo.path / "dangling.txt").symlink_to("nosuch")
    repo.commit("files")
    return Repository(str(repo.path))


def launched(repository: Repository, *words: str) -> tuple[str | None, list[str]]:
    """The requirements of the task that these flags launch, and what is said about them."""
    parser = argparse.ArgumentParser()
    check_runnable.add_flags(parser)
    arguments = parser.parse_args(words)
    given = {"folder": arguments.folder, "requirements": arguments.requirements}
    rules = Runnable(**{key: value for key, value in given.items() if value is not None})
    packages = check_runnable.packages_of(arguments.packages or "")
    [head] = repository.resolve(["HEAD"])
    launch, notes = check_launch(repository, head.commit, rules, packages)
    return launch.requirements, notes


def test_requirements(repository: Repository) -> None:
    words: tuple[str, ...]
    for words, expected in (
        ((), "root\n"),
        (("--folder", "src"), "root\n"),  # from the root first
        (("--folder", "src", "--requirements", "only.txt"), "folder\n"),
        (("--requirements", "src/only.txt"), "folder\n"),
        (("--requirements", "a link.txt"), "folder\n"),
        (("--requirements", "none"), ""),
        (("--requirements", ""), ""),
        (("--requirements", "bom.txt"), "marked\n"),
        (("--requirements", "empty.txt"), ""),
        (("--requirements", "blank.txt"), ""),
        (("--packages", "torch==2.4 'pandas>=2'"), "torch==2.4\npandas>=2\n"),
        (("--packages", "torch", "--requirements", "src/only.txt"), "torch\n"),
    ):
        assert launched(repository, *words) == (expected or NO_PACKAGES, []), words


def test_requirements_that_are_not_there_are_said(repository: Repository) -> None:
    for name in ("nosuch.txt", "src", "/etc/passwd", "../outside.txt", "a\nb", "dangling.txt"):
        requirements, notes = launched(repository, "--requirements", name)
        assert requirements == NO_PACKAGES
        assert any("the agent installs no packages" in note for note in notes), name
