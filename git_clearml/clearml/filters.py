"""Does a task that a server answered pass the filters that it was asked for? Pure.

A server, or a proxy before it, may ignore a filter: what it then sends must neither verify a commit nor be acted upon.
Every filter of every task query is applied again here, to the fields of the answer. Numbers in brackets are points of
the README of tests/contract/recordings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

from git_clearml.base.words import moment
from git_clearml.clearml import response

Document = Mapping[str, Any]
Test = Callable[[Document], bool]

_COMMIT = "script.version_num"
_NO_FILTERS = ("order_by", "page", "page_size", "scroll_id", "size", "only_fields", "search_hidden")
_LISTS = ("tags", "system_tags")
_PLAIN = ("id", "status", "project", "parent", "type")
_TIMES = ("last_update", "last_change", "status_changed", "created", "started", "completed")
_SEARCHES = ("_all_", "_any_")
_PROPERTY = "hyperparams."


def fields(query: Mapping[str, Any]) -> list[str]:
    """The fields of an answer that `passes` looks at."""
    searched = (field for name in _SEARCHES for field in query.get(name, {}).get("fields", ()))
    return [*(name for name in query if name not in (*_NO_FILTERS, *_SEARCHES)), *searched]


def passes(query: Mapping[str, Any]) -> Test:
    """The test for one task of an answer to this query. Raises ValueError for a filter that is not known here.

    The test raises BadAnswer for a field of the wrong type.
    """
    tests = [_test(name, value) for name, value in query.items() if name not in _NO_FILTERS and value]
    return lambda document: all(test(document) for test in tests)


def _test(name: str, value: Any) -> Test:
    if name in _SEARCHES:
        searches = [_search(field, value["pattern"]) for field in value["fields"]]
        combine = all if name == "_all_" else any
        return lambda document: combine(search(document) for search in searches)
    if name in _LISTS:
        return _tagged(name, value)
    if name in _TIMES:
        bounds = [_bound(text) for text in value]
        # Bounds spare the server work, and no verdict hangs on them: without a time nothing speaks against a task.
        return lambda document: name not in document or all(bound(response.text(document, name)) for bound in bounds)
    if name == "name":
        pattern = re.compile(value)
        return lambda document: bool(pattern.search(response.text(document, name)))
    if name in _PLAIN or name.startswith(_PROPERTY):
        wanted = frozenset([value] if isinstance(value, str) else value)
        return lambda document: _value(document, name) in wanted
    raise ValueError(f"no test for the filter {name!r}")


def _value(document: Document, path: str) -> str:
    """The text at a dotted path; of a reference, which may be an object, its id."""
    document, last = _parent(document, path)
    value = document.get(last)
    return response.text(value, "id") if isinstance(value, dict) else response.text(document, last)


def _has(document: Document, path: str) -> bool:
    document, last = _parent(document, path)
    return document.get(last) is not None


def _parent(document: Document, path: str) -> tuple[Document, str]:
    *parents, last = path.split(".")
    return reduce(response.part, parents, document), last


def _search(field: str, pattern: str) -> Test:
    """An unanchored search that ignores case, as the server's is [5]; an absent field never matches [7]."""
    if field == _COMMIT:
        return _of_commits(pattern)
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda document: bool(compiled.search(_value(document, field))) if _has(document, field) else False


def _of_commits(pattern: str) -> Test:
    """For `^(a|b)$` and `^(a|b)` of `query.patterns`: no expression of 500 alternatives is compiled for it."""
    names = frozenset(re.sub(r"[()^$]", "", pattern).split("|"))
    lengths = {len(name) for name in names}
    whole = pattern.endswith("$")

    def test(document: Document) -> bool:
        commit = response.text(response.part(document, "script"), "version_num")
        return commit in names if whole else any(commit[:length] in names for length in lengths)

    return test


def _tagged(name: str, rules: Sequence[str]) -> Test:
    """The little language of tag lists [12]: any of the tags, all after `__$all`, none after `-` or `__$not`."""
    wanted, unwanted, negated = set(), set(), False
    for rule in rules:
        if negated or rule.startswith("-"):
            unwanted.add(rule if negated else rule[1:])
        elif not rule.startswith("__$"):
            wanted.add(rule)
        negated = rule == "__$not"
    every = "__$all" in rules

    def test(document: Document) -> bool:
        tags = set(response.texts(document, name))
        enough = wanted <= tags if every else not wanted or bool(wanted & tags)
        return enough and not unwanted & tags

    return test


def _bound(text: str) -> Callable[[str], bool]:
    """`>=2035-01-01T00:00:00` and its like [16]; a time without zone is UTC."""
    match = re.fullmatch(r"(>=|<=|>|<)?(.+)", text)
    limit = moment(match[2]) if match else None
    if match is None or limit is None:
        raise ValueError(f"no time: {text!r}")
    operator = match[1]

    def test(value: str) -> bool:
        time = moment(value)
        if time is None:
            return False
        if operator in (">", ">="):
            return time > limit or (operator == ">=" and time == limit)
        return time < limit or (operator == "<=" and time == limit) or (not operator and time == limit)

    return test
