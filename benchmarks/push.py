"""What the pre-push hook adds to `git push`, next to no hook at all, a hook that does nothing, and pre-commit.

Every case is a real `git push` of one new branch (or a deletion, or nothing) to a bare repository on this disk, as a
fresh process; the cases take turns, and the medians are compared with the same push where there is no hook. The floor
is benchmarks/verify.py's: start Python, `git rev-parse`, one HTTP request.

    python benchmarks/push.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from verify import FLOOR, environments, git, head, make_repository

from tests.support.clearml_server import ClearMLServer

ROOT = Path(__file__).resolve().parent.parent
BRANCH = "refs/heads/b"
PUSH = ("git", "push", "--quiet", "origin", f"HEAD:{BRANCH}")
DELETE = ("git", "push", "--quiet", "origin", f":{BRANCH}")
UP_TO_DATE = "under 15 ms"
NO_OP = """\
repos:
- repo: local
  hooks:
  - {id: nothing, name: nothing, entry: 'true', language: system, always_run: true}
"""


@dataclass
class Case:
    """One kind of push: from which clone, over which remote refs, and what was measured of it."""

    name: str
    clone: Path
    command: tuple[str, ...] = PUSH
    there: bool = False  # does the remote have the branch before the push
    status: int = 0
    remembers: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    base: str = "no hook"  # the case that it is compared with
    bar: str = ""
    seconds: list[float] = field(default_factory=list)
    requests: int = 0


def main() -> None:
    """Sets up, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    scratch = Path(tempfile.mkdtemp())
    try:
        with ClearMLServer() as server:
            environment = make_environment(server, scratch)
            cases = make_cases(server, scratch, environment)
            measure(server, cases, environment, rounds)
            show(cases)
            print(f"\n{rounds} rounds, medians; 'over' is the difference to the same push without a hook")
    finally:
        shutil.rmtree(scratch)


def make_environment(server: ClearMLServer, scratch: Path) -> dict[str, str]:
    """Credentials in variables, our program first on PATH, nothing of the caller's git settings."""
    (scratch / "home").mkdir()
    environment, _ = environments(server, scratch / "home")
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return {**environment, "PATH": path, "GIT_CONFIG_NOSYSTEM": "1"}


def make_cases(server: ClearMLServer, scratch: Path, environment: dict[str, str]) -> list[Case]:
    """A clone with a remote of its own for each kind of hook, and the pushes from it."""
    plain, no_op, ours, refused = (make_clone(scratch / name) for name in ("plain", "no-op", "ours", "refused"))
    write_hook(no_op, "#!/bin/sh\ncat >/dev/null\n")
    for clone in (ours, refused):
        write_hook(clone, (ROOT / "hooks" / "pre-push").read_text())
    server.add_task(commit=head(ours), diff="", repository=str(ours.parent / "remote.git"), entry_point="train.py")
    skip = {"GIT_CLEARML_SKIP": "1"}
    cases = [
        Case("floor", plain, (sys.executable, "-c", FLOOR), base=""),
        Case("no hook", plain, base=""),
        Case("a hook that does nothing", no_op),
        Case("ours, verified", ours, bar="less than pre-commit, does nothing"),
        Case("ours, remembered", ours, remembers=True, bar="no request, no Python: under 25 ms"),
        Case("ours, refused", refused, status=1),
        Case("ours, skipped", ours, environment=skip, bar=UP_TO_DATE),
        Case("up to date, no hook", plain, there=True, base=""),
        Case("up to date, does nothing", no_op, there=True, base="up to date, no hook"),
        Case("up to date, ours", ours, there=True, base="up to date, no hook", bar=UP_TO_DATE),
        Case("deletion, no hook", plain, DELETE, there=True, base=""),
        Case("deletion, does nothing", no_op, DELETE, there=True, base="deletion, no hook"),
        Case("deletion, ours", ours, DELETE, there=True, base="deletion, no hook", bar=UP_TO_DATE),
    ]
    return cases + with_pre_commit(scratch, environment)


def with_pre_commit(scratch: Path, environment: dict[str, str]) -> list[Case]:
    """pre-commit running a hook that does nothing, where pre-commit is installed."""
    if shutil.which("pre-commit", path=environment["PATH"]) is None:
        return []
    clone = make_clone(scratch / "pre-commit")
    (clone / ".pre-commit-config.yaml").write_text(NO_OP)
    git(clone, "add", ".")
    git(clone, "-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "hooks")
    words = ["pre-commit", "install", "--hook-type", "pre-push"]
    subprocess.run(words, cwd=clone, env=environment, check=True, capture_output=True)
    return [Case("pre-commit, does nothing", clone)]


def make_clone(place: Path) -> Path:
    """A repository of 200 files with a bare remote beside it."""
    clone = make_repository(place / "repo")
    git(clone, "init", "--quiet", "--bare", str(place / "remote.git"))
    git(clone, "remote", "set-url", "origin", str(place / "remote.git"))
    git(clone, "push", "--quiet", "origin", "HEAD:refs/heads/other")
    git(clone, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/other")  # as git clone does
    return clone


def write_hook(clone: Path, text: str) -> None:
    hook = clone / ".git" / "hooks" / "pre-push"
    hook.write_text(text)
    hook.chmod(0o755)


def prepare(case: Case) -> None:
    """Puts remote and clone into the state that the push is to start from."""
    if not case.remembers:
        shutil.rmtree(case.clone / ".git" / "clearml", ignore_errors=True)
    remote = case.clone.parent / "remote.git"
    words = ["update-ref", BRANCH, head(case.clone)] if case.there else ["update-ref", "-d", BRANCH]
    git(remote, *words)
    git(case.clone, "update-ref", "-d", f"refs/remotes/origin/{BRANCH.rpartition('/')[2]}")


def measure(server: ClearMLServer, cases: list[Case], environment: dict[str, str], rounds: int) -> None:
    """Runs the cases in turns. The first round only warms up."""
    for number in range(rounds + 1):
        for case in cases:
            prepare(case)
            if case.remembers:
                timed(case, environment)  # so that there is something to remember
                prepare(case)
            server.reset_log()
            seconds = timed(case, environment)
            case.requests = len(server.requests)
            if number:
                case.seconds.append(seconds)


def timed(case: Case, environment: dict[str, str]) -> float:
    """Seconds of one run. Exits when it did not end as it should."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        done = subprocess.run(
            case.command,
            cwd=case.clone,
            env={**environment, **case.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        )
        seconds = time.perf_counter() - started
        if done.returncode != case.status:
            output.seek(0)
            sys.exit(f"{case.name}: exit status {done.returncode}\n{output.read().decode(errors='replace')}")
    return seconds


def show(cases: list[Case]) -> None:
    """The table: milliseconds, what is added to the same push without a hook, and that in floors."""
    medians = {case.name: statistics.median(case.seconds) for case in cases}
    print(f"{'case':26} {'ms':>7} {'over, ms':>9} {'over, x floor':>14} {'requests':>9}  bar")
    for case in cases:
        over = medians[case.name] - medians[case.base] if case.base else None
        added = f"{1000 * over:9.1f} {over / medians['floor']:14.2f}" if over is not None else f"{'':9} {'':14}"
        print(f"{case.name:26} {1000 * medians[case.name]:7.1f} {added} {case.requests:9}  {case.bar}".rstrip())


if __name__ == "__main__":
    main()
