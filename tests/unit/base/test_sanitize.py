"""Text from elsewhere moves no terminal, reorders nothing and hides nothing, whatever characters it is made of."""

from __future__ import annotations

import pytest

from git_clearml.base.sanitize import sanitize, sanitize_lines

HIDDEN = [
    *range(0x20), *range(0x7F, 0xA0),  # control characters
    0xAD, 0x34F, 0x180E, 0x17B4, 0x17B5,  # soft hyphen, joiner, vowel separator: nothing to see
    0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A),  # bidirectional
    0x200B, *range(0x2060, 0x2066), *range(0x206A, 0x2070), 0xFEFF,  # without width: operators, shapes, joiners
    0x2028, 0x2029,  # line and paragraph
    0xFFF9, 0xFFFA, 0xFFFB,  # annotations
    *range(0xFE00, 0xFE0E), 0xE0100, 0xE01EF,  # variation selectors, which can carry any bytes
    *range(0xE0000, 0xE0080),  # tags
    0x1D173, 0x1D17A, 0x1BCA0, 0x1BCA3,
    0xD800, 0xDB40, 0xDFFF,  # lone surrogates
    0xE000, 0xF0000, 0x0378, 0xFFFF,  # private, unassigned
]  # fmt: skip


@pytest.mark.parametrize("number", HIDDEN, ids="U+{:04X}".format)
def test_what_must_not_be_printed_is_not(number: int) -> None:
    for text in (f"a{chr(number)}b", f"é{chr(number)}b"):
        shown = sanitize(text)
        assert chr(number) not in shown or number == 0x20
        assert shown.encode("utf-8").decode("utf-8") == shown
        assert shown in (f"{text[0]}\N{REPLACEMENT CHARACTER}b", f"{text[0]} b")


@pytest.mark.parametrize(
    "text", ["résumé", "👩‍💻 training", "❤️ ☺︎", "نمی‌خواهم", "日本語", "e\u0301", "हिन्दी", "a ~ \\ b", "עברית"]
)
def test_words_and_emoji_stay(text: str) -> None:
    assert sanitize(text) == text


def test_several_lines_stay_lines() -> None:
    assert sanitize_lines("a\n\x1b[31mb\r\nc\u2028d\n\n") == "a\n\N{REPLACEMENT CHARACTER}[31mb\nc d\n\n"
    assert sanitize_lines("  indented\ttext") == "  indented text"
    assert sanitize_lines("") == ""
