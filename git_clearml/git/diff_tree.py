"""A `git diff-tree` that stays to be asked again, for differences that are no more than a few files.

Whatever goes wrong with it ends it, and whoever asks starts one for this question alone, which says why, and which is
read while it writes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from git_clearml.git.cat_file import SECONDS, portions
from git_clearml.git.output import stdin_lines
from git_clearml.git.runner import GitDialogue

_MOST = 4_000_000  # bytes of an answer: a large one is not kept


class DiffTree:
    """`start` starts a `git diff-tree --stdin`, which prints a line that is no pair as it is, and at once."""

    def __init__(self, start: Callable[[], GitDialogue]) -> None:
        self._start = start
        self._git: GitDialogue | None = None
        self._token = os.urandom(8).hex()  # the mark is read among names of files, which somebody else has chosen
        self._number = 0

    def output(self, pairs: Sequence[str]) -> bytes | None:
        """What git prints for these lines of two trees each; None where it ended, or where that is too much."""
        answer = bytearray()
        try:
            for questions in portions(pairs):
                if self._git is None or self._git.has_ended:
                    self.close()
                    self._git = self._start()
                self._number += 1
                mark = f"git-clearml-{self._token}-{self._number}"
                self._git.write(stdin_lines([*questions, mark]))
                end = f"{mark}\n".encode()
                while not answer.endswith(end):
                    block = self._git.read(SECONDS)
                    answer += block
                    if not block or len(answer) > _MOST:
                        self.close()
                        return None
                del answer[-len(end) :]
        except (OSError, ValueError):
            self.close()
            return None
        except BaseException:  # what is left of an answer would be taken for the next one
            self.close()
            raise
        return bytes(answer)

    def close(self) -> None:
        """Ends git."""
        if self._git is not None:
            self._git.close()
        self._git = None
