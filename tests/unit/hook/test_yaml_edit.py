"""A block more in a YAML file: what is there keeps every byte, and means what it meant; else the file is left alone."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.hook import yaml_edit
from git_clearml.hook.yaml_edit import NotEdited

ITEM, KEY = "- repo: local\n  hooks: []\n", "new:\n  run: it\n"
REPO = {"repo": "local", "hooks": []}
LAST = {  # the text, with @ where the item belongs
    "at column 0": "repos:\n- repo: x\n  rev: v1\n@",
    "with comments": "# top\nrepos:  # all\n  - repo: x\n    rev: v1  # keep\n    # - off\n\n    # x\n@# end\n",
    "before another key": "repos:\n-   repo: x\n    hooks:\n    -   id: a\n@ci:\n    skip: [a]\n",
    "windows": "repos:\r\n  - repo: x\r\n@\r\nfail_fast: true\r\n",
    "a block of lines": "repos:\n- repo: x\n  entry: |-\n    a\n    b\n@ci: {}\n",
    "without an end of line": "repos:\n- repo: x",
    "an alias and a tag": "a: &a [1]\nrepos:\n- repo: *a\n  own: !tag x\n@z: *a\n",
}
ODD = {
    "flow": "repos: [{repo: x}]\n",
    "empty": "repos: []\n",
    "no such key": "a: 1\n",
    "text": "repos: x\n",
    "a list": "- repo: x\n",
    "two documents": "repos:\n- a\n---\nb: 1\n",
    "no YAML": "repos: [\n",
    "tabs": "repos:\n\t- a\n",
    "in circles": "repos: &x\n- *x\n",
    "ever more": "a: &a [x, x, x, x, x, x, x, x]\n"
    + "".join(f"{b}: &{b} [{', '.join(['*' + a] * 8)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "repos:\n- 1\n",
}


@pytest.mark.parametrize("name", LAST)
def test_an_item_at_the_end_of_a_list(name: str) -> None:
    before, _, after = LAST[name].partition("@")
    text = before + after
    new = yaml_edit.with_last(text, ("repos",), ITEM)
    assert new.startswith(before)
    assert new.endswith(after)
    assert len(new) - len(text) < 60
    assert ("\r\n" in new) == ("\r\n" in text)
    assert new.count("\n") == new.count("\r\n") or "\r" not in new
    plain = text.replace("!tag ", "")
    expected = yaml.safe_load(plain)
    expected["repos"].append(REPO)
    assert yaml.safe_load(new.replace("!tag ", "")) == expected


@pytest.mark.parametrize("name", ODD)
def test_what_is_not_safe_is_left_alone(name: str) -> None:
    with pytest.raises(NotEdited):
        yaml_edit.with_last(ODD[name], ("repos",), ITEM)


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda text: yaml_edit.with_key(text, KEY), "{a: 1}\n"),
        (lambda text: yaml_edit.with_key(text, KEY), "a: 1\n...\n"),
        (lambda text: yaml_edit.with_key(text, KEY), "new: 1\n"),
        (lambda text: yaml_edit.with_key(text, KEY), "  a: 1\n"),
        (lambda text: yaml_edit.with_first(text, ("a",), KEY), "a: {b: 1}\n"),
        (lambda text: yaml_edit.with_first(text, ("a",), KEY), "- a:\n    b: 1\n"),
        (lambda text: yaml_edit.with_line_before(text, "repos", "x: [y]"), "{repos: 1}\n"),
        (lambda text: yaml_edit.with_line_before(text, "repos", "x: [y]"), "--- {repos: 1}\n"),
        (lambda text: yaml_edit.with_line_before(text, "nosuch", "x: [y]"), "repos: 1\n"),
    ],
)
def test_other_edits_that_are_not_safe(edit: Callable[[str], str], text: str) -> None:
    with pytest.raises(NotEdited):
        edit(text)


LEAVES = st.one_of(st.booleans(), st.integers(), st.text(max_size=12), st.none(), st.just([]), st.just({}))
NAMES = st.text("abcxyz-_é# ", min_size=1, max_size=6)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)


@given(
    st.dictionaries(NAMES, VALUES, max_size=3),
    st.lists(VALUES, min_size=1, max_size=3),
    st.sampled_from([0, 2]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_whatever_is_there_stays(others: dict[str, Any], items: list[Any], indent: int, end: str, flow: bool) -> None:
    document = {**others, "repos": items}
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, default_flow_style=None if flow else False)
    head, _, tail = text.partition("repos:\n")
    if indent and tail:
        text = head + "repos:\n" + textwrap.indent(tail, "  ", lambda line: bool(line.strip()))
    text = text.replace("\n", end)
    for edit, meant in (
        (lambda: yaml_edit.with_last(text, ("repos",), ITEM), {**document, "repos": [*items, REPO]}),
        (lambda: yaml_edit.with_first(text, ("repos",), ITEM), {**document, "repos": [REPO, *items]}),
        (lambda: yaml_edit.with_key(text, KEY), {**document, "new": {"run": "it"}}),
        (lambda: yaml_edit.with_line_before(text, "repos", "x-y: [z]"), {**document, "x-y": ["z"]}),
    ):
        try:
            new = edit()
        except NotEdited:
            continue
        lines, position = new.splitlines(True), 0
        for line in text.splitlines(True):  # each line of the old text, in its order
            position = lines.index(line if line in lines else line + end, position) + 1
        try:
            before = yaml.safe_load(text)
        except yaml.YAMLError:
            continue
        if before == document:
            assert yaml.safe_load(new) == meant
