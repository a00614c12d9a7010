"""Verified verdicts that the hook need not ask for again: small files in the git directory.

A file per verdict, written whole under another name and then renamed: two hooks at once, a full disk or a kill leave
nothing that the next hook trips over. Whatever is not as it should be is as if it were not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from git_clearml import __version__
from git_clearml.base import jsonvalue
from git_clearml.base.files import clear_old, private_directory, read_object, write_whole
from git_clearml.settings.policy import Policy

_MOST = 4096  # bytes of one file
_CROWDED = 2000  # files at which the expired ones, and what a killed hook left half-written, are cleared away


class Circumstances(NamedTuple):
    """All that a verdict depends on besides the commit."""

    source: str  # the server and the access key
    repositories: frozenset[str]
    policy: Policy
    accepted: tuple[str, ...] = ()  # of a clean merge: the commits of which one was half of it

    def key(self, commit: str) -> str:
        """A name for this commit under these circumstances; nothing can be read from it."""
        parts = [__version__, self.source, *sorted(self.repositories), repr(self.policy), *self.accepted, commit]
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


class Cache:
    """Remembers for `lifetime` seconds; 0 is never. `directory` need not exist."""

    def __init__(self, directory: str, lifetime: float, *, now: Callable[[], float] = time.time) -> None:
        self._directory, self._lifetime, self._now = Path(directory), lifetime, now

    def recall(self, key: str) -> float | None:
        """When this was verified, in seconds since the epoch, if within the lifetime.

        Damage, a foreign file, or a time to come is None.
        """
        document = read_object(self._directory / key, _MOST)
        verified = jsonvalue.finite(document.get("verified"))
        if verified is None or document.get("key") != key:
            return None
        return verified if 0 <= self._now() - verified < self._lifetime else None

    def remember(self, keys: Iterable[str]) -> None:
        """Writes down what was just verified. Where that cannot be, the next hook asks again."""
        keys = list(keys)
        if not keys or not self._lifetime:
            return
        with contextlib.suppress(OSError):
            private_directory(self._directory)
            clear_old(self._directory, most=_CROWDED, seconds=max(self._lifetime, 60), now=self._now())
        for key in keys:
            with contextlib.suppress(OSError):
                content = json.dumps({"key": key, "verified": self._now()}).encode("ascii")
                write_whole(self._directory / key, content)
