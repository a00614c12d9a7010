"""Streams `git log`: commits as git finds them, the first before it has found the last."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from git_clearml.errors import CannotDecide, Error, UnknownRevision, UsageError
from git_clearml.git.objects import committed
from git_clearml.git.output import reason
from git_clearml.git.repository import Repository
from git_clearml.git.runner import DAMAGED

_FIELDS = "%H%x00%h%x00%s"


@dataclass(frozen=True)
class LogEntry:
    """A commit as `git log` names it: full and abbreviated hash, and its subject, whatever somebody committed."""

    commit: str
    short: str
    subject: str


@dataclass(frozen=True)
class Node(LogEntry):
    """A commit with its tree, its parents, and its committer date."""

    tree: str
    parents: tuple[str, ...]
    committer_date: datetime


def graph(repository: Repository, ranges: Sequence[str], *, most: int) -> list[Node]:
    """The commits of these ranges, parents before children; of more than `most` those that come last in that order.

    One git process. Raises as `walk` does.
    """
    words = ["-z", "--topo-order", f"--max-count={most}", f"--format={_FIELDS}%x00%T%x00%P%x00%ct", "--encoding=UTF-8"]
    result = repository.run("log", *words, "--no-color", "--no-notes", "--no-show-signature", *ranges, "--")
    if result.status:
        raise _explained(result.reason, ranges)
    fields = result.stdout.decode("utf-8", "replace").split("\0")[:-1]
    if len(fields) % 6:
        raise CannotDecide("git log ended in the middle of a commit", "git --version")
    nodes = []
    for commit, short, subject, tree, parents, seconds in zip(*(fields[n::6] for n in range(6)), strict=True):
        nodes.append(Node(commit, short, subject, tree, tuple(parents.split()), committed(seconds)))
    return nodes[::-1]


@dataclass(frozen=True)
class Chosen:
    """Which commits: of these ranges, or of all refs, that touch these paths (none: any), so many at `most`.

    Paths are seen from the repository object's directory.
    """

    ranges: Sequence[str] = ()
    paths: Sequence[str] = ()
    all: bool = False
    most: int | None = None

    @property
    def words(self) -> list[str]:
        """As `git log` takes it, behind all other options."""
        everything = ["--exclude=refs/notes/*", "--exclude=refs/clearml/*", "--all"] if self.all else []
        most = [] if self.most is None else [f"--max-count={self.most}"]
        return [*most, *everything, "--end-of-options", *self.ranges, "--", *self.paths]


def walk(repository: Repository, chosen: Chosen) -> Generator[list[LogEntry], None, None]:
    """The commits that `git log` names here, in its order, whenever there are some.

    Close it, and git ends too. Raises UnknownRevision, UsageError for paths outside of the repository, and
    CannotDecide for all else that git stumbles over, maybe after some commits.
    """
    words = ["-z", f"--format={_FIELDS}", "--encoding=UTF-8", "--no-color", "--no-notes", "--no-show-signature"]
    with repository.stream("log", *words, *chosen.words) as stream:
        yield from _parsed(stream)
    if stream.status:
        raise _explained(reason(stream.stderr, stream.status), chosen.ranges)


@dataclass(frozen=True)
class Form:
    """How `git log` is to print: a format of git's own, with its graph, in colours."""

    format: str
    graph: bool = False
    colours: bool = False


def printed(repository: Repository, form: Form, chosen: Chosen) -> Generator[str, None, None]:
    """What `git log` prints in this form, some whole lines at a time. Otherwise as `walk`."""
    words = [f"--format={form.format}", "--encoding=UTF-8", "--no-notes", "--no-show-signature"]
    words += ["--color=always" if form.colours else "--no-color", *(["--graph"] if form.graph else [])]
    rest = b""
    with repository.stream("log", *words, *chosen.words) as stream:
        for block in stream:
            whole, line_feed, after = block.rpartition(b"\n")
            if line_feed:
                yield (rest + whole + line_feed).decode("utf-8", "replace")
                rest = after
            else:
                rest += after
    if rest:
        yield rest.decode("utf-8", "replace")
    if stream.status:
        raise _explained(reason(stream.stderr, stream.status), chosen.ranges)


def _parsed(blocks: Iterable[bytes]) -> Iterator[list[LogEntry]]:
    rest = b""
    for block in blocks:
        fields = (rest + block).split(b"\0")
        whole = (len(fields) - 1) // 3 * 3
        rest = b"\0".join(fields[whole:])
        texts = [field.decode("utf-8", "replace") for field in fields[:whole]]
        if texts:
            yield [LogEntry(*triple) for triple in zip(texts[0::3], texts[1::3], texts[2::3], strict=True)]


def _explained(why: str, ranges: Sequence[str]) -> Error:
    if "does not have any commits yet" in why or (not ranges and "bad default revision" in why):
        return UnknownRevision("this repository has no commits yet", "commit something first")
    unknown = ("bad revision", "unknown revision", "Invalid revision range", "ambiguous", " only has ")
    if any(word in why for word in unknown) or why.removeprefix("bad object ") in ranges:
        named = f"no such revision or range: {', '.join(repr(rev) for rev in ranges)}; a path is written after --"
        return UnknownRevision(named, "git log --oneline")
    if "outside repository" in why or "pathspec" in why:
        return UsageError(why, "git clearml log -- <path>")
    return CannotDecide(f"git log failed: {why}", DAMAGED)
