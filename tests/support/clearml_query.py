"""Filters, order, pages and scrolls of the `get_all` calls (points 4 to 16)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from tests.support.clearml_common import ApiError, Json, new_id, parse_time
from tests.support.clearml_fields import MISSING, check_fields, lookup
from tests.support.clearml_store import Store

PAGE_LIMIT = 500  # point 14
# Point 6: a pattern of 32352 characters passes, one of 32393 does not; where between is not known.
PATTERN_LIMIT = 32392

Test = Callable[[Json], bool]


@dataclass(frozen=True)
class Kind:
    """What can be asked of one kind of document; any other key of a body is ignored (point 4)."""

    name: str
    exact: tuple[str, ...] = ("id",)
    patterns: tuple[str, ...] = ("name",)
    times: tuple[str, ...] = ()


TASKS = Kind(
    "Task",
    exact=("id", "user", "type", "status", "project", "parent", "execution.queue"),
    patterns=("name", "comment"),
    times=("created", "started", "completed", "last_update", "status_changed"),
)
PROJECTS = Kind("Project", exact=("id", "user", "parent"), times=("created", "last_update"))
QUEUES = Kind("Queue")


def matching(documents: list[Json], body: Json, kind: Kind) -> list[Json]:
    """The documents that pass every filter of a body, in the order that it asks for."""
    tests = _tests(body, kind)
    found = [document for document in documents if all(test(document) for test in tests)]
    return _ordered(found, body)


def page(found: list[Json], body: Json, store: Store) -> tuple[list[Json], Json]:
    """One page of what was found, and `scroll_id` when the body asks to scroll (points 14 and 15)."""
    if "scroll_id" in body:
        return _scrolled(found, body, store)
    number = int(body.get("page") or 0)
    size = body.get("page_size")
    if number < 0:
        raise ApiError(400, 12, "Validation error (page must be >=0)", field="page")
    if size is not None and int(size) <= 0:
        raise ApiError(400, 12, "Validation error (page_size must be >0)", field="page_size")
    size = min(int(size or PAGE_LIMIT), PAGE_LIMIT)
    return found[number * size : (number + 1) * size], {}


def _scrolled(found: list[Json], body: Json, store: Store) -> tuple[list[Json], Json]:
    size = body.get("size")
    if not isinstance(size, int) or size < 1:
        reason = "Integer size parameter greater than 1 should be provided when working with scroll"
        raise ApiError(400, 12, f"Validation error ({reason})")
    scroll = body["scroll_id"]
    if scroll not in store.scrolls:
        scroll = new_id()
        store.scrolls[scroll] = found
    rest = store.scrolls[scroll]
    store.scrolls[scroll] = rest[size:]
    return rest[:size], {"scroll_id": scroll}


def _tests(body: Json, kind: Kind) -> list[Test]:
    tests: list[Test] = []
    for name in kind.exact:
        if body.get(name):  # an empty list is no filter (points 10 and 11)
            tests.append(_exact(name, _values(body[name])))
    for name in body:
        if kind is TASKS and name.startswith("hyperparams."):  # exactly, as a list [52-2, 52-3, 52-4]
            tests.append(_exact(name, _values(body[name])))
    for name in ("tags", "system_tags"):
        if body.get(name):
            tests.append(_tagged(name, _values(body[name])))
    for name, rule in (body.get("filters") or {}).items():
        if name in ("tags", "system_tags"):  # other names are ignored (point 4)
            tests.extend(_tag_rules(name, rule))
    for name in kind.patterns:
        if body.get(name):
            tests.append(_pattern(name, _compiled(body[name])))
    for name in kind.times:
        if body.get(name):
            tests.extend(_time(name, text) for text in _values(body[name]))
    for operator, combine in (("_all_", all), ("_any_", any)):
        if body.get(operator) is not None:
            tests.extend(_search(operator, combine, body[operator], kind))
    return tests


def _values(value: Any) -> list[Any]:
    """A bare string is taken as a list of one (point 10)."""
    return value if isinstance(value, list) else [value]


def _exact(name: str, values: list[Any]) -> Test:
    """Any of the values; those after a minus are excluded (point 11)."""
    excluded = {value[1:] for value in values if isinstance(value, str) and value.startswith("-")}
    wanted = {value for value in values if not (isinstance(value, str) and value.startswith("-"))}

    def test(document: Json) -> bool:
        value = lookup(document, name)
        value = None if value is MISSING else value
        return value not in excluded and (not wanted or value in wanted)

    return test


def _tagged(name: str, values: list[Any]) -> Test:
    """The little language of tag lists (point 12): -x, __$all, __$any, __$not, null."""
    every = False
    negate = False
    wanted: list[Any] = []
    excluded: list[str] = []
    for value in values:
        if value in ("__$all", "__$and", "__$any", "__$or"):
            every = value in ("__$all", "__$and")
        elif value == "__$not":
            negate = True
        elif negate:
            excluded.append(value)
            negate = False
        elif isinstance(value, str) and value.startswith("-"):
            excluded.append(value[1:])
        else:
            wanted.append(value)
    return _tag_test(name, wanted, excluded, every)


def _tag_rules(name: str, rule: Json) -> list[Test]:
    """`filters.tags` of the new form; only `all` is recorded [07-13]."""
    return [
        _tag_test(name, part.get("include") or [], part.get("exclude") or [], operator == "all")
        for operator, part in rule.items()
        if operator in ("all", "any") and part
    ]


def _tag_test(name: str, wanted: list[Any], excluded: list[str], every: bool) -> Test:
    def test(document: Json) -> bool:
        tags = document.get(name) or []
        if any(tag in tags for tag in excluded):
            return False
        hits = (not tags if tag is None else tag in tags for tag in wanted)
        return not wanted or (all(hits) if every else any(hits))

    return test


def _compiled(pattern: Any, flags: int = 0) -> re.Pattern[str]:
    """A pattern as the server compiles it: 400/21 when malformed, HTTP 500 when too long (points 6 and 7)."""
    try:
        compiled = re.compile(pattern, flags)
    except re.error as error:
        raise ApiError(400, 21, "Malformed regular expression", err=error, extra_info=None) from error
    if len(pattern) > PATTERN_LIMIT:
        reason = "Regular expression is invalid: regular expression is too large"
        raise ApiError(500, 1, f"Internal server error: err={reason}")
    return compiled


def _pattern(name: str, pattern: re.Pattern[str]) -> Test:
    """An unanchored search; absent fields never match, of a list one item must (points 5, 7 and 9)."""

    def test(document: Json) -> bool:
        value = lookup(document, name)
        values = value if isinstance(value, list) else [value]
        return any(isinstance(each, str) and pattern.search(each) is not None for each in values)

    return test


def _search(operator: str, combine: Callable[[list[bool]], bool], rule: Json, kind: Kind) -> list[Test]:
    if "fields" not in rule or "pattern" not in rule:
        reason = f"incorrect field format: field={operator}"
        title = "Invalid value for fields (failed parsing query field)"
        raise ApiError(400, 16, title, error=reason, field=operator)
    fields = rule["fields"]
    if not fields:  # no filter at all (point 7)
        return []
    check_fields(fields, kind.name)
    pattern = _compiled(rule["pattern"], re.IGNORECASE)
    tests = [_pattern(name, pattern) for name in fields]
    return [lambda document: combine([test(document) for test in tests])]


def _time(name: str, text: str) -> Test:
    """`>=2035-01-01T00:00:00` and its like (point 16)."""
    operator, moment = _comparison(text)

    def test(document: Json) -> bool:
        value = document.get(name)
        if not value:
            return False
        mine = parse_time(value)
        return {
            ">=": mine >= moment,
            "<=": mine <= moment,
            ">": mine > moment,
            "<": mine < moment,
            "": mine == moment,
        }[operator]

    return test


def _comparison(text: str) -> tuple[str, datetime]:
    operator = next((each for each in (">=", "<=", ">", "<") if text.startswith(each)), "")
    return operator, parse_time(text[len(operator) :])


def _ordered(found: list[Json], body: Json) -> list[Json]:
    """By the fields of `order_by`, the last one first; where values are equal, by age.

    Unknown fields change nothing (point 16).
    """
    names = _values(body.get("order_by") or [])
    if names and names[0].startswith("-"):
        found = found[::-1]
    for name in reversed(names):
        found = sorted(found, key=partial(_sort_key, name.lstrip("-")), reverse=name.startswith("-"))
    return found


def _sort_key(name: str, document: Json) -> tuple[int, Any]:
    """Absent values sort first, as in MongoDB; numbers before texts."""
    value = lookup(document, name)
    if value is MISSING or value is None:
        return (0, 0)
    if isinstance(value, (int, float)):
        return (1, value)
    return (2, str(value))
