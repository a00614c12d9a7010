"""Cached verdicts: a push may be spared the question, never the judgement; and kills leave nothing behind."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.apart import Apart
from tests.support.clearml_server import ClearMLServer
from tests.support.program import Gate
from tests.support.pushing import Yard, descendants, line, make_yard, quick, without_privileges


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with ClearMLServer() as server, quick(make_yard(tmp_path, server)) as yard:
        yield yard.install()


@pytest.fixture
def verified(yard: Yard) -> Yard:
    """A yard that has pushed HEAD once, and remembers it."""
    yard.task()
    yard.accepts("origin", "main:refs/heads/first")
    return yard


COUNT = iter(range(1_000_000))


def again(yard: Yard, requests: int | None, **options: object) -> None:
    """The same commit to one more branch: accepted, with so many requests."""
    ref = f"refs/heads/b{next(COUNT)}"
    yard.accepts("origin", f"HEAD:{ref}", moved=[ref], requests=requests, **options)


def entry(yard: Yard) -> Path:
    """The one verdict that git-clearml remembers; what sh remembers is out of its way."""
    yard.forget_pushes()
    (file,) = yard.memory.iterdir()
    return file


def rewrite(yard: Yard, age: float) -> None:
    document = json.loads(entry(yard).read_text())
    entry(yard).write_text(json.dumps({**document, "verified": time.time() - age}))


def test_the_second_push_asks_nothing(verified: Yard) -> None:
    verified.server.tasks.clear()
    pushed = verified.accepts("origin", "HEAD:refs/heads/second", requests=0)
    assert pushed.lines() == [f"git clearml: verified {verified.repo.head[:12]} (second)"]


def test_another_commit_is_asked_for(verified: Yard) -> None:
    verified.repo.commit("more")
    verified.refuses("origin", "main")
    verified.task()
    again(verified, 1)
    again(verified, 0)


@pytest.mark.parametrize("status", ["failed", "in_progress"])
def test_what_is_no_pass_is_never_remembered(status: str, yard: Yard) -> None:
    yard.task(status=status)
    for _ in range(2):
        assert yard.push("origin", "main").status != 0
        assert not yard.memory.exists()
    yard.task()
    again(yard, 1)


def test_of_a_refused_push_the_good_commit_is_remembered(yard: Yard) -> None:
    yard.task()
    yard.repo.git("branch", "good")
    yard.repo.commit("bad")
    yard.refuses("origin", "good", "main")
    yard.accepts("origin", "good", moved=["refs/heads/good"], requests=0)


def test_a_skipped_push_is_never_remembered(yard: Yard) -> None:
    yard.accepts("origin", "main", requests=0, env={"GIT_CLEARML_SKIP": "1"})
    yard.refuses("origin", "HEAD:refs/heads/x")


def test_it_expires(verified: Yard) -> None:
    rewrite(verified, age=86_390)
    again(verified, 0)
    rewrite(verified, age=86_410)
    again(verified, 1)
    again(verified, 0)


def test_a_time_to_come_is_asked_again(verified: Yard) -> None:
    rewrite(verified, age=-3600)
    again(verified, 1)


def test_how_long_is_a_setting_and_zero_is_off(verified: Yard) -> None:
    rewrite(verified, age=100)
    verified.repo.git("config", "clearml.remember", "60")
    again(verified, 1)
    again(verified, 0)
    verified.repo.git("config", "clearml.remember", "0")
    again(verified, 1)
    verified.forget()
    again(verified, 1)
    assert not verified.memory.exists()


def _directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _no_store(file: Path) -> None:
    file.unlink()
    file.parent.rmdir()
    file.parent.write_text("a file")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:20]),
    "corrupt": lambda file: file.write_bytes(b"\xff\x00{"),
    "foreign": lambda file: file.write_text('{"somebody": "else"}'),
    "of another question": lambda file: file.write_text(file.read_text().replace(file.name, "0" * 64)),
    "a directory": _directory,
    "a file for the store": _no_store,
}


def test_damage_is_asked_again(verified: Yard) -> None:
    file = entry(verified)
    sound, store = file.read_bytes(), file.parent
    for damage in DAMAGE.values():
        damage(file)
        again(verified, 1)
        shutil.rmtree(store) if store.is_dir() else store.unlink()
        store.mkdir(0o700)
        file.write_bytes(sound)
        file.chmod(0o600)
    again(verified, 0)


def test_a_directory_that_cannot_be_written(yard: Yard) -> None:
    yard.at_hand = None
    yard.task()
    yard.memory.parent.mkdir(exist_ok=True)
    yard.memory.parent.chmod(0o555)
    try:
        for _ in range(2):
            again(yard, 1, command=without_privileges(["git", "push"]))
    finally:
        yard.memory.parent.chmod(0o755)
    assert not yard.memory.exists()


def test_a_copy_for_another_commit_is_not_taken(verified: Yard) -> None:
    """A person who renames files in there still has to know the key of the other question."""
    first = entry(verified)
    verified.repo.commit("more")
    verified.task()
    again(verified, 1)
    (other,) = set(verified.memory.iterdir()) - {first}
    verified.server.tasks.clear()
    other.write_bytes(first.read_bytes())
    verified.forget_pushes()
    verified.refuses("origin", "HEAD:refs/heads/x")


def test_another_policy_asks_again(verified: Yard) -> None:
    head = verified.repo.head
    verified.repo.policy('project = "Elsewhere"')
    verified.publish("HEAD:refs/heads/main")
    verified.repo.git("checkout", "--quiet", head)
    assert "is in project" in verified.refuses("origin", "+HEAD:refs/heads/main").said


def test_another_server_or_key_asks_again(verified: Yard) -> None:
    with ClearMLServer() as other:
        ref = "HEAD:refs/heads/other"
        assert verified.push("origin", ref, env={"CLEARML_API_HOST": other.url}).status == 1
        assert len(other.requests) > 0
    pushed = verified.push("origin", ref, env={"CLEARML_API_ACCESS_KEY": "ANOTHERKEY"})
    assert (pushed.status, pushed.moved) == (1, {})
    assert "does not accept the credentials" in pushed.err


def test_another_repository_asks_again(verified: Yard) -> None:
    again(verified, 0)
    verified.repo.git("remote", "add", "second", "https://example.com/team/second.git")
    again(verified, 1)


def test_in_ci_nobody_remembers(verified: Yard) -> None:
    again(verified, 1, env={"CI": "1"})
    verified.forget()
    again(verified, 1, env={"CI": "true"})
    assert not verified.memory.exists()


def test_verify_neither_reads_nor_writes_it(verified: Yard) -> None:
    gate = Gate(verified.repo, verified.server)
    gate.accepts()
    verified.server.tasks.clear()
    assert gate.verify().status == 1
    again(verified, 0)
    verified.forget()
    verified.task()
    gate.accepts()
    assert not verified.memory.exists()


def test_a_worktree_asks_for_itself(verified: Yard, tmp_path: Path) -> None:
    """Its directory is one of the names under which a task may have recorded the repository."""
    tree = verified.repo.worktree(tmp_path / "tree")
    again(verified, 1, cwd=tree.path)
    again(verified, 0, cwd=tree.path)
    again(verified, 0)


def test_two_hooks_at_once(yard: Yard, apart: Apart) -> None:
    yard.at_hand = apart
    yard.task()
    yard.server.latency = 0.2  # so that both have asked before one has written
    words = ["git-clearml", "hook", "pre-push", "origin", str(yard.remote.path)]
    given, env, pipe = line(new=yard.repo.head), yard.environment(), subprocess.PIPE
    running = [subprocess.Popen(words, cwd=yard.repo.path, env=env, stdin=pipe, stderr=pipe) for _ in range(4)]
    for process in running:
        assert process.stdin
        process.stdin.write(given)
        process.stdin.close()
    for process in running:
        assert process.wait(120) == 0
        assert process.stderr
        process.stderr.close()
    yard.server.latency = 0.0
    assert [path.name for path in yard.memory.iterdir()] == [entry(yard).name]
    again(yard, 0)


def kill_hook_during_push(yard: Yard, number: int, moment: float) -> tuple[int, float]:
    """A push whose hook (sh and Python both) gets a signal after so many seconds; its status and how long it took."""
    started = time.monotonic()
    words = ["git", "push", "--quiet", "origin", "main"]
    push = subprocess.Popen(words, cwd=yard.repo.path, env=yard.environment(), stdout=-3, stderr=-3)
    time.sleep(moment)
    for pid, command in descendants(push.pid):
        if "pre-push" in command:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
    return push.wait(120), time.monotonic() - started


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed_at_random_moments(number: int, yard: Yard) -> None:
    """However far the hook got, the remote moved only if the push said so, and the next push works."""
    yard.task()
    _, usual = kill_hook_during_push(yard, 0, 0)
    luck = random.Random(number)
    for _ in range(4 if number == signal.SIGKILL else 3):
        yard.forget()
        yard.remote.git("update-ref", "-d", "refs/heads/main")
        status, _ = kill_hook_during_push(yard, number, luck.uniform(0, usual))
        there = yard.remote.git("for-each-ref", "refs/heads/main")
        assert (status == 0) is bool(there)
        again(yard, None)  # it may have been remembered just before the kill
        again(yard, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_killed_while_the_server_is_asked(number: int, yard: Yard) -> None:
    """In the very middle: the push is refused, nothing is remembered, nothing is in the way."""
    yard.at_hand = None
    yard.task()

    def kill(*_: object) -> None:
        yard.server.hook = None
        for pid, command in descendants(os.getpid()):
            if "git-clearml hook" in command:
                os.kill(pid, number)

    yard.server.hook = kill
    pushed = yard.push("origin", "main")
    assert (pushed.status, pushed.moved) == (1, {})
    assert not yard.memory.exists()
    yard.accepts("origin", "main", moved=["refs/heads/main"])
    assert [path.name for path in (yard.repo.path / ".git").rglob("*.lock")] == []
