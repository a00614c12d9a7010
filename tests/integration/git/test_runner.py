"""Every git has a deadline, is ended with all that it started, and reaches no remote unless that is what it is for."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from git_clearml.errors import CannotDecide, NotARepository, TimedOut
from git_clearml.git.peel import NoCommit
from git_clearml.git.repository import Repository
from git_clearml.git.runner import _NO_FETCH, Runner
from git_clearml.model import Resolved
from tests.support.program import Gate, inside
from tests.support.pushing import gone
from tests.support.repos import Repo, make_repo

UNKNOWN = "1" * 40
ODD = "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
"""Characters at which str.splitlines cuts, and git does not."""


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return make_repo(tmp_path / "repo", remote="")


def runner(repo: Repo) -> Runner:
    return Repository(str(repo.path))


# The deadline ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ignoring", ["", "trap '' TERM; "])
def test_a_deadline_needs_no_ps(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ignoring: str) -> None:
    """A slim image has neither ps nor pgrep; git's child and grandchild hold its pipes."""
    for program in ("git", "sh", "sleep"):
        path = shutil.which(program)
        assert path is not None
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / program).symlink_to(path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    pids = tmp_path / "pids"
    repo.git("config", "alias.hang", f"!{ignoring}sh -c 'echo $$ >>{pids}; sleep 8' & echo $$ >>{pids}; sleep 8")
    since = time.monotonic()
    with pytest.raises(TimedOut, match="git hang did not end within 1 s"):
        runner(repo).run("hang", timeout=1)
    assert time.monotonic() - since < 5
    assert [gone(int(pid)) for pid in pids.read_text().split()] == [True, True]


def test_output_without_an_end_has_a_deadline_too(repo: Repo) -> None:
    repo.git("config", "alias.babble", "!while :; do echo 0123456789; done")
    with pytest.raises(TimedOut):
        runner(repo).run("babble", timeout=0.5)


def test_the_time_of_the_reader_does_not_count(repo: Repo) -> None:
    repo.git("config", "alias.slow", "!echo first; sleep 0.2; echo second")
    with runner(repo).stream("slow", timeout=5) as stream:
        blocks = []
        for block in stream:
            blocks.append(block)
            stream._deadline -= 4  # as if git had taken that long
            time.sleep(0.1)
            stream._deadline += 4
    assert (b"".join(blocks), stream.status) == (b"first\nsecond\n", 0)


def test_what_git_leaves_behind_delays_nothing(repo: Repo, tmp_path: Path) -> None:
    """ssh keeps a connection for the next git, and with it git's stderr."""
    pid = tmp_path / "pid"
    repo.git("config", "alias.leave", f"!sleep 8 & echo $! >{pid}; echo done")
    since = time.monotonic()
    assert runner(repo).run("leave").stdout == b"done\n"
    assert time.monotonic() - since < 5
    os.kill(int(pid.read_text()), signal.SIGKILL)  # it was left alone


def test_a_reader_that_leaves_ends_git(repo: Repo, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    repo.git("config", "alias.hang", f"!echo $$ >{pids}; echo first; sleep 8")
    with runner(repo).stream("hang") as stream:
        assert next(iter(stream)) == b"first\n"
    assert gone(int(pids.read_text()))


def test_an_interrupt_ends_git_and_what_it_started(repo: Repo, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    repo.git("config", "alias.hang", f"!echo $$ >{pids}; kill -INT {os.getpid()}; sleep 8")
    with pytest.raises(KeyboardInterrupt):
        runner(repo).run("hang")
    assert gone(int(pids.read_text()))


# What goes in and what comes out --------------------------------------------------------------------------------------


def test_stdin_and_both_streams_may_be_long(repo: Repo) -> None:
    repo.git("config", "alias.both", "!tee /dev/stderr")
    content = bytes(range(1, 128)) * 20_000
    result = runner(repo).run("both", stdin=content)
    assert (result.status, result.stdout, result.stderr) == (0, content, content.decode())


def test_without_stdin_there_is_nothing_to_read(repo: Repo) -> None:
    repo.git("config", "alias.copy", "!cat")
    assert runner(repo).run("copy", timeout=20).stdout == b""


def test_git_speaks_english(repo: Repo) -> None:
    repo.git("config", "alias.language", '!echo "$LC_ALL $LANGUAGE"')
    assert runner(repo).run("language").text == "C C"


def test_the_reason_is_in_the_error(repo: Repo) -> None:
    with pytest.raises(CannotDecide, match=r"^git cat-file failed: Not a valid object name nosuch$"):
        runner(repo).read("-c", "core.quotePath=false", "cat-file", "-p", "nosuch")


def test_without_git(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = runner(repo)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotARepository, match="git was not found on PATH"):
        git.run("version")


def test_a_directory_that_is_gone(repo: Repo) -> None:
    """GitPython would run git in the current directory: another repository, perhaps."""
    git = runner(repo)
    shutil.rmtree(repo.path)
    with pytest.raises(NotARepository, match="git cannot be started in"):
        git.run("version")


@pytest.mark.parametrize("may_ask", [True, False])
def test_git_stays_at_the_terminal_only_where_it_may_ask(repo: Repo, may_ask: bool) -> None:
    repo.git("config", "alias.session", "!cut -d ' ' -f 6 /proc/self/stat; echo $GIT_TERMINAL_PROMPT")
    git = runner(repo)
    with on_terminal():
        session = git.run("session", remote=True, may_ask=may_ask).lines[0]
    assert (int(session) == os.getsid(0)) == may_ask


@contextmanager
def on_terminal() -> Iterator[None]:
    """stdin is a terminal."""
    controller, terminal = pty.openpty()
    saved = os.dup(0)
    try:
        os.dup2(terminal, 0)
        yield
    finally:
        os.dup2(saved, 0)
        for descriptor in (saved, controller, terminal):
            os.close(descriptor)


# Odd paths ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("character", [f"a{c}b" for c in ODD] + ["\u2028", "a\r", "a\n", "a\x00b"])
def test_paths_with_characters_that_end_lines_elsewhere(tmp_path: Path, character: str) -> None:
    """One such path made all of them unreadable."""
    repo = make_repo(tmp_path / "repo", {"train.py": "", "a\u2028b": "", "a\x85b": "", "a\x0cb": ""}, remote="")
    places = [(repo.head, path) for path in ("train.py", character, f"nosuch/{character}", "nosuch")]
    there = character in ("a\u2028b", "a\x85b", "a\x0cb")
    assert Repository(str(repo.path)).existing_files(places) == set(places[: 2 if there else 1])


@pytest.mark.parametrize("character", list(ODD[1:]))
def test_a_task_with_an_odd_entry_point_does_not_keep_others_from_passing(gate: Gate, character: str) -> None:
    gate.task(entry_point=f"odd{character}name.py")
    result = gate.verify("--format", "json")
    assert (result.status, result.codes) == (1, ["entry-point-missing"])
    gate.task()
    assert gate.verify("--format", "json").status == 0


# Partial clones -------------------------------------------------------------------------------------------------------


class Partial:
    """A clone without blobs of older commits, and how often its remote is asked for something."""

    def __init__(self, repo: Repo, path: Path) -> None:
        self.old = repo.commit("old", {"old.py": "old\n", "pyproject.toml": "[tool.git-clearml]\n"})
        repo.commit("new", {"old.py": "new\n", "pyproject.toml": "[tool.git-clearml]\nequivalence = ['commit']\n"})
        repo.git("config", "uploadpack.allowFilter", "true")
        repo.git("config", "uploadpack.allowAnySHA1InWant", "true")
        repo.git("clone", "--quiet", "--filter=blob:none", f"file://{repo.path}", str(path))
        self.repo, self._log = Repo(path), path.with_suffix(".log")
        self.repo.git("config", "remote.origin.uploadpack", f"echo >>'{self._log}'; git-upload-pack")

    @property
    def fetches(self) -> int:
        return len(self._log.read_text()) if self._log.exists() else 0


@pytest.fixture
def partial(repo: Repo, tmp_path: Path) -> Partial:
    return Partial(repo, tmp_path / "partial")


@pytest.mark.parametrize("variable", ["1", "0"])
def test_an_unknown_commit_starts_no_fetch(partial: Partial, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """The variable's other value makes of git one that does not know the variable."""
    monkeypatch.setitem(_NO_FETCH, "GIT_NO_LAZY_FETCH", variable)
    repository = Repository(str(partial.repo.path))
    unknown, old = repository.peel([UNKNOWN, partial.old])
    assert (unknown, isinstance(old, Resolved)) == (NoCommit.MISSING, True)
    assert repository.trees([UNKNOWN, partial.old]) == {
        partial.old: partial.repo.git("rev-parse", f"{partial.old}^{{tree}}")
    }
    assert partial.fetches == 0


def test_a_clone_without_trees_wants_one_command(repo: Repo, tmp_path: Path) -> None:
    """Not one for the tree, and after that one for what it has."""
    old = repo.commit("old", {"pyproject.toml": "[tool.git-clearml]\n"})
    repo.commit("new", {"pyproject.toml": "[tool.git-clearml]\nequivalence = 'commit'\n"})
    repo.git("config", "uploadpack.allowFilter", "true")
    repo.git("config", "uploadpack.allowAnySHA1InWant", "true")
    repo.git("clone", "--quiet", "--filter=tree:0", f"file://{repo.path}", str(tmp_path / "clone"))
    with pytest.raises(CannotDecide, match=f"has not fetched pyproject.toml of {old[:12]} yet") as raised:
        Repository(str(tmp_path / "clone")).peel([old])
    subprocess.run(raised.value.hint, shell=True, cwd=tmp_path / "clone", check=True)
    repository = Repository(str(tmp_path / "clone"))
    (resolved,) = repository.resolve([old])
    assert repository.blobs([resolved.policy_blob]) == {resolved.policy_blob: b"[tool.git-clearml]\n"}


def test_paths_that_no_commit_has(tmp_path: Path) -> None:
    """Some of them end git, and others it would take from the current directory."""
    repo = make_repo(tmp_path / "repo", {"train.py": "", "src/a.py": ""})
    paths = ["../train.py", "./../train.py", "./src/../../x", "..", ".", "/train.py", "src/../train.py", "a\nb", ""]
    within = Repository(str(repo.path / "src"))
    assert within.existing_files([(repo.head, path) for path in [*paths, "./a.py", "train.py"]]) == {
        (repo.head, "train.py")
    }


@pytest.mark.parametrize("variable", ["1", "0"])
def test_files_that_were_not_fetched_are_there(
    partial: Partial, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """The tree says so. A policy that was not fetched is not taken for no policy."""
    monkeypatch.setitem(_NO_FETCH, "GIT_NO_LAZY_FETCH", variable)
    repository = Repository(str(partial.repo.path))
    paths = ["old.py", "pyproject.toml", "nosuch.py", "old.py/below", "*.py", "train.py"]
    places = [(commit, path) for commit in (partial.old, UNKNOWN) for path in paths]
    assert repository.existing_files(places) == {
        (partial.old, path) for path in ("old.py", "pyproject.toml", "train.py")
    }
    blob = partial.repo.git("rev-parse", f"{partial.old}:pyproject.toml")
    (old,) = repository.resolve([partial.old])
    assert old.policy_blob == blob
    with pytest.raises(CannotDecide, match=f"has not fetched the object {blob[:12]}") as error:
        repository.blobs([blob])
    assert partial.fetches == 0
    partial.repo.git(*error.value.hint.removeprefix("git ").split())  # it works as typed
    assert repository.blobs([blob]) == {blob: b"[tool.git-clearml]\n"}


def test_a_hook_fetches_nothing(gate: Gate, tmp_path: Path) -> None:
    """The commit that the remote has by now is not in this clone: undecided, and no fetch for each question."""
    partial = Partial(gate.repo, tmp_path / "partial")
    head = partial.repo.head
    line = f"refs/heads/main {head} refs/heads/main {UNKNOWN}\n"
    result = inside(
        "hook", "pre-push", "origin", "url", cwd=partial.repo.path, env=gate.server.env, stdin=line.encode()
    )
    assert result.status == 3
    assert "which is not in this clone" in result.err
    assert partial.fetches == 0
