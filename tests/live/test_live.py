"""Against the ClearML server whose credentials are in the environment: `make live`. Writes nothing there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LIVE
from tests.support.program import ROOT
from tests.support.repos import Repo, make_repo

pytestmark = pytest.mark.live


def clearml(repo: Repo, *words: str) -> tuple[int, dict[str, object]]:
    """The program with the live credentials; its status and JSON."""
    import os

    done = subprocess.run(
        [sys.executable, "-m", "git_clearml", *words, "--format", "json"],
        cwd=repo.path,
        env={**os.environ, **LIVE, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def test_a_commit_that_nobody_ran_is_rejected(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    repo.commit("a commit of this very moment", {"now.txt": str(tmp_path)})
    status, report = clearml(repo, "verify", "--evidence", "server")
    assert (status, report["outcome"]) == (1, "rejected"), report


def test_the_server_accepts_the_credentials(tmp_path: Path) -> None:
    _, report = clearml(make_repo(tmp_path / "repo"), "doctor")
    checks = report["checks"]
    assert isinstance(checks, list)
    (server,) = [check for check in checks if check["name"] == "server"]
    assert server["level"] == "ok", server
