"""Beside others: git-lfs and a hand-written hook, before and after ours, get their stdin and block as before."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.apart import Apart
from tests.support.clearml_server import ClearMLServer
from tests.support.pushing import NULL, Yard, make_yard, recorder, write_hook
from tests.support.tools import needs, require

MANUAL_AFTER = '\nlines=$(cat)\nprintf \'%s\\n\' "$lines" | git-clearml hook pre-push "$@" || exit $?\n'


@pytest.fixture
def yard(tmp_path: Path, apart: Apart) -> Iterator[Yard]:
    with ClearMLServer() as server:
        yard = make_yard(tmp_path, server)
        yard.at_hand = apart
        yield yard


def with_lfs(yard: Yard) -> str:
    """git-lfs set up as its users do, and a big file committed; the file's object id."""
    require("git-lfs")
    git = yard.repo.git
    git("config", "lfs.locksverify", "false")
    git("lfs", "install", "--local", "--skip-smudge")
    git("lfs", "track", "*.bin")
    yard.repo.commit("a model", {"model.bin": "weights\n" * 1000})
    pointer = git("cat-file", "blob", "HEAD:model.bin")
    assert pointer.startswith("version https://git-lfs.github.com/spec/v1")
    return pointer.split("sha256:")[1].split()[0]


def uploaded(yard: Yard) -> set[str]:
    """The objects that git-lfs has put into the remote (a directory: git-lfs's own file transfer)."""
    store = yard.remote.path / "lfs" / "objects"
    return {path.name for path in store.rglob("*") if path.is_file()}


def uploads_and_blocks(yard: Yard, large: str) -> None:
    """Refused: nothing uploaded. Accepted: uploaded. And a second model too."""
    yard.refuses("origin", "main")
    yard.task()
    yard.accepts("origin", "main", moved=["refs/heads/main"])
    assert uploaded(yard) == {large}
    yard.repo.commit("a better model", {"model.bin": "better\n" * 1000})
    yard.task()
    yard.accepts("origin", "main", moved=["refs/heads/main"])
    assert len(uploaded(yard)) == 2


def test_git_lfs_was_there_first(yard: Yard) -> None:
    large = with_lfs(yard)
    theirs = yard.hook.read_bytes()
    yard.install()
    uploads_and_blocks(yard, large)
    yard.command("uninstall")
    assert yard.hook.read_bytes() == theirs
    yard.repo.commit("a third", {"model.bin": "third\n" * 1000})
    yard.accepts("origin", "main", requests=0)
    assert len(uploaded(yard)) == 3


def test_a_refused_push_uploads_nothing(yard: Yard) -> None:
    with_lfs(yard)
    yard.install()
    yard.refuses("origin", "main")
    assert uploaded(yard) == set()
    yard.accepts("origin", "main", requests=0, env={"GIT_CLEARML_SKIP": "1"})
    assert len(uploaded(yard)) == 1


def test_git_lfs_failing_still_blocks(yard: Yard) -> None:
    large = with_lfs(yard)
    yard.install().task()
    lost = yard.repo.path / ".git" / "lfs" / "objects" / large[:2] / large[2:4] / large
    lost.unlink()
    (yard.repo.path / "model.bin").unlink()
    yard.refuses("origin", "main", by_us=large[:7])
    assert uploaded(yard) == set()


@needs("git-lfs")
def test_git_lfs_does_not_take_our_place(yard: Yard) -> None:
    """`git lfs install` finds our hook, and says so instead of replacing it; ours was there first."""
    yard.install()
    done = subprocess.run(
        ["git", "lfs", "install", "--local"], cwd=yard.repo.path, capture_output=True, text=True, check=False
    )
    assert "pre-push" in done.stdout + done.stderr
    assert "git-clearml-hook" in yard.hook.read_text()


def test_git_lfs_after_ours_by_its_own_manual(yard: Yard) -> None:
    """What `git lfs install --manual` wants in the hook, put where ours runs it."""
    large = with_lfs(yard)
    theirs = yard.hook.read_bytes()
    yard.hook.unlink()
    yard.install()
    write_hook(yard.hook.parent / "pre-push.pre-clearml", theirs)
    uploads_and_blocks(yard, large)


def test_git_lfs_and_ours_in_one_hook_by_hand(yard: Yard) -> None:
    large = with_lfs(yard)
    lfs = 'printf \'%s\\n\' "$lines" | git lfs pre-push "$@"\n'
    write_hook(yard.hook, "#!/bin/sh" + MANUAL_AFTER + lfs)
    uploads_and_blocks(yard, large)


# A hand-written hook


def given_to(log: Path) -> tuple[str, str]:
    return Path(f"{log}.args").read_text(), Path(f"{log}.stdin").read_text()


@pytest.mark.parametrize("status", [0, 5])
def test_a_hook_that_ours_runs(status: int, yard: Yard, tmp_path: Path) -> None:
    log = tmp_path / "theirs"
    write_hook(yard.hook, recorder(log, status))
    yard.install().task()
    yard.repo.git("branch", "topic")
    if status:
        assert yard.push("origin", "main", "topic").moved == {}
    else:
        yard.accepts("origin", "main", "topic", moved=["refs/heads/main", "refs/heads/topic"])
    head = yard.repo.head
    lines = "".join(f"refs/heads/{name} {head} refs/heads/{name} {NULL}\n" for name in ("main", "topic"))
    assert given_to(log) == (f"2\norigin\n{yard.remote.path}\n", lines)


def test_a_hook_that_runs_ours(yard: Yard, tmp_path: Path) -> None:
    """Somebody's dispatcher: a hook that saves stdin and runs all of pre-push.d."""
    yard.install()
    directory = yard.hook.parent / "pre-push.d"
    directory.mkdir()
    yard.hook.rename(directory / "50-clearml")
    write_hook(directory / "10-before", recorder(tmp_path / "before"))
    write_hook(directory / "90-after", recorder(tmp_path / "after"))
    dispatch = 'for hook in "${0%/*}"/pre-push.d/*; do printf \'%s\\n\' "$lines" | "$hook" "$@" || exit; done\n'
    write_hook(yard.hook, "#!/bin/sh\nlines=$(cat)\n" + dispatch)
    yard.refuses("origin", "main")
    assert given_to(tmp_path / "before")[1].startswith("refs/heads/main")
    assert not (tmp_path / "after.stdin").exists()
    yard.task()
    yard.accepts("origin", "main")
    assert given_to(tmp_path / "after") == given_to(tmp_path / "before")


def test_up_to_date_and_deletions_reach_the_other_hook(yard: Yard, tmp_path: Path) -> None:
    log = tmp_path / "theirs"
    yard.publish("main", "main:refs/heads/gone")
    write_hook(yard.hook, recorder(log))
    yard.install()
    yard.accepts("origin", "main", moved=[], requests=0)
    assert given_to(log)[1] == ""
    yard.accepts("origin", ":gone", moved=["refs/heads/gone"], requests=0)
    assert given_to(log)[1].startswith(f"(delete) {NULL} refs/heads/gone ")


def test_the_other_hook_does_not_see_our_variables(yard: Yard, tmp_path: Path) -> None:
    write_hook(yard.hook, f"#!/bin/sh\nenv | sort >'{tmp_path}/env'\n")
    yard.task()
    yard.publish("main:refs/heads/warm")
    yard.accepts("origin", "main", requests=0)
    alone = (tmp_path / "env").read_text()
    yard.install()
    yard.accepts("origin", "main:refs/heads/x")
    assert without_shell_own((tmp_path / "env").read_text()) == without_shell_own(alone)


def without_shell_own(text: str) -> list[str]:
    """The environment but for what every shell sets about itself."""
    return [line for line in text.splitlines() if line.partition("=")[0] not in ("_", "PWD", "OLDPWD", "SHLVL")]


def test_another_repository_that_the_other_hook_pushes_is_judged_by_its_own_hook(yard: Yard, tmp_path: Path) -> None:
    """git's variables for a hook must not make the inner push look like the outer one."""
    inner = make_yard(tmp_path / "inner", yard.server)
    inner.repo.commit("inner alone")
    inner.install()
    unset = "unset $(git rev-parse --local-env-vars)"
    write_hook(yard.hook, f"#!/bin/sh\n{unset}\ncd '{inner.repo.path}' && git push origin main\n")
    yard.install().task()
    assert inner.repo.head[:12] in yard.push("origin", "main").said
    inner.task()
    yard.accepts("origin", "main")  # one question: the outer commit is remembered
    assert inner.remote.git("rev-parse", "main") == inner.repo.head


def test_a_terminal_of_its_own_is_not_needed(yard: Yard) -> None:
    """From a service: no controlling terminal, stdin closed."""
    yard.install().task()
    done = subprocess.run(
        ["sh", "-c", "git push origin main <&-"], start_new_session=True,
        cwd=yard.repo.path, env=yard.environment(), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert os.path.exists(yard.remote.path / "refs" / "heads" / "main")
