"""GIT_CLEARML_SKIP: one table, answered twice, by sh before Python starts and by the command itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from git_clearml.hook import skip
from tests.support.pushing import HOOK, SHELLS, line, on_path, run_hook, shim

SKIPS = ["1", "true", "yes"]
DOES_NOTHING = ["", "0", "false"]
WARNS = [
    "2", "01", "00", "10", " 1", "1 ", " ", "True", "TRUE", "Yes", "YES", "y", "on", "no", "off", "False", "1\n", "*",
    "?", "[1]", "tru*", "1 | true", "$(echo 1)", "`echo 1`", '"1"', "-n", "-e 1", "\\1", "%s", "é", "\udcff",
    "1" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("value", SKIPS)
def test_a_skip_is_one_loud_line(value: str) -> None:
    assert skip.read_skip(value) == (True, f"git clearml: this push is not verified (GIT_CLEARML_SKIP={value})")


@pytest.mark.parametrize("value", DOES_NOTHING)
def test_off_says_nothing(value: str) -> None:
    assert skip.read_skip(value) == (False, "")


@pytest.mark.parametrize("value", WARNS)
def test_any_other_value_does_nothing_and_warns(value: str) -> None:
    skipped, line_ = skip.read_skip(value)
    assert not skipped
    assert line_.startswith("git clearml: warning: GIT_CLEARML_SKIP has no effect with this value")
    assert "\n" not in line_


@pytest.mark.parametrize("shell", SHELLS)
def test_sh_answers_every_value_as_python_does(shell: str, tmp_path: Path) -> None:
    log = shim(tmp_path, body="exit 0")
    for value in SKIPS + DOES_NOTHING + WARNS:
        log.write_text("")
        done = run_hook(shell, HOOK, line(), path=on_path(tmp_path), env={"GIT_CLEARML_SKIP": value})
        skipped, line_ = skip.read_skip(value)
        assert done.stderr.decode().rstrip("\n") == line_, value
        assert (done.returncode, done.stdout) == (0, b"")
        assert (log.read_text() == "") is skipped, value


def test_the_table_is_whole() -> None:
    assert (list(skip.SKIPS), list(skip.DOES_NOT)) == (SKIPS, DOES_NOTHING)
