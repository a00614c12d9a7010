"""What must stand in no output: one object knows the secrets and takes them out of texts and values. Pure.

Secrets are the values of variables and settings that are called like one, and the user part of any URL. What a hash, a
ref or a task id looks like is none, whatever variable holds it: without those nothing could be found again.
"""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar, cast
from urllib.parse import quote, urlsplit, urlunsplit

from git_clearml.base.ids import is_hash, is_offline_id, is_uuid

REDACTED = "[secret]"
_VARIABLES = ("KEY", "SECRET", "TOKEN", "PASSWORD", "PASSWD", "CREDENTIAL")
# Compiled when they are used (and kept by `re`): the gate imports this, and seldom needs them.
_PARAMETER = r"(?i)token|passw(?:or)?d|secret|api[_-]?key"
# `name = value` and `"name": "value"` of a configuration file whose name ends as a secret's does.
_SETTING = (
    r"""(?i)(\w*(?:access_key|secret_key|api_key|\bkey|secret|token|password|passwd|_pass))["']?\s*[:=]\s*"""
    r"""(?:"([^"\n]+)"|'([^'\n]+)'|([^\s"',}{\[\]#$]+))"""
)
_COMMENT = r"(?m)^\s*(?:#|//).*"
_SHORTEST = 8  # characters; what is shorter stands in ordinary text too
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_USER = re.compile(r"//[^/]*@")
_USER_IN_TEXT = r"(?<!\bssh:)//[^/\s'\"<>]*@|(?<=\bssh:)//(?!git@)[^/\s'\"<>]*@"

Value = TypeVar("Value")


class Secrets:
    """Knows what is secret, and gives texts and values without it. Nothing of it shows in its repr."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = frozenset(value for value in values if value)
        self._plain = _any_of(self._values)

    @functools.cached_property
    def _in_markdown(self) -> re.Pattern[str]:
        """For what is published: of a value also its forms in Markdown and in a URL."""
        from git_clearml.base.markdown import escape

        return _any_of(form for value in self._values for form in (value, escape(value, 0), quote(value, safe="")))

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> Secrets:
        """The values of variables that are called like secrets, with that of HTTP Basic for ClearML's keys."""
        values = [
            value
            for name, value in environment.items()
            if len(value) >= _SHORTEST and any(word in name.upper() for word in _VARIABLES) and not _is_public(value)
        ]
        pair = (environment.get(f"CLEARML_API_{kind}_KEY", "").strip() for kind in ("ACCESS", "SECRET"))
        return cls(values) | cls.of_credentials(*pair)

    @classmethod
    def of_configuration(cls, text: str) -> Secrets:
        """The values of settings that are called like secrets, in a clearml.conf or the like."""
        matches = re.finditer(_SETTING, re.sub(_COMMENT, "", text))
        settings = [(match[1].lower(), match[2] or match[3] or match[4]) for match in matches]
        secrets = cls(value for _, value in settings if len(value) >= _SHORTEST and not _is_public(value))
        for access_key in (value for name, value in settings if name == "access_key"):
            for secret_key in (value for name, value in settings if name == "secret_key"):
                secrets |= cls.of_credentials(access_key, secret_key)
        return secrets

    @classmethod
    def of_credentials(cls, user: str, password: str) -> Secrets:
        """Both, and what HTTP Basic makes of them; nothing shorter than 4 characters."""
        pair = base64.b64encode(f"{user}:{password}".encode("utf-8", "surrogatepass")).decode().rstrip("=")
        return cls(value for value in (user, password, pair if user and password else "") if len(value) >= 4)

    def __or__(self, other: Secrets) -> Secrets:
        """What either knows."""
        return Secrets(self._values | other._values)

    def redact(self, value: Value) -> Value:
        """The value, of strings, tuples and frozen values, without the secrets and the users of URLs."""
        return cast(Value, self._redacted(value))

    def redact_markdown(self, text: str) -> str:
        """Markdown without the secrets, as they are and as they look after escaping."""
        from git_clearml.base.markdown import escape

        return self._in_markdown.sub(lambda _: escape(REDACTED), without_users(text))

    def _redacted(self, value: Any) -> Any:
        if isinstance(value, Enum):
            return value
        if isinstance(value, str):
            return self._plain.sub(REDACTED, without_users(value))
        if isinstance(value, tuple):
            items = [self._redacted(item) for item in value]
            return value._make(items) if hasattr(value, "_make") else tuple(items)
        if is_dataclass(value) and not isinstance(value, type):
            return replace(
                value,
                **{field.name: self._redacted(getattr(value, field.name)) for field in fields(value) if field.init},
            )
        return value


def redact_parameters(parameters: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The parameters (name, value), without the values of those that are called like secrets."""
    return tuple(
        (name, REDACTED if value and is_secret_parameter(name, value) else value) for name, value in parameters
    )


def is_secret_parameter(name: str, value: str) -> bool:
    """Does the name say that the value is secret? Numbers are not: `max_tokens = 512`."""
    return bool(re.search(_PARAMETER, name)) and not re.fullmatch(
        r"[\d.]*|true|false|none", value.strip(), re.IGNORECASE
    )


def without_users(text: str) -> str:
    """A text whose URLs have lost user and password; only `ssh://git@` stays."""
    return re.sub(_USER_IN_TEXT, "//", text) if "@" in text and "//" in text else text


def _any_of(values: Iterable[str]) -> re.Pattern[str]:
    """Matches each of the values, the longest first; nothing where there are none."""
    words = sorted(set(values), key=lambda value: (-len(value), value))
    return re.compile("|".join(map(re.escape, words)) if words else r"(?!)")


def _is_public(value: str) -> bool:
    return is_hash(value) or is_uuid(value) or is_offline_id(value) or value.startswith("refs/")


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
