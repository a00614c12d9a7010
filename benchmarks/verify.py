"""How long `git clearml verify` takes, as ratios to a floor measured in the same run.

The floor is what no program can go below: start Python, `git rev-parse`, one HTTP request. "The SDK's way" is what
people script today: Task.query_tasks, Task.get_task, get_last_scalar_metrics. Every case is a fresh process, the
cases take turns, and the medians are compared. "Looked at" is how many tasks a server with a million would look at.

    python benchmarks/verify.py [--rounds 15]
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
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support.clearml_cost import looked_at
from tests.support.clearml_server import ClearMLServer

FLOOR = """
import http.client, json, os, subprocess
head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
connection = http.client.HTTPConnection(os.environ["CLEARML_API_HOST"].removeprefix("http://"))
body = json.dumps({"_all_": {"fields": ["script.version_num"], "pattern": f"^{head}$"}, "only_fields": ["id"]})
connection.request("POST", "/tasks.get_all_ex", body, {"Authorization": os.environ["FLOOR_AUTHORIZATION"]})
connection.getresponse().read()
"""
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


@dataclass
class Case:
    """One kind of process: its command, environment, wanted exit status and what was measured of it."""

    name: str
    command: list[str]
    environment: dict[str, str]
    directory: Path
    status: int = 0
    seconds: list[float] = field(default_factory=list)
    megabytes: float = 0.0
    requests: int = 0
    sent: int = 0
    looked_at: int = 0


def main() -> None:
    """Sets up, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    scratch = Path(tempfile.mkdtemp())
    try:
        for latency in (0.0, 0.05):
            with ClearMLServer(latency=latency) as server:
                measure(server, make_cases(server, scratch / f"{latency}"), rounds)
                print(f"\nserver latency {1000 * latency:.0f} ms, {rounds} rounds, medians")
    finally:
        shutil.rmtree(scratch)


def make_cases(server: ClearMLServer, scratch: Path) -> list[Case]:
    """A verified repository, one with near misses, and what is run in them."""
    good = make_repository(scratch / "good")
    near = make_repository(scratch / "near")
    facts = {"project": "Vision/Detector", "repository": "https://example.com/team/good.git", "entry_point": "train.py"}
    server.add_task(name="train", status="completed", commit=head(good), diff="", **facts)
    diff = "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-1\n+2\n"
    for number in range(6):
        server.add_task(name=f"dirty {number}", status="completed", commit=head(near), diff=diff, **facts)
        server.add_task(name=f"failed {number}", status="failed", commit=head(near), diff="", **facts)
    environment, conf = environments(server, scratch)
    verify = [sys.executable, "-m", "git_clearml", "verify"]
    python = [sys.executable, "-c"]
    return [
        Case("floor", [*python, FLOOR], environment, good),
        Case("verified, environment", verify, environment, good),
        Case("verified, clearml.conf", verify, conf, good),
        Case("rejected, 12 near misses", verify, environment, near, status=1),
        Case("the SDK's way, verified", [*python, SDK], environment, good),
        Case("the SDK's way, rejected", [*python, SDK], environment, near, status=1),
    ]


def environments(server: ClearMLServer, scratch: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Credentials in variables, and the same in a clearml.conf as long as the one that clearml-init writes."""
    import base64

    root = str(Path(__file__).resolve().parent.parent)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("CLEARML_", "GIT_"))}
    plain.pop("PYTHONDONTWRITEBYTECODE", None)
    plain |= {"HOME": str(scratch), "PYTHONPATH": root, "CI": "", "PYTHONPYCACHEPREFIX": str(scratch.parent / "pyc")}
    keys = base64.b64encode(f"{server.access_key}:{server.secret_key}".encode()).decode()
    environment = {**plain, **server.env, "FLOOR_AUTHORIZATION": f"Basic {keys}"}
    path = scratch / "clearml.conf"
    padding = "".join(f"    # a comment line of the file\n    key_{n}: value {n}\n" for n in range(150))
    path.write_text(
        f'api {{\n  api_server: "{server.url}"\n  credentials {{ access_key: "{server.access_key}", '
        f'secret_key: "{server.secret_key}" }}\n}}\nsdk {{\n{padding}}}\n'
    )
    return environment, {**plain, "CLEARML_CONFIG_FILE": str(path)}


def make_repository(path: Path) -> Path:
    """A repository of 200 files with a training script and a remote."""
    path.mkdir(parents=True)
    for number in range(200):
        (path / f"module_{number}.py").write_text(f"value = {number}\n")
    (path / "train.py").write_text(f"print({path.name!r})\n")
    git(path, "init", "--quiet")
    git(path, "remote", "add", "origin", "git@example.com:team/good.git")
    git(path, "add", ".")
    git(path, "-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "all")
    return path


def git(path: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=path, check=True, capture_output=True, text=True).stdout


def head(path: Path) -> str:
    return git(path, "rev-parse", "HEAD").strip()


def measure(server: ClearMLServer, cases: list[Case], rounds: int) -> None:
    """Runs the cases in turns, and prints a table. The first round only warms up."""
    for number in range(rounds + 1):
        for case in cases:
            server.reset_log()
            seconds, megabytes = timed(case)
            case.requests, case.sent = len(server.requests), sum(one.response_bytes for one in server.requests)
            case.looked_at = sum(looked_at(server.requests))
            if number:
                case.seconds.append(seconds)
                case.megabytes = max(case.megabytes, megabytes)
    median: Callable[[Case], float] = lambda case: statistics.median(case.seconds)  # noqa: E731
    print(f"{'case':26} {'ms':>7} {'x floor':>8} {'x SDK':>7} {'requests':>9} {'bytes':>7} {'looked at':>9} {'MB':>5}")
    for case in cases:
        rival = cases[-1] if case.status else cases[-2]
        times = f"{1000 * median(case):7.1f} {median(case) / median(cases[0]):8.2f} {median(rival) / median(case):7.2f}"
        load = f"{case.requests:9} {case.sent:7} {case.looked_at:9} {case.megabytes:5.0f}"
        print(f"{case.name:26} {times} {load}")


def timed(case: Case) -> tuple[float, float]:
    """Seconds and peak megabytes of one run. Exits when the run did not end as it should."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            case.command, cwd=case.directory, env=case.environment, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != case.status:
            output.seek(0)
            sys.exit(f"{case.name}: exit status {process.returncode}\n{output.read().decode(errors='replace')}")
    return seconds, usage.ru_maxrss / 1000


if __name__ == "__main__":
    main()
