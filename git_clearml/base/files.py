"""Files that others may have touched: read with a limit, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from git_clearml.base import jsonvalue, signals


def read_limited(path: str | os.PathLike[str], limit: int) -> bytes | str:
    """The content of a regular file of at most `limit` bytes, or a sentence that says why not.

    No symbolic link is followed and no pipe waited for: the file may have been put there by anybody.
    """
    too_large = f"it is larger than {limit // 1_000_000} MB" if limit >= 1_000_000 else f"it has over {limit} bytes"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return "it is not a regular file"
            if status.st_size > limit:
                return too_large
            content = file.read(limit + 1)
    except (OSError, ValueError) as error:
        return f"it cannot be read: {getattr(error, 'strerror', None) or error}"
    return content if len(content) <= limit else too_large


def read_object(path: str | os.PathLike[str], limit: int) -> Mapping[str, Any]:
    """The JSON object in a file, in the way of `read_limited`; {} where there is none."""
    content = read_limited(path, limit)
    with contextlib.suppress(jsonvalue.Malformed):
        return {} if isinstance(content, str) else jsonvalue.parse_object(content)
    return {}


def read_beginning(path: str | os.PathLike[str], most: int) -> bytes:
    """The first bytes of a regular file, `most` of them, in the way of `read_limited`; empty where there are none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(most) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except (OSError, ValueError):
        return b""


def write_whole(
    path: str | os.PathLike[str], content: bytes, *, mode: int = 0o600, durable: bool = False, prefix: str = ".new-"
) -> None:
    """Writes a new file beside `path` and renames it: a reader sees the old content or the new one, never a part.

    What stands at `path`, be it a link or a pipe, is replaced and neither followed nor opened. `durable` outlasts a
    power failure too. `prefix` begins the name of the file beside, which a process that is killed leaves behind.
    Raises OSError, also where a directory stands at `path`; the old file is then still there.
    """
    import tempfile  # late: it loads random numbers and their hashes

    with signals.held():  # it is removed again whenever Ctrl-C comes
        descriptor, temporary = tempfile.mkstemp(prefix=prefix, dir=os.path.dirname(path) or ".")  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                if mode != 0o600:
                    os.fchmod(descriptor, mode)
                if durable:
                    file.flush()
                    os.fsync(descriptor)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def clear_old(directory: str | os.PathLike[str], *, most: int, seconds: float, now: float) -> None:
    """Removes the files older than `seconds`, once there are `most` in the directory. Raises OSError."""
    with os.scandir(directory) as entries:
        files = list(entries)
    if len(files) < most:
        return
    for file in files:
        with contextlib.suppress(OSError):
            if now - file.stat(follow_symlinks=False).st_mtime > seconds:
                os.unlink(file.path)


def private_directory(path: str | os.PathLike[str], levels: int = 2) -> None:
    """Makes the directory for our user alone, and those above it that are missing: `levels` of them at most.

    Raises OSError; a repository that has been deleted meanwhile is not made again.
    """
    parent = os.path.dirname(path)
    if levels > 1 and parent and not os.path.isdir(parent):
        private_directory(parent, levels - 1)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)


@contextlib.contextmanager
def locked(path: str | os.PathLike[str], seconds: float, waiting: Callable[[], None]) -> Iterator[int]:
    """Holds the lock that this file stands for, and gives its descriptor: whoever inherits that holds it too.

    `waiting` is called once where somebody else has it. Raises TimeoutError after so many seconds, and OSError.
    """
    import fcntl  # late: few lock anything

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        deadline, has_waited = time.monotonic() + seconds, False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise TimeoutError from None
            if not has_waited:
                has_waited = True
                waiting()
            time.sleep(0.1)
        yield descriptor
    finally:
        os.close(descriptor)


def umask() -> int:
    """The bits that a new file of this process does without."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
