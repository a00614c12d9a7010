"""A bare repository that is gated, as a git server has it: its hook called as git calls it, and real pushes to it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.clearml_server import ClearMLServer
from tests.support.program import Result, assert_no_secrets, inside
from tests.support.pushing import BIN, NULL, bare
from tests.support.repos import Repo, make_repo
from tests.support.tools import require

URL = "https://git.example.com/team/project.git"
"""What tasks name the repository; the server has it in its git config."""


@dataclass
class Receiver:
    """A clone with one commit, the bare repository that it pushes to, and the ClearML server that this asks."""

    repo: Repo
    remote: Repo
    server: ClearMLServer
    conf: Path
    env: dict[str, str | None] = field(default_factory=dict)

    def task(self, commit: str = "", **fields: Any) -> str:
        return self.server.add_task(**{"commit": commit or self.repo.head, "repository": URL, **fields})

    def accept(self, *words: str) -> None:
        """Pushes around the hook: how the repository came to be what it is before the test."""
        around = "--receive-pack=git -c core.hooksPath=/dev/null receive-pack"
        self.repo.git("push", "--quiet", "--force", around, *(words or ("origin", "main")))

    def line(self, new: str = "", ref: str = "refs/heads/main", old: str = "") -> str:
        """A line of the hook's stdin: from where the ref is to HEAD, unless said otherwise."""
        now = subprocess.run(
            ["git", "rev-parse", "--verify", "--quiet", ref], cwd=self.remote.path, capture_output=True, text=True
        ).stdout.strip()
        return f"{old or now or NULL} {new or self.repo.head} {ref}\n"

    def receive(self, *lines: str, env: Mapping[str, str | None] | None = None, words: tuple[str, ...] = ()) -> Result:
        """`hook pre-receive` in the bare repository; the clone's objects stand for those in quarantine."""
        return self.hook("pre-receive", *words, stdin="".join(lines or (self.line(),)), env=env)

    def hook(self, *words: str, stdin: str = "", env: Mapping[str, str | None] | None = None) -> Result:
        quarantine = str(self.repo.path / ".git" / "objects")
        around: dict[str, str | None] = {
            "GIT_DIR": ".",
            "GIT_QUARANTINE_PATH": quarantine,
            "GIT_OBJECT_DIRECTORY": quarantine,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self.remote.path / "objects"),
            "CLEARML_CONFIG_FILE": str(self.conf),
            **self.env,
            **(env or {}),
        }
        self.server.reset_log()
        before = listing(self.remote.path)
        result = inside("hook", *words, cwd=self.remote.path, env=around, stdin=stdin.encode())
        assert listing(self.remote.path) == before
        assert "Traceback" not in result.out + result.err
        assert_no_secrets(result.out + result.err, self.server.access_key, self.server.secret_key)
        return Result(result.status, result.out, result.err, tuple(self.server.calls()))

    def accepts(self, *lines: str, requests: int = 1, **options: Any) -> Result:
        result = self.receive(*lines, **options)
        assert result.status == 0, result.out + result.err
        assert len(result.calls) == requests, result.calls
        return result

    def refuses(self, *lines: str, status: int = 1, **options: Any) -> Result:
        result = self.receive(*lines, **options)
        assert result.status == status, result.out + result.err
        return result

    def push(self, *words: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Result:
        """`git push <words>` for real, by way of whatever hook the bare repository has."""
        self.server.reset_log()
        done = subprocess.run(
            ["git", "push", *words],
            cwd=cwd or self.repo.path,
            env={**os.environ, "CLEARML_CONFIG_FILE": str(self.conf), **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert_no_secrets(done.stdout + done.stderr, self.server.access_key, self.server.secret_key)
        assert "Traceback" not in done.stderr
        return Result(done.returncode, done.stdout, done.stderr, tuple(self.server.calls()))

    def is_refused(self, *words: str, **options: Any) -> Result:
        """Nothing of the push is left in the bare repository."""
        before = listing(self.remote.path)
        result = self.push(*words, **options)
        assert result.status != 0
        assert "pre-receive hook declined" in result.err, result.err
        assert listing(self.remote.path) == before
        assert not list((self.remote.path / "objects").glob("*incoming*"))
        return result

    def is_accepted(self, *words: str, **options: Any) -> Result:
        result = self.push(*words, **options)
        assert result.status == 0, result.err
        return result


def make_receiver(place: Path, server: ClearMLServer, *options: str) -> Receiver:
    """`options` are for `git init` of both repositories."""
    remote = bare(place / "git" / "project.git", *options)
    with (remote.path / "config").open("a", encoding="utf-8") as file:
        file.write(f"[clearml]\n\trepository = {URL}\n")
    conf = place / "clearml.conf"
    conf.write_text(
        f'api {{ api_server: "{server.env["CLEARML_API_HOST"]}", '
        f'credentials {{ access_key: "{server.access_key}", secret_key: "{server.secret_key}" }} }}\n'
    )
    return Receiver(make_repo(place / "repo", remote=str(remote.path), options=options), remote, server, conf)


def listing(directory: Path) -> dict[str, bytes]:
    """Every file below the directory, with its content."""
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def with_system_config(place: Path, *lines: str) -> dict[str, str | None]:
    """A PATH whose git has a system-wide git config of its own, as a git built elsewhere has."""
    require("git 2.32")  # knows the variable
    place.mkdir(exist_ok=True)
    (place / "gitconfig").write_text("".join(line + "\n" for line in lines))
    git = place / "git"
    git.write_text(f'#!/bin/sh\nGIT_CONFIG_SYSTEM="{place}/gitconfig" exec "{shutil.which("git")}" "$@"\n')
    git.chmod(0o755)
    return {"PATH": os.pathsep.join([str(place), str(BIN), os.environ["PATH"]])}
