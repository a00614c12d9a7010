"""What is no id never stands in a path, a query or a command line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from git_clearml.base import ids

HASH, LONG_HASH = "0123456789abcdef" * 2 + "01234567", "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (ids.is_hash, [HASH, LONG_HASH, "0" * 40], ["", HASH[1:], HASH + "0", LONG_HASH[1:], HASH.upper()]),
        (ids.is_zero, ["0" * 40, "0" * 64, ""], [HASH, "0" * 39 + "1", " "]),
        (ids.is_clearml_id, ["a", "offline-0f", "A_b-9", "x" * 64], ["", "x" * 65, "a/b", "a.b", "é", "..", "a b"]),
        (ids.is_uuid, ["0123456789abcdef" * 2], ["0123456789abcdef", "0123456789ABCDEF" * 2, "g" * 32]),
        (ids.is_offline_id, ["offline-0", "offline-abc"], ["offline-", "offline-x", "0", "offline-" + "f" * 99]),
        (ids.side_ref_commit, ["0123456789ab-01234567"], ["0123456789ab", "0123456789ab-0123456", "../x-01234567"]),
    ],
)  # fmt: skip
def test_ids(check: Callable[[str], object], good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not check(text)] == []
    assert [text for text in bad if check(text)] == []
    for text in good:
        if text:
            assert not check(text + "\n")
            assert not check("\n" + text)


def test_digits_have_a_least_and_a_most() -> None:
    assert [
        text for text in ("abc", "abcd", "abcdef", "abcdef0", "abcg", "ABCD", "", "٣٣٣٣") if ids.is_hex(text, 4, 6)
    ] == [
        "abcd",
        "abcdef",
    ]


def test_the_commit_of_a_side_ref() -> None:
    assert ids.side_ref_commit("0123456789ab-01234567") == "0123456789ab"
