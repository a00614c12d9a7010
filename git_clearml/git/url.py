"""One name for a repository, however its URL is written. Pure."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote, urlsplit, urlunsplit

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SCP_LIKE = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>\[[^\]]+\]|[^/:@\[]{2,}):(?P<path>.+)")


def normalise(url: str, base: str = "/") -> str:
    """`host/path` for a remote repository, `file:/path` for one on this machine, "" for none.

    User, password, scheme, port, `.git`, slashes at the end and the case of the host do not matter. A relative
    path is seen from `base`. The result is only good for comparing with another result.
    """
    url = url.strip()
    if not url:
        return ""
    if _SCHEME.match(url):
        host, path = _split(url)
        if url[:7].lower() == "file://":
            return "file:" + _tidy(path)
    elif scp := _SCP_LIKE.fullmatch(url):
        host, path = scp["host"], scp["path"]
    else:
        return "file:" + _tidy(posixpath.join(base, url))
    return host.strip("[]").lower() + _tidy("/" + path)


def _split(url: str) -> tuple[str, str]:
    """Host and path; of a URL that cannot be read the whole text, so that it equals nothing but itself."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", urlunsplit(("", "", parts.path, parts.query, parts.fragment))
    except ValueError:
        return "", url


def _tidy(path: str) -> str:
    path = posixpath.normpath("/" + unquote(path).strip("/"))
    path = path.removesuffix(".git").rstrip("/")
    return path or "/"
