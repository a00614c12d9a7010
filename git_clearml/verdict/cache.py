"""Verified verdicts that the hook need not ask for again: small files in the git directory.

A file per verdict, written whole under another name and then renamed: two hooks at once, a full disk or a kill leave
nothing that the next hook trips over. Whatever is not as it should be is as if it were not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from git_clearml import __version__
from git_clearml.settings.policy import Policy

_MOST = 4096  # bytes of one file
_CROWDED = 2000  # files at which the expired ones are cleared away


@dataclass(frozen=True)
class Circumstances:
    """All that a verdict depends on besides the commit."""

    source: str  # the server and the access key
    repositories: frozenset[str]
    policy: Policy

    def key(self, commit: str) -> str:
        """A name for this commit under these circumstances; nothing can be read from it."""
        parts = [__version__, self.source, *sorted(self.repositories), repr(self.policy), commit]
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


class Remembered:
    """Remembers for `lifetime` seconds; 0 is never. `directory` need not exist."""

    def __init__(self, directory: str, lifetime: float, *, now: Callable[[], float] = time.time) -> None:
        self._directory, self._lifetime, self._now = Path(directory), lifetime, now

    def recall(self, key: str) -> bool:
        """Was this verified within the lifetime? Damage, a foreign file, or a time to come is a no."""
        try:
            with (self._directory / key).open("rb") as file:
                document = json.loads(file.read(_MOST))
            age = self._now() - float(document["verified"])
            return bool(document["key"] == key and 0 <= age < self._lifetime)
        except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return False

    def remember(self, keys: Iterable[str]) -> None:
        """Writes down what was just verified. Where that cannot be, the next hook asks again."""
        keys = list(keys)
        if not keys or not self._lifetime:
            return
        with contextlib.suppress(OSError):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._clear_away()
        for key in keys:
            with contextlib.suppress(OSError):
                self._write(key)

    def _write(self, key: str) -> None:
        handle, name = tempfile.mkstemp(dir=self._directory, prefix=".new-")  # mode 0600
        try:
            with os.fdopen(handle, "w") as file:
                json.dump({"key": key, "verified": self._now()}, file)
            os.replace(name, self._directory / key)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise

    def _clear_away(self) -> None:
        """Forgets what has expired, once there are many; what a killed hook left half-written goes with it."""
        files = list(self._directory.iterdir())
        if len(files) < _CROWDED:
            return
        for path in files:
            with contextlib.suppress(OSError):
                if self._now() - path.stat().st_mtime > max(self._lifetime, 60):
                    path.unlink()
