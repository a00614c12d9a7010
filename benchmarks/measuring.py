"""What the benchmarks share: repositories, environments, a slow line to a server, and processes that are measured.

Every case is a fresh process. Cases take turns and their medians are compared, because a machine that does other work
slows all of them.
"""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from git_clearml.model import RecordedTask, RunRecord
from git_clearml.run import ownership
from git_clearml.run import record as run_records
from tests.support.clearml_cost import looked_at, seconds
from tests.support.clearml_server import ClearMLServer as ClearMLServer
from tests.support.faults import make_certificate

ROOT = Path(__file__).resolve().parent.parent
ROUND_TRIP = 0.03  # seconds, of the slow line
FLOOR = """
import http.client, json, os, ssl, subprocess
head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
scheme, _, host = os.environ["CLEARML_API_HOST"].partition("://")
secure = {"context": ssl.create_default_context(cafile=os.environ["FLOOR_CA"])} if scheme == "https" else {}
connection = (http.client.HTTPSConnection if secure else http.client.HTTPConnection)(host, **secure)
body = json.dumps({"_all_": {"fields": ["script.version_num"], "pattern": f"^{head}$"}, "only_fields": ["id"]})
connection.request("POST", "/tasks.get_all_ex", body, {"Authorization": os.environ["FLOOR_AUTHORIZATION"]})
connection.getresponse().read()
"""
"""What no program can go below: start Python, `git rev-parse`, one HTTP request. No `ssl` is needed where none is."""

Hook = Callable[[str, dict[str, Any]], None]


@dataclass
class Case:
    """One kind of process, and what was measured of it. `prepare` comes before each run, and is not measured."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    directory: Path
    status: int = 0
    stdin: bytes = b""
    floor: str = "floor"  # the case that it is compared with
    hook: Hook | None = None  # what the server does before each answer
    prepare: Callable[[], None] = lambda: None
    bar: str = ""
    seconds: list[float] = field(default_factory=list)
    megabytes: float = 0.0
    requests: int = 0
    sent: int = 0
    looked_at: int = 0
    processes: int = 0

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)


def measure(server: ClearMLServer, cases: Sequence[Case], rounds: int) -> None:
    """Runs the cases in turns. The first round warms up, counts the gits that are started, and sees the memory."""
    for number in range(rounds + 1):
        for case in cases:
            case.prepare()
            server.hook = case.hook
            server.reset_log()
            if number:
                case.seconds.append(timed(case))
            else:
                case.processes, case.megabytes = looked_into(case)
            case.requests, case.sent = len(server.requests), sum(each.response_bytes for each in server.requests)
            case.looked_at = sum(looked_at(server.requests))
    server.hook = None


def timed(case: Case) -> float:
    """Seconds of one run."""
    return _run(case, case.command, case.environment)


def looked_into(case: Case) -> tuple[int, float]:
    """The gits that one run starts, those that git starts among them, and its peak megabytes, its children's too."""
    with tempfile.TemporaryDirectory() as scratch:
        trace, usage = Path(scratch, "trace"), Path(scratch, "usage")
        words = [sys.executable, "-S", "-E", "-c", _LAUNCHER, str(usage), *case.command]
        _run(case, words, {**case.environment, "GIT_TRACE2_EVENT": str(trace)})
        gits = trace.read_text().count('"event":"start"') if trace.exists() else 0
        return gits, int(usage.read_text()) / 1000


_LAUNCHER = """
import os, sys
_, status, usage = os.wait4(os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ), 0)
with open(sys.argv[1], "w") as file:
    file.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Linux counts among a process's memory what the one had that forked it: this one has little."""


def _run(case: Case, words: Sequence[str], environment: dict[str, str]) -> float:
    """Seconds. Exits when it did not end as it should."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as stdin:
        stdin.write(case.stdin)
        stdin.seek(0)
        started = time.perf_counter()
        done = subprocess.run(
            words, cwd=case.directory, env=environment, stdin=stdin, stdout=output, stderr=output, check=False
        )
        spent = time.perf_counter() - started
        if done.returncode != case.status:
            output.seek(0)
            sys.exit(f"{case.name}: exit status {done.returncode}\n{output.read().decode(errors='replace')}")
    return spent


def slow_server(call: str, body: dict[str, Any]) -> None:
    """Answers when a real server with a million tasks would (contract/README.md, "What a question costs")."""
    time.sleep(seconds(call, body))


@contextlib.contextmanager
def far_away(server: ClearMLServer, scratch: Path) -> Iterator[dict[str, str]]:
    """The variables by which the server is reached through TLS and 30 ms from here. Nothing but loopback is used."""
    certificate = make_certificate(scratch)
    context, port = certificate.context, int(server.url.rpartition(":")[2])
    with _forwarding(port, secure=context.wrap_socket) as secure, _forwarding(secure, delay=ROUND_TRIP / 2) as line:
        url, file = f"https://127.0.0.1:{line}", str(certificate.file)
        yield {"CLEARML_API_HOST": url, "CLEARML_API_HOST_VERIFY_CERT": file, "FLOOR_CA": file}


@contextlib.contextmanager
def _forwarding(port: int, *, delay: float = 0.0, secure: Callable[..., socket.socket] | None = None) -> Iterator[int]:
    """A port of loopback that passes all on to another one, and back, each part so many seconds later.

    The first part comes three times as late: nothing can hold up the handshake of TCP itself.
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket, first: float) -> None:
        due = time.monotonic() + first
        with contextlib.suppress(OSError):
            while part := source.recv(65536):
                now = time.monotonic()
                due = max(due, now + delay)
                time.sleep(due - now)
                target.sendall(part)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=connect, args=(client,), daemon=True).start()

    def connect(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            near = secure(client, server_side=True) if secure else client
            far = socket.create_connection(("127.0.0.1", port))
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=pump, args=(near, far, 3 * delay), daemon=True).start()
            pump(far, near, 0.0)
            far.close()
            near.close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def environments(server: ClearMLServer, scratch: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Credentials in variables, and the same in a clearml.conf as long as the one that clearml-init writes."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("CLEARML_", "GIT_"))}
    plain.pop("PYTHONDONTWRITEBYTECODE", None)
    plain |= {"HOME": str(scratch), "PYTHONPATH": str(ROOT), "CI": "", "GIT_CONFIG_NOSYSTEM": "1"}
    plain["PYTHONPYCACHEPREFIX"] = str(scratch.parent / "pyc")
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


def history(path: Path, count: int) -> list[str]:
    """So many commits on top of HEAD, each with another content of one file; made by one git."""
    now = int(time.time())
    lines = [
        f"commit refs/heads/many\ncommitter A <a@example.com> {now - count + n} +0000\ndata 1\nx\n"
        + (f"from {head(path)}\n" if not n else "")
        + f"M 100644 inline module_0.py\ndata {len(str(n))}\n{n}\n"
        for n in range(count)
    ]
    subprocess.run(["git", "fast-import", "--quiet"], cwd=path, input="\n".join(lines), text=True, check=True)
    return git(path, "rev-list", f"--max-count={count}", "many").splitlines()


FACTS = {"project": "Vision/Detector", "repository": "https://example.com/team/good.git", "entry_point": "train.py"}


def sweep(server: ClearMLServer, commit: str, tree: str, count: int) -> None:
    """So many tasks that one `git clearml run` has made, each with its record."""
    tasks = [server.add_task(name=f"trial {n}", commit=commit, diff="", **FACTS) for n in range(count)]
    now = "2026-11-24T12:00:00+00:00"
    command = ("python", "sweep.py", *(f"--parameter-{n}={n / 7}" for n in range(12)))
    record = RunRecord(
        "0" * 32, commit, tree, command, "builder", "me", 1, "1", now, now, 0,
        tasks=tuple((task, "completed") for task in tasks),
    )  # fmt: skip
    for task in tasks:
        document = server.tasks[task]
        own = RecordedTask(task, "completed", document.get("started", ""))
        text = run_records.to_property(ownership.for_task(record, own))
        entry = {"section": "properties", "name": "git_clearml_run", "type": "str", "value": text}
        document["hyperparams"] = {"properties": {"git_clearml_run": entry}}


def git(path: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=path, check=True, capture_output=True, text=True).stdout


def head(path: Path) -> str:
    return git(path, "rev-parse", "HEAD").strip()
