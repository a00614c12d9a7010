"""Is this the URL of a server that can be asked? How does a name stand in one? Pure."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")


def problem(url: str) -> str:
    """What is wrong with an http(s) URL, for a sentence; "" for nothing. Quotes nothing: it may hold secrets."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "not a URL"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "not an http(s) URL"
    if re.search(r"[\x00-\x20\x7f\\]", url) or not _is_host(parts.hostname):
        return "not a host's name"
    return "not a port" if port == 0 else ""


def quoted(name: str, safe: str = "") -> str:
    """A name in an address, whatever it holds: bytes that are no UTF-8 stay what they are, a lone surrogate is `?`."""
    try:
        return quote(name, safe=safe, errors="surrogateescape")
    except UnicodeEncodeError:
        return quote(name, safe=safe, errors="replace")


def _is_host(name: str) -> bool:
    """May a resolver be asked for this name? Labels have 63 characters at most, as they are sent (RFC 1035, 3490)."""
    if ":" in name:  # IPv6: urlsplit has looked at it
        return bool(re.fullmatch(r"[0-9a-f:.]+(%25?[A-Za-z0-9_.-]+)?", name))
    if not name.isascii():
        try:
            name = name.encode("idna").decode()
        except UnicodeError:
            return False
    return len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.removesuffix(".").split("."))
