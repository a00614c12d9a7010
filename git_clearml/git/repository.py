"""The git repository: the only module that knows GitPython.

GitPython runs git for us (`git.cmd.Git`); its object layer is left alone, because it does not know SHA-256
repositories. Objects are read through `cat-file` batches: one process however many there are. Replacement
objects (`git replace`) are switched off: what gets pushed is the real object.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from git_clearml.base.ids import is_hash
from git_clearml.errors import CannotDecide, NotARepository, UnknownRevision
from git_clearml.git import url as repository_urls
from git_clearml.model import Commit, Resolved
from git_clearml.settings.load import POLICY_FILE

if TYPE_CHECKING:
    from git.cmd import Git

_HISTORY = 50_000  # commits looked through for an equal tree; newest first
# Notes are commits too, a thousand of them may be newer than any commit of code.
_NO_NOTES = ("--not", "--glob=refs/notes/*", "--glob=refs/clearml/note[s]", "--not")


class Repository:
    """The repository around a directory. Cheap to make: one git process.

    `top` is the working tree's root, "" in a bare repository; `git_dir` and `common_dir` are absolute.

    Raises NotARepository when git finds none, or refuses it.
    """

    def __init__(self, directory: str = "") -> None:
        try:
            here = directory or os.getcwd()
        except OSError:
            raise NotARepository("the current directory does not exist any more", "cd into the clone first") from None
        self._git = _git_in(here)
        status, out, err = self.run("rev-parse", "--git-dir", "--git-common-dir", "--show-toplevel")
        lines = out.decode("utf-8", "surrogateescape").splitlines()
        if len(lines) < 2:
            raise _not_a_repository(err)
        self.git_dir = os.path.realpath(os.path.join(here, lines[0]))
        self.common_dir = os.path.realpath(os.path.join(here, lines[1]))
        self.top = lines[2] if status == 0 and len(lines) > 2 else ""
        self._config: list[tuple[str, str]] | None = None

    def run(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        env: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> tuple[int, bytes, str]:
        """Runs git, killed after `timeout` seconds; (exit status, stdout, stderr).

        Raises NotARepository when there is no git at all.
        """
        from git.exc import GitCommandNotFound

        environment = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_OPTIONAL_LOCKS": "0", **(env or {})}
        with tempfile.TemporaryFile() as given:
            if stdin:
                given.write(stdin)
                given.seek(0)
            try:
                status, out, err = self._git.execute(
                    ["git", *arguments],
                    istream=given,
                    env=environment,
                    with_extended_output=True,
                    with_exceptions=False,
                    stdout_as_string=False,
                    strip_newline_in_stdout=False,
                    kill_after_timeout=timeout,
                )
            except GitCommandNotFound:
                raise NotARepository("git is not to be found on PATH", "install git, or mend PATH") from None
        return int(status or 0), bytes(out), err if isinstance(err, str) else str(err, "utf-8", "replace")

    def read(self, *arguments: str, stdin: bytes | None = None, env: dict[str, str] | None = None) -> bytes:
        """stdout of a git command that has to work. Raises CannotDecide with git's own words when it does not."""
        status, out, err = self.run(*arguments, stdin=stdin, env=env)
        if status:
            raise CannotDecide(f"git {arguments[0]} failed: {_first_line(err) or f'exit status {status}'}", _DAMAGED)
        return out

    def resolve(self, revs: Sequence[str]) -> list[Resolved]:
        """Each revision's commit and policy file. One git process for all.

        Raises UnknownRevision for the first that names no commit here.
        """
        resolved = []
        for rev, found in zip(revs, self.peel([self._asked(rev) for rev in revs]), strict=True):
            if not isinstance(found, Resolved):
                raise self._unknown(rev, found)
            resolved.append(replace(found, rev=rev))
        return resolved

    def peel(self, names: Sequence[str]) -> list[Resolved | str]:
        """What each name is when tags are peeled: a commit, else `missing`, `ambiguous`, or another object's type."""
        if not names:
            return []
        parts = ("^{commit}", "^{tree}", f"^{{commit}}:{POLICY_FILE}", "")
        lines = [f"{name}{part}" for name in names for part in parts]
        status, found, err = self._batch_check(lines)
        if status or len(found) != len(lines):
            raise UnknownRevision(f"git does not understand this revision: {_first_line(err) or names}", _TRY_LOG)
        result: list[Resolved | str] = []
        for number, name in enumerate(names):
            commit, tree, blob, itself = found[4 * number : 4 * number + 4]
            if commit[1] == "commit" and is_hash(commit[0]):
                policy = blob[0] if blob[1] == "blob" else ""
                result.append(Resolved(name, Commit(commit[0], tree[0]), policy))
            else:
                result.append(commit[1] if commit[1] == "ambiguous" else itself[1])
        return result

    def _asked(self, rev: str) -> str:
        """The revision in a form to which `^{commit}` can be added: not to `:/text`, nor to a brace left open."""
        if not rev.strip() or "\n" in rev or "\0" in rev:
            raise UnknownRevision(f"not a revision: {rev!r}", _TRY_LOG)
        if ".." in rev or rev.startswith("^"):
            raise UnknownRevision(
                f"{rev!r} is a range; commits are wanted", f"write: git clearml verify $(git rev-list {rev})"
            )
        if ":" not in rev and "{" not in rev:
            return rev
        status, out, _ = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", rev)
        name = out.decode("ascii", "replace").strip()
        if status or not is_hash(name):
            raise UnknownRevision(f"no such revision: {rev!r}", _TRY_LOG)
        return name

    def _unknown(self, rev: str, said: str) -> UnknownRevision:
        if rev == "HEAD" and self.run("rev-parse", "--verify", "--quiet", "HEAD")[0]:
            return UnknownRevision("this repository has no commits yet", "commit something first")
        if said == "ambiguous":
            return UnknownRevision(f"{rev!r} is short for more than one commit", "give more of its digits")
        known = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", rev)
        if known[0] == 0 and not is_hash(rev):
            return UnknownRevision(f"{rev!r} is not a commit", _TRY_LOG)
        return UnknownRevision(f"no such commit in this clone: {rev!r}", f"git fetch, or see {_TRY_LOG}")

    def _batch_check(self, names: Iterable[str]) -> tuple[int, list[tuple[str, str]], str]:
        """(object name, type) of each; the type is `missing` or `ambiguous` where there is none."""
        status, out, err = self.run("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=_lines(names))
        pairs = []
        for line in out.decode("utf-8", "surrogateescape").splitlines():
            name, _, kind = line.rpartition(" ")
            pairs.append((name, kind))
        return status, pairs, err

    def existing_files(self, places: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those (commit hash, path) that are files there. One git process for all; unknown commits have none."""
        asked = [place for place in dict.fromkeys(places) if is_hash(place[0]) and "\n" not in place[1]]
        if not asked:
            return set()
        status, found, err = self._batch_check(f"{commit}:{path}" for commit, path in asked)
        if status or len(found) != len(asked):
            raise CannotDecide(f"git cat-file failed: {_first_line(err)}", _DAMAGED)
        return {place for place, (_, kind) in zip(asked, found, strict=True) if kind == "blob"}

    def trees(self, commits: Iterable[str]) -> dict[str, str]:
        """Commit hash -> tree hash, for those that are in this object store."""
        asked = [name for name in dict.fromkeys(commits) if is_hash(name)]
        if not asked:
            return {}
        status, found, err = self._batch_check(f"{name}^{{tree}}" for name in asked)
        if status or len(found) != len(asked):
            raise CannotDecide(f"git cat-file failed: {_first_line(err)}", _DAMAGED)
        return {name: tree for name, (tree, kind) in zip(asked, found, strict=True) if kind == "tree"}

    def blobs(self, names: Iterable[str]) -> dict[str, bytes]:
        """The content of each blob (or other object). One git process for all. Raises CannotDecide when one is gone."""
        asked = [name for name in dict.fromkeys(names) if name]
        if not asked:
            return {}
        out = self.read("cat-file", "--batch=%(objectsize)", stdin=_lines(asked))
        contents = {}
        for name in asked:
            header, _, rest = out.partition(b"\n")
            if not header.isdigit():
                raise CannotDecide(f"object {name} is missing from this clone", _DAMAGED)
            contents[name], out = rest[: int(header)], rest[int(header) + 1 :]
        return contents

    def history(self, commits: Sequence[str]) -> list[Commit]:
        """Commits reachable from refs, reflogs and `commits`, newest first, the newest 50,000 of them."""
        form = [f"--max-count={_HISTORY}", "--no-show-signature", "--format=%H %T"]
        status, out, _ = self.run("log", "--all", "--reflog", *_NO_NOTES, *form, "--stdin", stdin=_lines(commits))
        if status:  # a reflog may name commits that are no longer there
            out = self.read("log", "--all", *_NO_NOTES, *form, "--stdin", stdin=_lines(commits))
        return [Commit(*line.split()) for line in out.decode("ascii").splitlines()]

    def names_of(self, expressions: Iterable[str]) -> list[str]:
        """The object that each expression (`<commit>:<path>`) names, "" for none. One git process for all."""
        asked = list(expressions)
        status, found, err = self._batch_check(asked)
        if status or len(found) != len(asked):
            raise CannotDecide(f"git cat-file failed: {_first_line(err)}", _DAMAGED)
        return [name if is_hash(name) else "" for name, _ in found]

    def parents(self, commits: Iterable[str]) -> dict[str, list[str]]:
        """The parents that each commit object names, wherever a shallow clone or a graft says that history ends.

        Raises CannotDecide when a commit is missing.
        """
        found: dict[str, list[str]] = {}
        for name, content in self.blobs(commits).items():
            lines = content.decode("utf-8", "replace").split("\n")[1:]  # the first one names the tree
            found[name] = [line[7:] for line in itertools.takewhile(lambda line: line.startswith("parent "), lines)]
        return found

    def changed_modes(self, one: str, other: str) -> list[tuple[str, str, str]]:
        """(path, mode before, mode after) of all that differs between two commits; `000000` is no such file."""
        out = self.read("diff-tree", "-r", "-z", "--raw", "--no-renames", "--ignore-submodules=none", one, other)
        entries = _paths(out)
        modes = [raw.lstrip(":").split(" ") for raw in entries[0::2]]
        return [(path, mode[0], mode[1]) for path, mode in zip(entries[1::2], modes, strict=True)]

    def changed_paths(self, one: str, other: str) -> list[tuple[str, bool]]:
        """(path, is it a submodule) of all that differs between two commits; a rename is two paths."""
        return [(path, "160000" in modes) for path, *modes in self.changed_modes(one, other)]

    def paths(self, tree: str) -> list[str]:
        """Every file (and submodule) of a tree."""
        return _paths(self.read("ls-tree", "-r", "-z", "--name-only", "--full-tree", tree))

    def config(self) -> list[tuple[str, str]]:
        """Every git setting in force here, lower-case keys, the later one winning. Read once."""
        if self._config is None:
            out = self.read("config", "--list", "-z").decode("utf-8", "surrogateescape")
            pairs = (entry.partition("\n") for entry in out.split("\0") if entry)
            self._config = [(key, value) for key, _, value in pairs]
        return self._config

    def remote_urls(self) -> list[str]:
        """The remotes' URLs, as configured and as `url.<base>.insteadOf` rewrites them."""
        rewrites = [
            (value, key[len("url.") : -len(end)])
            for key, value in self.config()
            for end in (".insteadof", ".pushinsteadof")
            if key.startswith("url.") and key.endswith(end)
        ]
        urls = []
        for key, value in self.config():
            if key.startswith("remote.") and key.endswith((".url", ".pushurl")):
                urls += [value, *(base + value[len(old) :] for old, base in rewrites if old and value.startswith(old))]
        return urls

    def names(self, more: Sequence[str] = ()) -> frozenset[str]:
        """Names under which a task may have recorded this repository: its remotes, this clone, and `more`.

        Normalised. A relative URL is there as seen from the clone, and as a task's record has it.
        """
        urls = [*more, *self.remote_urls(), self.common_dir, *([self.top] if self.top else [])]
        bases = (self.top or self.git_dir, "/")
        return frozenset(name for url in urls for base in bases if (name := repository_urls.normalise(url, base)))


def _git_in(directory: str) -> Git:
    """GitPython's git for a directory. Imported here, so that `--help` and a skipped hook do without."""
    name = "GIT_PYTHON_REFRESH"
    given = os.environ.get(name)
    os.environ.setdefault(name, "quiet")  # a missing git is our error to report, not an ImportError
    from git.cmd import Git

    if given is None:
        del os.environ[name]  # the commands that we run have no use for it
    return Git(directory)


_TRY_LOG = "git log --oneline"
_DAMAGED = "git fsck tells whether the repository is sound"


def _not_a_repository(err: str) -> NotARepository:
    said = _first_line(err)
    if "not a git repository" in said or not said:
        return NotARepository("not a git repository (or any of the parent directories)", "cd into the clone first")
    hint = "git config --global --add safe.directory <this directory>, if you trust its owner"
    return NotARepository(f"git refuses this directory: {said}", hint if "ownership" in said else "see git status")


def _first_line(err: str) -> str:
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    line = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[0] if lines else "")
    return line.removeprefix("fatal: ").removeprefix("error: ")


def _lines(names: Iterable[str]) -> bytes:
    return "".join(name + "\n" for name in names).encode("utf-8", "surrogateescape")


def _paths(out: bytes) -> list[str]:
    return [path for path in out.decode("utf-8", "surrogateescape").split("\0") if path]
