"""The objects of a repository, read through `cat-file` batches: one process however many there are.

GitPython's object layer is left alone, because it does not know SHA-256 repositories.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from types import MappingProxyType

from git_clearml.base.ids import is_hash
from git_clearml.errors import CannotDecide
from git_clearml.git import changes
from git_clearml.git.cat_file import CatFile
from git_clearml.git.changes import Change
from git_clearml.git.diff_tree import DiffTree
from git_clearml.git.output import PROMISED, GitResult, cut, decode, integer, lines, stdin_lines
from git_clearml.git.runner import DAMAGED, Runner, failure, not_fetched
from git_clearml.model import Commit

# What a line of cat-file's stdin cannot hold, and paths for which git ends: they lead out of the repository, or would
# be taken from the current directory. No commit has a file of such a name.
_NO_PATH = re.compile(r"[\n\0]|\r\Z|\A/|\A\.\.?(?:/|\Z)")
_COMMITTED = rb"(?m)^committer .*> (\d{1,12}) [+-]\d+$"  # compiled when used
_LASTING = re.compile(r"[0-9a-f]{40,64}\W")  # what follows a full hash
_CHECK, CONTENTS = "--batch-check=%(objectname) %(objectsize) %(objecttype)", "--batch=%(objectsize)"
_SMALL = 20_000  # bytes of an object that is kept
_HISTORY = 50_000  # commits looked through for an equal tree; newest first
# Notes are commits too, a thousand of them may be newer than any commit of code.
_NO_NOTES = ("--not", "--glob=refs/notes/*", "--glob=refs/clearml/note[s]", "--not")


class ObjectStore(Runner):
    """Reads commits, trees and blobs. In a partial clone nothing is fetched for that.

    `options` and `environment` are those that git needs to find the repository.
    """

    def __init__(
        self, directory: str, options: Sequence[str] = (), environment: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__(directory)
        self.common_dir = ""  # where the objects of all working trees are
        self.sizes: dict[str, int] = {}  # bytes of the objects that have been looked at, by their names
        self.head = ""  # the commit of HEAD, once it has been peeled
        self.locks: dict[str, str] = {}  # the clearml.lock ("" for none) of commits that have been peeled
        self._answers: dict[str, tuple[str, str]] = {}  # of expressions that name what is here, and always will
        self._histories: dict[int, list[Commit]] = {}  # the last one of so many commits
        self._small: dict[str, bytes] = {}  # contents of small objects
        start = partial(Runner(directory).stays, environment, *options)  # no method of ours: no cycle
        self._checks, self._batch = (CatFile(partial(start, "cat-file", mode)) for mode in (_CHECK, CONTENTS))
        self._diff_tree = DiffTree(partial(start, *changes.WORDS))

    def forget(self) -> None:
        """Ends the gits that stay, and what history was: a fetch may have changed where that ends."""
        self._histories.clear()
        self._checks.close()
        self._batch.close()
        self._diff_tree.close()

    def differences(self, pairs: Sequence[str]) -> bytes | None:
        """See DiffTree.output."""
        return self._diff_tree.output(pairs)

    def object_types(self, names: Sequence[str]) -> list[tuple[str, str]] | GitResult:
        """(object name, type) of each expression; the type is `missing` or `ambiguous` where there is none.

        One git process. The git that failed where it does not understand one of them. Raises CannotDecide where a
        partial clone lacks the tree that would tell.
        """
        kept = self._checks.lines(names)
        result = GitResult(0, b"", "") if kept is not None else self.run("cat-file", _CHECK, stdin=stdin_lines(names))
        answers = result.lines if kept is None else [decode(line) for line in kept]
        if not result.status and len(answers) == len(names):
            learned = [self._learned(name, kind) for name, _, kind in (answer.rpartition(" ") for answer in answers)]
            return self._not_fetched(names, learned)
        if result.status and PROMISED in result.stderr:
            return self._promised(names)
        return result

    def _not_fetched(self, names: Sequence[str], types: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """The types, where git before 2.36 has called missing what this partial clone has not fetched yet.

        Its failed fetch speaks on stderr; a newer git ends there (PROMISED).
        """
        missing = [name for name, (_, kind) in zip(names, types, strict=True) if kind == "missing" and ":" in name]
        if not missing or not self._has_promises():
            return types
        revs = list(dict.fromkeys(name.partition(":")[0] for name in missing))
        result = self.run("cat-file", _CHECK, stdin=stdin_lines([*revs, *missing]))
        if not result.stderr:
            return types
        absent = {rev for rev, line in zip(revs, result.lines, strict=False) if line.endswith(" missing")}
        listed = {name: self._in_tree(name) for name in missing if name.partition(":")[0] not in absent}
        return [listed.get(name, answer) for name, answer in zip(names, types, strict=True)]

    def _has_promises(self) -> bool:
        """Is this a partial clone, as its packs tell? Without a process."""
        with contextlib.suppress(OSError):
            packs = os.listdir(os.path.join(self.common_dir, "objects", "pack"))
            return any(name.endswith(".promisor") for name in packs)
        return False

    def _learned(self, name: str, kind: str) -> tuple[str, str]:
        """The answer, without the size, which is remembered."""
        if kind not in ("commit", "tree", "blob", "tag"):
            return name, kind
        name, _, size = name.rpartition(" ")
        self.sizes[name] = integer(size)
        return name, kind

    def _promised(self, names: Sequence[str]) -> list[tuple[str, str]] | GitResult:
        """The same where the batch ends at an object that this partial clone has not fetched yet."""
        if len(names) > 1:
            half = len(names) // 2
            first, second = self.object_types(names[:half]), self.object_types(names[half:])
            if isinstance(first, GitResult) or isinstance(second, GitResult):
                return first if isinstance(first, GitResult) else second
            return first + second
        return [self._in_tree(names[0])]

    def _in_tree(self, expression: str) -> tuple[str, str]:
        """What the tree says of `<revision>:<path>`, which need not have been fetched."""
        rev, colon, path = expression.partition(":")
        if not colon:
            return expression, "missing"
        result = self.run("--literal-pathspecs", "ls-tree", "-z", "--full-tree", rev, path)
        if result.status:
            raise _tree_not_fetched(rev, path) if PROMISED in result.stderr else failure("ls-tree", result)
        for entry in result.entries:
            facts, _, name = entry.partition("\t")
            if name == path:
                _, kind, blob = cut(facts, " ", 3)
                return blob, kind
        return expression, "missing"

    def _batch_check(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """(object name, type) of each; the type is `missing` or `ambiguous` where there is none. One git process at
        most: what is found below a full hash is found there for ever.

        Raises CannotDecide when git does not answer for each of them.
        """
        new = [name for name in names if name not in self._answers]
        result = self.object_types(new) if new else []
        if isinstance(result, GitResult):
            raise CannotDecide(f"git cat-file failed: {result.reason}", DAMAGED)
        answers = dict(zip(new, result, strict=True))
        self._answers |= {name: answers[name] for name in new if is_hash(answers[name][0]) and _LASTING.match(name)}
        return [answers[name] if name in answers else self._answers[name] for name in names]

    def existing_files(self, places: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those (commit hash, path) that are files there. One git process for all; unknown commits have none."""
        places = [place for place in dict.fromkeys(places) if is_hash(place[0]) and not _NO_PATH.search(place[1])]
        if not places:
            return set()
        types = self._batch_check([f"{commit}:{path}" for commit, path in places])
        return {place for place, (_, kind) in zip(places, types, strict=True) if kind == "blob"}

    def trees(self, commits: Iterable[str]) -> dict[str, str]:
        """Commit hash -> tree hash, for those that are in this object store."""
        names = [name for name in dict.fromkeys(commits) if is_hash(name)]
        if not names:
            return {}
        types = self._batch_check([f"{name}^{{tree}}" for name in names])
        return {name: tree for name, (tree, kind) in zip(names, types, strict=True) if kind == "tree"}

    def blobs(self, names: Iterable[str]) -> dict[str, bytes]:
        """The content of each blob (or other object). One git process for all. Raises CannotDecide when one is gone."""
        contents = self._contents(names)
        if missing := next((name for name, content in contents.items() if content is None), ""):
            if self._has_promises():
                raise not_fetched(missing)
            raise CannotDecide(f"object {missing} is missing from this clone", DAMAGED)
        return {name: content for name, content in contents.items() if content is not None}

    def _contents(self, names: Iterable[str]) -> dict[str, bytes | None]:
        """The content of each object, None where it is missing. One git process for all."""
        contents: dict[str, bytes | None] = {name: self._small.get(name) for name in names if name}
        new = [name for name, content in contents.items() if content is None]
        for name, content in zip(new, self._read_contents(new), strict=True):
            contents[name] = content
            if content is not None and len(content) <= _SMALL:
                self._small[name] = content
        return contents

    def _read_contents(self, names: Sequence[str]) -> list[bytes | None]:
        kept = self._batch.contents(names)
        if kept is not None:
            return kept
        return contents_in(self.read("cat-file", CONTENTS, stdin=stdin_lines(names)), len(names))  # it says why it ends

    def history(self, commits: Sequence[str], most: int = _HISTORY) -> list[Commit]:
        """Commits reachable from refs, reflogs and `commits`, newest first, the newest 50,000 of them or `most`."""
        listed = self._histories.get(most, [])
        if not listed or not {commit.hash for commit in listed}.issuperset(commits):  # else it is that of these as well
            listed = self._histories[most] = self._history(commits, most)
        return listed

    def _history(self, commits: Sequence[str], most: int) -> list[Commit]:
        form = [f"--max-count={most}", "--no-show-signature", "--format=%H %T"]
        stdin = stdin_lines(commits)
        result = self.run("log", "--all", "--reflog", *_NO_NOTES, *form, "--stdin", stdin=stdin)
        out = result.stdout
        if result.status:  # a reflog may name commits that are no longer there
            out = self.read("log", "--all", *_NO_NOTES, *form, "--stdin", stdin=stdin)
        return [Commit(*cut(line, " ", 2)) for line in lines(out)]

    def touching(self, commits: Sequence[str], pathspecs: Sequence[str], most: int) -> list[Commit]:
        """The commits, `most` at most, that made files as these commits have them, newest first; none of bad pathspecs.

        One git process. As git simplifies history: where a merge took all of these files from one side, that one's.
        """
        words = ("log", f"--max-count={most}", "--no-show-signature", "--format=%H %T", "--stdin", "--", *pathspecs)
        result = self.run(*words, stdin=stdin_lines(commits))
        return [] if result.status else [Commit(*cut(line, " ", 2)) for line in result.lines]

    def names_of(self, expressions: Iterable[str]) -> list[str]:
        """The object that each expression (`<commit>:<path>`) names, "" for none. One git process for all."""
        return [name if is_hash(name) else "" for name, _ in self._batch_check(list(expressions))]

    def parents(self, commits: Iterable[str]) -> dict[str, list[str]]:
        """The parents that each commit object names, wherever a shallow clone or a graft says that history ends.

        Raises CannotDecide when a commit is missing.
        """
        return {name: parents_in(content) for name, content in self.blobs(commits).items()}

    def times(self, commits: Iterable[str]) -> dict[str, datetime]:
        """When each of the commits that are here was made, as its committer says. One git process.

        A date that is no time, or beyond what a clock can show, is the beginning of time.
        """
        contents = self._contents(commits)
        return {name: _committed(content) for name, content in contents.items() if content is not None}

    def changes(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[Change]]:
        """What differs between the trees of each pair. One git process for all. Raises CannotDecide."""
        distinct = list(dict.fromkeys(pairs))
        differences: dict[tuple[str, str], list[Change]] = {pair: [] for pair in distinct}
        for number, change in changes.between(self, distinct):
            differences[distinct[number]].append(change)
        return differences


def _tree_not_fetched(rev: str, path: str) -> CannotDecide:
    """Of a clone without trees: one command for the tree and what it has at the path."""
    rev = rev.removesuffix("^{commit}")
    shown, wanted = rev[:12] if is_hash(rev) else rev, shlex.quote(f"{rev}:{path}")
    return CannotDecide(f"this partial clone has not fetched {path} of {shown} yet", f"git cat-file -e {wanted}")


def contents_in(output: bytes, count: int) -> list[bytes | None]:
    """The contents of so many objects as git prints them for CONTENTS, None for a missing one. Raises CannotDecide."""
    contents: list[bytes | None] = []
    place = 0
    for _ in range(count):
        end = output.find(b"\n", place)
        header = output[place:] if end < 0 else output[place:end]
        place += len(header) + 1
        if not header.isdigit():  # it says that the object is missing
            contents.append(None)
            continue
        end = place + int(header)
        if end >= len(output):  # a line feed follows
            raise CannotDecide("git cat-file ended in the middle of an object", DAMAGED)
        contents.append(output[place:end])
        place = end + 1
    return contents


def parents_in(commit: bytes) -> list[str]:
    """The parents that the content of a commit object names."""
    header = lines(commit)[1:]  # the first line names the tree
    return [line[7:] for line in itertools.takewhile(lambda line: line.startswith("parent "), header)]


def _committed(commit: bytes) -> datetime:
    """The committer's date in the content of a commit object."""
    header, _, _ = commit.partition(b"\n\n")
    match = re.search(_COMMITTED, header)
    return committed(match[1].decode("ascii") if match else "0")


def committed(seconds: str) -> datetime:
    """The time of so many seconds since 1970; the beginning of time for what no clock can show."""
    try:
        return datetime.fromtimestamp(int(seconds), timezone.utc)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, timezone.utc)
