"""What somebody else wrote is checked value by value; what is wrong with it is a sentence."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.base import jsonvalue
from git_clearml.base.jsonvalue import Malformed

EVERY = [None, True, 0, 7, -1, 1.5, math.nan, math.inf, 10**400, "", "x", [], ["x"], [1], {}, {"a": 1}]


@pytest.mark.parametrize(
    ("read", "accepted", "sentence"),
    [
        (jsonvalue.mapping, [{}, {"a": 1}], "it is not an object"),
        (jsonvalue.items, [[], ["x"], [1]], "it is not a list"),
        (jsonvalue.text, ["", "x"], "it is not a string"),
        (jsonvalue.texts, [[], ["x"]], "it is not a list"),
        (jsonvalue.integer, [0, 7, -1, 10**400], "it is not a whole number"),
        (jsonvalue.number, [0, 7, -1, 1.5], "it is not a number"),
    ],
)
def test_each_reader_takes_its_own_type_alone(
    read: Callable[[Any, str], Any], accepted: list[Any], sentence: str
) -> None:
    for value in EVERY:
        if any(value is each or (type(value) is type(each) and value == each) for each in accepted):
            read(value, "it")
        else:
            with pytest.raises(Malformed, match=sentence):
                read(value, "it")


def test_values_come_back_as_they_are() -> None:
    assert jsonvalue.texts(("a", "b"), "it") == ("a", "b")
    assert jsonvalue.number(3, "it") == 3.0
    assert jsonvalue.parse_object(b'{"a": 1, "a": 2}') == {"a": 2}
    assert jsonvalue.finite(7) == 7.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "it is empty"),
        (" \n", "it is empty"),
        (b"{", "it is not JSON"),
        (b"\xff", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("1" * 5000, "it is not JSON"),
        ("[1]", "it is not an object"),
    ],
)
def test_what_is_no_object_says_so(text: bytes | str, sentence: str) -> None:
    with pytest.raises(Malformed, match=f"^{sentence}$"):
        jsonvalue.parse_object(text)


@given(st.binary())
def test_whatever_it_is_nothing_else_is_raised(content: bytes) -> None:
    with contextlib.suppress(Malformed):
        jsonvalue.parse(content)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_what_json_wrote_is_read_back(value: Any) -> None:
    assert jsonvalue.parse(json.dumps(value)) == value
