"""Reads JSON that somebody else has written: every value is checked before anything relies on it. Pure.

Each function gives the value in its type or raises Malformed, which names the value and says what it is not. Of two
equal keys the last one counts, and NaN and the infinities are numbers that `number` and `finite` turn away.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


class Malformed(ValueError):
    """A text that is not JSON, or a value of the wrong type; the message says which, as in `metrics is not a list`."""


def parse(text: bytes | str) -> Any:
    """The value of a JSON text. The caller bounds its length; its depth is bounded by Python's own limit."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise Malformed("it is empty" if not text.strip() else "it is not JSON") from None


def parse_object(text: bytes | str, name: str = "it") -> Mapping[str, Any]:
    """The object that a JSON text holds."""
    return mapping(parse(text), name)


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    """An object."""
    if not isinstance(value, Mapping):
        raise Malformed(f"{name} is not an object")
    return value


def items(value: Any, name: str) -> list[Any]:
    """A list of anything. (A record that was never JSON text may hold a tuple.)"""
    if not isinstance(value, (list, tuple)):
        raise Malformed(f"{name} is not a list")
    return list(value)


def text(value: Any, name: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise Malformed(f"{name} is not a string")
    return value


def texts(value: Any, name: str) -> tuple[str, ...]:
    """A list of strings."""
    strings = items(value, name)
    if not all(isinstance(string, str) for string in strings):
        raise Malformed(f"{name} is not a list of strings")
    return tuple(strings)


def integer(value: Any, name: str) -> int:
    """A whole number; true and false are none."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise Malformed(f"{name} is not a whole number")
    return value


def number(value: Any, name: str) -> float:
    """A finite number."""
    if (finite_value := finite(value)) is None:
        raise Malformed(f"{name} is not a number")
    return finite_value


def finite(value: Any) -> float | None:
    """A JSON number as a float; None for what is no number, NaN and infinities, and numbers no float can hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
