"""What `git clearml config` prints: every setting with its origin, and the server, as a table and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.render import json as json_view
from git_clearml.render.table import TableForm, draw
from git_clearml.settings import arrays
from git_clearml.settings.policy import MetricRule, Require
from git_clearml.settings.table import Settings


def text(settings: Settings, server: Mapping[str, str]) -> Safe:
    """The value stands last: it may be as long as it likes. `server` says which server, and whose credentials."""
    rows = [
        [key if number == 1 else "", sanitize(setting.origin, 80), sanitize(_toml(value), 200)]
        for key, setting in settings.items()
        for number, value in enumerate(_lines(setting.value), start=1)
    ]
    rows += [[key, "", sanitize(fact, 200)] for key, fact in server.items()]
    return draw(["setting", "origin", "value"], rows, TableForm.TERMINAL)


def document(settings: Settings, server: Mapping[str, str]) -> dict[str, Any]:
    """`config --format json`."""
    rows = [{"key": key, "value": _json(setting.value), "origin": setting.origin} for key, setting in settings.items()]
    return json_view.document("config", 0, settings=rows, server=dict(server))


def _lines(value: Any) -> tuple[Any, ...]:
    """What of a value stands on a line of its own: each of several tables."""
    return value if isinstance(value, tuple) and value and isinstance(value[0], (MetricRule, Require)) else (value,)


def _json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [arrays.as_toml(item) if isinstance(item, (MetricRule, Require)) else item for item in value]
    return value


def _toml(value: Any) -> str:
    if isinstance(value, (MetricRule, Require)):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in arrays.set_keys(value).items()) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, (int, float)):
        return str(value).removesuffix(".0")
    return '"' + str(getattr(value, "value", value)).replace("\\", "\\\\").replace('"', '\\"') + '"'
