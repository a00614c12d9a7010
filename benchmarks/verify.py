"""How long `git clearml verify` takes, as ratios to a floor measured in the same run.

The floor is what no program can go below: start Python, `git rev-parse`, one HTTP request; over the slow line one over
TLS. "The SDK's way" is what people script today: Task.query_tasks, Task.get_task, get_last_scalar_metrics. Every case
is a fresh process, the cases take turns, and the medians are compared. "Looked at" is how many tasks a server with a
million would look at; "a million" waits as long for each answer as a real one takes for that.

    python benchmarks/verify.py [--rounds 9]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from measuring import (
    FACTS,
    FLOOR,
    Case,
    ClearMLServer,
    environments,
    far_away,
    git,
    head,
    history,
    make_repository,
    measure,
    slow_server,
    sweep,
)

SDK = """
import subprocess, sys
from clearml import Task
head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
found = Task.query_tasks(
    additional_return_fields=["script.diff"],
    task_filter={"_all_": {"fields": ["script.version_num"], "pattern": head}, "status": ["completed"]},
)
clean = [one for one in found if not one["script.diff"]]
if not clean:
    sys.exit(1)
Task.get_task(clean[0]["id"]).get_last_scalar_metrics()
"""
DIFF = "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-1\n+2\n"
HUGE = DIFF + "+# padding of an uncommitted notebook\n" * 13_500  # 500 kB
PYTHON = (sys.executable, "-c")
VERIFY = (sys.executable, "-m", "git_clearml", "verify")
HOOK = (sys.executable, "-m", "git_clearml", "hook", "pre-push", "origin", "git@example.com:team/good.git")


def main() -> None:
    """Sets up, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    scratch = Path(tempfile.mkdtemp())
    try:
        with ClearMLServer() as server, far_away(server, scratch) as line:
            cases = make_cases(server, scratch / "cases", line)
            measure(server, cases, rounds)
            show(cases)
            print(f"\n{rounds} rounds, medians")
    finally:
        shutil.rmtree(scratch)


def make_cases(server: ClearMLServer, scratch: Path, line: dict[str, str]) -> list[Case]:
    """Repositories, what the server has on them, and what is run in them."""
    good, near, many, swept = (make_repository(scratch / name) for name in ("good", "near", "many", "swept"))
    server.add_task(name="train", commit=head(good), diff="", **FACTS)
    for number in range(6):
        server.add_task(name=f"dirty {number}", commit=head(near), diff=DIFF, **FACTS)
        server.add_task(name=f"failed {number}", status="failed", commit=head(near), diff="", **FACTS)
    commits = history(many, 500)
    for commit in commits:
        server.add_task(name="train", commit=commit, diff="", **FACTS)
    sweep(server, head(swept), git(swept, "rev-parse", "HEAD^{tree}").strip(), 700)
    for _ in range(20):
        server.add_task(name="notebook", commit=head(swept), diff=HUGE, **FACTS)
    environment, conf = environments(server, scratch)
    far = {**environment, **line}
    push = "".join(f"refs/heads/b{n} {each} refs/heads/b{n} {commits[-1]}\n" for n, each in enumerate(commits))

    def forget() -> None:
        shutil.rmtree(many / ".git" / "clearml", ignore_errors=True)

    return [
        Case("floor", (*PYTHON, FLOOR), environment, good),
        Case("verified, environment", VERIFY, environment, good, bar="under 2.5 x"),
        Case("verified, clearml.conf", VERIFY, conf, good, bar="under 3 x"),
        Case("rejected, 12 near misses", VERIFY, environment, near, status=1, bar="3 requests"),
        Case("500 commits in one push", HOOK, environment, many, stdin=push.encode(), prepare=forget, bar="1 request"),
        Case("a sweep of 700 tasks", VERIFY, environment, swept, bar="1 request, under 64,000 bytes"),
        Case("a million, verified", VERIFY, environment, good, hook=slow_server, bar="under 20,000 looked at"),
        Case("a million, rejected", VERIFY, environment, near, status=1, hook=slow_server),
        Case("30 ms away, TLS: floor", (*PYTHON, FLOOR), far, good, floor="30 ms away, TLS: floor"),
        Case("30 ms away, TLS: verified", VERIFY, far, good, floor="30 ms away, TLS: floor", bar="under 1.3 x"),
        Case("the SDK's way, verified", (*PYTHON, SDK), environment, good),
        Case("the SDK's way, rejected", (*PYTHON, SDK), environment, near, status=1),
    ]


def show(cases: list[Case]) -> None:
    """The table: each next to its floor, and the SDK's way next to ours."""
    medians = {case.name: case.median for case in cases}
    head_line = f"{'case':26} {'ms':>7} {'x floor':>8} {'SDK / it':>8} {'requests':>8} {'bytes':>7} {'looked at':>9}"
    print(f"{head_line} {'gits':>5} {'MB':>4}  bar")
    for case in cases:
        rival = medians["the SDK's way, rejected" if case.status else "the SDK's way, verified"]
        times = f"{1000 * case.median:7.1f} {case.median / medians[case.floor]:8.2f} {rival / case.median:8.2f}"
        load = f"{case.requests:8} {case.sent:7} {case.looked_at:9} {case.processes:5} {case.megabytes:4.0f}"
        print(f"{case.name:26} {times} {load}  {case.bar}".rstrip())


if __name__ == "__main__":
    main()
