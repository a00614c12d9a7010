"""Reads a clearml.conf that is plain, as clearml-init writes it: importing pyhocon takes longer than asking a server.

Plain are comments, `key: value`, `key = value`, `key { ... }`, lists, and scalars that are one quoted word or unquoted
ones, each on a line of its own or between commas. What else HOCON has (references, includes, `+=`, escapes, quoted
words joined to others, durations, values on the next line, a key said twice) is not plain, nor is anything that pyhocon
has a peculiar opinion about: it reads those. The tests hold the two to the same answer.
"""

from __future__ import annotations

import re
from typing import Any

_BETWEEN = re.compile(r"(?:[ \t\n,]|(?:#|//)[^\n]*)*")
_KEY = re.compile(r'(?:"([A-Za-z0-9_-]+)"|([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*))[ \t]*([:=]?)[ \t]*')
_WORD = r"(?!//)[A-Za-z0-9_~/-][A-Za-z0-9_.:/%~-]*"
_SCALAR = re.compile(rf'"([^"\\\n\t]*)"|({_WORD}(?: +{_WORD})*)')
_END = re.compile(r"[ \t]*(?=[\n,}\]#]|//|\Z)")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_OWN_MEANING = ("include", "true", "false", "null")  # at the beginning of a word; of some ends it is another one
_DEEPEST = 30


class _NotPlain(Exception):
    pass


def read(content: str) -> dict[str, Any] | None:
    """The file as a tree of dicts, lists and scalars, as pyhocon gives it; None for one that is not plain."""
    try:
        return _Reader(content).root()
    except _NotPlain:
        return None


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def root(self) -> dict[str, Any]:
        if "\r" in self._text or self._text[-1:] in (" ", "\t"):  # a line's end; after a number it makes a text of it
            raise _NotPlain
        tree: dict[str, Any] = {}
        self._take(_BETWEEN)
        while self._at < len(self._text):
            self._statement(tree, 0)
            self._take(_BETWEEN)
        return tree

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise _NotPlain
        self._at = match.end()
        return match

    def _opens(self, mark: str) -> bool:
        """Is this the next character? Then it is taken."""
        is_next = self._text.startswith(mark, self._at)
        self._at += is_next
        return is_next

    def _statement(self, tree: dict[str, Any], depth: int) -> None:
        match = self._take(_KEY)
        quoted, plain, sign = match.groups()
        path = [quoted] if quoted else plain.split(".")
        if path[0].lower().startswith("include") or depth > _DEEPEST:
            raise _NotPlain
        value: Any
        if self._opens("{"):
            value = self._tree(depth)
        elif not sign:
            raise _NotPlain
        elif self._opens("["):
            value = self._list(depth)
        else:
            value = self._scalar()
        for name in reversed(path[1:]):
            value = {name: value}
        _put(tree, path[0], value)

    def _tree(self, depth: int) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        self._take(_BETWEEN)
        while not self._opens("}"):
            self._statement(tree, depth + 1)
            self._take(_BETWEEN)
        self._take(_END)
        return tree

    def _list(self, depth: int) -> list[Any]:
        items: list[Any] = []
        self._take(_BETWEEN)
        while not self._opens("]"):
            items.append(self._tree(depth) if self._opens("{") else self._scalar())
            if items[-1] == "":  # pyhocon drops it
                raise _NotPlain
            self._take(_BETWEEN)
        self._take(_END)
        return items

    def _scalar(self) -> str | int | float | bool:
        match = self._take(_SCALAR)
        self._take(_END)
        quoted, word = match.groups()
        return quoted if quoted is not None else _meaning(word)


def _meaning(text: str) -> str | int | float | bool:
    """What unquoted words mean; several are a text, of which only the last may be a number."""
    *words, last = text.split()
    if any(not isinstance(_of_word(word), str) for word in words):
        raise _NotPlain
    value = _of_word(last)
    if words and str(value) != last:  # pyhocon would write it in its own way
        raise _NotPlain
    return text if words else value


def _of_word(word: str) -> str | int | float | bool:
    if word[0] in "-0123456789":
        number = _NUMBER.fullmatch(word)
        if number is None:
            raise _NotPlain
        return float(word) if number[1] else int(word)
    lower = word.lower()
    if lower in ("true", "false"):
        return lower == "true"
    if lower.startswith(_OWN_MEANING):
        raise _NotPlain
    return word


def _put(tree: dict[str, Any], name: str, value: Any) -> None:
    """Objects of the same name are joined to one."""
    if name not in tree:
        tree[name] = value
    elif isinstance(tree[name], dict) and isinstance(value, dict):
        for key, each in value.items():
            _put(tree[name], key, each)
    elif isinstance(tree[name], bool) and isinstance(
        value, bool
    ):  # the later one is in force: `doctor` adds such lines
        tree[name] = value
    else:
        raise _NotPlain
