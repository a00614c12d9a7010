"""Real pushes whose `git-clearml hook` runs inside this process, where it takes a tenth of the time and is measured.

git, the hook file and its shell are real. What stands on their PATH as `git-clearml` hands its arguments, environment,
directory and stdin over and waits for the answer.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.program import inside

# Few processes, since a push is made a thousand times: a directory for the call is ready, and its name waits in `free`.
# dd reads it at once; several shells that `read` would each get some of its letters.
_SHIM = """\
#!/bin/sh
[ {answers} ] || exec '{program}' "$@"
call='{place}'/$('{dd}' bs={length} count=1 2>/dev/null <>'{place}/free') || exit 99
env -0 >"$call/environment"
pwd >"$call/directory"
printf '%s\\0' "$@" >"$call/words"
cat >"$call/stdin"
exec 3<>"$call/status" # before anybody can write to it
echo "$call" >'{place}/calls'
read -r status <&3
[ ! -s "$call/out" ] || cat "$call/out"
[ ! -s "$call/err" ] || cat "$call/err" >&2
exit "$status"
"""
_LENGTH = 16


def offer(place: Path, name: str, free: int) -> None:
    """Makes a directory for a call, puts its name into `free` in _LENGTH bytes: sh drops the line feeds behind it."""
    call = place / name
    call.mkdir()
    os.mkfifo(call / "status")
    os.write(free, name.encode().ljust(_LENGTH, b"\n"))


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    status: int
    out: bytes
    err: bytes


class AtHand:
    """The directory `path`, to be the first of PATH, and whoever answers the `git-clearml` in it."""

    always = False
    """Does it answer what others than `run` start?"""

    answers = '"$1" = hook'
    """What it answers, as a condition of sh."""

    def __init__(self, program: Path) -> None:
        self._place = Path(tempfile.mkdtemp())
        self.path = self._place / "bin"
        self.path.mkdir()
        os.mkfifo(self._place / "calls")
        shim = self.path / "git-clearml"
        facts = {"program": program, "place": self._place, "dd": shutil.which("dd"), "length": _LENGTH}
        shim.write_text(_SHIM.format(answers=self.answers, **facts))
        shim.chmod(0o755)
        self._calls = os.open(self._place / "calls", os.O_RDWR)  # for both: it never ends
        os.mkfifo(self._place / "free")
        self._free = os.open(self._place / "free", os.O_RDWR)
        self._ready = 0
        for _ in range(4):  # one for each hook that another one comes to
            self._make_ready()

    def close(self) -> None:
        os.close(self._calls)
        os.close(self._free)
        shutil.rmtree(self._place)

    def _make_ready(self) -> None:
        self._ready += 1
        offer(self._place, f"call-{self._ready}", self._free)

    def run(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float) -> Done:
        """Runs a command without stdin, answering every `git-clearml hook` that it comes to."""
        over, ended = os.pipe()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            alarm = threading.Timer(timeout, process.kill)
            waiting = threading.Thread(target=lambda: (process.wait(), os.close(ended)))
            alarm.start()
            waiting.start()
            try:
                while over not in (ready := select.select([self._calls, over], [], [])[0]):
                    for call in os.read(ready[0], 65536).splitlines():
                        self._make_ready()
                        answer(Path(os.fsdecode(call)))
            finally:
                alarm.cancel()
                waiting.join()
                os.close(over)
            return Done(process.returncode, _all(out), _all(err))


@dataclass(frozen=True)
class Call:
    """What the shim has written down of a call."""

    words: list[str]
    environment: dict[str, str]
    directory: Path

    @classmethod
    def read(cls, call: Path) -> Call:
        pairs = [os.fsdecode(pair).partition("=") for pair in (call / "environment").read_bytes().split(b"\0") if pair]
        words = [os.fsdecode(word) for word in (call / "words").read_bytes().split(b"\0")[:-1]]
        directory = Path(os.fsdecode((call / "directory").read_bytes().removesuffix(b"\n")))
        return cls(words, {name: value for name, _, value in pairs}, directory)


def answer(call: Path) -> None:
    """Runs the program here for a call."""
    given = Call.read(call)
    environment = {**dict.fromkeys(os.environ), **given.environment}
    result = inside(*given.words, cwd=given.directory, env=environment, stdin=(call / "stdin").read_bytes())
    (call / "out").write_text(result.out, encoding="utf-8")
    (call / "err").write_text(result.err, encoding="utf-8")
    end(call, result.status)


def end(call: Path, status: int) -> None:
    """Tells the shim that it is over."""
    with contextlib.suppress(OSError):  # it may have been killed meanwhile
        pipe = os.open(call / "status", os.O_WRONLY | os.O_NONBLOCK)
        os.write(pipe, b"%d\n" % status)
        os.close(pipe)


def _all(file: object) -> bytes:
    file.seek(0)  # type: ignore[attr-defined]
    return file.read()  # type: ignore[attr-defined, no-any-return]
