"""A hint that names only a flag, as a command to type: what was typed, with that flag, or without it. Pure."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Sequence

from git_clearml.base.secrets import redact_words

FLAG = re.compile(r"leave (--[a-z-]+) out|(--[a-z-]+)(?: .+)?")
"""A hint that names only a flag: one to leave out, or one to add."""


def completed(hint: str, words: Sequence[str], parser: argparse.ArgumentParser) -> str:
    """`--branch <name>`, and `leave --wait out`, as whole command lines; any other hint as it is.

    `words` are those after `git clearml`, the command's name first. A flag that the command lacks is left alone.
    """
    match = FLAG.fullmatch(hint)
    action = parser._option_string_actions.get(match[1] or match[2]) if match else None
    if not match or not action or redact_words(words) != tuple(words):  # no secret is told, and none is left out
        return hint
    end = words.index("--") if "--" in words else len(words)
    given = _without(words[1:end], action)
    if match[1] and len(given) == end - 1:
        return hint  # it was not typed
    new = [] if match[1] else [hint]
    return " ".join(["git clearml", words[0], *new, *map(shlex.quote, [*given, *words[end:]])])


def _without(words: Sequence[str], action: argparse.Action) -> list[str]:
    """The words without this flag and its value."""
    left: list[str] = []
    is_value = False
    for word in words:
        flag, equals, _ = word.partition("=")
        if is_value:
            is_value = False
        elif flag in action.option_strings:
            is_value = not equals and action.nargs != 0
        else:
            left.append(word)
    return left
