"""What the pre-push hook adds to `git push`, next to no hook at all, hooks that do nothing, and other programs' hooks.

Every case is a real `git push` of one new branch (or a deletion, or nothing) to a bare repository on this disk, as a
fresh process; the cases take turns, and the medians are compared with the same push where there is no hook. The floor
is benchmarks/verify.py's: start Python, `git rev-parse`, one HTTP request. pre-commit, prek and git-lfs are measured
where they are installed, and said where they are not.

    python benchmarks/push.py [--rounds 9]
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import FACTS, FLOOR, ROOT, Case, ClearMLServer, environments, git, head, make_repository, measure, timed

BRANCH = "refs/heads/b"
PUSH = ("git", "push", "--quiet", "origin", f"HEAD:{BRANCH}")
DELETE = ("git", "push", "--quiet", "origin", f":{BRANCH}")
UP_TO_DATE = "under 15 ms"
NO_OP = """\
repos:
- repo: local
  hooks:
  - {id: nothing, name: nothing, entry: 'true', language: system, always_run: true, pass_filenames: false}
"""


def main() -> None:
    """Sets up, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    scratch = Path(tempfile.mkdtemp())
    try:
        with ClearMLServer() as server:
            environment = make_environment(server, scratch)
            cases = make_cases(server, scratch, environment)
            measure(server, cases, rounds)
            show(cases)
            print(f"\n{rounds} rounds, medians; 'over' is the difference to the same push without a hook")
            print("gits are those that are started beside the ones of that push")
    finally:
        shutil.rmtree(scratch)


def make_environment(server: ClearMLServer, scratch: Path) -> dict[str, str]:
    """Credentials in variables, our program first on PATH, nothing of the caller's git settings."""
    (scratch / "home").mkdir()
    environment, _ = environments(server, scratch / "home")
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return {**environment, "PATH": path}


def make_cases(server: ClearMLServer, scratch: Path, environment: dict[str, str]) -> list[Case]:
    """A clone with a remote of its own for each kind of hook, and the pushes from it."""
    plain, no_op, ours, refused = (make_clone(scratch / name) for name in ("plain", "no-op", "ours", "refused"))
    write_hook(no_op, "#!/bin/sh\ncat >/dev/null\n")
    for clone in (ours, refused):
        write_hook(clone, (ROOT / "hooks" / "pre-push").read_text())
    server.add_task(commit=head(ours), diff="", **{**FACTS, "repository": str(ours.parent / "remote.git")})
    skip = {**environment, "GIT_CLEARML_SKIP": "1"}

    def push(name: str, clone: Path, *, floor: str = "no hook", bar: str = "", status: int = 0) -> Case:
        return Case(name, PUSH, environment, clone, status, floor=floor, prepare=prepared(clone), bar=bar)

    def other(name: str, clone: Path, floor: str = "", bar: str = "") -> Case:
        """Nothing to push, or a deletion: the remote has the branch before."""
        command = DELETE if name.startswith("deletion") else PUSH
        return Case(name, command, environment, clone, floor=floor, prepare=prepared(clone, there=True), bar=bar)

    remembered = push("ours, remembered", ours, bar="no request, no Python: under 25 ms")

    def remember() -> None:
        prepared(ours)()
        timed(remembered)  # so that there is something to remember
        prepared(ours, forget=False)()

    remembered.prepare = remember
    skipped = push("ours, skipped", ours, bar=UP_TO_DATE)
    skipped.environment = skip
    return [
        Case("floor", (sys.executable, "-c", FLOOR), environment, plain, floor=""),
        push("no hook", plain, floor=""),
        push("an sh hook, does nothing", no_op),
        push("ours, verified", ours, bar="less than pre-commit, does nothing"),
        remembered,
        push("ours, refused", refused, status=1),
        skipped,
        other("up to date, no hook", plain),
        other("up to date, does nothing", no_op, "up to date, no hook"),
        other("up to date, ours", ours, "up to date, no hook", UP_TO_DATE),
        other("deletion, no hook", plain),
        other("deletion, does nothing", no_op, "deletion, no hook"),
        other("deletion, ours", ours, "deletion, no hook", UP_TO_DATE),
        *(push(name, clone) for name, clone in others(scratch, environment)),
    ]


def others(scratch: Path, environment: dict[str, str]) -> list[tuple[str, Path]]:
    """Clones with the hooks of other programs: pre-commit and prek running one that does nothing, and git-lfs's own."""
    clones = []
    for program in ("pre-commit", "prek", "git-lfs"):
        if shutil.which(program, path=environment["PATH"]) is None:
            print(f"{program} is not installed: left out")
            continue
        clone = make_clone(scratch / program)
        if program == "git-lfs":
            git(clone, "config", "lfs.locksverify", "false")
            words = ["git", "lfs", "install", "--local"]
        else:
            (clone / ".pre-commit-config.yaml").write_text(NO_OP)
            git(clone, "add", ".")
            git(clone, "-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "hooks")
            words = [program, "install", "--hook-type", "pre-push"]
        subprocess.run(words, cwd=clone, env=environment, check=True, capture_output=True)
        clones.append((f"{program}'s own" if program == "git-lfs" else f"{program}, does nothing", clone))
    return clones


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


def prepared(clone: Path, *, there: bool = False, forget: bool = True) -> functools.partial[None]:
    """What puts remote and clone into the state that a push is to start from; `there`: the remote has the branch."""

    def prepare() -> None:
        if forget:
            shutil.rmtree(clone / ".git" / "clearml", ignore_errors=True)
        words = ["update-ref", BRANCH, head(clone)] if there else ["update-ref", "-d", BRANCH]
        git(clone.parent / "remote.git", *words)
        git(clone, "update-ref", "-d", f"refs/remotes/origin/{BRANCH.rpartition('/')[2]}")

    return functools.partial(prepare)


def show(cases: list[Case]) -> None:
    """The table: milliseconds, what is added to the same push without a hook, and that in floors."""
    medians = {case.name: case.median for case in cases}
    gits = {case.name: case.processes for case in cases}
    print(f"{'case':26} {'ms':>7} {'over, ms':>9} {'over, x floor':>14}", end=" ")
    print(f"{'requests':>8} {'bytes':>6} {'looked at':>9} {'gits':>5} {'MB':>4}  bar")
    for case in cases:
        over = case.median - medians[case.floor] if case.floor else None
        added = f"{1000 * over:9.1f} {over / medians['floor']:14.2f}" if over is not None else f"{'':9} {'':14}"
        more = case.processes - gits.get(case.floor, 0)
        load = f"{case.requests:8} {case.sent:6} {case.looked_at:9} {more:5} {case.megabytes:4.0f}"
        print(f"{case.name:26} {1000 * case.median:7.1f} {added} {load}  {case.bar}".rstrip())


if __name__ == "__main__":
    main()
