"""The files of a notes ref: read by `ls-tree` and `cat-file`, written by one `git fast-import`.

fast-import moves the ref only when the new notes contain the old ones. So of two that write at once both are kept (the
second tries again), a kill leaves the notes as they were or as they should be, and neither an index nor a working tree
is touched: a bare repository will do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from git_clearml.base.ids import is_hash
from git_clearml.errors import CannotDecide, PublishFailed
from git_clearml.git.objects import CONTENTS, contents_in
from git_clearml.git.output import cut, stdin_lines
from git_clearml.git.repository import Repository
from git_clearml.git.runner import DAMAGED

REF = "refs/notes/clearml"
_TRIES = 30  # of a write that others are quicker than
_AT_ONCE = 16_000_000  # bytes of notes read by one git process
_FANNED_OUT = 256  # notes from which on directories are made of their first two digits, as git does
_NOBODY = b"git-clearml <git-clearml@users.invalid>"
"""Who writes a note where git knows no name, as on most CI runners. No mail ever goes to .invalid (RFC 2606)."""

MAX_BYTES = 4_000_000
"""A longer note is none of ours: it is not read."""


Changes = dict[str, "bytes | None"]
"""Path -> content of a notes tree; None for a file that goes away."""


@dataclass(frozen=True)
class Note:
    """A file of the notes tree: the commit that it is about, its content's object, and how long that is."""

    path: str
    commit: str
    blob: str
    size: int


def tip_of(repository: Repository, ref: str = REF) -> str:
    """The commit that a ref is at, "" for none."""
    result = repository.run("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    return "" if result.status else result.text


def files(repository: Repository, tip: str) -> list[Note]:
    """The notes of a notes commit ("" for none). One git process."""
    if not tip:
        return []
    notes = []
    for line in repository.read("ls-tree", "-r", "-l", "-z", "--full-tree", tip).split(b"\0"):
        facts, _, name = line.partition(b"\t")
        path = name.decode("utf-8", "replace")
        commit = path.replace("/", "")
        fan_out = all(len(folder) == 2 for folder in path.split("/")[:-1])
        if fan_out and is_hash(commit) and facts.split()[1:2] == [b"blob"]:
            _, _, blob, size = cut(" ".join(facts.decode("ascii", "replace").split()), " ", 4)
            notes.append(Note(path, commit, blob, int(size) if size.isdigit() else 0))
    return notes


def expressions(commit: str) -> list[str]:
    """Where the note of a commit may be, as git's revisions: git makes directories as there are more notes."""
    parts = ([commit], [commit[:2], commit[2:]], [commit[:2], commit[2:4], commit[4:]])
    return [f"{REF}:{'/'.join(each)}" for each in parts]


def batches(notes: Iterable[Note]) -> Iterator[list[Note]]:
    """The notes in parts that may be in memory at once, the notes of one commit in one part."""
    batch: list[Note] = []
    total = 0
    for note in notes:
        if total > _AT_ONCE and note.commit != batch[-1].commit:
            yield batch
            batch, total = [], 0
        batch.append(note)
        total += note.size
    if batch:
        yield batch


def contents(repository: Repository, notes: Iterable[Note]) -> dict[str, bytes]:
    """Object -> content of those notes that are here and not too long. One git process.

    A partial clone fetches notes without their content, and gets that now. Raises CannotDecide.
    """
    names = list(dict.fromkeys(note.blob for note in notes if 0 < note.size <= MAX_BYTES))
    if not names:
        return {}
    env = {"GIT_NO_REPLACE_OBJECTS": "1"}
    result = repository.run("cat-file", CONTENTS, stdin=stdin_lines(names), env=env, remote=True)
    if result.status:
        raise CannotDecide(f"git cat-file failed: {result.reason}", DAMAGED)
    texts = zip(names, contents_in(result.stdout, len(names)), strict=True)
    return {name: content for name, content in texts if content is not None}


def by_commit(tree: Iterable[Note]) -> dict[str, list[Note]]:
    """Commit -> its notes: one, unless trees were merged by somebody else."""
    notes: dict[str, list[Note]] = {}
    for note in tree:
        notes.setdefault(note.commit, []).append(note)
    return notes


def change(tree: Sequence[Note], mine: Sequence[Note], commit: str, content: bytes) -> Changes:
    """Path -> content (None: goes away) so that the commit has this one note, at its own path if it has one."""
    if mine:
        return {mine[0].path: content, **dict.fromkeys((note.path for note in mine[1:]), None)}
    depth = max((note.path.count("/") for note in tree), default=0) or int(len(tree) >= _FANNED_OUT)
    parts = [commit[2 * n : 2 * n + 2] for n in range(min(depth, 2))]
    return {"/".join([*parts, commit[2 * len(parts) :]]): content}


_HELD = (".lock': File exists", ".lock': No such file or directory")  # by another git; it removes folders, too


def write(
    repository: Repository,
    changes: Callable[[str], Changes],
    message: str,
    *,
    merged: str = "",
    sleep: Callable[[float], None],
) -> bool:
    """Commits what `changes` makes of the tip, again while others move it meanwhile. False when that is nothing.

    With `merged`, a second parent, there is something to commit even where the tree stays as it is.
    """
    who = _committer(repository)
    for attempt in range(_TRIES):
        tip = tip_of(repository)
        new = changes(tip)
        if not new and not merged:
            return False
        stream = b"".join(_stream(who, message, tip, merged, new))
        result = repository.run("fast-import", "--quiet", "--done", stdin=stream)
        if not result.status:
            return True
        if tip_of(repository) == tip and not any(word in result.stderr for word in _HELD):
            raise PublishFailed(f"the note could not be written: {result.reason}", "git fsck")
        sleep(0.01 * attempt)
    raise PublishFailed(
        "the note could not be written: the notes are locked", f"remove {REF}.lock, if no other git is running"
    )


def _stream(who: bytes, message: str, tip: str, merged: str, changes: Changes) -> Iterator[bytes]:
    """A commit in git-fast-import's language."""
    text = message.encode("utf-8", "replace")
    yield b"commit %s\ncommitter %s\ndata %d\n%s\n" % (REF.encode(), who, len(text), text)
    for word, parent in (("from", tip), ("merge", merged)):
        if parent:
            yield f"{word} {parent}\n".encode()
    for path, content in changes.items():
        if content is None:
            yield f"D {path}\n".encode()
        else:
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(content), content)
    yield b"\ndone\n"


def _committer(repository: Repository) -> bytes:
    """Name, address and time as git would commit now; a name of ours where git knows none."""
    result = repository.run("var", "GIT_COMMITTER_IDENT")
    return result.stdout.strip() if not result.status and result.text else _NOBODY + b" %d +0000" % int(time.time())
