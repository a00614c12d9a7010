"""The variables of a CI job: each is absent, or what the service or somebody who may push has put there. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from git_clearml.base.ids import is_hash, is_hex, is_zero

SHORTEST = 7  # digits of an abbreviated hash; with fewer it says too little


@dataclass(frozen=True)
class Variables:
    """The variables of a job; an absent one is "", and so is one of several lines."""

    environment: Mapping[str, str]

    def text(self, *names: str) -> str:
        """The first of the variables that says anything."""
        values = (self.environment.get(name, "").strip() for name in names)
        return next((value for value in values if value and value.isprintable()), "")

    def texts(self, *names: str) -> tuple[str, ...]:
        """Those of the variables that say anything."""
        values = (self.text(name) for name in names)
        return tuple(value for value in values if value)

    def commit(self, *names: str) -> str:
        """The first of the variables that holds a commit's full hash, "" for none."""
        return next((name for name in self._hashes(names) if is_hash(name)), "")

    def abbreviated(self, *names: str) -> str:
        """The first of the variables that holds a commit's hash, of which digits may be left out, "" for none."""
        return next((name for name in self._hashes(names) if is_hex(name, SHORTEST, 64)), "")

    def another(self, commit: str, *names: str) -> str:
        """The first of the variables that holds a hash, perhaps cut, of another commit than this one, "" for none.

        Of a range (`OLD...NEW`, as Travis CI has it) the old one.
        """
        hashes = (self.text(name).lower().partition("..")[0] for name in names)
        whole = (name for name in hashes if is_hex(name, SHORTEST, 64) and not is_zero(name))
        return next(
            (name for name in whole if not (commit and (commit.startswith(name) or name.startswith(commit)))), ""
        )

    def number(self, *names: str) -> int:
        """The first of the variables, where that is a number above 0; else 0."""
        text = self.text(*names)
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0

    def _hashes(self, names: tuple[str, ...]) -> list[str]:
        return [text for name in names if (text := self.text(name).lower()) and not is_zero(text)]
