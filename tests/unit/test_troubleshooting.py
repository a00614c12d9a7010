"""docs/troubleshooting.md has an entry for every error, reason and check, and none for what is not there."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import git_clearml
from git_clearml.errors import Error
from git_clearml.verdict.near_miss import _NEARNESS

PACKAGE = Path(git_clearml.__file__).parent
PAGE = (PACKAGE.parent / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def headings(text: str) -> set[str]:
    return set(re.findall(r"^### `([a-z-]+)`$", text, re.MULTILINE))


def every_error(of: type[Error] = Error) -> Iterator[type[Error]]:
    yield of
    for each in of.__subclasses__():
        yield from every_error(each)


@functools.cache
def nodes() -> tuple[ast.AST, ...]:
    """Everything that the package says."""
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in PACKAGE.rglob("*.py"))
    wanted = (ast.Call, ast.ClassDef, ast.Constant)
    return tuple(node for tree in trees for node in ast.walk(tree) if isinstance(node, wanted))


def calls(name: str) -> Iterator[ast.Call]:
    """Every call of that name in the package."""
    for node in nodes():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


def literals(name: str) -> set[str]:
    first = (node.args[0] for node in calls(name) if node.args)
    return {each.value for each in first if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def test_every_error_has_its_entry() -> None:
    """Those of errors.py, and those of classes in the rooms, whose modules need not be loaded for that."""
    codes = {error.code for error in every_error() if error.__module__.startswith("git_clearml")}
    inside = (line for node in nodes() if isinstance(node, ast.ClassDef) for line in node.body)
    given = [
        line
        for line in inside
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]).lstrip("(").startswith("code")
    ]
    codes |= {value for line in given for value in re.findall("'([a-z-]+)'", ast.unparse(line.value))}
    assert headings(section("Errors")) == codes


def test_every_reason_has_its_entry() -> None:
    coded = literals("Reason")
    assert len(coded) > 15
    entries = headings(section("Why a task does not count"))
    assert coded <= entries
    assert set(_NEARNESS) <= entries
    assert entries - coded - set(_NEARNESS) == {"metric-worse"}


def test_every_check_has_its_line() -> None:
    rows = set(re.findall(r"^\| `([a-z-]+)` \|", section("What doctor finds"), re.MULTILINE))
    named = (
        literals("Check") | literals("_without_bit") | literals("of_error") | literals("_guarded") | literals("_bit")
    )
    named |= {key.replace("_", "-") for node in calls("_setting") for key in _texts(node)[:1]}
    assert named - {"record"} <= rows
    constants = {node.value for node in nodes() if isinstance(node, ast.Constant)}
    assert {name for name in rows if not {name, name.replace("-", "_")} & constants} == set()


def _texts(node: ast.Call) -> list[str]:
    return [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
