"""Sentences made of values. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone


def listed(names: Sequence[str], most: int = 3) -> str:
    """`a, b, c and 4 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def moment(text: str) -> datetime | None:
    """The time of an ISO 8601 text, UTC where it names no zone; None for what is no time, or none in UTC."""
    try:
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))
        time = time if time.tzinfo else time.replace(tzinfo=timezone.utc)
        time.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None
    return time


def ago(when: str, now: datetime) -> str:
    """`12 minutes ago` for an ISO 8601 moment; "" for none, and for one that is no time."""
    then = moment(when)
    if then is None:
        return ""
    seconds = (now - then).total_seconds()
    if seconds < 60:
        return "just now"
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return ""
