"""What `git clearml config` prints: every setting with its origin, and the server, as a table and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.render.table import TableForm, draw
from git_clearml.settings.table import Settings


def text(settings: Settings, server: Mapping[str, str]) -> Safe:
    """The value stands last: it may be as long as it likes. `server` says which server, and whose credentials."""
    rows = [
        [key, sanitize(setting.origin, 80), sanitize(_toml(setting.value), 200)] for key, setting in settings.items()
    ]
    rows += [[key, "", sanitize(fact, 200)] for key, fact in server.items()]
    return draw(["setting", "origin", "value"], rows, TableForm.TERMINAL)


def document(settings: Settings, server: Mapping[str, str]) -> dict[str, Any]:
    """`config --format json`."""
    return {
        "schema": 1,
        "command": "config",
        "exit_code": 0,
        "settings": [
            {"key": key, "value": setting.value, "origin": setting.origin} for key, setting in settings.items()
        ],
        "server": dict(server),
        "errors": [],
    }


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, float):
        return f"{value:g}"
    return '"' + str(getattr(value, "value", value)).replace("\\", "\\\\").replace('"', '\\"') + '"'
