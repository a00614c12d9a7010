"""Every hint of the program that begins like a command is one: it parses, and git or we know its words and flags."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import git_clearml
from git_clearml.cli import _parse, build_parser
from git_clearml.commands import again
from git_clearml.errors import UsageError

COMMANDS = build_parser()[1]
PACKAGE = Path(git_clearml.__file__).parent
PROGRAMS = ("git", "git-clearml", "pip", "clearml-init", "clearml-agent", "pre-commit", "prek", "mv", "ln", "mkdir")
PROGRAMS += ("chmod", "export", "nbstripout", "git-crypt")
PROSE = {
    "again",
    "then",
    "first",
    "must",
    "tells",
    "shows",
    "prints",
    "or",
    "and",
    "is",
    "see",
    "to",
    "it",
    "more",
    "says",
}
ERRORS = ("UsageError", "BadSetting", "Unsupported")
NAMES = {"git-clearml history"}
"""What begins like a command and is the name of something in a comment."""

WORD = "7"
"""Stands for what a hint fills in."""


def hints() -> Iterator[tuple[str, str]]:
    """Where a hint stands, and its text: the second argument of an error, the fourth of a check, any constant."""
    for file in sorted(PACKAGE.rglob("*.py")):
        where = str(file.relative_to(PACKAGE))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            texts = []
            if isinstance(node, ast.Call) and len(node.args) > 1 and _name(node.func)[:1].isupper():
                texts = node.args[3:] if _name(node.func) == "Check" else node.args[1:]
            elif isinstance(node, ast.Assign) or (isinstance(node, ast.keyword) and node.arg == "hint"):
                texts = [node.value]
            elif isinstance(node, ast.Dict):
                texts = node.values
            for each in texts:
                text = _text(each)
                if text in NAMES:
                    continue
                if isinstance(node, ast.Call) and _name(node.func) in ERRORS and again.FLAG.fullmatch(text):
                    yield f"{where}:{each.lineno}", text
                if text.partition(" ")[0] in PROGRAMS and " " in text and text.partition(":")[0] != "git clearml":
                    yield f"{where}:{each.lineno}", text


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else WORD for part in node.values)
    return ""


def test_every_hint_works_as_typed() -> None:
    written = sorted(set(hints()))
    assert len(written) > 30
    commands = []
    for where, text in written:
        hint = re.sub(r"<[a-z]+>", WORD, text)
        if match := again.FLAG.fullmatch(hint):  # which the command line completes
            assert any((match[1] or match[2]) in command._option_string_actions for command in COMMANDS.values()), where
        else:
            commands.append((where, hint))
    script = "\n".join(hint for _, hint in commands)
    parsed = subprocess.run(["/bin/sh", "-n", "-c", script], capture_output=True, check=False)
    assert parsed.returncode == 0, parsed.stderr
    for where, hint in commands:
        _works(where, hint)


def _works(where: str, hint: str) -> None:
    assert "; " not in hint, f"{where}: that is two, or prose"
    for command in hint.split(" && "):
        words = shlex.split(re.sub(r"\$\([^)]*\)", WORD, command))
        assert words[0] in PROGRAMS, f"{where}: {hint}"
        assert not PROSE & set(words), f"{where}: {hint}"
        if words[:2] == ["git", "clearml"] or words[0] == "git-clearml":
            _ours(where, words[2:] if words[0] == "git" else words[1:])


def _ours(where: str, words: list[str]) -> None:
    """The command line parses."""
    try:
        _parse(words)
    except SystemExit:  # -h
        return
    except UsageError as error:  # `verify <rev>` and the like need no more than the words that are there
        raise AssertionError(f"{where}: {words}: {error.message}") from None
