"""How the Markdown of one forge differs from another's: what it hides, folds and draws, and how much it takes. Pure.

A page is written for GitHub; `adapted` makes of it what another forge shows in the same way. The `<` of a page are its
own: none comes through `markdown.escape`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def _html_comment(name: str, value: str) -> str:
    return f"<!-- {name}: {value} -->"


def _as_it_is(text: str) -> str:
    return text


@dataclass(frozen=True)
class Flavour:
    """The Markdown of a forge's comments.

    `limit` is in characters. `hidden` makes a line that nobody sees of a name and a value of no more than letters,
    digits, spaces and `._/+=-`. `folds` where `<details>` works, `draws` where a Mermaid block is drawn. `adapted` is
    the last step: it makes a page no longer than it was.
    """

    limit: int
    hidden: Callable[[str, str], str] = _html_comment
    folds: bool = True
    draws: bool = True
    adapted: Callable[[str], str] = _as_it_is

    def hidden_value(self, line: str, name: str) -> str | None:
        """What a line of `hidden` holds under this name, None for another line."""
        before, after = self.hidden(name, "\0").split("\0")
        ours = len(line) >= len(before) + len(after) and line.startswith(before) and line.endswith(after)
        return line[len(before) : len(line) - len(after)] if ours else None


GITHUB = Flavour(65_536)
