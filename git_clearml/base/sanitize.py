"""Makes text from elsewhere safe to print: no terminal control, no line breaks, no reordering, nothing hidden. Pure."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, NewType

Safe = NewType("Safe", str)
"""Text that may be printed as it is: `sanitize` or a renderer has made it."""

# Characters that hide, reorder or carry what nobody sees, and what UTF-8 has no bytes for. Written out, because the
# tables of Python's unicodedata grow from version to version, and clearml.lock must not. Those of no width that words
# and emoji need stay: U+200C and U+200D (joiners), U+FE0E and U+FE0F (text or emoji).
HIDDEN = (  # compiled when used, which few texts need
    "[\x7f-\x9f"  # control characters; those below U+0020 have an escape in JSON anyway
    "\xad\u034f\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff"  # without width
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls
    "\u2028\u2029"  # line and paragraph separator
    "\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # annotations, shorthand, music
    "\ufe00-\ufe0d\U000e0000-\U000e0fff"  # variation selectors and tags, which can carry any text
    "\ud800-\udfff]"  # lone surrogates
)


_OUTPUT = f"(\x1b\\[[0-9;]*m)|[\x01-\x08\x0b\x0c\x0e-\x1f]|\r(?!\n)|{HIDDEN}"


def sanitize(text: str, limit: int = 0) -> Safe:
    """The text on one line, with every character that must not be printed as U+FFFD; cut to `limit` characters.

    Works for any str, lone surrogates included: what comes out can always be encoded as UTF-8.
    """
    if limit and len(text) > 8 * limit:
        text = text[: 8 * limit]
    if not text.isascii() or not text.isprintable():
        text = " ".join(text.split())
        text = "".join(map(_shown, text[: limit + 1] if limit else text))
    if limit and len(text) > limit:
        return Safe(text[: limit - 1].rstrip() + "…")
    return Safe(text)


def sanitize_lines(text: str) -> Safe:
    """The text with its lines (they end at `\\n`) and their indentation, each of them sanitized."""
    return Safe("\n".join(_indented(line) for line in text.split("\n")))


def sanitize_output(text: str, *, colours: bool = False) -> Safe:
    """What another program has printed: its lines, tabs and NULs stay, and its colours where those are wanted.

    A carriage return stays before a line feed alone.
    """
    if text.isascii() and text.isprintable():
        return Safe(text)
    return Safe(re.sub(_OUTPUT, lambda match: match[0] if colours and match[1] else "\N{REPLACEMENT CHARACTER}", text))


def json_text(document: Mapping[str, Any]) -> Safe:
    """The document as JSON of several lines, in ASCII without control characters."""
    import json

    return Safe(re.sub(HIDDEN, lambda match: f"\\u{ord(match[0]):04x}", json.dumps(document, indent=2)))


def joined(*parts: Safe) -> Safe:
    """The parts one after the other."""
    return Safe("".join(parts))


def _indented(line: str) -> str:
    words = line.lstrip(" ")
    return " " * (len(line) - len(words)) + sanitize(words)


@functools.lru_cache(maxsize=2048)
def _shown(character: str) -> str:
    if re.match(HIDDEN, character) or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp", "Co", "Cn"):
        return "\N{REPLACEMENT CHARACTER}"
    return character


# A GitHub runner obeys `::command::` at the start of a line and `##[command]` anywhere in it, in what any step prints
# (https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs). It compares as a culture does, so
# that characters without width do not count. Azure's agent obeys `##vso[command]` and `##[command]`
# (https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands), TeamCity's `##teamcity[message]`
# (https://www.jetbrains.com/help/teamcity/service-messages.html), both anywhere in a line.
_NO_WIDTH = (
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]*"
)
_COMMAND = (
    f"(?mi)^((?:{_NO_WIDTH}[^\\S\n])*{_NO_WIDTH}:)(?={_NO_WIDTH}:)|(#{_NO_WIDTH}#)(?={_NO_WIDTH}(?:vso|teamcity)?\\[)"
)


def without_commands(text: str) -> str:
    """The text with a space in what a runner of GitHub, Azure or TeamCity would take for a command."""
    return re.sub(_COMMAND, lambda match: match[0] + " ", text)
