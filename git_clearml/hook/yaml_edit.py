"""Puts a block into a YAML file and leaves every other byte as it is. Pure.

Nothing is parsed and written anew: lines are put where the parser says that a list or a key begins or ends. What comes
of it is parsed again, and has to be what there was with just that block more; else there is no edit.
"""

from __future__ import annotations

import re
from typing import Any

_MOST_NODES = 20_000  # aliases of aliases may mean any number

Node = Any


class NotEdited(Exception):
    """Why a file is left alone: a reason to be shown."""


def parse(text: str) -> Node:
    """The root node, None for a file without content. Raises NotEdited for what is no single YAML document."""
    import yaml

    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise NotEdited(f"it cannot be read: {where}{getattr(error, 'problem', None) or error}") from None


def child(node: Node, *keys: str) -> Node:
    """The node below these keys, None where there is none."""
    for key in keys:
        pairs = node.value if node is not None and node.id == "mapping" else []
        node = next((value for name, value in pairs if name.id == "scalar" and name.value == key), None)
    return node


def texts(node: Node) -> list[str]:
    """The texts of a list, or a single text; [] for anything else."""
    items = node.value if node is not None and node.id == "sequence" else [node]
    return [item.value for item in items if item is not None and item.id == "scalar"]


def with_key(text: str, block: str) -> str:
    """The text with a key more at its end; `block` is the key with all below it. Raises NotEdited."""
    root = parse(text)
    if root is not None and (root.id != "mapping" or root.flow_style or root.start_mark.column):
        raise NotEdited("it is not written as a block of keys")
    end = text if text.endswith("\n") or not text else text + newline(text)
    return _checked(text, end + _lines(block, text), (), len(root.value) if root else 0, block)


def with_line_before(text: str, key: str, line: str) -> str:
    """The text with a line, which is a key of its own, before another key of the root. Raises NotEdited."""
    root = parse(text)
    pairs = root.value if root is not None and root.id == "mapping" else []
    places = [(number, name.start_mark) for number, (name, _) in enumerate(pairs) if name.value == key]
    if not places or root.flow_style or places[0][1].column:
        raise NotEdited(f"it has no {key} at the beginning of a line")
    number, mark = places[0]
    return _checked(text, text[: mark.index] + _lines(line, text) + text[mark.index :], (), number, line)


def with_first(text: str, keys: tuple[str, ...], block: str) -> str:
    """The text with an item, or a key, before the first one of what stands below these keys. Raises NotEdited."""
    node = child(parse(text), *keys)
    mark = _start(text, node, keys)
    start = mark.index - mark.column
    return _checked(text, text[:start] + _lines(block, text, mark.column) + text[start:], keys, 0, block)


def with_last(text: str, keys: tuple[str, ...], block: str) -> str:
    """The text with an item, or a key, after the last one of what stands below these keys. Raises NotEdited."""
    node = child(parse(text), *keys)
    column = _start(text, node, keys).column
    leaf = node
    while leaf.id != "scalar" and leaf.value and not leaf.flow_style:
        leaf = leaf.value[-1][1] if leaf.id == "mapping" else leaf.value[-1]
    end = leaf.end_mark.index
    if text[:end].endswith("\n") or end == 0:  # a block of lines
        before, after = text[:end], text[end:]
    else:
        line_end = text.find("\n", end)
        before, after = (text + newline(text), "") if line_end < 0 else (text[: line_end + 1], text[line_end + 1 :])
    own = re.match(
        rf"(?:(?:[ \t]*\r?\n)*[ ]{{{column + 1},}}#.*(?:\n|$))*", after
    )  # comments that belong to what is there
    comments = own[0] if own else ""
    before, after = before + comments, after[len(comments) :]
    return _checked(text, before + _lines(block, text, column) + after, keys, len(node.value), block)


def newline(text: str) -> str:
    """How lines end in this text."""
    return "\r\n" if re.search(r"\r\n", text[: text.find("\n") + 1]) else "\n"


def _start(text: str, node: Node, keys: tuple[str, ...]) -> Any:
    """Where a block of items or keys begins: on a line where nothing else stands."""
    where = ".".join(keys)
    if node is None or node.id == "scalar" or node.flow_style or not node.value:
        raise NotEdited(f"{where} is not written as a block of lines")
    mark = node.start_mark
    if text[mark.index - mark.column : mark.index].strip(" "):
        raise NotEdited(f"{where} does not begin on a line of its own")
    return mark


def _lines(block: str, text: str, column: int = 0) -> str:
    lines = block.rstrip("\n").split("\n")
    return "".join((" " * column + line if line else "") + newline(text) for line in lines)


def _checked(old: str, new: str, keys: tuple[str, ...], number: int, block: str) -> str:
    """The new text, if that is what was meant: take the block out of it, and it says what the old one did."""
    before, after = _plain(parse(old)), _plain(parse(new))
    items = after
    for key in keys:
        items = next((value for name, value in items[1:] if name == ("scalar", _TEXT, key)), [""])
    (wanted,) = _plain(parse(block))[1:]
    inserted = items.pop(1 + number) if len(items) > 1 + number else None
    twice = isinstance(wanted, list) and after and _is_mapping(items) and wanted[0] in [name for name, _ in items[1:]]
    if twice or inserted != wanted or (before or [after[0]]) != after:
        raise NotEdited("lines cannot be put into it safely")
    return new


def _is_mapping(plain: Any) -> bool:
    return bool(plain[0] and plain[0][0] == "mapping")


_TEXT = "tag:yaml.org,2002:str"


def _plain(node: Node) -> Any:
    """What a node means, as lists: the kind, then the items, or pairs of key and value. [] for no node."""
    left = _MOST_NODES

    def plain(node: Node) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise NotEdited("it is too large, or aliases in it lead in circles")
        if node.id == "scalar":
            return (node.id, node.tag, node.value)
        if node.id == "sequence":
            return [(node.id, node.tag), *map(plain, node.value)]
        return [(node.id, node.tag), *([plain(name), plain(value)] for name, value in node.value)]

    try:
        return plain(node) if node is not None else []
    except RecursionError:
        raise NotEdited("it is nested too deeply") from None
