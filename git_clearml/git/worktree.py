"""What the files on disk hold, compared with a commit: read by ourselves.

git's own answer can be made to lie: assume-unchanged and skip-worktree bits, stat data that happens to fit, a file
system monitor, `submodule.<name>.ignore`, diff.external. So we compare with an index of our own, made from the commit
and thrown away: it knows none of those bits, and every file's content is read. Only files that sparse-checkout left
out (the bit is set and the file is not there) are taken as unchanged. Submodules are compared in the same way.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from git_clearml.base import globs
from git_clearml.errors import CannotDecide
from git_clearml.git import links
from git_clearml.git.index import TemporaryIndex, temporary_index
from git_clearml.git.output import GitResult, cut, entries, stdin_entries
from git_clearml.git.repository import Repository
from git_clearml.model import Commit
from git_clearml.settings.code_paths import NEVER_OK, is_code, is_untracked_code, untracked_ok
from git_clearml.settings.policy import Policy

# Settings under which git may hide a change.
_PLAIN = ("core.ignoreStat=false", "core.sparseCheckout=false", "core.quotePath=false", "diff.relative=false")
_PATCH = (
    "--binary --full-index --no-ext-diff --no-textconv --no-color --submodule=short --ignore-submodules=none "
    "--no-renames --src-prefix=a/ --dst-prefix=b/"
)
_ABSENT = "absent"
_LINKS = {"link ", "no fi"}  # how the states of links begin, and of directories that have taken their place


@dataclass(frozen=True)
class WorktreeState:
    """The working tree against a commit. Paths are from the repository's root, with `/`; odd bytes are surrogates.

    `changed` and `untracked` map a path to a text that stands for its present content (only good for comparing);
    ignored files are in neither.
    """

    changed: dict[str, str]
    untracked: dict[str, str]
    submodules: tuple[tuple[str, str], ...]

    def not_ok(self, policy: Policy) -> tuple[str, ...]:
        """The untracked files that the policy does not allow."""
        return tuple(path for path in self.untracked if not untracked_ok(path, policy))


@dataclass(frozen=True)
class Changes:
    """What became of the files between two states: code that changed, and other files that were written."""

    edited: tuple[str, ...]
    wrote: tuple[str, ...]


def changes_between(before: WorktreeState, after: WorktreeState, policy: Policy) -> Changes:
    """Compares two states of one commit. New files are code when their name or the policy's code-paths say so."""
    changed = _differing(before.changed, after.changed)
    links = {path for path in changed if {before.changed.get(path, "")[:5], after.changed.get(path, "")[:5]} & _LINKS}
    edited = {path for path in changed if is_code(path, policy, is_plain=path not in links)}
    wrote = changed - edited
    for path in _differing(before.untracked, after.untracked):
        (edited if is_untracked_code(path, policy) else wrote).add(path)
    edited |= _differing(dict(before.submodules), dict(after.submodules))
    return Changes(tuple(sorted(edited)), tuple(sorted(wrote)))


def read_state(repository: Repository, commit: Commit) -> WorktreeState:
    """Reads every file. Raises CannotDecide when git cannot."""
    with _opened(repository, _Place(repository.top, repository.git_dir), commit.hash) as tree:
        changed, untracked, submodules = tree.compare()
        untracked |= _behind_links(repository.top, untracked)
        return WorktreeState(changed, untracked, tuple(sorted(submodules)))


def _behind_links(top: str, untracked: Iterable[str]) -> dict[str, str]:
    """The code that untracked links lead to, with its states."""
    behind = (code for path in untracked for code in links.code_behind(top, path))
    return {shown: _state(os.path.realpath(place)) for shown, place in behind}


def diff_text(repository: Repository, commit: Commit) -> str:
    """The differences of tracked files as a patch; bytes that are no UTF-8 are replaced. Raises CannotDecide."""
    with _opened(repository, _Place(repository.top, repository.git_dir), commit.hash) as tree:
        return tree.git("diff", *_PATCH.split(), commit.hash).decode("utf-8", "replace")


def _differing(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {path for path in {**before, **after} if before.get(path) != after.get(path)}


@dataclass(frozen=True)
class _Place:
    """A working tree, the repository's own or a submodule's, and its git directory."""

    top: str
    git_dir: str

    @property
    def variables(self) -> dict[str, str]:
        """What makes git work there, whatever our own environment says."""
        return {"GIT_DIR": self.git_dir, "GIT_WORK_TREE": self.top}


@contextmanager
def _opened(repository: Repository, place: _Place, commit: str) -> Iterator[_Tree]:
    """A working tree with a temporary index of the commit."""
    with temporary_index(
        repository, commit, directory=place.top, settings=_PLAIN, environment=place.variables
    ) as index:
        yield _Tree(repository, place, commit, index)


class _Tree:
    """One working tree and what its commit says should be there."""

    def __init__(self, repository: Repository, place: _Place, commit: str, index: TemporaryIndex) -> None:
        self._repository, self._place, self._index = repository, place, index
        self._files: set[str] = set()
        self._submodules: dict[str, str] = {}
        for entry in entries(self.git("ls-tree", "-r", "-z", "--full-tree", commit)):
            facts, _, path = entry.partition("\t")
            _, kind, name = cut(facts, " ", 3)
            if kind == "commit":
                self._submodules[path] = name
            else:
                self._files.add(path)
        self._skipped, self._added = self._real_index()
        absent = sorted(path for path in self._skipped if path in self._files)
        if absent:
            self.git("update-index", "--skip-worktree", "-z", "--stdin", stdin=stdin_entries(absent))

    def git(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        """stdout of git at the tree's root, with the temporary index. Raises CannotDecide."""
        return self._checked(arguments[0], self._index.run(*arguments, stdin=stdin))

    def _checked(self, command: str, result: GitResult) -> bytes:
        if result.status:
            top = self._place.top
            raise CannotDecide(f"git {command} cannot read {top}: {result.reason}", "see git status, git fsck")
        return result.stdout

    def _real_index(self) -> tuple[set[str], set[str]]:
        """From the index in use: what sparse-checkout left out, and what was added without being in the commit."""
        skipped, added = set(), set()
        words = ("-C", self._place.top, "-c", "core.fsmonitor=false", "ls-files", "-t", "-z", "--full-name")
        listed = self._repository.run(*words, env=self._place.variables)
        for entry in entries(self._checked("ls-files", listed)):
            tag, path = entry[:1], entry[2:]
            there = os.path.lexists(self._at(path))
            if tag == "S" and not there:
                skipped.add(path)
            if there and path not in self._files and path not in self._submodules:
                added.add(path)  # perhaps ignored, and then no status would name it
        return skipped, added

    def compare(self) -> tuple[dict[str, str], dict[str, str], list[tuple[str, str]]]:
        """Changed and untracked files with their states, and the submodules with their commits."""
        status = ("status", "--porcelain=v2", "-z", "--untracked-files=all", "--ignored=no", "--no-renames")
        changed, unknown = set(), set(self._added)
        for entry in entries(self.git(*status, "--ignore-submodules=all")):
            if entry[0] == "1" and entry[3] != ".":  # only the second column: on disk against our index
                changed.add(cut(entry, " ", 9)[8])
            elif entry[0] == "?":
                unknown.add(entry[2:])
        states = {path: _state(self._at(path)) for path in changed if path not in self._submodules}
        untracked = {path: self._untracked_state(path) for name in unknown for path in self._expanded(name)}
        submodules = []
        for path, commit in self._submodules.items():
            head = self._compare_submodule(path, commit, states, untracked)
            submodules.append((path, head))
        return dict(sorted(states.items())), dict(sorted(untracked.items())), submodules

    def _compare_submodule(self, path: str, commit: str, states: dict[str, str], untracked: dict[str, str]) -> str:
        """Adds what differs in a submodule; its commit, "" where it was never checked out."""
        place = self._at(path)
        if not os.path.lexists(os.path.join(place, ".git")):
            there = os.path.isdir(place)
            if (there and os.listdir(place)) or (not there and path not in self._skipped):
                states[path] = "no submodule"
            return ""
        inside = _Place(place, os.path.join(place, ".git"))
        command = ("-C", place, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        result = self._repository.run(*command, env=inside.variables)
        head = result.text
        if result.status or head != commit:
            states[path] = f"submodule at {head}"
        if result.status:
            return ""
        with _opened(self._repository, inside, head) as tree:
            changed, unknown, below = tree.compare()
        states.update((f"{path}/{file}", state) for file, state in changed.items())
        untracked.update((f"{path}/{file}", state) for file, state in unknown.items())
        below_states = " ".join(f"{submodule}={name}" for submodule, name in below)
        return f"{head} {below_states}".rstrip()

    def _at(self, path: str) -> str:
        return os.path.join(self._place.top, path)

    def _expanded(self, path: str) -> Iterator[str]:
        """The files below an untracked directory, which git does not list when it is a repository of its own."""
        place = self._at(path)
        if os.path.islink(place) or not os.path.isdir(place):
            yield path
            return
        for directory, names, files in os.walk(place):
            if ".git" in names:
                names.remove(".git")
            for name in (*files, *(name for name in names if os.path.islink(os.path.join(directory, name)))):
                if name != ".git":
                    yield os.path.relpath(os.path.join(directory, name), self._place.top)

    def _untracked_state(self, path: str) -> str:
        """The content of what may be code; of other files, which may be huge, size and time."""
        if globs.matches(NEVER_OK, path.rpartition("/")[2]):
            return _state(self._at(path))
        try:
            status = os.lstat(self._at(path))
        except OSError:
            return _ABSENT
        return f"{status.st_size} {status.st_mtime_ns}"


def _state(place: str) -> str:
    """Kind, permission and content of a file on disk."""
    try:
        status = os.lstat(place)
        if stat.S_ISLNK(status.st_mode):
            return "link " + os.readlink(place)
        if not stat.S_ISREG(status.st_mode):
            return "no file"
        with open(place, "rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        return _ABSENT
    return f"{'x' if status.st_mode & 0o100 else '-'} {digest.hexdigest()}"
