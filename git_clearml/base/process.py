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
_STDERR = 2
_LOOK = 0.5  # seconds after which we look for ourselves whether the command has ended
_SENT_BY_KERNEL = 128  # SI_KERNEL of siginfo_t.si_code, Linux: include/uapi/asm-generic/siginfo.h


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status as a shell would give it, and what kept it from starting ("" if nothing)."""

    status: int
    problem: str = ""


class Signals:
    """From entering to leaving, no signal that could end us does: they wait for `run`, or are dropped at the end.

    Those that were ignored when we started stay ignored, as `nohup` wants it.
    """

    def __enter__(self) -> Signals:
        self._wanted = {number for number in _PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN}
        self._child = signal.signal(signal.SIGCHLD, lambda *_: None)  # one that is ignored would never be told
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, self._wanted | {signal.SIGCHLD})
        return self

    def __exit__(self, *_: object) -> None:
        while waiting := signal.sigpending() & (self._wanted | {signal.SIGCHLD}):
            signal.sigwait(waiting)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        signal.signal(signal.SIGCHLD, self._child)

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> Ended:
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
            if number == signal.SIGCHLD:
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    code = os.waitstatus_to_exitcode(status)
                    return Ended(code if code >= 0 else 128 - code)
            elif not by_terminal:
                os.kill(pid, number)  # it exists until we have waited for it

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
            info = signal.sigtimedwait(wanted, _LOOK)
            if info is None:  # another thread may have got the signal that the command has ended
                return signal.SIGCHLD, False
            return info.si_signo, info.si_code == _SENT_BY_KERNEL
        number = signal.sigwait(wanted)  # macOS, which does not tell the sender
        return number, number in _OF_THE_TERMINAL and _in_foreground()


def _not_started(name: str, error: OSError) -> Ended:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return Ended(NOT_FOUND, f"command not found: {name}")
    return Ended(NOT_EXECUTABLE, f"cannot execute {name}: {error.strerror}")


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


def run_shell(command: str, environment: Mapping[str, str]) -> int:
    """Runs a shell command, its stdout on our stderr. The exit status, -N when signal N ended it; it ends with us."""
    import subprocess

    child = subprocess.Popen(["sh", "-c", command], env=dict(environment), stdout=_STDERR)
    try:
        return child.wait()
    finally:
        if child.poll() is None:  # we are being ended
            child.terminate()
            child.wait()


def here() -> str:
    """A name for the place whose process ids are ours: this host, since its last start, and this container.

    Two containers may bear one host name; a process id of the one says nothing in the other.
    """
    import socket

    parts = [socket.gethostname()]
    for read in (_boot, _namespace):
        try:
            parts.append(read())
        except OSError:  # no /proc (macOS, BSD)
            import uuid

            return f"{parts[0]}/{uuid.getnode():x}"
    return "/".join(parts)


def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _namespace() -> str:
    return os.readlink("/proc/self/ns/pid")


def started(pid: int) -> str:
    """When the process started, as a text that is only good for comparing; "" when there is no such process.

    With the boot's id, so that a number used again after a restart is not mistaken for it.
    """
    if pid <= 0:
        return ""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # the name before it may hold anything
        return "" if fields[0] in (b"Z", b"X") else f"{_boot()}/{fields[19].decode('ascii')}"
    except (OSError, IndexError, UnicodeDecodeError):
        return _started_by_ps(pid) if not os.path.isdir("/proc/self") else ""


def _started_by_ps(pid: int) -> str:
    """The same where there is no /proc (macOS, BSD)."""
    import subprocess

    try:
        done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("ascii", "replace").strip()
