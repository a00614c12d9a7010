"""One name for a repository, however its URL is written. Pure."""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from git_clearml.git.forge_url import canonical

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SCP_LIKE = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>\[[^\]]+\]|[^/:@\[]{2,}):(?P<path>.+)")

LOCAL = "file:"


class Place(NamedTuple):
    """Where a repository is: `host` in lower case, LOCAL on this machine; `path` begins with `/` and has no `.git`."""

    host: str
    path: str
    user: str = ""
    port: str = ""

    @property
    def name(self) -> str:
        """`host/path` as its forge spells it, `file:/path` on this machine."""
        return self.host + self.path if self.host == LOCAL else "".join(canonical(*self))


def normalise(url: str, base: str = "/") -> str:
    """`host/path` for a remote repository, `file:/path` for one on this machine, "" for none.

    User, password, scheme, port, `.git`, slashes at the end and the case of the host do not matter, nor a forge's own
    second spellings. A relative path is seen from `base`. The result is only good for comparing with another result.
    """
    place = place_of(url, base)
    return place.name if place else ""


def place_of(url: str, base: str = "/") -> Place | None:
    """What a URL says, None where it is empty. See `normalise`."""
    url = url.strip()
    if not url:
        return None
    if _SCHEME.match(url):
        place = _split(url)
        if url[:7].lower() == "file://":
            return Place(LOCAL, _tidy(place.path))
    elif scp := _SCP_LIKE.fullmatch(url):
        place = Place(scp["host"], scp["path"], scp["user"] or "")
    else:
        return Place(LOCAL, _tidy(posixpath.join(base, url)))
    host = place.host.strip("[]").lower().removesuffix(".")
    return place._replace(host=host, path=_tidy("/" + place.path))


def with_host(url: str, host: str) -> str:
    """An ssh URL, in either form, with another host; any other one as it is."""
    if scheme := _SCHEME.match(url):
        address, slash, path = url[scheme.end() :].partition("/")
        user, at, rest = address.rpartition("@")
        port = rest[rest.rfind(":") :] if ":" in rest and not rest.endswith("]") else ""
        return f"{scheme[0]}{user}{at}{host}{port}{slash}{path}" if "ssh" in scheme[0].lower() else url
    if scp := _SCP_LIKE.fullmatch(url):
        return url[: scp.start("host")] + host + url[scp.end("host") :]
    return url


def _split(url: str) -> Place:
    """Host and path; of a URL that cannot be read the whole text, so that it equals nothing but itself."""
    try:
        parts = urlsplit(url)
        path = urlunsplit(("", "", parts.path, parts.query, parts.fragment))
        port = parts.netloc.rpartition(":")[2]
        return Place(parts.hostname or "", path, parts.username or "", port)
    except ValueError:
        return Place("", url)


def _tidy(path: str) -> str:
    path = posixpath.normpath("/" + unquote(path).strip("/"))
    path = path.removesuffix(".git").rstrip("/")
    return path or "/"
