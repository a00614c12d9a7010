"""Strikes the secrets of our environment out of what is published, should a server's text repeat one. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar, cast
from urllib.parse import quote, urlsplit, urlunsplit

from git_clearml.base.markdown import escape

_NAMES = ("KEY", "SECRET", "TOKEN", "PASSWORD", "PASSWD", "CREDENTIAL")
_SHORTEST = 8  # characters; what is shorter stands in ordinary text too
STRUCK = "[secret]"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_USER = re.compile(r"//[^/]*@")

Value = TypeVar("Value")


def secrets_in(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of variables that are called like secrets, longest first."""
    found = {
        value
        for name, value in environment.items()
        if len(value) >= _SHORTEST and any(word in name.upper() for word in _NAMES)
    }
    return tuple(sorted(found, key=len, reverse=True))


def struck(value: Value, secrets: Sequence[str]) -> Value:
    """The value, of strings, tuples and frozen dataclasses, without the secrets."""
    return cast(Value, _struck(value, secrets))


def _struck(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, STRUCK)
        return value
    if isinstance(value, tuple):
        return tuple(_struck(one, secrets) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: _struck(getattr(value, one.name), secrets) for one in fields(value)})
    return value


def struck_markdown(text: str, secrets: Sequence[str]) -> str:
    """Markdown without the secrets, as they are and as they look after escaping."""
    for secret in secrets:
        for form in dict.fromkeys((secret, escape(secret, 0), quote(secret, safe=""))):
            text = text.replace(form, escape(STRUCK))
    return text


def without_credentials(url: str) -> str:
    """The URL without user and password, as it may be shown or handed on. `git@host:path` keeps its user."""
    if not _SCHEME.match(url.strip()):
        return _USER.sub("//", url.strip())  # `ext::https://user:password@host`
    try:
        parts = urlsplit(url.strip())
        host = parts.netloc.rpartition("@")[2]
        user = "git@" if parts.scheme == "ssh" and parts.username == "git" else ""
        return urlunsplit(parts._replace(netloc=user + host))
    except ValueError:
        return _USER.sub("//", url.strip())
