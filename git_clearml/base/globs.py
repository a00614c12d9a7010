"""Path and ref patterns of the policy: `*` and `?` stay inside a segment, `**` spans them. Pure.

The same meaning as git's own `:(glob)` pathspecs, which the tests compare it with, but for this: a pattern ending in
`/` means everything below whatever stands before; a directory's bare name does not; `?` is a character, not a byte;
what is no class for want of a `]` stands for itself; `a**` is `a*`; and a pattern is never also tried letter by letter.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable


def matches(patterns: Iterable[str], path: str) -> bool:
    """Does any of the patterns name this path (or ref)?"""
    return any(_compiled(pattern).fullmatch(path) for pattern in patterns)


@functools.lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_translate(pattern), re.DOTALL)


_SPAN = "(?:[^/]+/)*"  # any number of directories


def _translate(pattern: str) -> str:
    """A regular expression for the whole path. A pattern that ends in `/` means everything below."""
    if pattern.endswith("/"):
        pattern += "**"
    pattern = pattern.removeprefix("./").removeprefix("/")
    out: list[str] = []
    position = 0
    while position < len(pattern):
        rest = pattern[position:]
        stars = len(rest) - len(rest.lstrip("*"))
        spans = stars > 1 and (position == 0 or pattern[position - 1] == "/")
        if spans and rest[stars : stars + 1] == "/":
            if out[-1:] != [_SPAN]:  # `**/**/` is `**/`; twice in the expression, a mismatch would take for ever
                out.append(_SPAN)
            position += stars + 1
        elif spans and stars == len(rest):
            out.append(".+")
            position += stars
        elif stars:
            out.append("[^/]*")
            position += stars
        elif rest[0] == "?":
            out.append("[^/]")
            position += 1
        elif rest[0] == "[" and (character_class := _character_class(rest)):
            out.append(character_class[0])
            position += character_class[1]
        elif rest[0] == "\\" and len(rest) > 1:
            out.append(re.escape(rest[1]))
            position += 2
        else:
            out.append(re.escape(rest[0]))
            position += 1
    return "".join(out)


# Members of a class, as git reads them (wildmatch.c): a POSIX class, a range, or one character; `\` takes the next one
# as it is. A `]` that comes first is a member.
_ONE = r"(?:\\(.)|([^\\]))"
_MEMBER = re.compile(rf"\[:([a-z]+):\]|{_ONE}(?:-(?:\\(.)|([^\\\]])))?", re.DOTALL)
_POSIX = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "blank": " \\t", "cntrl": "\\x00-\\x1f\\x7f", "digit": "0-9",
    "graph": "!-~", "lower": "a-z", "print": " -~", "punct": "!-/:-@\\[-`{-~", "space": " \\t-\\r", "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}  # fmt: skip


def _character_class(rest: str) -> tuple[str, int] | None:
    """`[abc]`, `[!a-z]` at the start of `rest` as a regular expression, and its length; None when it never closes."""
    negated = rest[1:2] in ("!", "^")
    start = position = 2 if negated else 1
    members = ""
    while rest[position : position + 1] != "]" or position == start:
        member = _MEMBER.match(rest, position)
        if not member:
            return None
        position = member.end()
        if member[1]:
            if member[1] not in _POSIX:
                return "(?!)", rest.index("]", position) + 1 if "]" in rest[position:] else len(rest)
            members += _POSIX[member[1]]
        else:
            first = member[2] or member[3]
            last = member[4] or member[5] or first
            members += f"{re.escape(first)}-{re.escape(last)}" if first <= last else re.escape(first)
    if not members:
        return ("[^/]" if negated else "(?!)"), position + 1
    return f"(?!/)[{'^' if negated else ''}{members}]", position + 1
