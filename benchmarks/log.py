"""How long `git clearml log` takes over 10,000 commits with 1,000 notes, as ratios to `git log --oneline` on the same.

Every case is a fresh process, the cases take turns, and the medians are compared. The time to the first line is
measured too: output streams.

    python benchmarks/log.py [--rounds 9] [--commits 10000] [--notes 1000]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from git_clearml.clearml.model import Result
from git_clearml.model import Metric
from git_clearml.record import note_lines

WHO = "C. Committer <committer@example.com> 1767323045 +0000"


@dataclass
class Case:
    """A command, and what was measured of it: seconds to the first line and to the end, and the lines."""

    name: str
    command: list[str]
    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    lines: int = 0


def main() -> None:
    """Sets up, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--commits", type=int, default=10_000)
    parser.add_argument("--notes", type=int, default=1_000)
    options = parser.parse_args()
    program = [sys.executable, "-m", "git_clearml", "log"]
    cases = [
        Case("git log --oneline", ["git", "--no-pager", "log", "--oneline"]),
        Case("git log, notes shown", ["git", "--no-pager", "log", "--oneline", "--notes=clearml"]),
        Case("git clearml log", program),
        Case("git clearml log -n 20", [*program, "-n", "20"]),
        Case("git log --graph", ["git", "--no-pager", "log", "--graph", "--format=%h%d %s"]),
        Case("git clearml log --graph", [*program, "--graph"]),
        Case("git clearml log --format", [*program, "--format", "%h %(clearml:status) %s"]),
        Case("git clearml log --sort", [*program, "--sort", "validation/accuracy"]),
        Case("git clearml log, JSON", [*program, "--format", "json"]),
    ]
    with tempfile.TemporaryDirectory() as scratch:
        make_repository(Path(scratch), options.commits, options.notes)
        for number in range(options.rounds + 1):
            for case in cases:
                measure(case, Path(scratch), warm=number > 0)
    print(f"{'case':24} {'lines':>7} {'first line, ms':>15} {'x git log':>10} {'whole, ms':>10} {'x git log':>10}")
    base = statistics.median(cases[0].whole)
    for case in cases:
        first, whole = statistics.median(case.first), statistics.median(case.whole)
        ratios = f"{first / base:10.2f} {1000 * whole:10.1f} {whole / base:10.2f}"
        print(f"{case.name:24} {case.lines:7} {1000 * first:15.1f} {ratios}")
    print("\nbars: of `git clearml log` the first line under 3 x all of git log, the whole under 1,000 ms")
    print(f"\n{options.commits:,} commits, {options.notes:,} notes, {options.rounds} rounds, medians")


def make_repository(path: Path, commits: int, notes: int) -> None:
    """A history with a note on every so manyth commit, made by git fast-import."""
    git(path, "init", "--quiet", "--initial-branch", "main")
    subject = "Train the detector with another augmentation"
    history = [
        f"commit refs/heads/main\nmark :{n + 1}\ncommitter {WHO}\ndata <<E\n{subject} {n}\nE\n" for n in range(commits)
    ]
    git(path, "fast-import", "--quiet", stdin="\n".join(history))
    hashes = git(path, "rev-list", "main").splitlines()
    step = max(commits // notes, 1)
    chosen = hashes[::step][:notes]
    parts = [f"commit refs/notes/clearml\ncommitter {WHO}\ndata 1\nx\n"]
    for number, commit in enumerate(chosen):
        text = note(number, commit)
        parts.append(f"N inline {commit}\ndata {len(text)}\n{text}\n")
    git(path, "fast-import", "--quiet", stdin="".join(parts))


def note(number: int, commit: str) -> str:
    """A note as `git clearml run --record notes` writes it: one task, ten metrics."""
    value = 1 / (number + 2)
    metrics = tuple(Metric("validation", series, value, value, value) for series in ("accuracy", *"abcdefghi"))
    page = f"https://app.clear.ml/projects/1/experiments/{number:032x}/output/log"
    result = Result(
        f"{number:032x}", "train", "Vision", "completed", page, commit, "2026-01-02T03:04:05", metrics=metrics
    )
    return note_lines.line(note_lines.recorded_task(result, "2026-01-02T03:04:05.000+00:00")).decode()


def measure(case: Case, path: Path, *, warm: bool) -> None:
    """One run. Exits when it did not end as it should."""
    root = str(Path(__file__).resolve().parent.parent)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CLEARML_", "GIT_"))}
    started = time.perf_counter()
    with subprocess.Popen(
        case.command, cwd=path, env={**environment, "PYTHONPATH": root}, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        first = time.perf_counter() - started
        case.lines = 1 + process.stdout.read().count(b"\n")
    whole = time.perf_counter() - started
    if process.returncode:
        sys.exit(f"{case.name}: exit status {process.returncode}")
    if warm:
        case.first.append(first)
        case.whole.append(whole)


def git(path: Path, *arguments: str, stdin: str = "") -> str:
    done = subprocess.run(["git", *arguments], cwd=path, input=stdin, check=True, capture_output=True, text=True)
    return done.stdout


if __name__ == "__main__":
    main()
