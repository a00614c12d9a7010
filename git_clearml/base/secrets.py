"""Strikes the secrets of our environment out of what is published, should a server's text repeat one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar, cast
from urllib.parse import quote

from git_clearml.render.markdown import escape

_NAMES = ("KEY", "SECRET", "TOKEN", "PASSWORD", "PASSWD", "CREDENTIAL")
_SHORTEST = 8  # characters; what is shorter stands in ordinary text too
STRUCK = "[secret]"

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
