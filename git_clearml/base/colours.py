"""The colours of a terminal. Whether there are any only the console says: a renderer is told, and paints here. Pure."""

from __future__ import annotations

GREEN, YELLOW, RED, DIM = "32", "33", "31", "2"
"""Good, not yet or not known, bad; and what matters less."""


def painted(words: str, shade: str, colour: bool = True) -> str:
    """The words in this shade, "" for none, where there are colours at all."""
    return f"\x1b[{shade}m{words}\x1b[0m" if colour and shade and words else words
