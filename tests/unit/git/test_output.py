"""How git's output is read: pure."""

from __future__ import annotations

import pytest

from git_clearml.git import output

NO_LINE_ENDS = "a\rb\x0bc\x0cd\x1ce\x1df\x1eg\x85h\u2028i\u2029j"


def test_output_is_cut_at_line_feeds_only() -> None:
    assert output.lines(f"{NO_LINE_ENDS}\nsecond\n".encode()) == [NO_LINE_ENDS, "second"]
    assert output.lines(b"no line feed at the end") == ["no line feed at the end"]
    assert output.lines(b"first\n\n third\r\n") == ["first", "", " third\r"]
    assert output.lines(b"") == []


def test_entries_are_cut_at_nul_only() -> None:
    assert output.entries(f"{NO_LINE_ENDS}\n\0second\0".encode()) == [f"{NO_LINE_ENDS}\n", "second"]
    assert output.entries(b"") == []


def test_bytes_that_are_not_utf8_go_in_and_out_unchanged() -> None:
    (text,) = output.lines(b"caf\xe9\n")
    assert output.stdin_lines([text]) == b"caf\xe9\n"


@pytest.mark.parametrize(
    ("stderr", "expected"),
    [
        ("", "exit status 128"),
        ("fatal: bad object abc\n", "bad object abc"),
        ("warning: something\nerror: no\nfatal: later\n", "no"),
        ("To https://example.com/x.git\n ! [rejected]\nerror: failed to push some refs to 'x'\n", "! [rejected]"),
        ("error: failed to push some refs to 'x'\n", "failed to push some refs to 'x'"),
        ("hint: do this\nhook: tests fail\nand more\n", "hook: tests fail"),
        ("warning: lazy fetching disabled; some objects may not be available\nfatal: bad tree\n", "bad tree"),
        ("fatal: no 'https://me:s3cret@example.com/x.git/': 403\n", "no 'https://example.com/x.git/': 403"),
        ("fatal: path 'a\u2028b' does not exist\n", "path 'a\u2028b' does not exist"),
    ],
)  # fmt: skip
def test_the_line_that_says_why(stderr: str, expected: str) -> None:
    assert output.reason(stderr, 128) == expected
