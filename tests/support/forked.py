"""Runs code in processes of its own without starting an interpreter for each: one that has imported all forks."""

from __future__ import annotations

import atexit
import functools
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.program import Result, process_environment

_SERVER = """
import json, os, sys
exec(sys.argv[1])
for line in sys.stdin:
    request = json.loads(line)
    processes = []
    for words in request["calls"]:
        process = os.fork()
        if not process:
            status = 1
            try:
                os.environ.clear()
                os.environ.update(request["environment"])
                os.chdir(request["directory"])
                sys.argv[1:] = words
                exec(request["code"])
                status = 0
            except SystemExit as leaving:
                status = leaving.code
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        processes.append(process)
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    print(json.dumps(codes), flush=True)
"""


class Forked:
    """The interpreter that forks; `imports` are what the code needs, loaded once."""

    def __init__(self, imports: str) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER, imports],
            env=process_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, code: str, calls: Sequence[Sequence[str]], cwd: Path, env: Mapping[str, str | None] | None = None
    ) -> Any:
        """Runs the code once for each list of arguments (`sys.argv[1:]`), all at once: a list of exit statuses."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        request = {"code": code, "calls": calls, "directory": str(cwd), "environment": process_environment(env)}
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def close(self) -> None:
        """Ends it."""
        self._server.communicate()


_LOAD = "from tests.support.apart import load; load()"
_MAIN = """
from git_clearml.cli import main
for number, name in enumerate((os.devnull, "out", "err")):
    os.dup2(os.open(os.path.join(sys.argv[1], name) if number else name, os.O_RDWR | os.O_CREAT), number)
sys.stdin = open(os.devnull)
del sys.argv[1]
sys.exit(main())
"""


@functools.cache
def _loaded() -> Forked:
    forked = Forked(_LOAD)
    atexit.register(forked.close)
    return forked


def apart(*words: str, cwd: Path, env: Mapping[str, str | None] | None = None) -> Result:
    """Like `program.outside`, a process of its own, in a tenth of the time; what `env` tells Python comes too late."""
    with tempfile.TemporaryDirectory() as place:
        [status] = _loaded().run(_MAIN, [[place, *words]], cwd, env)
        out, err = (Path(place, name).read_bytes().decode() for name in ("out", "err"))
    return Result(status, out, err)
