"""How many gits a question starts: few, and as many for hundreds of commits as for some."""

from __future__ import annotations

from typing import Any

import pytest

from git_clearml.git.runner import Runner
from tests.support.program import Gate
from tests.support.repos import YESTERDAY

MOST = 15


@pytest.fixture
def gits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command line of each git that is started."""
    started: list[str] = []
    start = Runner._start

    def counted(runner: Runner, arguments: tuple[str, ...], *rest: Any) -> Any:
        started.append(" ".join(arguments))
        return start(runner, arguments, *rest)

    monkeypatch.setattr(Runner, "_start", counted)
    return started


@pytest.mark.parametrize("typo", [False, True])
def test_300_commits_whose_code_may_be_the_same(gate: Gate, gits: list[str], typo: bool) -> None:
    """Each has another tree, and a task that does not count: all are compared, by one git."""
    more = ', "scr/**"' if typo else ""
    gate.repo.policy('equivalence = "paths"', f'code-paths = ["train.py"{more}]')
    commits = different(gate, 300)
    for commit in commits[1:]:
        gate.task(commit=commit, status="failed")
    gits.clear()
    result = gate.verify(commits[0])
    assert result.status == (2 if typo else 1)
    if not typo:
        assert result.commit["evidence"]["considered"] == 299
        assert len([words for words in gits if "diff-tree" in words]) <= 3
    assert len(gits) < MOST, gits


def different(gate: Gate, count: int, path: str = "notes.txt") -> list[str]:
    """So many commits above HEAD, newest first, each with another content of this file."""
    who = "C. Committer <committer@example.com>"
    lines = []
    for n in range(count):
        start = f"from {gate.repo.head}\n" if not n else ""
        lines.append(
            f"commit refs/heads/line\ncommitter {who} {YESTERDAY + n} +0000\ndata 1\nx\n{start}"
            f"M 100644 inline {path}\ndata {len(str(n))}\n{n}\n"
        )
    gate.repo.git("fast-import", "--quiet", stdin="\n".join(lines))
    return gate.repo.git("rev-list", f"--max-count={count}", "line").splitlines()


def test_a_hundred_commits_under_tree_and_tasks_of_commits_that_are_not_here(gate: Gate, gits: list[str]) -> None:
    gate.repo.policy('equivalence = "tree"')
    commits = different(gate, 100)
    for number in range(200):
        gate.task(commit=f"{number:040x}")
    gits.clear()
    assert gate.verify(*commits).status == 1
    assert len(gits) < MOST, gits


@pytest.mark.parametrize("count", [1, 3, 60, 110])
def test_results_commits_on_top_of_each_other(gate: Gate, gits: list[str], count: int) -> None:
    gate.task()
    ran = gate.repo.head
    head = different(gate, count, "clearml.lock")[0]
    gits.clear()
    result = gate.verify(head)
    assert (result.status, result.commit["evidence_commit"]) == ((0, ran) if count <= 100 else (1, None))
    assert len(gits) < MOST, gits
