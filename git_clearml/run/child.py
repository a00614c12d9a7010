"""Runs a command in our place: same streams, same signals, same exit status.

Signals are blocked here and fetched one by one, because only then does the kernel say who sent one: what the terminal
sends (Ctrl-C, Ctrl-\\, a hang-up) goes to every process of the foreground group, the command too, and is not passed on;
what anybody sent to us alone is.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NOT_FOUND, NOT_EXECUTABLE = 127, 126
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_OF_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
_POLL_SECONDS = 0.5  # after which we look for ourselves whether the command has ended
_SENT_BY_KERNEL = 128  # SI_KERNEL of siginfo_t.si_code, Linux: include/uapi/asm-generic/siginfo.h


@dataclass(frozen=True)
class CommandEnd:
    """How a command ended: its exit status as a shell would give it, and what kept it from starting ("" if nothing)."""

    status: int
    problem: str = ""


class Signals:
    """From entering to leaving, no signal that could end us does: they wait for `run`, or are dropped at the end.

    Those that were ignored when we started stay ignored, as `nohup` wants it. `seen` has those that came, in order.
    """

    def __enter__(self) -> Signals:
        self.seen: list[int] = []
        self._wanted = {number for number in _PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN}
        self._child = signal.signal(signal.SIGCHLD, lambda *_: None)  # one that is ignored would never be told
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, self._wanted | {signal.SIGCHLD})
        return self

    def __exit__(self, *_: object) -> None:
        while waiting := signal.sigpending() & (self._wanted | {signal.SIGCHLD}):
            self._note(signal.sigwait(waiting))
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        signal.signal(signal.SIGCHLD, self._child)

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> CommandEnd:
        """Runs the command, inheriting our streams and directory, and waits for its end.

        The status is the command's own, 128+N when signal N killed it, 127 when there is no such command, 126
        when it cannot be executed.
        """
        try:
            pid = self._start(command, environment)
        except OSError as error:
            return _not_started(command[0], error)
        while True:
            number, by_terminal = self._next()
            self._note(number)
            if number == signal.SIGCHLD:
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    code = os.waitstatus_to_exitcode(status)
                    return CommandEnd(code if code >= 0 else 128 - code)
            elif not by_terminal:
                os.kill(pid, number)  # it exists until we have waited for it

    def _note(self, number: int) -> None:
        if number != signal.SIGCHLD:
            self.seen.append(number)

    def _start(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """The process id of the started command. Raises OSError."""
        given = dict(environment)
        ours = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores these two; nobody else expects that
        try:
            return os.posix_spawnp(command[0], list(command), given, setsigmask=self._mask, setsigdef=ours)
        except OSError as error:
            script = shutil.which(command[0]) if error.errno == errno.ENOEXEC else None
            if script is None:
                raise
            words = ["/bin/sh", script, *command[1:]]  # a script without `#!`: what every shell does with it
            return os.posix_spawn(words[0], words, given, setsigmask=self._mask, setsigdef=ours)

    def _next(self) -> tuple[int, bool]:
        """The next signal, and whether the terminal sent it, to the command as well."""
        wanted = self._wanted | {signal.SIGCHLD}
        if hasattr(signal, "sigtimedwait"):
            info = signal.sigtimedwait(wanted, _POLL_SECONDS)
            if info is None:  # another thread may have got the signal that the command has ended
                return signal.SIGCHLD, False
            return info.si_signo, info.si_code == _SENT_BY_KERNEL
        number = signal.sigwait(wanted)  # macOS, which does not tell the sender
        return number, number in _OF_THE_TERMINAL and _in_foreground()


def _not_started(name: str, error: OSError) -> CommandEnd:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return CommandEnd(NOT_FOUND, f"command not found: {name}")
    return CommandEnd(NOT_EXECUTABLE, f"cannot execute {name}: {error.strerror}")


def _in_foreground() -> bool:
    """Is our process group the one that the controlling terminal sends its signals to?"""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
