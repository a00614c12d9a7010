"""A `git diff-tree` that stays to be asked again, for differences that are no more than a few files.

Whatever goes wrong with it ends it, and whoever asks starts one for this question alone, which says why, and which is
read while it writes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from git_clearml.git.cat_file import Ended, KeptGit, portions
from git_clearml.git.runner import GitDialogue

_MOST = 4_000_000  # bytes of an answer: a large one is not kept


class DiffTree(KeptGit):
    """A `git diff-tree --stdin`, which prints a line that is no pair as it is, and at once."""

    def __init__(self, start: Callable[[], GitDialogue]) -> None:
        super().__init__(start)
        self._token = os.urandom(8).hex()  # the mark is read among names of files, which somebody else has chosen

    def output(self, pairs: Sequence[str]) -> bytes | None:
        """What git prints for these lines of two trees each; None where it ended, or where that is too much."""
        return self._whole(lambda: self._output(pairs))

    def _output(self, pairs: Sequence[str]) -> bytes:
        answer = bytearray()
        for questions in portions(pairs):
            self._number += 1
            mark = f"git-clearml-{self._token}-{self._number}"
            self._write([*questions, mark])
            end = f"{mark}\n".encode()
            while not answer.endswith(end):
                answer += self._read()
                if len(answer) > _MOST:
                    raise Ended
            del answer[-len(end) :]
        return bytes(answer)
