"""Which trees have the same code, in each of several senses of what is code: asked of git once for all of them.

Each tree is compared with one and the same other, and two have the same code where they differ from that one in the
same files: so a thousand trees take a thousand comparisons, and not as many as there are pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from git_clearml.git import changes
from git_clearml.git.changes import Change
from git_clearml.git.repository import Repository

_MOST = 20_000  # trees that are compared at once

IsCode = Callable[[Change], bool]


class SameCode:
    """What has been compared so far. `senses` say which changes are of code, None where no two trees are the same."""

    def __init__(self, repository: Repository, senses: Sequence[IsCode | None]) -> None:
        self._repository = repository
        self._senses = list(enumerate(senses))
        self._anybody = any(senses)
        self._reference = ""
        self._digests: dict[str, list[bytes]] = {}  # by tree, for each sense

    def learn(self, trees: Iterable[str]) -> None:
        """Compares these trees. One git process. Raises CannotDecide where git cannot read one of them."""
        new = [tree for tree in dict.fromkeys(trees) if tree and tree not in self._digests][:_MOST]
        if not self._anybody or not new:
            return
        if not self._reference:
            self._reference, *new = new
            self._digests[self._reference] = [hashlib.sha256().digest() for _ in self._senses]
        hashes = [[hashlib.sha256() for _ in self._senses] for _ in new]
        for place, change in changes.between(self._repository, [(self._reference, tree) for tree in new]):
            entry = f"{change.path}\0{change.after}\0{change.name}\0".encode("utf-8", "surrogateescape")
            for number, is_code in self._senses:
                if is_code and is_code(change):
                    hashes[place][number].update(entry)
        self._digests |= {tree: [each.digest() for each in own] for tree, own in zip(new, hashes, strict=True)}

    def digest(self, tree: str, sense: int) -> bytes:
        """A name for the tree's code in this sense; b"" where that is not known, or no other tree's is the same."""
        digests = self._digests.get(tree)
        return digests[sense] if digests and self._senses[sense][1] else b""

    def same(self, tree: str, other: str, sense: int) -> bool:
        """Is it known that the two have the same code in this sense?"""
        digest = self.digest(tree, sense)
        return bool(digest) and digest == self.digest(other, sense)
