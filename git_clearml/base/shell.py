"""Runs a command line of the user's by the shell."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from typing import TextIO, cast

_STDERR = 2


def run_shell(command: str, environment: Mapping[str, str]) -> int:
    """Runs a shell command, its stdout on our stderr. The exit status, -N when signal N ended it; it ends with us."""
    child = subprocess.Popen(["sh", "-c", command], env=dict(environment), stdout=_STDERR)
    try:
        return child.wait()
    finally:
        if child.poll() is None:  # we are being ended
            child.terminate()
            child.wait()


@contextlib.contextmanager
def pager(command: str, environment: Mapping[str, str]) -> Iterator[TextIO]:
    """Starts a pager, which shows what is written to the stream, and waits until its reader leaves it.

    As with git's, Ctrl-C is the pager's while it shows what there is; LESS and LV are set where nobody has set them.
    """
    variables = {"LESS": "FRX", "LV": "-c", **environment}
    child = subprocess.Popen(
        ["sh", "-c", command], env=variables, stdin=subprocess.PIPE, text=True, encoding="utf-8", errors="replace"
    )
    stream = cast(TextIO, child.stdin)
    try:
        yield stream
    finally:
        with contextlib.suppress(BrokenPipeError):
            stream.close()
        while child.poll() is None:
            with contextlib.suppress(KeyboardInterrupt):
                child.wait()
