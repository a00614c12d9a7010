"""Hooks of pushes that a test does not start itself: answered by a process that has our program loaded already.

Each is a process of its own, as the hook's would be, but it is forked and not started, which takes a tenth of the time.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import git_clearml
from tests.support.at_hand import AtHand, Done, answer
from tests.support.program import ROOT

_START = "import sys; sys.path.insert(0, sys.argv[1]); from tests.support.apart import serve; serve()"


class Apart(AtHand):
    """Like AtHand, but it answers whenever it is called, until it is closed."""

    always = True

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

    def run(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float) -> Done:
        """Runs a command without stdin."""
        done = subprocess.run(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)


def serve() -> None:
    """The process that answers: loads everything, then forks for each call."""
    place, calls, free = os.environ.pop("APART").split(os.pathsep)
    for module in pkgutil.walk_packages(git_clearml.__path__, "git_clearml."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
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
                    answer(Path(os.fsdecode(call)))
                finally:
                    os._exit(0)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
