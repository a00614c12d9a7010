"""What differs between trees: one `git diff-tree` for all pairs, however many, and read while it writes."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import NamedTuple

from git_clearml.errors import CannotDecide
from git_clearml.git.output import GitResult, cut, decode, stdin_lines
from git_clearml.git.runner import Runner, failure

SUBMODULE, LINK = "160000", "120000"
ABSENT = "000000"
"""Modes: of a submodule; of a symbolic link; of a file that is not there."""
LFS = b"version https://git-lfs.github.com/spec/"
"""How what is tracked of a file in git-lfs begins: a pointer to its content."""

EMPTY = {
    40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
"""The tree without files by the length of its hash; git knows it without having it."""

_DIFF = ("diff-tree", "--stdin", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", "--ignore-submodules=none")
WORDS = ("-c", "core.fsmonitor=false", *_DIFF)  # diff-tree looks at the index, and would ask about it
_PAIR = r"[0-9a-f]{40,64} [0-9a-f]{40,64}\n"  # compiled when used


class Change(NamedTuple):
    """A path that differs: its mode before and after (`000000`: no such file), and the object that it is, and was."""

    path: str
    before: str
    after: str
    name: str
    was: str

    @property
    def submodule(self) -> bool:
        """Is or was it a submodule?"""
        return SUBMODULE in (self.before, self.after)

    @property
    def plain(self) -> bool:
        """Is it, and was it, nothing that leads elsewhere: neither a submodule nor a link?"""
        return not {SUBMODULE, LINK} & {self.before, self.after}


def between(git: Runner, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, Change]]:
    """(number of the pair, what differs) for each pair of trees, by their hashes; a rename is two paths.

    Raises CannotDecide when git cannot read one of them, perhaps after some changes.
    """
    if not pairs:
        return
    questions = [f"{before} {after}" for before, after in pairs]
    kept = git.differences(questions)
    if kept is not None:
        count = yield from _parsed([kept], pairs)
    else:
        with git.stream(*WORDS, stdin=stdin_lines(questions)) as stream:
            count = yield from _parsed(stream, pairs)
        if stream.status:
            raise failure("diff-tree", GitResult(stream.status, b"", stream.stderr))
    if count != len(pairs):
        raise _unreadable(pairs[count])


def _parsed(blocks: Iterable[bytes], pairs: Sequence[tuple[str, str]]) -> Generator[tuple[int, Change], None, int]:
    """The changes; returns how many of the pairs git has named."""
    number, raw = -1, ""
    for entry in _entries(blocks):
        if raw:
            before, after, was, name, _ = cut(raw, " ", 5)
            yield number, Change(entry, before.lstrip(":"), after, name, was)
            raw = ""
            continue
        while header := re.match(_PAIR, entry):
            number, entry = number + 1, entry[header.end() :]
            if tuple(header[0].split()) not in pairs[number : number + 1]:
                raise _unreadable(pairs[min(number, len(pairs) - 1)])
        raw = entry
    return number + 1


def _unreadable(pair: tuple[str, str]) -> CannotDecide:
    """What to say of a pair with a tree that is not here: git complains, names it not, goes on, and ends with 0.

    Without a look at the names each answer would be the one before's, and a missing tree equal to any.
    """
    message = f"one of the trees {pair[0][:12]} and {pair[1][:12]} cannot be read"
    return CannotDecide(message, f"git cat-file -e {pair[1]} && git cat-file -e {pair[0]}")


def files(git: Runner, trees: Sequence[str]) -> Iterator[tuple[int, Change]]:
    """(number of the tree, file) for every file and submodule of these trees. Raises as `between` does."""
    return between(git, [(EMPTY[len(tree)], tree) for tree in trees])


def _entries(blocks: Iterable[bytes]) -> Iterator[str]:
    """git's output cut at NUL; what follows the last one are the lines that name pairs without a difference."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\0")
        yield from map(decode, whole)
    if rest:
        yield decode(rest)
