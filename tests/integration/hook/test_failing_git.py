"""git fails midway: at each of its calls in turn, in each way that a program can. Nothing unverified gets through."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import COVERAGE
from tests.support.clearml_server import ClearMLServer
from tests.support.program import inside, process_environment
from tests.support.pushing import Yard, line, published_yard, without_privileges, write_hook

WAYS = {
    "fails": "echo 'fatal: out of memory' >&2; exit 128",
    "fails without a word": "exit 1",
    "is killed": "kill -9 $$",
    "prints nothing": "exit 0",
    "prints what it should not": "echo 'warning: what is this'; exit 0",
    "stops in the middle": '"$real" "$@" | head -c 30; exit 0',
}
CALLS = 9
"""More than there are in a pass or a refusal."""


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with ClearMLServer() as server:
        made = published_yard(tmp_path_factory.mktemp("yard"), server, 'equivalence = "tree"', 'merges = "clean"')
        made.repo.git("update-ref", "refs/remotes/origin/main", "main")
        made.repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
        yield made


def failing_git(directory: Path, number: int, way: str) -> str:
    """PATH with a git that does as it should, but for this call of it."""
    real = shutil.which("git")
    count = f'n=$(cat "{directory}/n" 2>/dev/null || echo 0); echo $((n + 1)) >"{directory}/n"'
    script = f'#!/bin/sh\nreal={real}\n{count}\nif [ "$n" = {number} ]; then {WAYS[way]}; fi\nexec "$real" "$@"\n'
    write_hook(directory / "git", script)
    (directory / "n").unlink(missing_ok=True)
    return f"{directory}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize("way", WAYS)
def test_a_push_that_nobody_ran_does_not_get_through(way: str, yard: Yard, tmp_path: Path) -> None:
    commit = yard.repo.commit(f"untrained {way}", {"train.py": f"print({way!r})\n"})
    old = yard.remote.git("rev-parse", "refs/heads/main").strip()
    stdin, words = line(new=commit, old=old), ("hook", "pre-push", "origin", str(yard.remote.path))
    for number in range(CALLS):
        env = {**yard.server.env, "PATH": failing_git(tmp_path, number, way)}
        result = inside(*words, cwd=yard.repo.path, env=env, stdin=stdin)
        assert result.status in (1, 2, 3), (way, number, result.out + result.err)
        assert "bug of git-clearml" not in result.err, (way, number, result.err)


@pytest.mark.parametrize("way", WAYS)
def test_one_that_has_run_gets_through_or_is_told_why_not(way: str, yard: Yard, tmp_path: Path) -> None:
    commit = yard.repo.commit(f"trained {way}", {"train.py": f"print('trained', {way!r})\n"})
    yard.task(commit)
    statuses = set()
    for number in range(CALLS):
        env = {**yard.server.env, "PATH": failing_git(tmp_path, number, way)}
        result = inside("verify", commit, cwd=yard.repo.path, env=env)
        statuses.add(result.status)
        assert result.status in (0, 1, 2, 3), (way, number, result.out + result.err)
        assert "bug of git-clearml" not in result.err, (way, number, result.err)
        assert result.status == 0 or (result.out + result.err).strip()
    assert 0 in statuses


def full_disk() -> None:
    """No file of the process grows any more. (A file system that is full says ENOSPC, this says EFBIG.)"""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def test_a_full_disk_costs_the_memory_and_not_the_verdict(yard: Yard) -> None:
    run = yard.repo.commit("trained before the disk was full", {"train.py": "print('full')\n"})
    yard.task(run)
    other = yard.repo.commit("not trained", {"train.py": "print('not')\n"})
    environment = process_environment({**yard.server.env, "PYTHONDONTWRITEBYTECODE": "1"})
    for commit, statuses in ((run, {0}), (other, {1, 3})):  # 3: a merge would be made in a temporary folder
        done = subprocess.run(
            [sys.executable, "-m", "git_clearml", "hook", "pre-push", "origin", str(yard.remote.path)],
            cwd=yard.repo.path,
            env={name: value for name, value in environment.items() if name not in COVERAGE},  # it has to write, too
            input=line(local="refs/heads/topic", new=commit, remote="refs/heads/topic"),
            capture_output=True,
            preexec_fn=full_disk,
            check=False,
        )
        said = (done.stdout + done.stderr).decode()
        assert done.returncode in statuses, said
        assert "Traceback" not in said


COMMANDS = {
    "verify": ("verify", "HEAD~1", "HEAD"),
    "hook": ("hook", "pre-push", "origin"),
    "install": ("install",),
    "uninstall": ("uninstall",),
    "doctor": ("doctor",),
    "doctor --fix": ("doctor", "--fix"),
    "doctor --drill": ("doctor", "--drill"),
    "open": ("open", "--print", "HEAD"),
    "check-runnable": ("check-runnable", "--queue", "q", "--entry-point", "train.py"),
    "run --queue": ("run", "--queue", "q", "--", "python", "train.py"),
    "run --record": ("run", "--record", "notes", "--", "true"),
    "completion": ("completion", "bash"),
    "init": ("init", "--yes", "--dry-run"),
    "report": ("report", "HEAD"),
    "compare": ("compare", "--metric", "m/v", "HEAD"),
    "show": ("show", "HEAD"),
    "log": ("log", "-n", "3"),
    "diff": ("diff", "HEAD~1", "HEAD"),
    "bisect": ("bisect", "--metric", "m/v", "--worse-than", "0.9", "HEAD~2", "HEAD"),
    "comment": ("comment", "--dry-run"),
    "checkout": ("checkout", "0" * 32),
    "import": ("import", "--dry-run"),
    "push": ("push", "--dry-run"),
    "run": ("run", "--", "true"),
    "config": ("config",),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_ends_with_a_traceback(name: str, yard: Yard, tmp_path: Path) -> None:
    """Without git, then with one that fails at each of its calls in turn, in one way after the other."""
    pushed = line(local="refs/heads/main", new=yard.repo.head, remote="refs/heads/main") if name == "hook" else b""
    for number, way in enumerate(["no git", *WAYS, *WAYS], -1):
        path = failing_git(tmp_path, number, way) if way in WAYS else str(tmp_path / "nothing")
        result = inside(*COMMANDS[name], cwd=yard.repo.path, env={**yard.server.env, "PATH": path}, stdin=pushed)
        statuses = {0, 1, 2, 3, 4} | ({137} if name == "push" else set())  # how git push has ended
        assert result.status in statuses, (way, number, result.out + result.err)
        assert "bug of git-clearml" not in result.err, (way, number, result.err)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_minds_a_full_disk(name: str, yard: Yard) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "git_clearml", *COMMANDS[name]],
        cwd=yard.repo.path,
        env=process_environment({**yard.server.env, "PYTHONDONTWRITEBYTECODE": "1"}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        preexec_fn=full_disk,
        check=False,
    )
    shown = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode in (0, 1, 2, 3, 4), shown
    assert "Traceback" not in shown
    assert "bug of git-clearml" not in shown


ONE_AFTER_THE_OTHER = """\
import contextlib, io, json, os, sys
from git_clearml.cli import main
for name, words in json.load(open(sys.argv[1])).items():
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in "ab")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(words)
    print(json.dumps([name, status, *(stream.buffer.getvalue().decode() for stream in (out, err))]), flush=True)
"""
AS_EVER = {"verify": 1, "hook": 0, "report": 0, "show": 0, "log": 0, "diff": 1, "open": 0, "config": 0}
"""What only reads, and how it ends: HEAD~1 has no task."""


@pytest.mark.parametrize("names", [[*AS_EVER, "install"], pytest.param([*COMMANDS], marks=pytest.mark.slow)])
def test_no_command_minds_a_git_directory_that_may_not_be_written(names: list[str], yard: Yard, tmp_path: Path) -> None:
    """Somebody else's clone, or one on a medium of that kind: what only reads is as it is anywhere."""
    yard.repo.commit("not trained", {"train.py": f"print('not trained', {len(names)})\n"})
    commit = yard.repo.commit("trained, and read-only", {"train.py": f"print('read-only', {len(names)})\n"})
    yard.task(commit, metrics={"m": {"v": 0.5}})
    for name in ("clearml", "hooks/pre-push"):
        shutil.rmtree(yard.repo.path / ".git" / name, ignore_errors=True)
    (tmp_path / "commands").write_text(json.dumps({name: COMMANDS[name] for name in names}))
    script = [sys.executable, "-c", ONE_AFTER_THE_OTHER, str(tmp_path / "commands")]
    directories = [yard.repo.path / ".git", *(path for path in yard.repo.path.glob(".git/**/") if path.is_dir())]
    environment = process_environment(yard.server.env)
    try:
        for directory in directories:
            directory.chmod(0o500)
        done = subprocess.run(
            without_privileges(script), cwd=yard.repo.path, env=environment, capture_output=True, text=True, check=False
        )
    finally:
        for directory in directories:
            directory.chmod(0o700)
    assert done.returncode == 0, done.stderr
    results = {name: (status, out, err) for name, status, out, err in map(json.loads, done.stdout.splitlines())}
    assert [*results] == names
    for name, (status, out, err) in results.items():
        assert status == AS_EVER.get(name, status), (name, out, err)
        assert status in (0, 1, 2, 3, 4), (name, out, err)
        assert "bug of git-clearml" not in err, (name, err)
        assert not status or (out + err).strip(), name
    assert results["install"][0] == 2
