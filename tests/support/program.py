"""Runs `git clearml`: as a process of its own, or inside this one, where it is quicker and coverage sees it."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from git_clearml.cli import main
from tests.conftest import COVERAGE
from tests.support import schemas
from tests.support.clearml_server import ClearMLServer
from tests.support.repos import Repo

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Result:
    """What a run of the program came to."""

    status: int
    out: str
    err: str
    calls: tuple[str, ...] = ()  # of the ClearML API, in order

    @property
    def json(self) -> dict[str, Any]:
        """stdout as the one JSON document that it has to be."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        schemas.check(document)
        return document

    @property
    def commit(self) -> dict[str, Any]:
        """The JSON of the only commit."""
        (commit,) = self.json["commits"]
        assert isinstance(commit, dict)
        return commit

    @property
    def codes(self) -> list[str]:
        """The reasons against the nearest task."""
        misses = self.commit["near_misses"]
        return [reason["code"] for reason in misses[0]["reasons"]] if misses else []

    @property
    def messages(self) -> list[str]:
        """Every reason of every near miss, as sentences."""
        return [reason["message"] for miss in self.commit["near_misses"] for reason in miss["reasons"]]

    @property
    def errors(self) -> list[str]:
        """The codes of the `errors` list."""
        return [error["code"] for error in self.json["errors"]]

    def talk(self) -> tuple[str, str]:
        """What went wrong and the hint: stderr must be just these two lines (and those of --verbose)."""
        lines = self.err.splitlines()
        hints = [line for line in lines if line.startswith("hint: ")]
        assert len(hints) == 1, self.err
        before = lines[: lines.index(hints[0])]
        assert before, self.err
        assert all(line.startswith("git clearml: ") for line in before), self.err
        assert lines[-1] == hints[0], self.err
        return before[-1].removeprefix("git clearml: "), hints[0].removeprefix("hint: ")


def inside(*words: str, cwd: Path, env: Mapping[str, str | None] | None = None, stdin: bytes | None = None) -> Result:
    """Runs `git_clearml.cli.main` here. A variable that is None is taken out of the environment."""
    out, err = _stream(), _stream()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    before = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (env or {}).items():
            if value is None:
                patch.delenv(name, raising=False)
            else:
                patch.setenv(name, value)
        patch.chdir(cwd)
        if stdin is not None:
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = main(words)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    if dict(os.environ) != before:  # a hook of a git server keeps but few of them
        os.environ.clear()
        os.environ.update(before)
    return Result(status, _content(out), _content(err))


def process_environment(env: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """This process's environment with changes, for a child that has to find our package."""
    merged: dict[str, str | None] = {**os.environ, **COVERAGE, "PYTHONPATH": str(ROOT), **(env or {})}
    return {name: value for name, value in merged.items() if value is not None}


def command(*words: str) -> list[str]:
    """The command line of a process of its own."""
    return [sys.executable, "-m", "git_clearml", *words]


def outside(
    *words: str, cwd: Path, env: Mapping[str, str | None] | None = None, python: Sequence[str] = (), timeout: float = 60
) -> Result:
    """Runs the program in a process of its own; `python` are options of the interpreter."""
    done = subprocess.run(
        [sys.executable, *python, "-m", "git_clearml", *words],
        cwd=cwd,
        env=process_environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def _content(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def assert_no_secrets(text: str, access: str, secret: str) -> None:
    """Neither the keys nor any base64 of them."""
    encoded = [base64.b64encode(text.encode()).decode().rstrip("=") for text in (f"{access}:{secret}", secret)]
    for bad in (access, secret, *encoded):
        assert bad not in text, "a secret was printed"


@dataclass
class Gate:
    """A repository, a server that knows it, and `git clearml` between them."""

    repo: Repo
    server: ClearMLServer
    env: dict[str, str | None] = field(default_factory=dict)

    def task(self, **fields: Any) -> str:
        """Puts a task on the server; of the commit at HEAD and good unless `fields` say otherwise."""
        return self.server.add_task(**{"commit": self.repo.head, **fields})

    def call(
        self, *words: str, cwd: Path | None = None, env: Mapping[str, str | None] | None = None, alone: bool = False
    ) -> Result:
        """Runs a command line in the repository; `alone` in a process of its own. Checks that no secret comes out."""
        self.server.reset_log()
        run = outside if alone else inside
        result = run(*words, cwd=cwd or self.repo.path, env={**self.server.env, **self.env, **(env or {})})
        assert_no_secrets(result.out + result.err, self.server.access_key, self.server.secret_key)
        assert "Traceback" not in result.out + result.err
        return Result(result.status, result.out, result.err, tuple(self.server.calls()))

    def verify(self, *words: str, **options: Any) -> Result:
        """`verify --format json`."""
        return self.call("verify", "--format", "json", *words, **options)

    def accepts(self, *words: str, requests: int = 1) -> Result:
        """The commit is verified, in so many requests."""
        result = self.verify(*words)
        assert (result.status, result.json["outcome"]) == (0, "verified"), result.out
        assert result.json["exit_code"] == 0
        assert len(result.calls) == requests, result.calls
        return result

    def refuses(self, *codes: str, words: Sequence[str] = (), requests: int = 3) -> Result:
        """The commit is rejected, the nearest task for just these reasons, in at most so many requests."""
        result = self.verify(*words)
        assert (result.status, result.json["outcome"]) == (1, "rejected"), result.out
        assert result.json["exit_code"] == 1
        assert result.codes == list(codes), result.out
        assert len(result.calls) <= requests, result.calls
        assert result.json["hint"]
        return result
