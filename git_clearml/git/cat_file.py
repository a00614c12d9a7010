"""A `git cat-file` that stays to be asked again: a refusal asks it ten times, and a start takes longer than an answer.

Whatever goes wrong with it ends it, and whoever asks starts one for this question alone, which says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from git_clearml.git.output import stdin_lines
from git_clearml.git.runner import GitDialogue

_AT_ONCE = 4096  # bytes of questions: what any pipe takes before somebody reads
SECONDS = 60.0  # for a block of an answer: then one that is asked by itself has its own time

_Answer = TypeVar("_Answer")


class Ended(Exception):
    """git has ended, says nothing, or something else."""


class KeptGit:
    """A git that stays; `start` starts it."""

    def __init__(self, start: Callable[[], GitDialogue]) -> None:
        self._start = start
        self._git: GitDialogue | None = None
        self._number = 0  # of the questions that mark the end of an answer

    def close(self) -> None:
        """Ends git."""
        if self._git is not None:
            self._git.close()
        self._git = None

    def _write(self, questions: Iterable[str]) -> None:
        """Puts the questions, to a git that is started where none is left."""
        if self._git is None or self._git.has_ended:
            self.close()
            self._git = self._start()
        self._git.write(stdin_lines(questions))

    def _read(self) -> bytes:
        block = self._git.read(SECONDS) if self._git else b""
        if not block:
            raise Ended
        return block

    def _whole(self, answer: Callable[[], _Answer]) -> _Answer | None:
        """The answer, None where git ended."""
        try:
            return answer()
        except (Ended, OSError, ValueError):
            self.close()
            return None
        except BaseException:  # what is left of an answer would be taken for the next one
            self.close()
            raise


class CatFile(KeptGit):
    """One mode of `git cat-file --batch...`."""

    def __init__(self, start: Callable[[], GitDialogue]) -> None:
        super().__init__(start)
        self._rest = b""  # of what git has written

    def lines(self, names: Sequence[str]) -> list[bytes] | None:
        """A line for each name; None where git ended."""
        return self._whole(lambda: self._answers(names, self._line))

    def contents(self, names: Sequence[str]) -> list[bytes | None] | None:
        """The content of each object, of which git says the size first; None for one that is missing, and for all where
        git ended."""
        return self._whole(lambda: self._answers(names, self._content))

    def close(self) -> None:
        """Ends git."""
        super().close()
        self._rest = b""

    def _answers(self, names: Sequence[str], answer: Callable[[], _Answer]) -> list[_Answer]:
        answers: list[_Answer] = []
        for questions in portions(names):
            self._write(questions)
            answers += [answer() for _ in questions]
        self._check()
        return answers

    def _check(self) -> None:
        """Was that all of it? Somebody's git may print more than it is asked, and each answer would be another's."""
        if self._git is None:
            return
        self._number += 1
        name = f"git-clearml-{self._number}"
        self._git.write(stdin_lines([name]))
        if self._line().decode("utf-8", "replace") != f"{name} missing" or self._rest:
            raise Ended

    def _line(self) -> bytes:
        while b"\n" not in self._rest:
            self._rest += self._read()
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _content(self) -> bytes | None:
        header = self._line()
        if not header.isdigit():
            return None
        size = int(header)
        blocks, length = [self._rest], len(self._rest)
        while length <= size:  # a line feed follows
            blocks.append(self._read())
            length += len(blocks[-1])
        whole = b"".join(blocks)
        self._rest = whole[size + 1 :]
        return whole[:size]


def portions(names: Sequence[str]) -> Iterator[list[str]]:
    """The questions in parts that any pipe takes before somebody reads."""
    portion: list[str] = []
    length = 0
    for name in names:
        size = len(name.encode("utf-8", "surrogateescape")) + 1
        if portion and length + size > _AT_ONCE:
            yield portion
            portion, length = [], 0
        portion.append(name)
        length += size
    if portion:
        yield portion
