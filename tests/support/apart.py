"""Processes of their own, for our program and for code around it, without an interpreter started for each.

One process has loaded all and forks, which takes a tenth of the time. It answers what stands for our program on a PATH,
and runs what a test hands it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import json
import os
import pkgutil
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import git_clearml
from git_clearml.cli import main
from tests.support.at_hand import AtHand, Call, Done, end, offer
from tests.support.program import ROOT, Result, process_environment

_START = "import sys; sys.path.insert(0, sys.argv[1]); from tests.support.apart import serve; serve()"


class Apart(AtHand):
    """Like AtHand, but it answers every command, and whenever it is called, until it is closed.

    With NOT_APART in its environment the program is what it is on PATH, for who sends signals to it; with APART_NAPS
    it never sleeps longer than so many seconds.
    """

    always = True
    answers = '-z "$NOT_APART"'

    def __init__(self, program: Path) -> None:
        super().__init__(program)
        fds = (self._calls, self._free)
        environment = process_environment({"APART": os.pathsep.join([str(self._place), *map(str, fds)])})
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(ROOT)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=fds,
        )

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        super().close()

    def stand_in(self, program: Path) -> None:
        """Makes this program ours, for a PATH; it never sleeps for long."""
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\nAPART_NAPS=0.01 exec '{self.path}/git-clearml' \"$@\"\n")
        program.chmod(0o755)

    def run(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float) -> Done:
        """Runs a command without stdin."""
        done = subprocess.run(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def code(
        self, code: str, calls: Sequence[Sequence[str]], cwd: Path, env: Mapping[str, str | None] | None = None
    ) -> list[int]:
        """Runs the code once for each list of arguments (`sys.argv[1:]`), all at once: their exit statuses."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"code": code, "calls": calls, "directory": str(cwd), "environment": process_environment(env)}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        statuses: list[int] = json.loads(self._process.stdout.readline())
        return statuses

    def program(self, *words: str, cwd: Path, env: Mapping[str, str | None] | None = None) -> Result:
        """Our program without stdin, as `program.outside` runs it; what `env` tells Python comes too late."""
        with tempfile.TemporaryDirectory() as place:
            [status] = self.code(_MAIN, [[place, *words]], cwd, env)
            out, err = (Path(place, name).read_bytes().decode() for name in ("out", "err"))
        return Result(status, out, err)


@functools.cache
def shared() -> Apart:
    """The one of this test process."""
    made = Apart(Path(sys.executable).with_name("git-clearml"))
    atexit.register(made.close)
    return made


_MAIN = """
import os, sys
from git_clearml.cli import main
for number, name in enumerate((os.devnull, "out", "err")):
    os.dup2(os.open(os.path.join(sys.argv[1], name) if number else name, os.O_RDWR | os.O_CREAT), number)
sys.stdin = open(os.devnull)
del sys.argv[1]
sys.exit(main(sys.argv[1:]))
"""


def _load() -> None:
    """Loads the whole program, for whoever forks."""
    for module in pkgutil.walk_packages(git_clearml.__path__, "git_clearml."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in ("git.cmd", "github", "pyhocon", "tabulate"):  # which the program loads where it needs them
        importlib.import_module(name)


def serve() -> None:
    """The process that forks: for each call of the program, and for each line of stdin, a request of `code`."""
    place, *fds = os.environ.pop("APART").split(os.pathsep)
    calls, free = map(int, fds)
    real, longest = time.sleep, [float("inf")]
    time.sleep = lambda seconds: real(min(seconds, *longest))
    _load()
    number = 0
    while True:
        ready = select.select([calls, 0], [], [])[0]
        if 0 in ready:
            request = json.loads(sys.stdin.buffer.readline())
            waited = [_fork(functools.partial(_run, request, words), calls, free) for words in request["calls"]]
            statuses = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in waited]
            print(json.dumps(statuses), flush=True)
            continue
        for call in os.read(calls, 65536).splitlines():
            number += 1
            offer(Path(place), f"forked-{number}", free)
            _fork(functools.partial(_answer, Path(os.fsdecode(call)), longest), calls, free)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _fork(act: Callable[[], int], *ours: int) -> int:
    """A process without our files that does this and ends with the status that it returns; its id."""
    process = os.fork()
    if not process:
        status = 70
        try:
            for file in ours:
                os.close(file)
            status = act()
        except SystemExit as leaving:
            status = leaving.code if isinstance(leaving.code, int) else 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            atexit._run_exitfuncs()  # what coverage has seen
            os._exit(status)
    return process


def _run(request: dict[str, Any], words: list[str]) -> int:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # in place of the requests and of their answers
    os.dup2(2, 1)
    _move(request["environment"], request["directory"])
    sys.argv[1:] = words
    exec(request["code"], {"__name__": "__main__"})
    return 0


def _answer(call: Path, longest: list[float]) -> int:
    """Turns into the process that the shim stands for: its files are this one's, and those of all that it starts."""
    given = Call.read(call)
    for number, name in enumerate(("stdin", "out", "err")):
        os.dup2(os.open(call / name, os.O_RDWR | os.O_CREAT), number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    _move(given.environment, given.directory)
    if "APART_NAPS" in os.environ:
        longest.append(float(os.environ["APART_NAPS"]))
    status = 70
    try:
        status = main(given.words)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        end(call, status)
    return status


def _move(environment: Mapping[str, str], directory: str | Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
