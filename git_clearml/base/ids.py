"""The shapes of ids: of git's objects and of ClearML's documents. Pure."""

from __future__ import annotations

import re

_FULL_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def is_hash(text: str) -> bool:
    """Is this the full, lower-case name of an object (SHA-1 or SHA-256)?"""
    return bool(_FULL_HASH.fullmatch(text))


def is_zero(name: str) -> bool:
    """Is this git's way to say "no object"? 40 zeros, or 64 in a SHA-256 repository."""
    return not name.strip("0")
