"""A temporary index, made from a commit and thrown away: the user's index, its bits and its settings have no say."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from git_clearml.errors import CannotDecide
from git_clearml.git.output import GitResult, options_of
from git_clearml.git.runner import DAMAGED, Runner

# Settings under which git would write beside the index, ask somebody else what is in the working tree, or tell a hook
# (post-index-change) of an index that is not the user's.
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.splitIndex=false",
    "index.sparse=false",
)


class TemporaryIndex:
    """Runs git with an index of its own."""

    def __init__(self, git: Runner, options: Sequence[str], environment: Mapping[str, str]) -> None:
        self._git, self._options, self._environment = git, options, environment

    def run(self, *arguments: str, stdin: bytes | None = None) -> GitResult:
        """Runs git to its end, whatever its exit status."""
        return self._git.run(*self._options, *arguments, stdin=stdin, env=self._environment)

    def read(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        """stdout of a git that has to succeed. Raises CannotDecide."""
        return self._git.read(*self._options, *arguments, stdin=stdin, env=self._environment)

    def write_tree(self) -> str:
        """The tree of what the index holds. Raises CannotDecide."""
        result = self.run("write-tree")
        if result.status:
            raise CannotDecide(f"git write-tree failed: {result.reason}", DAMAGED)
        return result.text


@contextmanager
def temporary_index(
    git: Runner,
    commit: str,
    *,
    directory: str = "",
    settings: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[TemporaryIndex]:
    """An index that holds the commit's tree.

    git runs in `directory` ("" for the runner's own) with these `settings` (`core.x=y`) and variables on top of ours.
    Raises CannotDecide.
    """
    options = ["-C", directory] if directory else []
    options += options_of((*_SETTINGS, *settings))
    with tempfile.TemporaryDirectory(prefix="git-clearml-") as place:
        index = TemporaryIndex(git, options, {**(environment or {}), "GIT_INDEX_FILE": os.path.join(place, "index")})
        index.read("read-tree", commit)
        yield index
