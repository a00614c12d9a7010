"""One rule for whoever waits (verify, run --queue, check-runnable): how long a server may be away. Pure."""

from __future__ import annotations

SECONDS = 300.0
_PASSES = ("unreachable", "timeout", "bad-answer")


def may_pass(code: str) -> bool:
    """May an error of this code be over at the next look, as while a server or its gateway starts anew?"""
    return code in _PASSES


def away_since(before: float | None, answered: bool, last: float) -> float | None:
    """Since when no answer comes, None for a server that answers; `last` is when it was looked at before this time."""
    return None if answered else last if before is None else before


def is_over(since: float | None, now: float) -> bool:
    """Has it been away for longer than anybody waits?"""
    return since is not None and now - since >= SECONDS


def sentence(since: float, now: float) -> str:
    """How the waiting ended then."""
    return f"the server has been unavailable for {now - since:.0f} s"
