"""Processes: which is whose (a host, its boot and its container, when one started), and one that is ended in time."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Ended(NamedTuple):
    """How a command ended: its exit status, None where its time was up; and what it printed."""

    status: int | None
    out: bytes = b""
    err: bytes = b""


def run_bounded(
    command: Sequence[str],
    environment: Mapping[str, str],
    directory: str,
    seconds: float,
    *,
    shared: Sequence[int] = (),
) -> Ended:
    """Runs a command in a process group of its own, which is killed after so many seconds, or when an exception ends
    the waiting.

    Its stdin ends when this process does, were it by SIGKILL: a command that watches it does not outlive us. `shared`
    are descriptors that it gets as well. Raises OSError where it cannot be started.
    """
    import subprocess

    watched, ours = os.pipe()
    try:
        child = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=directory,
            stdin=watched,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=tuple(shared),
        )
        try:
            out, err = child.communicate(timeout=seconds)
            return Ended(child.returncode, out, err)
        except subprocess.TimeoutExpired:
            return Ended(None)
        finally:
            if child.poll() is None:
                with contextlib.suppress(OSError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.communicate()
    finally:
        os.close(watched)
        os.close(ours)


def here() -> str:
    """A name for the place whose process ids are ours: this host, since its last start, and this container.

    Two containers may bear one host name; a process id of the one says nothing in the other.
    """
    import socket

    host = socket.gethostname()
    try:
        return f"{host}/{_boot()}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no /proc (macOS, BSD)
        import uuid

        return f"{host}/{uuid.getnode():x}"


def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


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
