"""The time before the program knows what it is asked for."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from git_clearml.cli import main
from git_clearml.commands import config
from git_clearml.errors import CannotDecide
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


@pytest.mark.parametrize("then", [AttributeError, OSError, BrokenPipeError, CannotDecide])
def test_what_fails_because_of_ctrl_c_is_ctrl_c(
    then: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """argparse has a `finally` block that fails when it is met on the way, and it is not the only one."""

    def interrupted(*_: object) -> int:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            raise then("what was to be cleaned up")

    monkeypatch.setattr(config, "run", interrupted)
    assert main(["config"]) == 130
    said = capsys.readouterr().err
    assert said.endswith("git clearml: interrupted\n")
    assert ("what was to be cleaned up" in said) == (then is CannotDecide)
