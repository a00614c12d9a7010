"""Many pushes in a row through the installed hook, with something going wrong in most of them.

    make soak                     2,000 pushes, of a seed that is printed
    make soak PUSHES=150 SEED=7   fewer; the same ones again

No push passes that should not, whatever happens beside it, and none is refused where nothing was wrong. No process, no
open file and no file of a push is left behind.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.clearml_server import ClearMLServer
from tests.support.faults import Scripted, answering, closed_port, endless, reply, silent
from tests.support.pushing import Yard, published_yard, refs_of

WORLDS = 2
PUSHES = int(os.environ.get("PUSHES", "2000"))
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
PATIENCE = 60.0  # seconds for a push and for what it leaves running, on a machine that has other work, too

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]

TASKS: tuple[tuple[dict[str, Any] | None, bool], ...] = (
    ({}, True),
    ({}, True),
    ({"status": "published"}, True),
    (None, False),
    ({"diff": "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-a\n+b\n"}, False),
    ({"status": "failed"}, False),
    ({"status": "stopped"}, False),
    ({"status": "in_progress"}, False),
    ({"status": "queued"}, False),
    ({"system_tags": ["archived"]}, False),
    ({"repository": "https://example.com/somebody/else.git"}, False),
    ({"entry_point": "gone.py"}, False),
)
"""What a task of a commit is like, None for no task; may its commit be pushed?"""

OUTAGES: dict[str, Callable[[], Scripted]] = {
    "silent": silent,
    "garbage": lambda: answering(reply(b"{")),
    "a page": lambda: answering(reply(b"<html>login</html>")),
    "empty": lambda: answering(reply(b'{"meta": {"result_code": 200}, "data": {}}')),
    "no tasks at all": lambda: answering(reply(b'{"meta": {"result_code": 200}, "data": {"tasks": null}}')),
    "401": lambda: answering(reply(b"{}", status="401 Unauthorized")),
    "500": lambda: answering(reply(b"{}", status="500 Internal Server Error")),
    "503": lambda: answering(reply(b"", status="503 Service Unavailable")),
    "429": lambda: answering(reply(b"", status="429 Too Many Requests", headers=("Retry-After: 1",))),
    "cut short": lambda: answering(reply(b'{"meta"', length=500)),
    "hangs up": lambda: Scripted(lambda connection: None),
    "never ends": lambda: answering(endless(40)),
}


@dataclass
class World:
    """A clone, its remote and its server, and what is true of each commit."""

    yard: Yard
    draw: random.Random
    marker: str = field(default_factory=lambda: uuid.uuid4().hex)
    good: dict[str, bool] = field(default_factory=dict)  # may this commit be pushed?
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def git_dir(self) -> Path:
        return self.yard.repo.path / ".git"

    def commit(self) -> str:
        """A new commit with a task, or with none."""
        number = len(self.good)
        parent = self.draw.choice([*self.good, "origin/main"])
        self.yard.repo.git("checkout", "--quiet", "--detach", parent)
        commit = self.yard.repo.commit(f"number {number}", {"train.py": f"print({number})\n"})
        fields, good = self.draw.choice(TASKS)
        if fields is not None:
            self.yard.task(commit, **fields)
        if good and self.draw.random() < 0.3:
            self.yard.task(commit, status="failed")  # beside the good one it counts for nothing
        self.good[commit] = good
        return commit

    def refspecs(self) -> tuple[list[str], bool]:
        """What to push, and whether the gate lets it through with nothing going wrong."""
        specs, passes = [], True
        there = refs_of(self.yard.remote)
        names = [f"refs/heads/{name}" for name in ("gate/a", "gate/b", "gate/c", "free/a", "free/b")] + ["refs/tags/v1"]
        for ref in self.draw.sample(names, self.draw.choice((1, 1, 1, 2, 3))):
            if ref in there and self.draw.random() < 0.15:
                specs.append(f":{ref}")
                continue
            commit = self.commit() if self.draw.random() < 0.6 or not self.good else self.draw.choice([*self.good])
            specs.append(f"+{commit}:{ref}")
            if ref.startswith("refs/heads/gate/") and there.get(ref) != commit:
                passes = passes and self.good[commit]
        return specs, passes

    def push(self, *specs: str, **env: str) -> subprocess.Popen[bytes]:
        environment = self.yard.environment({"SOAK": self.marker, **env})
        return subprocess.Popen(
            ["git", "push", "--quiet", "origin", *specs],
            cwd=self.yard.repo.path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def left_running(self) -> list[str]:
        """The processes of a push that are still there."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if f"SOAK={self.marker}".encode() in (entry / "environ").read_bytes():
                        found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        return found

    def step(self) -> None:
        """One push, something that goes wrong with it, and what has come of both."""
        specs, passes = self.refspecs()
        gated = any(":refs/heads/gate/" in spec and spec[0] == "+" and not self._is_there(spec) for spec in specs)
        event = self.draw.choice(EVENTS)
        self.counts[event.__name__] = self.counts.get(event.__name__, 0) + 1
        before = refs_of(self.yard.remote)
        wanted, said = event(self, specs, passes or not gated, gated)
        after = refs_of(self.yard.remote)
        said += "".join(path.read_text() for path in Path(os.environ["TMPDIR"]).glob("git-clearml-*.log"))
        context = f"{event.__name__}, {specs}, expected {wanted}:\n{said}"
        assert "Traceback" not in said or (event is interrupted and _before_us(said)), context
        if wanted is not None:
            assert all(self._is_there(spec, after) for spec in specs) == wanted, context
            assert wanted or before == after, context
        self._nothing_is_left(context)

    def _is_there(self, spec: str, refs: dict[str, str] | None = None) -> bool:
        """Has the remote what this refspec asks for?"""
        commit, _, ref = spec.partition(":")
        return (refs or refs_of(self.yard.remote)).get(ref, "") == commit.lstrip("+")

    def _nothing_is_left(self, context: str) -> None:
        end = time.monotonic() + PATIENCE
        while (running := self.left_running()) and time.monotonic() < end:
            time.sleep(0.02)
        assert not running, context
        locks = [
            path for path in self.git_dir.rglob("*") if path.name.endswith((".lock", ".tmp")) or "tmp_" in path.name
        ]
        assert not locks, (context, locks)


Outcome = tuple[bool | None, str]
"""Whether the push has to have gone through, None where either is right; and what was printed."""


def _before_us(said: str) -> bool:
    """Is it the traceback of a Python that Ctrl-C meets before our first line has taken its handler off?

    That one is nobody's to mend, and in the midst of its start Python may call it by another name (`Fatal Python error:
    init_sys_streams`). All else that we do happens below what `__main__` imports after that line.
    """
    ours = set(re.findall(r'File ".*/git_clearml/(.*)", line', said))
    starting = "KeyboardInterrupt" in said or "Fatal Python error: init_" in said
    return starting and ours <= {"__init__.py", "__main__.py"}


def _ended(process: subprocess.Popen[bytes]) -> str:
    return process.communicate(timeout=PATIENCE)[0].decode(errors="replace")


def nothing(world: World, specs: list[str], passes: bool, gated: bool) -> Outcome:
    """All is well."""
    return passes, _ended(world.push(*specs))


def outage(world: World, specs: list[str], passes: bool, gated: bool) -> Outcome:
    """The server is not what it should be. What needs no server goes through."""
    name = world.draw.choice(sorted(OUTAGES))
    with OUTAGES[name]() as server:
        host = f"http://127.0.0.1:{server.port}"
        said = _ended(world.push(*specs, CLEARML_API_HOST=host, GIT_CLEARML_TIMEOUT="1"))
    return not gated, f"{name}: {said}"


def down(world: World, specs: list[str], passes: bool, gated: bool) -> Outcome:
    """Nobody listens."""
    host = f"http://127.0.0.1:{closed_port()}"
    return not gated, _ended(world.push(*specs, CLEARML_API_HOST=host, GIT_CLEARML_TIMEOUT="1"))


def key(world: World, specs: list[str], passes: bool, gated: bool) -> Outcome:
    """Another user's key is no reason to believe what this one was told; a secret of this one's may just be new."""
    if world.draw.random() < 0.5:
        return not gated, _ended(world.push(*specs, CLEARML_API_ACCESS_KEY="SOMEBODYELSE"))
    said = _ended(world.push(*specs, CLEARML_API_SECRET_KEY="wrong"))
    return (None if passes else False) if gated else True, said


def skip(world: World, specs: list[str], passes: bool, gated: bool) -> Outcome:
    """The loud way around."""
    said = _ended(world.push(*specs, GIT_CLEARML_SKIP="1"))
    assert not gated or "GIT_CLEARML_SKIP" in said
    return True, said


def memory(world: World, specs: list[str], passes: bool, gated: bool) -> Outcome:
    """Where verdicts are remembered there is a file, or half of one, or nothing."""
    place = world.git_dir / "clearml"
    aside = world.git_dir / "clearml.aside"
    if place.exists() and world.draw.random() < 0.5:
        for path in [*place.rglob("*")][:50]:
            if path.is_file() and path.parent.name in ("verified", "pushed"):
                content = path.read_bytes()
                path.write_bytes(content[: world.draw.randrange(len(content) + 1)])
        return passes, _ended(world.push(*specs))
    if place.exists():
        place.rename(aside)
    place.write_text("in the way")
    said = _ended(world.push(*specs))
    place.unlink()
    if aside.exists():
        aside.rename(place)
    return passes, said


def interrupted(world: World, specs: list[str], passes: bool, gated: bool) -> Outcome:
    """Ctrl-C, a hangup or a runner that ends the job, at any moment of the push."""
    process = world.push(*specs)
    time.sleep(world.draw.random() * 0.6)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, world.draw.choice((signal.SIGINT, signal.SIGTERM, signal.SIGHUP)))
    said = _ended(process)
    return None if passes else False, said


def together(world: World, specs: list[str], passes: bool, gated: bool) -> Outcome:
    """Two pushes of the same at once: git lets one of them lose, the gate says the same to both."""
    other = world.push(*specs)
    said = _ended(world.push(*specs))
    return (None if passes else False), said + _ended(other)


def changing(world: World, specs: list[str], passes: bool, gated: bool) -> Outcome:
    """Somebody resets the server's tasks while they are asked about: they were good, or they were not."""
    process = world.push(*specs)
    commits = {spec.split(":")[0].lstrip("+") for spec in specs}

    def reset() -> None:
        for task in list(world.yard.server.tasks.values()):
            if task["script"].get("version_num") in commits and task["status"] == "completed":
                task["status"] = "failed"

    timer = threading.Timer(world.draw.random() * 0.3, reset)
    timer.start()
    said = _ended(process)
    timer.join()
    for commit in commits - {""}:  # a commit that passed just before is remembered; none is pushed again
        world.good.pop(commit, None)
    return (None if passes else False), said


EVENTS = (
    nothing, nothing, nothing, nothing, nothing, outage, outage, down, key, skip, memory, interrupted, interrupted,
    together, changing,
)  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> Iterator[World]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    with ClearMLServer() as server:
        yard = published_yard(tmp_path / "yard", server, 'protect = ["gate/*"]')
        yard.repo.git("fetch", "--quiet", "origin")
        yard.repo.git("remote", "set-head", "origin", "main")
        yard.install()
        yield World(yard, random.Random(SEED + number))
    assert [*scratch.iterdir()] == []


@pytest.mark.parametrize("number", range(WORLDS))
def test_soak(world: World, number: int) -> None:
    print(f"SEED={SEED}")
    world.step()
    opened = len(os.listdir("/proc/self/fd"))
    for done in range(PUSHES // WORLDS):
        world.step()
        assert len(world.yard.server.tasks) <= 4 * (done + 5)
    print(world.counts)
    end = time.monotonic() + PATIENCE
    while len(os.listdir("/proc/self/fd")) > opened + 4 and time.monotonic() < end:  # connections kept by nobody
        time.sleep(0.1)
    assert len(os.listdir("/proc/self/fd")) <= opened + 4
