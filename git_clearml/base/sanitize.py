"""Makes text from elsewhere safe to print: no terminal control, no line breaks, no reordering. Pure."""

from __future__ import annotations

import re
import unicodedata

# Characters that reorder or hide what stands beside them (Unicode Bidi_Control, and the invisible ones that no
# word needs). The zero-width joiner U+200D stays: emoji are made with it.
_HIDDEN = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x061C, 0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF}


def harmless(text: str, limit: int = 0) -> str:
    """The text on one line, with every control character made visible as U+FFFD; cut to `limit` characters.

    Works for any str, lone surrogates included: what comes out can always be encoded as UTF-8.
    """
    if limit and len(text) > 8 * limit:
        text = text[: 8 * limit]
    if not text.isascii() or not text.isprintable():
        text = "".join(_shown(character) for character in " ".join(text.split()))
    if limit and len(text) > limit:
        return text[: limit - 1].rstrip() + "…"
    return text


def _shown(character: str) -> str:
    if ord(character) in _HIDDEN or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp", "Co", "Cn"):
        return "\N{REPLACEMENT CHARACTER}"
    return character


# A GitHub runner obeys `::command::` at the start of a line and `##[command]` anywhere in it, in what any step prints
# (https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs). It compares as a culture does, so
# that characters without width do not count.
_NO_WIDTH = (
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]*"
)
_COMMAND = re.compile(
    f"^((?:{_NO_WIDTH}[^\\S\n])*{_NO_WIDTH}:)(?={_NO_WIDTH}:)|(#{_NO_WIDTH}#)(?={_NO_WIDTH}\\[)", re.MULTILINE
)


def without_commands(text: str) -> str:
    """The text with a space in what a GitHub runner would take for a workflow command."""
    return _COMMAND.sub(lambda match: match[0] + " ", text)
