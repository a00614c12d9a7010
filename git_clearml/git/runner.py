"""Runs git: the only place that starts one, by way of GitPython's `git.cmd.Git`.

Every git has a deadline, a session of its own, in which it is ended with all that it has started, English messages, and
no reach beyond this machine unless it is to speak to a remote. GitPython's own `kill_after_timeout` is not used: it
looks for a process's children with `pgrep` or `ps`, and where those are missing (slim images) the children live on,
hold git's pipes, and the timeout lasts as long as they do.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, cast

from git_clearml.base import signals
from git_clearml.base.secrets import without_users
from git_clearml.errors import CannotDecide, NotARepository, TimedOut
from git_clearml.git import gitpython
from git_clearml.git.output import PROMISED, GitResult, decode

DEFAULT_TIMEOUT = 600.0
"""Seconds for a git that does not speak to a remote: reading every file of a large working tree takes minutes."""

DAMAGED = "git fsck"
"""The hint for a git that fails at what cannot fail in a sound repository."""

_BLOCK = 65_536  # bytes read at once
_IN_A_PIPE = 4096  # bytes: POSIX has pipes hold 512, every system at least so much
_PAUSE = 0.05  # seconds between two looks whether git has ended, where a process that it left behind holds its pipes
_GRACE = 1.0  # seconds that git has to end by itself, and to remove its lock files

# What gets pushed is the real object, whatever `git replace` says; and reading takes no lock from the user's git.
_LOCAL = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_OPTIONAL_LOCKS": "0"}
# In a partial clone git would fetch each object that it does not find. The variable is known to git since 2.45, and to
# the last releases of 2.39 to 2.44; any older git does start its `git fetch`, which may then use no protocol and ends
# before it opens a connection. No setting turns a promisor remote off: `-c` only adds to those of the clone.
_NO_FETCH = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": ""}


class Runner:
    """Runs git in a directory."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._gitpython = gitpython.load()
        self._git = self._gitpython.git(directory)

    def run(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        remote: bool = False,
        may_ask: bool = False,
    ) -> GitResult:
        """Runs git to its end, whatever its exit status. The arguments are those of `stream`, and so are the errors."""
        with self.stream(*arguments, stdin=stdin, env=env, timeout=timeout, remote=remote, may_ask=may_ask) as stream:
            stdout = b"".join(stream)
        return GitResult(stream.status, stdout, stream.stderr)

    def read(self, *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> bytes:
        """stdout of a git that has to succeed. Raises CannotDecide with git's own words when it does not."""
        result = self.run(*arguments, stdin=stdin, env=env)
        if result.status:
            raise failure(_subcommand(arguments), result)
        return result.stdout

    @contextlib.contextmanager
    def stream(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        remote: bool = False,
        may_ask: bool = False,
    ) -> Iterator[GitStream]:
        """Starts git; the stream is its stdout. Leaving the context ends git if it still runs, and what it has started.

        `env` is added to the environment; `timeout` is in seconds. `remote`: it speaks to a remote, so it may fetch and
        use the network. `may_ask`: at a terminal it may ask for a passphrase, for which it has to stay in the
        terminal's session; then only git itself is ended.

        Raises TimedOut at the deadline, NotARepository when there is no git at all or the directory is gone, and
        CannotDecide when no process can be started.
        """
        if remote:
            self.forget()
        alone = not (may_ask and os.isatty(0))
        ours = {} if remote else {**_LOCAL, **_NO_FETCH}
        if remote and alone:
            ours["GIT_TERMINAL_PROMPT"] = "0"  # nobody is there to answer
        with contextlib.ExitStack() as stack:
            # Between its start and its stream nobody would end it: what would interrupt us waits.
            with _file_of(stdin) as file, signals.held():
                process = self._start(arguments, {**ours, **(env or {})}, file, alone)
                stream = GitStream(process, _subcommand(arguments), timeout, alone)
                stack.callback(stream.close)
            yield stream

    def forget(self) -> None:
        """What is known of the repository may be no more: a remote is spoken to."""

    def stays(self, environment: Mapping[str, str], *arguments: str) -> GitDialogue:
        """A git that reads questions from a pipe until that ends. Raises as `stream` where it does not start."""
        with signals.held():
            return GitDialogue(self._start(arguments, {**_LOCAL, **_NO_FETCH, **environment}, subprocess.PIPE, True))

    def differences(self, pairs: Sequence[str]) -> bytes | None:
        """The answer of a `git diff-tree` that stays; None where there is none, as here."""
        return None

    def _start(self, arguments: Sequence[str], env: dict[str, str], stdin: Any, alone: bool) -> subprocess.Popen[bytes]:
        # Where GitPython cannot enter the directory, it runs git in the current one.
        if not os.access(self.directory, os.X_OK):
            raise NotARepository(f"git cannot be started in {self.directory}", "cd into the clone first")
        try:
            wrapped: Any = self._git.execute(
                ["git", *arguments], istream=stdin, env=env, as_process=True, start_new_session=alone
            )
        except self._gitpython.not_found:
            raise NotARepository("git was not found on PATH", "install git, or fix PATH") from None
        except OSError as error:
            raise CannotDecide(f"git could not be started: {error.strerror}", "try again") from None
        process: subprocess.Popen[bytes] | None = wrapped.proc
        assert process is not None
        wrapped.proc = None  # it would be waited for without a deadline; the stream ends it
        return process


class GitStream:
    """A git that runs: an iterator over the blocks of its stdout, each as soon as it is there.

    `status` is known once the iterator has come to its end. The deadline does not count the time that the reader of the
    blocks takes for them.
    """

    def __init__(self, process: subprocess.Popen[bytes], name: str, timeout: float, alone: bool) -> None:
        self.status = 0
        self._process, self._name, self._timeout, self._alone = process, name, timeout, alone
        self._deadline = time.monotonic() + timeout
        self._stderr: list[bytes] = []

    @property
    def stderr(self) -> str:
        """What git has said on stderr so far, without the credentials of any URL."""
        return without_users(decode(b"".join(self._stderr)))

    def __iter__(self) -> Iterator[bytes]:
        stdout, stderr = self._process.stdout, self._process.stderr
        assert stdout is not None
        assert stderr is not None
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            selector.register(stderr, selectors.EVENT_READ)
            while selector.get_map():
                ended = self._process.poll() is not None
                ready = selector.select(0 if ended else _PAUSE)
                if ended and not ready:
                    break  # what still holds the pipes is not git: a connection that ssh keeps, a daemon
                if time.monotonic() > self._deadline:
                    raise self._timed_out()
                for key, _ in ready:
                    block = os.read(key.fd, _BLOCK)
                    if not block:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is stdout:
                        since = time.monotonic()
                        yield block
                        self._deadline += time.monotonic() - since
                    else:
                        self._stderr.append(block)
        self._wait()

    def close(self) -> None:
        """Ends git if it still runs."""
        if self._process.poll() is None:
            self._end()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()

    def _wait(self) -> None:
        try:
            self.status = self._process.wait(max(self._deadline - time.monotonic(), _PAUSE))
        except subprocess.TimeoutExpired:
            raise self._timed_out() from None

    def _timed_out(self) -> TimedOut:
        return TimedOut(f"git {self._name} did not end within {self._timeout:g} s", "try again")

    def _end(self) -> None:
        """Ends git, and what it has started where that is a session of its own."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                if self._alone:
                    os.killpg(self._process.pid, number)
                else:
                    self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE)


class GitDialogue:
    """A git that is asked and answers, as long as it likes. It ends with whoever holds it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.close = weakref.finalize(self, _end, process)

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def write(self, questions: bytes) -> None:
        """No more than a pipe takes, once all that was asked has been answered. Raises OSError where git has ended."""
        assert self._process.stdin is not None
        while questions:
            questions = questions[os.write(self._process.stdin.fileno(), questions) :]

    def read(self, seconds: float) -> bytes:
        """What there is of an answer; b"" where git has ended, or says nothing for so long."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            return os.read(self._process.stdout.fileno(), _BLOCK) if selector.select(seconds) else b""


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        with contextlib.suppress(OSError):
            if pipe is not None:
                pipe.close()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _file_of(stdin: bytes | None) -> BinaryIO:
    """What git is to read, as a file: a pipe where it is no more than any pipe holds before somebody reads."""
    if not stdin:
        return open(os.devnull, "rb")
    if len(stdin) <= _IN_A_PIPE:
        end, start = os.pipe()
        with open(start, "wb") as writing:
            writing.write(stdin)
        return open(end, "rb")
    import tempfile  # late: the gate asks git about a few commits

    file = tempfile.TemporaryFile()  # noqa: SIM115  the caller's
    file.write(stdin)
    file.seek(0)
    return cast(BinaryIO, file)


def failure(command: str, result: GitResult) -> CannotDecide:
    """Why a git that has to succeed did not."""
    lacking = re.search(rf"could not fetch ([0-9a-f]+) {PROMISED}", result.stderr)
    if lacking:
        return not_fetched(lacking[1])
    return CannotDecide(f"git {command} failed: {result.reason}", DAMAGED)


def not_fetched(name: str) -> CannotDecide:
    """An object that the remote of this partial clone has promised."""
    return CannotDecide(f"this partial clone has not fetched the object {name[:12]} yet", f"git cat-file -e {name}")


def _subcommand(arguments: Iterable[str]) -> str:
    """git's subcommand: the first word that is neither an option of git itself nor an option's value."""
    words = iter(arguments)
    for word in words:
        if word in ("-c", "-C"):
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""
