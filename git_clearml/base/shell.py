"""Runs a command line of the user's by the shell."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

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
