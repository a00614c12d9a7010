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


def reaches_below(pattern: str, path: str) -> bool:
    """Could the pattern name something below this path? True where that is not plain to see."""
    if "[" in pattern or "\\" in pattern:
        return True
    parts, names = pattern.removeprefix("./").removeprefix("/").split("/"), path.split("/")
    for part, name in zip(parts, names, strict=False):
        if part == "**":
            return True
        if not matches([part], name):
            return False
    return len(parts) > len(names)


def example(pattern: str, word: str) -> str:
    """A path (or ref) that the pattern names, with `word` where it leaves room; "" where none comes to mind."""
    text = pattern.removeprefix("./").removeprefix("/") + ("**" if pattern.endswith("/") else "")
    text = re.sub(r"(?:^|(?<=/))\*\*+/", "", text)
    text = re.sub(r"(?<!\\)\*+", lambda _: word, text)
    text = re.sub(r"(?<!\\)\[[!^]?\]?(?:\[:\w+:\]|[^\]])*\]", lambda match: _member(match[0]), text)
    text = re.sub(r"\\(.)|\?", lambda match: match[1] or word[0], text)
    return text if matches([pattern], text) else ""


def _member(character_class: str) -> str:
    usual = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_."
    return next((each for each in usual if matches([character_class], each)), "")


@functools.lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_translate(pattern), re.DOTALL)


_SPAN = "(?:[^/]+/)*"  # any number of directories
_STAR = "[^/]*"


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
            out.append(_SPAN)
            position += stars + 1
        elif spans and stars == len(rest):
            out.append(".+")
            position += stars
        elif stars:
            out.append(_STAR)
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
    return _quick(out)


def _quick(parts: list[str]) -> str:
    """The expression of these parts, whose mismatch takes no time: nothing but the last span or star is tried twice.

    What stands before the next one is best where it comes first: the segments after a span are whole ones, and a
    segment's end is fixed by its slash.
    """
    count = iter(range(len(parts)))

    def first(expression: str) -> str:  # an atomic group, as Python 3.10 can have it
        name = f"g{next(count)}"
        return f"(?=(?P<{name}>{expression}))(?P={name})"

    out = ""
    spans = _cut(parts, _SPAN)
    for number, run in enumerate(spans):
        text = "/".join(
            "".join(
                ("" if index == 0 else _STAR) + chunk if index in (0, len(chunks) - 1) else first(_STAR + "?" + chunk)
                for index, chunk in enumerate(chunks)
            )
            for chunks in (["".join(chunk) for chunk in _cut(segment, _STAR)] for segment in _cut(run, "/"))
        )
        if number == 0:
            out = text
        else:
            out += _SPAN + text if number == len(spans) - 1 else first(_SPAN + "?" + text)
    return out


def _cut(parts: list[str], at: str) -> list[list[str]]:
    """The parts between those that are `at`; there is one more of them than of those."""
    cut: list[list[str]] = [[]]
    for part in parts:
        if part == at:
            cut.append([])
        else:
            cut[-1].append(part)
    return cut


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
