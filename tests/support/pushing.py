"""Real pushes: a clone with our hook, a bare remote, and a ClearML server between them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.at_hand import AtHand, Done
from tests.support.clearml_server import ClearMLServer
from tests.support.program import ROOT, Result, assert_no_secrets, inside
from tests.support.repos import Copier, Repo, made_here, make_repo, refs_of
from tests.support.tools import needs

HOOK = ROOT / "hooks" / "pre-push"
BIN = Path(sys.executable).parent
"""Where `git-clearml` and `pre-commit` are."""

NULL = "0" * 40
ONE, OTHER = "1" * 40, "2" * 40

GREEDY = "#!/bin/sh\nread -r first\nexit 0\n"


def _is_sh(program: str) -> bool:
    found = shutil.which(program)
    return bool(found) and os.path.samefile(found or "", shutil.which("sh") or "/bin/sh")


SHELLS = [
    "sh",
    *(
        pytest.param(shell, marks=needs(shell.split()[0]))
        for shell in ("dash", "bash", "busybox sh")
        if not _is_sh(shell.split()[0])
    ),
]
"""What this machine has as its sh, and those that others have."""


def on_path(*directories: Path) -> str:
    """PATH with these directories first, then where our program is."""
    return os.pathsep.join([*map(str, directories), str(BIN), os.environ["PATH"]])


def without_privileges(command: Sequence[str]) -> list[str]:
    """The command as somebody whom read-only directories stop: root loses that power, others never had it."""
    if os.geteuid():
        return list(command)
    return [sys.executable, "-ISc", _DROP, *command]


_DROP = """\
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH; 24 is PR_CAPBSET_DROP
    assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:])
"""


def write_hook(path: Path, text: str | bytes, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def recorder(log: Path, status: int = 0) -> str:
    """A hook that writes down its arguments and stdin, to the byte, and ends with a status."""
    return f"#!/bin/sh\nprintf '%s\\n' \"$#\" \"$@\" >'{log}.args'\ncat >'{log}.stdin'\nexit {status}\n"


def shim(directory: Path, body: str = "") -> Path:
    """A `git-clearml` that notes each start in `starts`, and then does `body`, else what the real one does."""
    log = directory / "starts"
    log.touch()
    real = f'exec "{BIN}/git-clearml" "$@"'
    write_hook(directory / "git-clearml", f"#!/bin/sh\necho start >>'{log}'\n{body or real}\n")
    return log


def bare(path: Path, *options: str) -> Repo:
    """An empty bare repository to push to."""
    config = "[receive]\n\tdenyDeleteCurrent = ignore\n"
    return make_repo(path, {}, remote="", options=("--bare", *options), config=config)


@dataclass(frozen=True)
class Pushed:
    """What a push came to."""

    status: int
    out: str
    err: str
    calls: tuple[str, ...]
    moved: dict[str, str]  # refs of the remote that are new or changed; "" for those that are gone
    seconds: float

    @property
    def said(self) -> str:
        return self.out + self.err

    def lines(self) -> list[str]:
        """What our hook itself printed, without the lines of git."""
        git = ("To ", "   ", " * ", " + ", " - ", " ! ", "error: failed to push", "Everything up-to-date", "remote: ")
        return [line for line in self.said.splitlines() if not line.startswith(git)]


@dataclass
class Yard:
    """A clone, the bare remote `origin` that it pushes to, and the server that knows its tasks."""

    repo: Repo
    remote: Repo
    server: ClearMLServer
    env: dict[str, str | None] = field(default_factory=dict)
    at_hand: AtHand | None = None  # answers the hooks of `push`; None: they are processes of their own

    @property
    def hook(self) -> Path:
        return self.repo.path / ".git" / "hooks" / "pre-push"

    def command(self, *words: str, status: int = 0, cwd: Path | None = None) -> Result:
        """`git clearml <words>`, inside this process; its exit status has to be this one."""
        result = inside(*words, cwd=cwd or self.repo.path, env={**self.server.env, **self.env})
        assert result.status == status, result.out + result.err
        return result

    def install(self, *words: str) -> Yard:
        self.command("install", *words)
        return self

    def task(self, commit: str = "", **fields: Any) -> str:
        """Puts a task on the server; of HEAD and good unless `fields` say otherwise."""
        return self.server.add_task(
            **{"commit": commit or self.repo.head, "repository": str(self.remote.path), **fields}
        )

    def environment(self, more: Mapping[str, str | None] | None = None) -> dict[str, str]:
        first = [self.at_hand.path] if self.at_hand and self.at_hand.always else []
        merged = {**os.environ, "PATH": on_path(*first), **self.server.env, **self.env, **(more or {})}
        return {name: value for name, value in merged.items() if value is not None}

    def push(
        self,
        *words: str,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        command: Sequence[str] = ("git", "push"),
    ) -> Pushed:
        """`git push <words>` for real."""
        before = refs_of(self.remote)
        self.server.reset_log()
        started = time.monotonic()
        environment = self.environment(env)
        if self.at_hand and "PATH" not in (env or {}):  # a test that says what is on PATH means it
            environment["PATH"] = os.pathsep.join([str(self.at_hand.path), environment["PATH"]])
        run = self.at_hand.run if self.at_hand else alone
        done = run([*command, *words], cwd=cwd or self.repo.path, env=environment, timeout=120)
        seconds = time.monotonic() - started
        out, err = done.out.decode(errors="replace"), done.err.decode(errors="replace")
        assert_no_secrets(out + err, self.server.access_key, self.server.secret_key)
        assert "Traceback" not in out + err, err
        after = refs_of(self.remote)
        moved = {ref: after.get(ref, "") for ref in before.keys() | after.keys() if before.get(ref) != after.get(ref)}
        tls = environment.get("CLEARML_API_HOST", "").startswith("https")  # ends at its first words
        end = time.monotonic() + 5.0  # who was interrupted ends before the server has noted what it was asked
        while not (calls := tuple(self.server.calls())) and self.server.opened and not tls and time.monotonic() < end:
            time.sleep(0.01)
        assert calls or tls or not self.server.opened, "a connection was made, and nothing asked"
        return Pushed(done.status, out, err, calls, moved, seconds)

    def accepts(
        self, *words: str, moved: Iterable[str] | None = None, requests: int | None = 1, **options: Any
    ) -> Pushed:
        """The push goes through: these refs moved on the remote (any, when not named), after so many requests."""
        pushed = self.push(*words, **options)
        assert pushed.status == 0, pushed.said
        if moved is None:
            assert pushed.moved, pushed.said
        else:
            assert set(pushed.moved) == set(moved), pushed.said
        assert requests is None or len(pushed.calls) == requests, pushed.calls
        return pushed

    def refuses(self, *words: str, by_us: str = "rejected", requests: int = 3, **options: Any) -> Pushed:
        """Nothing moved on the remote, and it is our hook that says so."""
        pushed = self.push(*words, **options)
        assert pushed.status != 0, pushed.said
        assert pushed.moved == {}
        assert by_us in pushed.said, pushed.said
        assert len(pushed.calls) <= requests, pushed.calls
        return pushed

    def publish(self, *words: str) -> None:
        """Pushes around the hook: how the remote came to be what it is before the test."""
        config = self.repo.path / ".git" / "config"
        is_origin = config.is_file() and f"\turl = {self.remote.path}\n" in config.read_text()
        if words in ((), ("main",)) and is_origin and self.repo.hands_over("refs/heads/main", self.remote):
            return
        self.repo.git("push", "--quiet", "--no-verify", "origin", *(words or ("main",)))

    def forget(self) -> None:
        """Forgets every remembered verdict."""
        shutil.rmtree(self.memory, ignore_errors=True)
        self.forget_pushes()

    def forget_pushes(self) -> None:
        """Forgets what the sh of the hook remembers: git-clearml itself gets to look."""
        shutil.rmtree(self.memory.parent / "pushed", ignore_errors=True)

    @property
    def memory(self) -> Path:
        return self.repo.path / ".git" / "clearml" / "verified"


def alone(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float) -> Done:
    """Runs a command without stdin."""
    done = subprocess.run(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def quick(yard: Yard) -> Iterator[Yard]:
    """The yard, with the hooks of its pushes answered by this process; for those that need no process of their own."""
    yard.at_hand = at_hand = AtHand(BIN / "git-clearml")
    try:
        yield yard
    finally:
        at_hand.close()


def make_yard(place: Path, server: ClearMLServer, *options: str, then: Mapping[str, str] | None = None) -> Yard:
    """A clone with one unpushed commit on main, and one of the files `then`; `options` are for `git init` of both."""
    remote = bare(place / "remote.git", *options)
    return Yard(make_repo(place / "repo", remote=str(remote.path), options=options, then=then), remote, server)


_PUBLISHED: dict[tuple[str, ...], tuple[Path, Copier]] = {}
"""Yards that a test has had: the next one gets a copy."""


def published_yard(place: Path, server: ClearMLServer, *policy: str) -> Yard:
    """A clone whose main, with this policy, is pushed and tracked."""
    if policy not in _PUBLISHED:
        made = Path(tempfile.mkdtemp(dir=made_here()))
        yard = make_yard(made, server)
        yard.repo.policy(*policy)
        yard.publish("--set-upstream", "main")
        _PUBLISHED[policy] = made, Copier(made)
    made, copier = _PUBLISHED[policy]
    copier.copy(place, {bytes(made): bytes(place)})
    return Yard(Repo(place / "repo"), Repo(place / "remote.git"), server)


def run_hook(
    shell: str,
    hook: Path,
    stdin: bytes,
    *,
    path: str,
    arguments: Sequence[str | bytes] = ("origin", "https://example.com/team/project.git"),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """The hook under a shell, as git would call it."""
    program = [shutil.which(shell.split()[0]) or shell, *shell.split()[1:]]
    return subprocess.run(
        [*program, str(hook), *arguments],
        input=stdin,
        env={**os.environ, "PATH": path, **(env or {})},
        cwd=cwd,
        capture_output=True,
        timeout=60,
        check=False,
    )


def line(local: str = "refs/heads/main", new: str = ONE, remote: str = "refs/heads/main", old: str = NULL) -> bytes:
    """One line of a pre-push hook's stdin."""
    return f"{local} {new} {remote} {old}\n".encode()


DELETION = line("(delete)", NULL, "refs/heads/gone", ONE)


def descendants(pid: int) -> list[tuple[int, str]]:
    """(process id, command line) of everything that this process has started, and what those have."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found, front = [], {pid}
    while front:
        front = {child for child, parent in parents.items() if parent in front}
        for child in front:
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append((child, words))
    return found


def gone(pid: int) -> bool:
    """Has the process ended, or does it within a while?"""
    for _ in range(6000):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False
