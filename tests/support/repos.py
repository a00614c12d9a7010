"""Real git repositories for the tests."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import quick_commit
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
        with contextlib.suppress(quick_commit.NotPlain):
            return quick_commit.commit(self.path, message)
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

    def hands_over(self, ref: str, remote: Repo) -> bool:
        """What `git push origin <ref>` does, without its six processes; False where it takes git.

        That is where the remote has a hook, where the ref is not new or does not come after what is there, and for
        objects and refs that are packed.
        """
        place = self.path / ".git"
        if (remote.path / "hooks").exists() and any((remote.path / "hooks").iterdir()):
            return False
        try:
            name = (place / ref).read_text().strip()
            old = (remote.path / ref).read_text().strip() if (remote.path / ref).exists() else ""
            missing, is_after = _missing(place / "objects", remote.path / "objects", name, old)
        except (OSError, KeyError):
            return False
        if (old and not is_after) or (remote.path / "packed-refs").exists():
            return False
        for loose in missing:
            to = remote.path / "objects" / loose
            to.parent.mkdir(exist_ok=True)
            shutil.copy(place / "objects" / loose, to)
        for written in (remote.path / ref, place / ref.replace("heads", "remotes/origin", 1)):
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(f"{name}\n")
        return True

    def clone(self, path: Path, *options: str) -> Repo:
        """A clone that names the same remote as this one."""
        self.git("clone", "--quiet", *options, f"file://{self.path}", str(path))
        copy = Repo(path)
        copy.git("remote", "set-url", "origin", REPOSITORY)
        return copy


def _missing(store: Path, others: Path, name: str, old: str) -> tuple[list[str], bool]:
    """The loose objects below a commit that the other store lacks, and whether `old` is among its ancestors."""
    missing, left, seen, is_after = list[str](), [name], {name}, name == old
    while left:
        name = left.pop()
        loose = f"{name[:2]}/{name[2:]}"
        if (others / loose).exists():
            continue
        missing.append(loose)
        head, _, content = zlib.decompress((store / loose).read_bytes()).partition(b"\0")
        kind, size = head.split(b" ")[0], len(name) // 2
        below = []
        if kind == b"commit":
            lines = [line.decode() for line in content.partition(b"\n\n")[0].split(b"\n")]
            below = [line.split(" ")[1] for line in lines if line.startswith(("tree ", "parent "))]
            is_after |= old in below
        while kind == b"tree" and content:
            mode = content.split(b" ", 1)[0]
            start = content.index(b"\0") + 1
            if mode != b"160000":
                below.append(content[start : start + size].hex())
            content = content[start + size :]
        left += [each for each in below if each not in seen]
        seen.update(below)
    return missing, is_after


def refs_of(repo: Repo) -> dict[str, str]:
    """Every ref of a repository with its object; one that goes while we look is not there."""
    place = repo.path / ".git" if (repo.path / ".git").exists() else repo.path
    if not (place / "refs" / "heads").is_dir():  # a worktree, another store of refs
        lines = repo.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(line.rsplit(" ", 1) for line in lines)
    found = {}
    if (place / "packed-refs").exists():
        packed = [
            line.split(" ", 1) for line in (place / "packed-refs").read_text().splitlines() if line[0] not in "#^"
        ]
        found = {ref: name for name, ref in packed}
    for directory, _, names in os.walk(place / "refs"):
        for file in (Path(directory, name) for name in names if not name.endswith(".lock")):
            with contextlib.suppress(FileNotFoundError):
                found[str(file.relative_to(place))] = file.read_text().strip()
    for _ in range(5):  # git follows no more symbolic refs
        found = {ref: found.get(name[5:], "") if name.startswith("ref: ") else name for ref, name in found.items()}
    return {ref: name for ref, name in found.items() if name and not name.startswith("ref: ")}


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
            _MADE[key] = Copier(template)
    _MADE[key].copy(path)
    if remote:
        config += f'[remote "origin"]\n\turl = {_quoted(remote)}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n'
    if config:
        with (path / ("config" if "--bare" in options else ".git/config")).open("a", encoding="utf-8") as file:
            file.write(config)
    return Repo(path)


class Copier:
    """A directory's directories and plain files, kept in memory: written again in a third of the time of a copy."""

    def __init__(self, place: Path) -> None:
        self._directories, self._files = [""], list[tuple[str, int, bytes]]()
        for directory, directories, names in os.walk(place):
            base = os.path.relpath(directory, place)
            self._directories += [os.path.join(base, name) for name in directories]
            for name in names:
                file = Path(directory, name)
                assert not file.is_symlink()
                self._files.append((os.path.join(base, name), file.stat().st_mode & 0o777, file.read_bytes()))

    def copy(self, place: Path, replaced: Mapping[bytes, bytes] | None = None) -> None:
        """The files come into this directory; in the `config` of each git directory, bytes are replaced."""
        place.mkdir(parents=True, exist_ok=True)
        for name in self._directories:
            with contextlib.suppress(FileExistsError):
                os.mkdir(place / name)
        for name, mode, content in self._files:
            if name.endswith("/config"):
                for old, new in (replaced or {}).items():
                    content = content.replace(old, new)
            file = os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            os.write(file, content)
            os.close(file)


_MADE: dict[tuple[object, ...], Copier] = {}
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
