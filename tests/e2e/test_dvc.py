"""`git clearml run -- dvc repro` with the real dvc, and `dvc push` before the results are pushed."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.environments import DVC, environment
from tests.support.program import Result, outside
from tests.support.pushing import bare
from tests.support.repos import Repo, make_repo
from tests.support.scripts import QUICK

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

STAGES = """
stages:
  train:
    cmd: python3 train.py
    deps: [train.py, data.txt]
    outs: [model.txt]
"""
TRAIN = QUICK + "open('model.txt', 'w').write('model of ' + open('data.txt').read())\n"


@dataclass(frozen=True)
class Pipeline:
    """A repository with a dvc pipeline, pushed, and dvc's own remote in a folder."""

    repo: Repo
    remote: Repo
    store: Path
    path: str

    def run(self, *words: str) -> Result:
        return outside("run", *words, cwd=self.repo.path, env={"PATH": self.path}, timeout=120)

    def stored(self) -> int:
        """How many files dvc has pushed."""
        return sum(1 for each in self.store.rglob("*") if each.is_file())


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    path = f"{environment(DVC) / 'bin'}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    remote = bare(tmp_path / "remote.git")
    files = {"train.py": TRAIN, "data.txt": "1\n", "dvc.yaml": STAGES, ".gitignore": "/model.txt\n"}
    repo = make_repo(tmp_path / "repo", files, remote=str(remote.path))
    store = tmp_path / "store"
    for words in (["init", "-q"], ["config", "core.analytics", "false"], ["remote", "add", "-d", "here", str(store)]):
        subprocess.run(["dvc", *words], cwd=repo.path, env={**os.environ, "PATH": path}, check=True)
    repo.policy('results-paths = ["dvc.lock"]')
    repo.git("push", "--quiet", "origin", "main")
    return Pipeline(repo, remote, store, path)


WORDS = ("--record", "commit", "--add", "dvc.lock", "--before-push", "dvc push")


def test_repro_and_push(pipeline: Pipeline) -> None:
    """dvc.lock goes along with clearml.lock, the data are pushed first, and the next run has nothing to commit."""
    ran = pipeline.repo.head
    done = pipeline.run(*WORDS, "--", "dvc", "repro")
    assert done.status == 0, done.err
    assert pipeline.repo.git("diff", "--name-only", ran, "main").splitlines() == ["clearml.lock", "dvc.lock"]
    assert pipeline.remote.git("rev-parse", "main") == pipeline.repo.head
    assert pipeline.repo.git("status", "--porcelain") == ""
    assert pipeline.stored() == 1
    assert outside("verify", cwd=pipeline.repo.path).status == 0
    again = pipeline.run(*WORDS, "--", "dvc", "repro", "--pull")
    assert again.status == 0, again.err
    assert "nothing to record" in again.err
    assert pipeline.remote.git("rev-parse", "main") == pipeline.repo.head


def test_a_push_of_data_that_fails_stops_the_push_of_results(pipeline: Pipeline) -> None:
    pipeline.store.write_text("in the way\n")
    before = pipeline.repo.head
    done = pipeline.run(*WORDS, "--", "dvc", "repro")
    assert done.status == 3
    assert "the results commit is kept" in done.err
    assert pipeline.remote.git("rev-parse", "main") == before
