"""Our program where a test does not start it itself: answered by a process that has it loaded already.

Each is a process of its own, as it would be, but it is forked and not started, which takes a tenth of the time.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import pkgutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import git_clearml
from git_clearml.cli import main
from tests.support.at_hand import AtHand, Call, Done, end
from tests.support.program import ROOT

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
        environment = {**os.environ, "APART": os.pathsep.join([str(self._place), *map(str, fds)])}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(ROOT)], env=environment, stdin=subprocess.DEVNULL, pass_fds=fds
        )

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
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


def load() -> None:
    """Loads the whole program, for whoever forks."""
    for module in pkgutil.walk_packages(git_clearml.__path__, "git_clearml."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in ("git.cmd", "github", "pyhocon", "tabulate"):  # which the program loads where it needs them
        importlib.import_module(name)


def serve() -> None:
    """The process that answers: loads everything, then forks for each call."""
    place, calls, free = os.environ.pop("APART").split(os.pathsep)
    real, longest = time.sleep, [float("inf")]
    time.sleep = lambda seconds: real(min(seconds, *longest))
    load()
    number = 0
    while True:
        for call in os.read(int(calls), 65536).splitlines():
            number += 1
            directory = Path(place, f"forked-{number}")
            directory.mkdir()
            os.mkfifo(directory / "status")
            os.write(int(free), os.fsencode(directory) + b"\n")
            if os.fork() == 0:
                try:
                    os.close(int(calls))
                    os.close(int(free))
                    _become(Path(os.fsdecode(call)), longest)
                finally:
                    os._exit(0)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _become(call: Path, longest: list[float]) -> None:
    """Turns into the process that the shim stands for: its files are this one's, and those of all that it starts."""
    given = Call.read(call)
    for number, name in enumerate(("stdin", "out", "err")):
        os.dup2(os.open(call / name, os.O_RDWR | os.O_CREAT), number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(given.environment)
    os.chdir(given.directory)
    if "APART_NAPS" in os.environ:
        longest.append(float(os.environ["APART_NAPS"]))
    status = 70
    try:
        status = main(given.words)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        atexit._run_exitfuncs()  # what coverage has seen
        end(call, status)
