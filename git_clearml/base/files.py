"""Files that others may have touched: read with a limit, written whole or not at all."""

from __future__ import annotations

import os
import stat


def read_limited(path: str, limit: int) -> bytes | str:
    """The content of a regular file of at most `limit` bytes, or a sentence that says why not.

    No symbolic link is followed and no pipe waited for: the file may have been put there by anybody.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return "it is not a regular file"
            if found.st_size > limit:
                return f"it is larger than {limit // 1_000_000} MB"
            content = file.read(limit + 1)
    except (OSError, ValueError) as error:
        return f"it cannot be read: {getattr(error, 'strerror', None) or error}"
    return content if len(content) <= limit else f"it is larger than {limit // 1_000_000} MB"
