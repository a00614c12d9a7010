"""How many gits a question starts: few, and as many for hundreds of commits as for some."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from git_clearml.git.runner import Runner
from tests.support.program import Gate, inside
from tests.support.repos import YESTERDAY

MOST = 15
MOST_BESIDE_SH = 7
"""A push starts sh, which starts up to five: cat twice, git twice, sha256sum; and Python. All are under 15."""


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


def test_200_commits_and_a_dozen_requirements(gate: Gate, gits: list[str]) -> None:
    """One question and few gits where all are met; three at most where the half of them is not."""
    names = [f"model{number}" for number in range(12)]
    gate.repo.write({f"{name}/train.py": name for name in names})
    rows = [row for name in names for row in (
        "[[tool.git-clearml.require]]", f'name = "{name}"', f'code-paths = ["{name}/**"]', f'task-name = "{name}"',
    )]  # fmt: skip
    gate.repo.policy(*rows)
    for name in names:
        gate.task(name=name, entry_point=f"{name}/train.py")
    commits = different(gate, 200)
    gits.clear()
    assert len(gate.accepts(*commits).json["commits"][0]["requirements"]) == 12
    assert len(gits) < MOST, gits
    gate.repo.commit("half of them", {f"{name}/train.py": "changed" for name in names[::2]})
    gits.clear()
    result = gate.verify()
    assert [each["outcome"] for each in result.commit["requirements"]] == ["rejected", "verified"] * 6
    assert (result.status, len(result.calls)) == (1, 3)
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


@pytest.fixture
def log(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a git that comes first on PATH writes down each of its starts, whoever starts it."""
    (tmp_path / "bin").mkdir()
    git, path = shutil.which("git"), tmp_path / "starts"
    script = tmp_path / "bin" / "git"
    script.write_text(f'#!/bin/sh\necho "$*" >>{path}\nexec {git} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    return path


def starts(log: Path) -> list[str]:
    """The command lines since the last look."""
    lines = log.read_text().splitlines()
    log.unlink()
    return lines


def test_a_pass_starts_three_gits_and_gitpython_none_of_its_own(gate: Gate, log: Path) -> None:
    gate.task()
    assert gate.call("verify", alone=True).status == 0
    assert [words.split()[0] for words in starts(log)] == ["rev-parse", "cat-file", "config"]
    gate.repo.git("update-ref", "refs/remotes/origin/main", "HEAD")
    assert gate.call("verify", alone=True).status == 0
    assert len(starts(log)) == 4  # and one of the test's own


@pytest.mark.parametrize("count", [1, 500])
@pytest.mark.parametrize("policy", [(), ('equivalence = "tree"', 'merges = "clean"', 'protect = ["b*", "main"]')])
@pytest.mark.parametrize("known", [True, False])
def test_a_push_starts_few_however_many_its_refs(
    gate: Gate, log: Path, count: int, policy: tuple[str, ...], *, known: bool
) -> None:
    """New refs, and ones whose old commits are not the same; verified or not."""
    gate.repo.policy(*policy)
    gate.repo.git("update-ref", "refs/remotes/origin/main", "HEAD")
    gate.repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    commits = different(gate, count)
    lines = [
        f"{commit} {commit} refs/heads/b{number} {commits[number // 2] if number % 2 else '0' * 40}\n"
        for number, commit in enumerate(commits)
    ]
    for commit in commits if known else ():
        gate.task(commit=commit)
    log.unlink(missing_ok=True)
    words = ("hook", "pre-push", "origin", "git@example.com:team/repo.git")
    result = inside(*words, cwd=gate.repo.path, env=gate.server.env, stdin="".join(lines).encode())
    assert result.status == (0 if known else 1), result.err
    assert len(gits := starts(log)) <= MOST_BESIDE_SH, "\n".join(gits)


@pytest.mark.parametrize("count", [1, 100])
def test_nor_more_where_everything_is_compared(gate: Gate, log: Path, count: int) -> None:
    """Code, clean merges, and scripts that no commit has, which may be a module's or a submodule's."""
    gate.repo.policy('equivalence = "paths"', 'code-paths = ["train.py"]', 'merges = "clean"', 'protect = ["b*"]')
    gate.repo.git("update-ref", "refs/remotes/origin/main", "HEAD")
    gate.repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    commits = different(gate, count, "train.py")
    gate.repo.git("checkout", "--quiet", "-b", "side", "main")
    gate.repo.commit("side", {"side.txt": "x"})
    gate.repo.git("merge", "--quiet", "--no-edit", "line")
    commits = [gate.repo.head, *commits]
    for number, commit in enumerate(commits):
        gate.task(commit=commit, entry_point=f"-m gone{number % 3}.train")
    lines = [f"{commit} {commit} refs/heads/b{number} {'0' * 40}\n" for number, commit in enumerate(commits)]
    log.unlink(missing_ok=True)
    words = ("hook", "pre-push", "origin", "git@example.com:team/repo.git")
    result = inside(*words, cwd=gate.repo.path, env=gate.server.env, stdin="".join(lines).encode())
    assert result.status == 1, result.err
    assert len(gits := starts(log)) <= MOST_BESIDE_SH, "\n".join(gits)
