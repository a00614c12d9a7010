"""What `git clearml init` does to each file, as a value: planned, and then done or not. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Action = Literal["created", "changed", "unchanged"]


@dataclass(frozen=True)
class Change:
    """One file. `path` is as seen from the top of the working tree, absolute where it lies elsewhere.

    `added` is what is new in it, or where `by_hand` says why we leave the file alone, what somebody has to put there.
    `lasting` files belong into a commit.
    """

    path: str
    action: Action
    says: str
    added: str = ""
    by_hand: str = ""
    lasting: bool = True


@dataclass(frozen=True)
class Setup:
    """All that `init` found, does and leaves to do. Sentences in it may hold text of a server or of a file: untrusted.

    `facts` are pairs of a subject and what was found out; `hints` what to do afterwards.
    """

    facts: tuple[tuple[str, str], ...]
    changes: tuple[Change, ...]
    hints: tuple[str, ...] = ()

    @property
    def is_done(self) -> bool:
        """Is there nothing to write?"""
        return all(change.action == "unchanged" for change in self.changes)

    @property
    def is_left(self) -> bool:
        """Is there anything that somebody has to do by hand before the gate stands?"""
        return any(change.by_hand for change in self.changes)
