"""docs/schemas, and what the program prints held to them: every JSON that a test reads has been checked."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).resolve().parents[2] / "docs" / "schemas"


def check(document: dict[str, Any]) -> None:
    """Raises ValidationError for a document that its schema does not describe, a property too many included."""
    if "command" in document:  # not what --dry-run shows of a task that would be launched
        _validator(document["command"]).validate(document)


@functools.cache
def _validator(command: str) -> Any:
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    files = {path.name: _closed(json.loads(path.read_text(encoding="utf-8"))) for path in DIRECTORY.iterdir()}
    registry = Registry().with_resources((name, Resource.from_contents(schema)) for name, schema in files.items())
    return Draft202012Validator(files[f"{command}.json"], registry=registry)


def _closed(schema: Any) -> Any:
    """The schema without room for properties that it does not name: a user's own is open to those of later versions."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return {**closed, "additionalProperties": False} if "required" in closed and "properties" in closed else closed
