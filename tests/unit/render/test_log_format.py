"""Placeholders of ours in `git clearml log --format`: whatever stands there, a template or an error of ours."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.errors import UsageError
from git_clearml.record.model import RecordedTask
from git_clearml.render import log_format

PARTS = st.sampled_from([
    "%", "%%", "%(", ")", "(clearml:", "%(clearml:", "%(clearml:id)", "%(clearml:metric:a/b)", "%+(clearml:url)",
    "% (clearml:name)", "%<(20)", "%>>(3,trunc)", "%><(0)", "%<(0000000000009)", "%>(99999)", "%<(٣)", "%C(always,red)",
    "%Cred", "%x00", "%x29", "%x7f", "%xfF", "\x01", "\x02", "\x1b[31m", "\n", "\r", "\udcff",
    "%(trailers:key=a)", "%w(",
])  # fmt: skip
COMMIT, TOKEN = "a" * 40, "c0ffee"
TASK = RecordedTask(task="\x1b]0;t\x07" * 3, name="a\nb\u202e", project="", status="completed", completed="", url="")


@given(st.lists(PARTS | st.text(max_size=5), max_size=12).map("".join), st.booleans(), st.integers(-5, 200))
def test_whatever_the_format(text: str, colours: bool, width: int) -> None:
    template = None
    with contextlib.suppress(UsageError):
        template = log_format.parse(text, TOKEN, colours=colours)
    if template is None:
        return
    marks = "".join(f"\x01{TOKEN}{number}:{COMMIT}\x02 " for number in range(len(template.fields)))
    for tasks in ({}, {COMMIT: [TASK]}):
        shown = template.filled(f"{marks}\x1b]0;title\x07{text}", tasks, ["a/b"], width=width)
        assert TOKEN not in shown or TOKEN in text
        assert "\x1b]" not in shown
        assert "\x07" not in shown


@pytest.mark.parametrize("width", ["10000", "1000000000", "9" * 5000])
def test_a_width_that_no_line_has(width: str) -> None:
    with pytest.raises(UsageError):
        log_format.parse(f"%<({width})%(clearml:id)", TOKEN, colours=False)
