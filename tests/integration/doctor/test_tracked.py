"""What hides changes from `git diff`, in real repositories: doctor sees each of them, and its fix works as typed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from git_clearml.doctor import differences, examine, tracked
from git_clearml.git.repository import Repository
from git_clearml.report.diagnosis import Check
from tests.support.program import inside
from tests.support.repos import Repo, make_repo
from tests.support.tools import needs


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return make_repo(tmp_path / "a repo", {"train.py": "print(1)\n", "a b.txt": "text\n", "deep/x.dat": "data\n"})


def look(repo: Repo) -> dict[str, Check]:
    repository = Repository(str(repo.path))
    settings = tracked.settings(repository)
    checks = differences.examine(settings, tracked.look(repository, settings), os.environ)
    return {check.name: check for check in checks if check.level != "ok"}


def shown(repo: Repo) -> str:
    """What ClearML would record of the uncommitted changes: of a diff that fails, or is no UTF-8, nothing."""
    command = ["git", "-C", "deep", "diff", "--submodule=diff", "HEAD"]
    done = subprocess.run(command, cwd=repo.path, capture_output=True, check=False)
    try:
        return done.stdout.decode() if not done.returncode else ""
    except UnicodeDecodeError:
        return ""


def _assumed(repo: Repo) -> None:
    repo.git("update-index", "--assume-unchanged", "train.py")
    repo.write({"train.py": "print(2)\n"})


def _skipped(repo: Repo) -> None:
    repo.git("update-index", "--skip-worktree", "a b.txt")
    repo.write({"a b.txt": "other\n"})


def _latin(repo: Repo) -> None:
    repo.commit("latin", {"old.py": "# -*- coding: latin-1 -*-\n"})
    (repo.path / "old.py").write_bytes("# é\n".encode("latin-1"))


def _latin_data(repo: Repo) -> None:
    (repo.path / "a b.txt").write_bytes("é\n".encode("latin-1"))


def _external(repo: Repo) -> None:
    repo.git("config", "diff.external", "true")
    repo.write({"train.py": "print(2)\n"})


def _global_external(repo: Repo) -> None:
    """In a file that the user's own includes."""
    (Path.home() / "more config").write_text("[diff]\n\texternal = true\n")
    repo.git("config", "--global", "include.path", "~/more config")
    repo.write({"train.py": "print(2)\n"})


def _relative(repo: Repo) -> None:
    repo.git("config", "diff.relative", "true")
    repo.write({"train.py": "print(2)\n"})


def _textconv(repo: Repo) -> None:
    repo.git("config", "diff.silent.textconv", "true")
    repo.commit("attributes", {".gitattributes": "*.py diff=silent\n"})
    repo.write({"train.py": "print(2)\n"})


def _driver(repo: Repo) -> None:
    repo.git("config", "diff.mine.command", "true")
    repo.commit("attributes", {".gitattributes": "*.py diff=mine\n"})
    repo.write({"train.py": "print(2)\n"})


def _filter(repo: Repo) -> None:
    repo.git("config", "--global", "filter.blank.clean", "cat >/dev/null; echo 'print(1)'")
    repo.commit("attributes", {".gitattributes": "*.py filter=blank\n"})
    repo.write({"train.py": "print(2)\n"})


def _submodule(repo: Repo) -> None:
    source = make_repo(repo.path.parent / "source")
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", "--name", "the lib", str(source.path), "lib")
    repo.git("config", "--file", ".gitmodules", "submodule.the lib.ignore", "all")
    repo.git("commit", "-qam", "lib")
    (repo.path / "lib" / "train.py").write_text("print(2)\n")


SCENES: dict[str, tuple[Callable[[Repo], None], str]] = {
    "assume-unchanged": (_assumed, "assume-unchanged"),
    "skip-worktree": (_skipped, "skip-worktree"),
    "code of another encoding": (_latin, "encoding"),
    "data of another encoding": (_latin_data, "encoding"),
    "diff.external": (_external, "diff-external"),
    "diff.external everywhere": (_global_external, "diff-external"),
    "diff.relative": (_relative, "diff-relative"),
    "textconv": (_textconv, "textconv"),
    "a diff driver": (_driver, "diff-external"),
    "a clean filter": (_filter, "clean-filter"),
    "a submodule that is ignored": (_submodule, "submodule-ignore"),
}


@pytest.mark.parametrize("scene", [pytest.param(scene, marks=needs("iconv")) for scene in SCENES])
def test_it_hides_a_change_and_the_fix_works_as_typed(scene: str, repo: Repo) -> None:
    arrange, name = SCENES[scene]
    assert look(repo) == {}
    arrange(repo)
    assert shown(repo) == "", "git shows it"
    checks = look(repo)
    assert {name: check.level for name, check in checks.items()} == {name: "fail"}
    subprocess.run(["sh", "-c", checks[name].fix], cwd=repo.path, check=True)
    assert look(repo) == {}
    assert shown(repo) != ""


@needs("git-lfs")
def test_what_hides_nothing_is_no_finding(repo: Repo) -> None:
    repo.git("config", "filter.tabs.clean", "sed 's/\\t/    /g'")
    repo.git("config", "diff.upper.textconv", "cat")
    repo.git("config", "filter.broken.clean", "exit 1")
    repo.git("config", "filter.lfs.process", "git-lfs filter-process")
    repo.commit("x", {".gitattributes": "*.py filter=tabs diff=upper\n*.dat filter=broken\n*.bin -diff filter=lfs\n"})
    (repo.path / "x.bin").write_bytes(b"\xe9")
    repo.git("-c", "filter.lfs.process=", "add", "x.bin")
    repo.write({"untracked.py": "\n"})
    (repo.path / "link").symlink_to("/nowhere")
    repo.git("add", "link")
    repo.git("sparse-checkout", "set", "--no-cone", "/*", "!/deep/")
    before = sorted(path for path in (repo.path / ".git" / "objects").rglob("*"))
    assert look(repo) == {}
    assert sorted(path for path in (repo.path / ".git" / "objects").rglob("*")) == before


def test_a_conflict_an_empty_index_and_no_commit(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "new")], check=True)
    repo = Repo(tmp_path / "new")
    assert look(repo) == {}
    repo.write({"a": "1\n"})
    repo.git("add", "a")
    blob = repo.git("rev-parse", ":a")
    repo.git("update-index", "--index-info", stdin=f"0 {'0' * 40}\ta\n100644 {blob} 1\ta\n100644 {blob} 2\ta\n")
    assert look(repo) == {}


def test_somebody_elses_repository(repo: Repo) -> None:
    result = inside("doctor", "--fix", "--drill", "--json", cwd=repo.path, env={"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"})
    first, *_, last = result.json["checks"]
    assert (last["name"], last["level"], last["fix"]) == ("drill", "fail", first["fix"])
    assert (result.status, first["name"], first["level"]) == (1, "repository", "fail")
    assert first["fix"].startswith("git config --global --add safe.directory '")
    subprocess.run(["sh", "-c", first["fix"]], cwd=repo.path, check=True)
    after = inside("doctor", "--json", cwd=repo.path, env={"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"})
    assert after.json["checks"][0]["name"] == "git"


def test_a_clearml_conf_that_cannot_be_read(repo: Repo) -> None:
    (Path.home() / "clearml.conf").write_text("api { credentials { access_key: ")
    result = inside("doctor", "--json", cwd=repo.path)
    levels = {check["name"]: check["level"] for check in result.json["checks"]}
    assert (levels["credentials"], levels["clearml-conf"], levels["encoding"]) == ("fail", "warn", "ok")


def test_what_would_take_too_long_is_left(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracked, "_SECONDS", -1.0)
    repository = Repository(str(repo.path))
    assert not tracked.look(repository, ()).seen_all


def test_the_version_of_git(tmp_path: Path, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.which("git")
    script = tmp_path / "bin" / "git"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\n[ "$1" = version ] && echo git version 2.30.9 && exit\nexec {real} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    check = examine.git_version(Repository(str(repo.path)))
    assert (check.level, "2.31" in check.message) == ("fail", True)
