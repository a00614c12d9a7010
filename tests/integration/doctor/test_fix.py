"""`git clearml doctor --fix`: what is safe is fixed, what ran before runs on, and what is left is told."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from git_clearml.hook import hooks_path
from git_clearml.hook.owner import Owner, read_hook
from tests.integration.doctor.test_doctor import PRE_COMMIT, careful
from tests.support.clearml_server import ClearMLServer
from tests.support.program import Result, inside
from tests.support.pushing import BIN, HOOK, Yard, make_yard, on_path, without_privileges, write_hook


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with ClearMLServer() as server:
        yield make_yard(tmp_path, server)


def fix(yard: Yard, *words: str) -> Result:
    return inside("doctor", "--fix", *words, cwd=yard.repo.path, env={"PATH": on_path(), **yard.server.env})


def test_a_missing_hook_is_installed(yard: Yard) -> None:
    result = fix(yard, "--json")
    assert (result.status, [each["name"] for each in result.json["fixed"]]) == (0, ["hook"])
    assert read_hook(yard.hook).current
    assert (yard.repo.path / ".git" / "clearml" / "python").exists()
    again = fix(yard, "--json")
    assert (again.status, "fixed" in again.json) == (0, False)


def test_a_hook_of_the_users_runs_on(yard: Yard) -> None:
    write_hook(yard.hook, "#!/bin/sh\necho mine\n")
    assert fix(yard).status == 0
    assert read_hook(yard.hook).current
    kept = yard.hook.with_name(hooks_path.PREVIOUS)
    assert kept.read_text() == "#!/bin/sh\necho mine\n"
    kept.chmod(0o644)
    yard.hook.chmod(0o644)
    assert fix(yard).status == 0
    assert os.access(kept, os.X_OK)
    assert os.access(yard.hook, os.X_OK)


def test_pre_commit_runs_ours_and_what_it_ran_before(yard: Yard) -> None:
    write_hook(yard.hook, PRE_COMMIT)
    legacy = write_hook(yard.hook.with_name(hooks_path.LEGACY), "#!/bin/sh\necho mine\n")
    assert fix(yard).status == 0
    assert read_hook(yard.hook).owner is Owner.PRE_COMMIT
    assert read_hook(legacy).current
    assert "mine" in yard.hook.with_name(hooks_path.PREVIOUS).read_text()


def test_what_is_not_ours_to_decide_stays(yard: Yard) -> None:
    """A hook that was edited, a shared hooks directory, a hook manager's configuration, git's global settings."""
    write_hook(yard.hook, HOOK.read_text() + "# mine\n")
    yard.repo.git("config", "--global", "diff.external", "true")
    yard.repo.git("update-index", "--assume-unchanged", "train.py")
    before = yard.hook.read_bytes(), (Path.home() / ".gitconfig").read_bytes()
    result = fix(yard)
    assert (result.status, "that can be fixed safely" in result.err) == (1, True)
    assert (yard.hook.read_bytes(), (Path.home() / ".gitconfig").read_bytes()) == before
    write_hook(yard.hook, '#!/bin/sh\ncall_lefthook run "pre-push" "$@"\n')
    assert fix(yard).status == 1
    assert "lefthook" in yard.hook.read_text()


def test_a_submodule_is_looked_at_again(yard: Yard) -> None:
    from tests.support.repos import make_repo

    yard.install()
    source = make_repo(yard.repo.path.parent / "source")
    yard.repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(source.path), "my lib")
    yard.repo.git("config", "submodule.my lib.ignore", "dirty")
    assert fix(yard).status == 0
    assert yard.repo.git("config", "submodule.my lib.ignore") == "none"


def test_what_cannot_be_done_is_told_and_the_rest_is_done(yard: Yard) -> None:
    yard.install()
    careful().write_text("sdk.development.store_uncommitted_code_diff: false\n")
    yard.repo.git("config", "submodule.x.ignore", "all")
    yard.hook.unlink()
    hooks = yard.hook.parent
    hooks.chmod(0o555)
    try:
        done = subprocess.run(
            without_privileges([str(BIN / "git-clearml"), "doctor", "--fix"]),
            cwd=yard.repo.path,
            env=yard.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        hooks.chmod(0o755)
    assert done.returncode == 1, done.stderr
    assert "hook could not be fixed: Permission denied" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("answer", "fixed"), [("y\n", True), ("n\n", False), ("\n", False), ("", False)])
def test_at_a_terminal_somebody_is_asked(answer: str, fixed: bool, yard: Yard) -> None:
    """And only there clearml.conf gets a line, which touches nothing else of it."""
    yard.install()
    conf = Path.home() / "clearml.conf"
    content = 'api { credentials { "secret_key": "" } }\nsdk { development { store_uncommitted_code_diff: false } }'
    conf.write_text(content)
    conf.chmod(0o600)
    assert fix(yard).status == 1, "there is no terminal"
    assert conf.read_text() == content
    shown, status = at_terminal(yard, answer)
    assert "fix these? [y/N]" in shown
    assert (conf.read_text().startswith(content + "\n"), conf.read_text() != content) == (True, fixed) or not fixed
    assert (status, conf.stat().st_mode & 0o777) == (0 if fixed else 1, 0o600)


def at_terminal(yard: Yard, answer: str) -> tuple[str, int]:
    """What `doctor --fix` shows at a terminal at which this is typed ("" ends the input), and its exit status."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [BIN / "git-clearml", "doctor", "--fix"],
        cwd=yard.repo.path,
        env=yard.environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while b"[y/N]" not in shown:
        assert select.select([ours], [], [], 60)[0], shown
        shown += os.read(ours, 4096)
    os.write(ours, answer.encode() or b"\x04")
    try:
        while block := os.read(ours, 4096):
            shown += block
    except OSError:  # Linux: nobody has the other end open any more
        pass
    os.close(ours)
    return shown.decode(), process.wait(60)
