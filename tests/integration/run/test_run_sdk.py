"""`git clearml run` with the real SDK: offline, and with a server. All runs of this module at once: each takes 10 s."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from git_clearml.clearml.properties import PROPERTY
from git_clearml.model import RunRecord
from git_clearml.run import record as run_records
from tests.conftest import sealed_environment
from tests.support.clearml_server import ClearMLServer
from tests.support.program import Result, inside, process_environment
from tests.support.raw_client import RawClient
from tests.support.repos import Repo, make_repo
from tests.support.scripts import QUICK, SDK, SDK_FAILS, SDK_FOLDS, SDK_REMOTE

PYTHON = sys.executable
# A dozen SDKs at once, on a machine that may be busy; whichever test comes first waits for what all share.
pytestmark = [pytest.mark.timeout(600), pytest.mark.costly]


@dataclass(frozen=True)
class Ran:
    """A finished run: where, with what environment, and what it printed."""

    repo: Repo
    env: dict[str, str]
    result: Result

    def verify(self, *words: str) -> Result:
        return inside("verify", "--format", "json", *words, cwd=self.repo.path, env=self.env)

    @property
    def record(self) -> RunRecord:
        [path] = (self.repo.path / ".git/clearml/runs").glob("*/*.json")
        record = run_records.parse(path.read_bytes())
        assert isinstance(record, RunRecord)
        return record


Start = Callable[[Path, dict[str, str]], Ran]


def _run(files: dict[str, str], *words: str, within: str = ".", edit: dict[str, str] | None = None) -> Start:
    def start(base: Path, env: dict[str, str]) -> Ran:
        flags = ["--allow-dirty"] if edit else []
        for attempt in ("repo", "again", "last"):
            repo = make_repo(base / attempt, files)
            repo.write(edit or {})
            result = _ended([*flags, *words], repo.path / within, env)
            if result is not None:
                return Ran(repo, env, result)
        raise AssertionError(f"{words} hung three times")

    return start


def _ended(words: Sequence[str], cwd: Path, env: dict[str, str]) -> Result | None:
    """What the run printed; None where it hangs, as clearml 2.1.12 does once in hundreds of starts in offline mode.

    `Task.init` then waits for its thread that looks for the repository (`vcs_repo_detect_async`), which waits for ever
    for a file that this process has locked by another descriptor (utilities/locks/utils.py, RLock).
    """
    command = [PYTHON, "-m", "git_clearml", "run", *words]
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=process_environment(dict(env)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    try:
        out, err = process.communicate(timeout=150)
    except subprocess.TimeoutExpired:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):  # run hands it on to the command
            with contextlib.suppress(subprocess.TimeoutExpired, ProcessLookupError):
                os.killpg(process.pid, number)
                process.wait(timeout=10)
        return None
    return Result(process.returncode, out, err)


OFFLINE: dict[str, Start] = {
    "folds": _run({"train.py": SDK_FOLDS}, PYTHON, "train.py"),
    "normal": _run({"train.py": SDK}, PYTHON, "train.py"),
    "fails": _run({"train.py": SDK_FAILS}, PYTHON, "train.py"),
    "dirty": _run({"train.py": SDK}, PYTHON, "train.py", edit={"train.py": SDK + "# \xe4dited\n"}),
    "sub": _run({"src/train.py": SDK, "conf/x": ""}, PYTHON, "../src/train.py", within="conf"),
    "folder": _run({"my pkg/sub/__main__.py": SDK}, PYTHON, "my pkg/sub"),
    "installed": _run({"odd/pkg/mod.py": SDK}, "env", "PYTHONPATH=odd", PYTHON, "-m", "pkg.mod", "--lr", "1"),
    "module": _run({"pkg/mod.py": SDK, "pkg/__init__.py": ""}, PYTHON, "-m", "pkg.mod", "--lr", "1"),
}
ONLINE: dict[str, Start] = {
    "server": _run({"train.py": SDK}, PYTHON, "train.py"),
    "server folds": _run({"train.py": SDK_FOLDS}, PYTHON, "train.py"),
    "server bad fold": _run({"train.py": SDK_FOLDS, "README": "x"}, PYTHON, "train.py", "--bad-fold"),
    "server remote": _run({"train.py": SDK_REMOTE, "README": "y"}, PYTHON, "train.py"),
    "server dirty": _run({"train.py": SDK, "README": "another commit"}, PYTHON, "train.py", edit={"new.py": ""}),
}


@pytest.fixture(scope="module")
def server() -> Iterator[ClearMLServer]:
    with ClearMLServer() as running:
        running.add_project("Vision/Detector")
        yield running


@dataclass
class Runs:
    """The runs by their names, each made when it is first asked for: an SDK takes two seconds."""

    base: Path
    server: ClearMLServer
    made: dict[str, Ran] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Ran:
        if name not in self.made:
            home = self.base / name
            home.mkdir()
            online = self.server.env if name in ONLINE else {}
            if online:  # else the process that reports writes into a connection that it shares with the one that trains
                (home / "clearml.conf").write_text("sdk.development.report_use_subprocess: false\n")
            self.made[name] = {**OFFLINE, **ONLINE}[name](
                home, {**sealed_environment(home), "CLEARML_LOG_LEVEL": "ERROR", **online}
            )
        return self.made[name]


@pytest.fixture(scope="module")
def runs(server: ClearMLServer, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("sdk"), server)


def some(*names: str) -> list[object]:
    """Those of them with a real SDK that the quick script of other tests says least of; the others in `make slow`."""
    usual = ("normal", "module", "server", "server bad fold", "server remote", "server dirty")
    return [pytest.param(name, marks=[] if name in usual else pytest.mark.slow) for name in names]


def task(ran: Ran, server: ClearMLServer) -> dict[str, Any]:
    """The run's task as the server has it."""
    [(name, _)] = ran.record.tasks
    return server.tasks[name]


@pytest.mark.parametrize("name", some("normal", "sub", "module", "folder", "installed"))
def test_a_run_verifies_its_commit(runs: Runs, name: str) -> None:
    ran = runs[name]
    assert ran.result.status == 0, ran.result
    answer = ran.verify()
    assert answer.status == 0, (answer.out, ran.result)
    assert answer.commit["task"]["source"] == "offline"


@pytest.mark.parametrize(
    ("name", "entry_point", "working_dir"),
    [
        ("normal", "train.py", "."),
        pytest.param("sub", "../src/train.py", "conf", marks=pytest.mark.slow),
        ("module", "-m pkg.mod", "."),
    ],
)
def test_the_session_says_what_ran(runs: Runs, name: str, entry_point: str, working_dir: str) -> None:
    [session] = runs[name].record.sessions
    assert (session.entry_point[: len(entry_point)], session.working_dir) == (entry_point, working_dir)
    assert (session.commit, session.repository) == (runs[name].repo.head, "https://example.com/team/project.git")
    assert [(metric.metric, metric.variant, metric.last) for metric in session.metrics] == [
        ("validation", "accuracy", 0.75)
    ]


@pytest.mark.slow
def test_a_failing_script_keeps_its_status_and_does_not_verify(runs: Runs) -> None:
    assert runs["fails"].result.status == 3
    assert runs["fails"].verify().codes == ["run-failed"]


@pytest.mark.slow
def test_a_dirty_run_is_dirty_in_the_session_too(runs: Runs) -> None:
    assert runs["dirty"].result.status == 0
    assert runs["dirty"].record.sessions[0].diff.summary == "train.py (+1 -0)"
    assert runs["dirty"].verify().codes[0] == "dirty"


def test_a_run_with_a_server_leaves_its_record_on_the_task(runs: Runs, server: ClearMLServer) -> None:
    ran = runs["server"]
    assert ran.result.status == 0, ran.result
    document = task(ran, server)
    assert (document["status"], document["script"]["version_num"]) == ("completed", ran.repo.head)
    record = run_records.from_property(document["hyperparams"]["properties"][PROPERTY]["value"])
    assert isinstance(record, RunRecord)
    assert (record.id, record.exit_status, record.tasks) == (ran.record.id, 0, ((document["id"], "completed"),))
    ran.repo.policy("require-run-record = true", commit=False)
    assert ran.verify("--evidence", "server", "--policy-from", "HEAD").status == 0


@pytest.mark.parametrize("name", some("folds", "server folds", "server bad fold"))
def test_every_task_of_a_process_is_the_run_s(runs: Runs, server: ClearMLServer, name: str) -> None:
    ran = runs[name]
    assert ran.result.status == 0, ran.result
    names = sorted(session.name for session in ran.record.sessions)
    assert names == ["fold 0", "fold 1", "fold 2"]
    answer = ran.verify("--evidence", "offline" if name == "folds" else "server")
    if name == "server bad fold":
        assert (answer.status, answer.codes) == (1, ["run-failed"]), answer.out
    else:
        assert answer.status == 0, answer.out
        assert answer.commit["evidence"]["accepted"] == 3


def test_a_task_that_went_to_a_queue_is_waited_for(runs: Runs, server: ClearMLServer) -> None:
    ran = runs["server remote"]
    assert ran.result.status == 0, ran.result
    assert "next: git clearml verify --wait" in ran.result.err
    assert ran.verify("--evidence", "server").status == 4
    with RawClient(server) as client:
        for call in ("tasks.started", "tasks.completed"):
            client.data(call, {"task": task(ran, server)["id"]})
    assert ran.verify("--evidence", "server").status == 0


def test_an_offline_run_of_the_sdk_goes_to_the_server(runs: Runs, server: ClearMLServer) -> None:
    ran = runs["normal"]
    sent = inside("import", "--json", cwd=ran.repo.path, env={**ran.env, **server.env})
    [run] = sent.json["runs"]
    assert (sent.status, run["action"], run["status"]) == (0, "sent", "completed"), sent
    answer = inside("verify", "--format", "json", cwd=ran.repo.path, env={**ran.env, **server.env})
    assert (answer.status, answer.commit["task"]["source"]) == (0, "server")


def test_and_here_too(runs: Runs) -> None:
    assert runs["server"].verify("--evidence", "offline").status == 0


def test_a_dirty_run_never_looks_clean_on_the_server(runs: Runs, server: ClearMLServer) -> None:
    ran = runs["server dirty"]
    assert ran.result.status == 0, ran.result
    assert "files that git does not track: new.py" in task(ran, server)["script"]["diff"]
    answer = ran.verify("--evidence", "server")
    assert (answer.status, answer.codes[0]) == (1, "untracked-files")


def test_the_quick_script_of_the_other_tests_leaves_the_same_session(runs: Runs, tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"train.py": QUICK})
    assert inside("run", PYTHON, "train.py", cwd=repo.path).status == 0
    [real], [quick] = runs["normal"].record.sessions, Ran(repo, {}, runs["normal"].result).record.sessions
    assert quick == real._replace(id=quick.id, path=quick.path, commit=repo.head, run=quick.run)
