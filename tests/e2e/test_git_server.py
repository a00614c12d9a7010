"""The git server of the end-to-end tests itself; quick, and so part of `make test`."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from tests.support.git_http import GitServer
from tests.support.pushing import bare, refs_of
from tests.support.repos import Repo, make_repo


def test_pushes_clones_and_deletions_go_through(tmp_path: Path) -> None:
    remote = bare(tmp_path / "git" / "project.git")
    with GitServer(tmp_path / "git") as git:
        repo = make_repo(tmp_path / "repo", remote=git.url(remote.path))
        noise = random.Random(7).randbytes(3_000_000)  # more than git sends in one piece
        (repo.path / "noise").write_bytes(noise)
        head = repo.commit("noise")
        repo.git("push", "--quiet", "origin", "main", "main:other")
        repo.git("push", "--quiet", "origin", ":other")
        assert refs_of(remote) == {"refs/heads/main": head}
        Repo(tmp_path).git("clone", "--quiet", git.url(remote.path), "copy")
        assert (tmp_path / "copy" / "noise").read_bytes() == noise
        assert "POST /project.git/git-receive-pack" in git.requests


@pytest.mark.parametrize(("status", "words"), [(401, "could not read Username"), (403, "403"), (500, "500")])
def test_it_refuses_when_told_to(tmp_path: Path, status: int, words: str) -> None:
    remote = bare(tmp_path / "git" / "project.git")
    with GitServer(tmp_path / "git") as git:
        git.refuse = status
        done = subprocess.run(["git", "ls-remote", git.url(remote.path)], capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert words in done.stderr
        git.refuse = 0
        assert Repo(tmp_path).git("ls-remote", git.url(remote.path)) == ""
        with pytest.raises(AssertionError, match="not found"):
            Repo(tmp_path).git("ls-remote", git.url(tmp_path / "git" / "nosuch.git"))
