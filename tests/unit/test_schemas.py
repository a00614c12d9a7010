"""docs/schemas: one for each command that prints JSON. Every test that reads JSON holds them to the program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from git_clearml import cli
from git_clearml.errors import UsageError
from git_clearml.render.json import failed
from tests.support import schemas

COMMANDS = [name for name in cli._COMMANDS if hasattr(cli._module(name), "failed")]


def test_each_command_that_prints_json_has_one() -> None:
    assert {path.stem for path in schemas.DIRECTORY.iterdir()} >= {*COMMANDS, "common"}


@pytest.mark.parametrize("path", sorted(schemas.DIRECTORY.iterdir()), ids=lambda path: path.stem)
def test_it_is_a_schema(path: Path) -> None:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), "a name stands in it twice"
        return dict(pairs)

    Draft202012Validator.check_schema(json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once))


@pytest.mark.parametrize("command", COMMANDS)
def test_an_error_has_the_shape_too(command: str) -> None:
    document = json.loads(json.dumps(cli._module(command).failed(UsageError("no", "git clearml -h"))))
    assert (document["command"], document["exit_code"]) == (command, 2)
    schemas.check(document)


def test_what_is_wrong_is_seen() -> None:
    document = failed("open", UsageError("no", ""))
    for wrong in ({"exit_code": "2"}, {"more": 1}, {"errors": [{"code": "usage"}]}, {"schema": 2}):
        with pytest.raises(ValidationError):
            schemas.check({**document, **wrong})
