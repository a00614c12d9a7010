"""Makes a linked worktree at a commit, with a tree's files in it and left uncommitted.

No hook of the user's is run. Filters are, for what the commit has, as in any checkout of it (git-lfs); for what a
recorded diff changes none is: whoever wrote that chose the files, and in .gitattributes the filters too.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from git_clearml.errors import CannotDecide, UsageError
from git_clearml.git.changes import ABSENT, SUBMODULE, Change
from git_clearml.git.output import entries, options_of, stdin_entries
from git_clearml.git.repository import Repository

_QUIET = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "submodule.recurse=false", "core.sparseCheckout=false")
_SAFE = ("core.protectHFS=true", "core.protectNTFS=true")
_DRIVER = ("smudge", "clean", "process", "required")
_EMPTY, _FALSE = "GIT_CLEARML_EMPTY", "GIT_CLEARML_FALSE"  # variables that stand for values of settings


def add(repository: Repository, directory: str, commit: str, branch: str = "") -> None:
    """`git worktree add` at a commit (a full hash), detached or on a new branch. If it fails, nothing of it is left.

    Raises UsageError with git's words where it refuses.
    """
    what = ("-b", branch) if branch else ("--detach",)
    words = [*options_of((*_QUIET, *_SAFE)), "worktree", "add", "--quiet", *what, "--", directory, commit]
    ours = branch if branch and not repository.refs([f"refs/heads/{branch}"]) else ""
    with _own_index(), _undone(repository, "", ours, commit):  # git removes what it had of the directory
        result = repository.run(*words, env={"GIT_NO_REPLACE_OBJECTS": "1"}, remote=True)  # of a partial clone
        if result.status:
            missing = "already registered" in result.reason
            raise UsageError(
                f"git worktree add failed: {result.reason}", "git worktree prune" if missing else "git worktree list"
            )


@contextlib.contextmanager
def _own_index() -> Iterator[None]:
    """`git worktree add` would fill the index that a hook is run with, which is the user's."""
    before = os.environ.pop("GIT_INDEX_FILE", None)
    try:
        yield
    finally:
        if before is not None:
            os.environ["GIT_INDEX_FILE"] = before


@contextlib.contextmanager
def _undone(repository: Repository, directory: str, branch: str, commit: str) -> Iterator[None]:
    """Removes the new worktree and the new branch, "" for none, where what is done with them fails or is ended."""
    try:
        yield
    except BaseException:
        options = options_of(_QUIET)
        if directory:
            repository.run(*options, "worktree", "remove", "--force", "--", directory)
        if branch:  # a branch that has moved on stays
            repository.run(*options, "update-ref", "-d", f"refs/heads/{branch}", commit)
        raise


def fill(
    repository: Repository, directory: str, commit: str, tree: str, changes: Sequence[Change], branch: str = ""
) -> None:
    """Makes the files of a new worktree at the commit those of the tree, which differs from it by these changes.

    They are left uncommitted: new files as `git add -N` has them, moved submodules in the index. Half of it would look
    like what ran: if it fails, the worktree and its new branch are removed. Raises CannotDecide.
    """
    moved = [change for change in changes if change.submodule]
    new = [change.path for change in changes if change.before == ABSENT and not change.submodule]
    new += [change.path for change in moved if change.after not in (SUBMODULE, ABSENT)]
    with _own_index(), _undone(repository, directory, branch, commit):
        worktree = _Worktree(repository, directory)
        _clear(directory, changes)
        worktree.git("read-tree", "-m", "-u", commit, tree)
        worktree.git("read-tree", commit)
        if moved:  # a mode of 0 takes it out of the index
            lines = [f"{change.after} {change.name}\t{change.path}" for change in moved if change.after == SUBMODULE]
            lines += [f"0 {change.name}\t{change.path}" for change in moved if change.after != SUBMODULE]
            worktree.git("update-index", "-z", "--index-info", stdin=stdin_entries(lines))
        if new:
            words = ("add", "--intent-to-add", "--force", "--pathspec-from-file=-", "--pathspec-file-nul")
            worktree.git("--literal-pathspecs", *words, stdin=stdin_entries(new))


def _clear(directory: str, changes: Sequence[Change]) -> None:
    """Removes the files that will be others: what a filter has made of one is, without the filter, not what the index
    has, and git would leave it be. Nothing behind a link, which a tree of somebody's making may have for a folder."""
    top = os.path.realpath(directory)
    for change in changes:
        place = os.path.join(top, change.path)
        folder = os.path.dirname(place)
        if change.before not in (ABSENT, SUBMODULE) and os.path.realpath(folder) == folder:
            with contextlib.suppress(OSError):
                os.unlink(place)


class _Worktree:
    """Runs git in a linked worktree, without its hooks and filters."""

    def __init__(self, repository: Repository, directory: str) -> None:
        self._repository, self._directory = repository, directory
        self._environment = {
            "GIT_DIR": os.path.join(directory, ".git"),
            "GIT_WORK_TREE": directory,
            _EMPTY: "",
            _FALSE: "false",
        }
        self._filters: list[str] = []
        for entry in entries(self.git("config", "--list", "-z")):  # of this worktree: settings may hang on its place
            key = entry.partition("\n")[0]
            section, _, name = key.rpartition(".")
            if section.startswith("filter.") and name in _DRIVER:
                self._filters.append(f"--config-env={key}={_FALSE if name == 'required' else _EMPTY}")

    def git(self, *words: str, stdin: bytes | None = None) -> bytes:
        """stdout of git. Raises CannotDecide."""
        options = [*options_of((*_QUIET, *_SAFE)), *dict.fromkeys(self._filters)]
        result = self._repository.run(
            "-C", self._directory, *options, *words, stdin=stdin, env=self._environment, remote=True
        )
        if result.status:
            raise CannotDecide(f"git cannot fill {self._directory}: {result.reason}", "git worktree list")
        return result.stdout
