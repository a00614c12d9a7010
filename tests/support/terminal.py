"""A program at a terminal of its own."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def at_a_terminal(
    words: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str], is_asked: bool = False
) -> tuple[int, str]:
    """The exit status, and all that the terminal gets; its input is the terminal too where somebody could be asked."""
    ours, theirs = pty.openpty()
    stdin = theirs if is_asked else subprocess.DEVNULL
    with subprocess.Popen(words, cwd=cwd, env=env, stdin=stdin, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        out = b""
        with contextlib.suppress(OSError):  # Linux says EIO when the last one has closed the other end
            while block := os.read(ours, 4096):
                out += block
        os.close(ours)
        return process.wait(120), out.decode()
