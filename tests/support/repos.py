"""Real git repositories for the tests."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.clearml_server import REPOSITORY

TRAIN = "print('training')\n"


@dataclass(frozen=True)
class Repo:
    """A working tree, or a bare repository."""

    path: Path

    def git(self, *arguments: str, stdin: str | None = None, env: Mapping[str, str] | None = None) -> str:
        """Runs git here; its stdout without the last line break."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            input=stdin,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"git {' '.join(arguments)}: {done.stderr}")
        return done.stdout.rstrip("\n")

    @property
    def head(self) -> str:
        """The commit at HEAD, without a process where that is easy: it is asked for thousands of times."""
        try:
            name = (self.path / ".git" / "HEAD").read_text().rstrip("\n")
            found = (self.path / ".git" / name[5:]).read_text().rstrip("\n") if name.startswith("ref: ") else name
        except OSError:  # a bare repository, a worktree, packed refs
            return self.git("rev-parse", "HEAD")
        return found

    def write(self, files: Mapping[str, str]) -> None:
        """Files by their path from the root, without a commit."""
        for name, content in files.items():
            place = self.path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content, encoding="utf-8")

    def commit(self, message: str = "change", files: Mapping[str, str] | None = None) -> str:
        """Commits these files and whatever else has changed; the new commit's hash."""
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.head

    def policy(self, *lines: str, commit: bool = True) -> str:
        """Puts these lines under [tool.git-clearml] into pyproject.toml; HEAD afterwards."""
        self.write({"pyproject.toml": "[tool.git-clearml]\n" + "".join(line + "\n" for line in lines)})
        return self.commit("policy") if commit else self.head

    def default_branch(self, commit: str, branch: str = "main") -> None:
        """What `git clone` leaves in a clone of a remote whose default branch is at this commit."""
        self.git("update-ref", f"refs/remotes/origin/{branch}", commit)
        self.git("symbolic-ref", "refs/remotes/origin/HEAD", f"refs/remotes/origin/{branch}")

    def worktree(self, path: Path, rev: str = "HEAD") -> Repo:
        """A second working tree of this repository, detached at a revision."""
        self.git("worktree", "add", "--quiet", "--detach", str(path), rev)
        return Repo(path)

    def clone(self, path: Path, *options: str) -> Repo:
        """A clone that names the same remote as this one."""
        self.git("clone", "--quiet", *options, f"file://{self.path}", str(path))
        copy = Repo(path)
        copy.git("remote", "set-url", "origin", REPOSITORY)
        return copy


def make_repo(
    path: Path,
    files: Mapping[str, str] | None = None,
    *,
    remote: str = REPOSITORY,
    options: tuple[str, ...] = (),
    then: Mapping[str, str] | None = None,
    config: str = "",
) -> Repo:
    """A repository on branch main with one commit (none when `files` is empty) and a remote `origin`.

    `then` are the files of a second commit, whose message is the name of the first of them; `config` is more of
    .git/config, as text.
    """
    commits = [("first", {"train.py": TRAIN} if files is None else dict(files))]
    if then:
        commits.append((next(iter(then)).partition(".")[0], dict(then)))
    configured = Path(os.environ.get("GIT_CONFIG_GLOBAL", os.devnull))
    names = [(message, *sorted(content.items())) for message, content in commits]
    key = (
        os.environ.get("GIT_COMMITTER_DATE"),
        *names,
        *options,
        configured.read_bytes() if configured.exists() else b"",
    )
    with _MAKING:
        if key not in _MADE:
            template = Path(tempfile.mkdtemp(dir=made_here())) / "repo"
            _make(template, commits, options)
            _MADE[key] = template
    shutil.copytree(_MADE[key], path, symlinks=True, dirs_exist_ok=True)
    if remote:
        config += f'[remote "origin"]\n\turl = {_quoted(remote)}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n'
    if config:
        with (path / ("config" if "--bare" in options else ".git/config")).open("a", encoding="utf-8") as file:
            file.write(config)
    return Repo(path)


_MADE: dict[tuple[object, ...], Path] = {}
"""Repositories that a test has had: the next one gets a copy, which no git has to make."""

_MAKING = threading.Lock()

# A commit or a push would start another git to look whether there is anything to tidy up.
_NO_MAINTENANCE = "[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[receive]\n\tautogc = false\n"


def _quoted(value: str) -> str:
    """A value of git's configuration, quoted as `git config` does, where it has to be."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if set(value) & set("#;") or value != value.strip() else escaped


@functools.cache
def made_here() -> Path:
    """A directory for what is made once per process; gone at its end."""
    place = Path(tempfile.mkdtemp(dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    atexit.register(shutil.rmtree, place)
    return place


def _make(path: Path, commits: Sequence[tuple[str, Mapping[str, str]]], options: tuple[str, ...]) -> None:
    path.mkdir(parents=True)
    repo = Repo(path)
    repo.git("init", "--quiet", "--initial-branch", "main", *options)
    git_dir = path if "--bare" in options else path / ".git"
    for sample in (git_dir / "hooks").glob("*.sample"):  # a third of what there would be to copy
        sample.unlink()
    with (git_dir / "config").open("a", encoding="utf-8") as file:
        file.write(_NO_MAINTENANCE)
    for message, content in commits:
        if content:
            repo.commit(message, content)


YESTERDAY = int(time.time()) - 86_400
"""When the commits are made that git fast-import makes: fresh ones, as those that one pushes."""


def fast_history(repo: Repo, count: int) -> list[str]:
    """So many commits with the tree of HEAD, made by one git process; the branch `long` ends at the last."""
    who = "C. Committer <committer@example.com>"
    lines = [f"commit refs/heads/long\ncommitter {who} {YESTERDAY + n} +0000\ndata 1\nx\n" for n in range(count)]
    lines[0] += f"from {repo.head}\n"
    repo.git("fast-import", "--quiet", stdin="\n".join(lines))
    return repo.git("rev-list", f"--max-count={count}", "long").splitlines()
