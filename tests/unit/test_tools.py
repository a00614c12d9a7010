"""What the suite says of programs that a machine lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tools import require, summary


def test_a_missing_program_skips_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "there").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("REQUIRE_TOOLS", raising=False)
    require("there")
    with pytest.raises(pytest.skip.Exception, match=r"^not installed: git-lfs, busybox$"):
        require("there", "git-lfs", "busybox")


def test_git_of_a_version_and_with_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUIRE_TOOLS", raising=False)
    require("git 2.9", "git receive-pack")
    with pytest.raises(pytest.skip.Exception, match=r"^not installed: git 999\.1, git nonsense$"):
        require("git 999.1", "git nonsense")


def test_where_all_programs_have_to_be_it_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("REQUIRE_TOOLS", "1")
    with pytest.raises(pytest.fail.Exception, match="not installed: git-lfs"):
        require("git-lfs")


def test_the_last_line_counts_what_was_skipped() -> None:
    reasons = ["Skipped: not installed: git-lfs", "Skipped: not installed: busybox", "Skipped: not installed: git-lfs"]
    assert summary([]) == ""
    assert summary(reasons) == "3 skipped: 1 without busybox, 2 without git-lfs"
    assert summary([*reasons, "Skipped: on a Mac"]).startswith("4 skipped: 1 for another reason, see above, ")
