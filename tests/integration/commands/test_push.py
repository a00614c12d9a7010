"""`git clearml push`: asked first, pushed afterwards, with git's own arguments, words and exit status."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.apart import Apart
from tests.support.clearml_server import ClearMLServer
from tests.support.faults import silent
from tests.support.program import ROOT, inside
from tests.support.pushing import BIN, NULL, Pushed, Yard, bare, descendants, make_yard, recorder, refs_of, write_hook
from tests.support.repos import Repo, make_repo

PUSH = ("git", "clearml", "push")


@pytest.fixture
def yard(tmp_path: Path, apart: Apart) -> Iterator[Yard]:
    """Without our hook: what is refused, the command itself refuses."""
    with ClearMLServer() as server:
        yard = make_yard(tmp_path, server)
        yard.at_hand = apart
        yield yard


def push(yard: Yard, *words: str, **options: Any) -> Pushed:
    return yard.push(*words, command=PUSH, **options)


def test_verified_is_pushed(yard: Yard) -> None:
    yard.task()
    pushed = yard.accepts("origin", "main", moved=["refs/heads/main"], command=PUSH)
    assert f"verified {yard.repo.head[:12]} (main)" in pushed.err


@pytest.mark.parametrize(("status", "code"), [("failed", 1), ("in_progress", 4)])
def test_anything_less_is_not(status: str, code: int, yard: Yard, tmp_path: Path) -> None:
    write_hook(yard.hook, recorder(tmp_path / "theirs"))
    yard.task(status=status)
    pushed = push(yard, "origin", "main")
    assert (pushed.status, pushed.moved) == (code, {})
    assert "next: git clearml" in pushed.out
    assert not (tmp_path / "theirs.stdin").exists()  # git push was never begun


def test_an_undecided_push_is_not_pushed(yard: Yard) -> None:
    yard.server.fail_next(status=401, count=9)
    pushed = push(yard, "origin", "main")
    assert (pushed.status, pushed.moved) == (3, {})


def test_the_hook_of_the_push_asks_nothing_more(yard: Yard) -> None:
    yard.install().task()
    pushed = yard.accepts("origin", "main", moved=["refs/heads/main"], requests=1, command=PUSH)
    assert pushed.err.count("git clearml: verified") == 1


def test_the_hook_before_ours_runs_once_with_gits_lines(yard: Yard, tmp_path: Path) -> None:
    write_hook(yard.hook, f"#!/bin/sh\ncat >>'{tmp_path}/seen'\n")
    yard.install().task()
    yard.accepts("origin", "main", command=PUSH)
    assert (tmp_path / "seen").read_text() == f"refs/heads/main {yard.repo.head} refs/heads/main {NULL}\n"


def test_the_arguments_are_gits(yard: Yard) -> None:
    yard.repo.git("branch", "topic")
    yard.repo.git("tag", "-a", "-m", "x", "v1")
    yard.task()
    yard.accepts("--atomic", "-u", "--follow-tags", "origin", "main", "topic:refs/heads/other", command=PUSH)
    assert set(refs_of(yard.remote)) == {"refs/heads/main", "refs/heads/other", "refs/tags/v1"}
    assert yard.repo.git("rev-parse", "--abbrev-ref", "main@{upstream}") == "origin/main"
    yard.repo.git("commit", "--quiet", "--amend", "--allow-empty", "-m", "amended")
    yard.task()
    assert push(yard, "origin", "main").status == 1
    yard.accepts("--force-with-lease", "origin", "main", requests=None, command=PUSH)


def test_options_of_git_itself_reach_the_push(yard: Yard) -> None:
    yard.task()
    done = yard.push("-c", "push.default=current", "clearml", "push", "origin", command=["git"])
    assert (done.status, list(done.moved)) == (0, ["refs/heads/main"])


def test_up_to_date_and_deletions_ask_nothing(yard: Yard) -> None:
    yard.publish("main", "main:refs/heads/gone")
    assert "Everything up-to-date" in yard.accepts("origin", "main", moved=[], requests=0, command=PUSH).err
    yard.accepts("origin", "--delete", "gone", moved=["refs/heads/gone"], requests=0, command=PUSH)


def test_a_dry_run_verifies_and_pushes_nothing(yard: Yard) -> None:
    assert push(yard, "--dry-run", "origin", "main").status == 1
    yard.task()
    pushed = push(yard, "-n", "origin", "main")
    assert (pushed.status, pushed.moved) == (0, {})
    assert "verified" in pushed.err


@pytest.mark.parametrize("word", ["--no-verify", "--no-veri"])
def test_no_verify_is_a_contradiction(word: str, yard: Yard) -> None:
    yard.task()
    pushed = push(yard, word, "origin", "main")
    assert (pushed.status, pushed.moved, pushed.calls) == (2, {}, ())
    assert f"hint: git push {word} origin main" in pushed.err


def test_what_git_takes_for_ambiguous_is_gits_to_refuse(yard: Yard) -> None:
    yard.task()
    pushed = push(yard, "--no-ver", "origin", "main")
    assert pushed.status != 0
    assert pushed.moved == {}


def test_a_skip_is_loud_here_and_pushes(yard: Yard) -> None:
    pushed = yard.accepts("origin", "main", requests=0, command=PUSH, env={"GIT_CLEARML_SKIP": "1"})
    assert pushed.lines() == ["git clearml: this push is not verified (GIT_CLEARML_SKIP=1)"]


def test_a_skip_that_is_none_is_said(yard: Yard) -> None:
    pushed = push(yard, "origin", "main", env={"GIT_CLEARML_SKIP": "maybe"})
    assert (pushed.status, pushed.moved) == (1, {})
    assert "GIT_CLEARML_SKIP has no effect with this value" in pushed.err


def test_two_push_urls_are_two_questions(yard: Yard, tmp_path: Path) -> None:
    second = bare(tmp_path / "second.git")
    for url in (yard.remote.path, second.path):
        yard.repo.git("remote", "set-url", "--add", "--push", "origin", str(url))
    assert push(yard, "origin", "main").status == 1
    assert refs_of(second) == {}
    yard.task()
    yard.accepts("origin", "main", moved=["refs/heads/main"], requests=None, command=PUSH)
    assert set(refs_of(second)) == {"refs/heads/main"}


def test_the_second_url_alone_can_refuse(yard: Yard, tmp_path: Path) -> None:
    """It has an older main with a policy of its own."""
    second = bare(tmp_path / "second.git")
    yard.repo.git("push", "--quiet", str(second.path), "main")
    yard.repo.policy('protect = ["elsewhere"]')
    yard.publish()
    yard.repo.commit("more")
    for url in (yard.remote.path, second.path):
        yard.repo.git("remote", "set-url", "--add", "--push", "origin", str(url))
    pushed = push(yard, "origin", "main")
    assert (pushed.status, pushed.moved) == (1, {})


@pytest.mark.parametrize(("words", "status"), [(("nowhere", "main"), 3), (("--no-such-option",), 2)])
def test_what_git_cannot_push_is_said_in_gits_words(words: tuple[str, ...], status: int, yard: Yard) -> None:
    plain = subprocess.run(
        ["git", "push", *words], cwd=yard.repo.path, env=yard.environment(), capture_output=True, text=True, check=False
    )
    pushed = push(yard, *words)
    assert (pushed.status, pushed.moved, pushed.calls) == (status, {}, ())
    assert plain.stderr.splitlines()[0].partition(": ")[2] in pushed.err


def test_gits_exit_status_is_ours(yard: Yard) -> None:
    yard.task()
    write_hook(yard.remote.path / "hooks" / "pre-receive", "#!/bin/sh\necho no, says the remote\nexit 1\n")
    pushed = push(yard, "origin", "main")
    assert (pushed.status, pushed.moved) == (1, {})
    assert "no, says the remote" in pushed.err
    write_hook(yard.hook, "#!/bin/sh\necho no, says another hook\nexit 1\n")
    assert "no, says another hook" in push(yard, "origin", "main").said


def test_a_push_that_is_not_a_fast_forward(yard: Yard) -> None:
    yard.repo.commit("two")
    yard.publish()
    yard.repo.git("reset", "--quiet", "--hard", "HEAD~1")
    yard.repo.commit("other")
    yard.task()
    pushed = push(yard, "origin", "main")
    assert (pushed.status, pushed.moved) == (1, {})
    assert "non-fast-forward" in pushed.err


def test_help_is_ours(yard: Yard) -> None:
    pushed = yard.push("push", "-h", command=["git-clearml"])
    assert pushed.status == 0
    assert "git clearml push [<git push arguments>...]" in pushed.out


def test_where_a_temporary_hook_cannot_run_nothing_is_pushed_unseen(yard: Yard, tmp_path: Path) -> None:
    """As on a /tmp that is mounted noexec: git passes over hooks that it may not execute, without a word."""
    yard.task()
    programs = tmp_path / "bin"
    real = shutil.which("git")
    write_hook(
        programs / "git",
        f'#!/bin/sh\ncase "$*" in *core.hooksPath*) for one in "${{TMPDIR:-/tmp}}"/git-clearml-*/pre-push; '
        f'do chmod -x "$one"; done ;; esac\nexec {real} "$@"\n',
    )
    (tmp_path / "scratch").mkdir()
    path = f"{programs}{os.pathsep}{yard.environment()['PATH']}"
    pushed = yard.push(
        "push", "origin", "main", command=["git-clearml"], env={"PATH": path, "TMPDIR": str(tmp_path / "scratch")}
    )
    assert (pushed.status, pushed.moved) == (3, {})
    assert "ran no hook" in pushed.err
    assert list((tmp_path / "scratch").iterdir()) == []


def test_outside_of_a_repository(yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    pushed = push(yard, "origin", "main", cwd=tmp_path / "nothing")
    assert pushed.status == 2
    assert "not a git repository" in pushed.err


def test_a_push_from_a_subdirectory_of_a_worktree(yard: Yard, tmp_path: Path) -> None:
    tree = yard.repo.worktree(tmp_path / "tree")
    tree.commit("more", {"deep/x": "x"})
    assert push(yard, "origin", "HEAD:refs/heads/t", cwd=tree.path / "deep").status == 1
    yard.task(tree.head)
    yard.accepts("origin", "HEAD:refs/heads/t", moved=["refs/heads/t"], cwd=tree.path / "deep", command=PUSH)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_the_server_is_asked(number: int, yard: Yard) -> None:
    yard.task()

    def stop(*_: object) -> None:
        yard.server.hook = None
        for pid, command in descendants(os.getpid()):
            if "git-clearml push" in command:
                os.kill(pid, number)

    yard.server.hook = stop
    pushed = yard.push("push", "origin", "main", command=["git-clearml"], env={"NOT_APART": "1"})
    assert (pushed.status, pushed.moved) == (128 + number, {})
    yard.accepts("origin", "main", moved=["refs/heads/main"], command=PUSH)


def test_a_server_that_was_given_up_does_not_hold_the_push(yard: Yard) -> None:
    """The thread that still reads from it must not get the signal that git has ended."""
    yard.repo.policy('on-unreachable = "warn"')
    yard.repo.git("config", "clearml.timeout", "0.5")
    with silent() as server:
        env = {"CLEARML_API_HOST": f"http://127.0.0.1:{server.port}"}
        pushed = push(yard, "origin", "main", env=env)
    assert (pushed.status, list(pushed.moved)) == (0, ["refs/heads/main"])
    assert "not verified" in pushed.said


# What has been said, and what is another repository's


@pytest.mark.parametrize("remember", ["86400", "0"])
def test_a_verdict_is_told_once(remember: str, yard: Yard) -> None:
    yard.install().task()
    yard.repo.git("config", "clearml.remember", remember)
    yard.repo.git("tag", "-a", "v1", "-m", "v1")
    said = yard.accepts("origin", "main", "v1", requests=None, command=PUSH).said
    assert said.count("git clearml: verified") == 1
    yard.repo.commit("more")
    yard.task()
    assert yard.accepts("origin", "main", requests=None).said.count("git clearml: verified") == 1


@pytest.mark.parametrize(("how", "gated"), [("flag", True), ("config", False)])
def test_what_goes_along_out_of_a_submodule_is_its_own_hooks_matter(
    how: str, gated: bool, yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commits are not the superproject's: only a hook in the submodule judges them, by the submodule's policy."""
    yard.repo.git("config", "--global", "protocol.file.allow", "always")
    library = bare(tmp_path / "library.git")
    made = make_repo(tmp_path / "library", remote=str(library.path))
    made.git("push", "--quiet", "origin", "main")
    yard.repo.git("submodule", "--quiet", "add", str(library.path), "lib")
    yard.repo.git("commit", "--quiet", "-m", "lib")
    yard.publish("--set-upstream", "main")
    inner = Repo(yard.repo.path / "lib")
    inner.git("checkout", "--quiet", "main")
    new = inner.commit("new", {"lib.py": "2\n"})
    if gated:
        assert inside("install", cwd=inner.path, env={**yard.server.env}).status == 0
    yard.repo.git("commit", "--quiet", "--all", "-m", "new lib")
    yard.task()
    words = ["--recurse-submodules=on-demand"] if how == "flag" else []
    if how == "config":
        yard.repo.git("config", "push.recurseSubmodules", "on-demand")
    pushed = push(yard, *words, "origin", "main")
    assert bool(pushed.status) is gated, pushed.said
    assert (refs_of(library)["refs/heads/main"] == new) is not gated
    if gated:
        assert f"rejected {new[:12]}" in pushed.said
        yard.server.add_task(commit=new, repository=str(library.path))
        yard.accepts(*words, "origin", "main", requests=None, command=PUSH)
        assert refs_of(library)["refs/heads/main"] == new


def jj_alias() -> list[str]:
    """The words of the alias in docs/hook.md that jj would execute."""
    text = re.findall(r"```toml\n(\[aliases\].*?)```", (ROOT / "docs" / "hook.md").read_text(), re.DOTALL)[0]
    words = re.search(r'push = \["util", "exec", "--", (.*)\]', text, re.DOTALL)
    assert words
    return [match[0] or match[1] for match in re.findall(r'"""\n(.*?)"""|"([^"]*)"', words[1], re.DOTALL)]


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_jj_pushes_by_its_alias_what_its_dry_run_names(status: str, yard: Yard, tmp_path: Path) -> None:
    """The alias of docs/hook.md, with a jj that says what the real one is recorded to say."""
    yard.publish("main:main", "main:old")
    old = yard.repo.head
    yard.repo.git("commit", "--quiet", "--amend", "--allow-empty", "-m", "described anew")
    new = yard.repo.head
    yard.task(status=status)
    jj = tmp_path / "bin" / "jj"
    jj.parent.mkdir()
    write_hook(
        jj,
        f"""#!/bin/sh
if [ "$1 $2" = "git import" ]; then : >'{tmp_path}/imported'; exit; fi
[ "$*" = "git push --dry-run --color never -b main" ] || exit 9
cat >&2 <<'end'
Changes to push to origin:
  bookmark: main [move sideways from {old[:12]} to {new[:12]}]
  bookmark: old [delete from {old[:12]}]
  bookmark: topic [add to {new[:12]}]
Dry-run requested, not pushing.
end
""",
    )
    path = os.pathsep.join([str(jj.parent), str(BIN), os.environ["PATH"]])
    pushed = yard.push("-b", "main", command=jj_alias(), env={"PATH": path})
    if status == "completed":
        assert pushed.status == 0, pushed.said
        assert pushed.moved == {"refs/heads/main": new, "refs/heads/old": "", "refs/heads/topic": new}
    else:
        assert (pushed.status, pushed.moved) == (1, {})
    assert (tmp_path / "imported").exists() is (status == "completed")


def test_jj_that_pushes_nothing_or_says_something_else(yard: Yard) -> None:
    said = {
        "Nothing changed.\n": 0,
        "Error: No git remote named 'origin'\n": 3,
        "Changes to push to origin:\n  bookmark: main [teleport to 0123456789ab]\nDry-run requested, not pushing.\n": 3,
    }
    for text, status in said.items():
        result = inside("push", "--from-jj", cwd=yard.repo.path, env={**yard.server.env}, stdin=text.encode())
        assert (result.status, yard.server.calls()) == (status, []), text


def test_what_the_remote_has_meanwhile_is_not_overwritten_for_jj(yard: Yard) -> None:
    yard.publish("main")
    before = refs_of(yard.remote)
    believed, new = (yard.repo.commit(name, {"train.py": f"print({name!r})\n"}) for name in ("one", "two"))
    yard.task()
    text = f"Changes to push to origin:\n  bookmark: main [move forward from {believed[:12]} to {new[:12]}]\n"
    dry_run = f"{text}Dry-run requested, not pushing.\n".encode()
    result = inside("push", "--from-jj", cwd=yard.repo.path, env={**yard.server.env}, stdin=dry_run)
    assert result.status != 0
    assert refs_of(yard.remote) == before
