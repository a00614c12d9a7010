"""The time before the program knows what it is asked for."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.support.program import command, process_environment


def test_ctrl_c_while_we_are_loaded(tmp_path: Path) -> None:
    """There is nothing to clean up yet, and a tenth of a second in which Python would show where it was."""
    words = [sys.executable, "-X", "importtime", *command("verify")[1:]]
    with subprocess.Popen(words, cwd=tmp_path, env=process_environment(), stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.rstrip().endswith(b"git_clearml.errors"):
                process.send_signal(signal.SIGINT)
                break
        said = process.stderr.read()
    assert process.returncode in (-signal.SIGINT, 130)
    assert b"Traceback" not in said
