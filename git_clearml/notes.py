"""The notes of this clone, `refs/notes/clearml`: which tasks ran a commit, for people to see. Never evidence.

A note is written by one `git fast-import`, which moves the ref only when the new notes contain the old ones. So of two
that record at once both are kept (the second tries again), a kill leaves the notes as they were or as they should be,
and neither an index nor a working tree is touched: a bare repository will do.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from git_clearml import note_lines
from git_clearml.errors import PublishFailed, UnknownRevision
from git_clearml.repository import Repository, is_hash
from git_clearml.results import Entry, Result

REF = "refs/notes/clearml"
_FETCHED = "refs/clearml/notes"  # where a remote's notes come in: no notes ref, so that nothing shows it
_TRIES = 30  # of a write that others are quicker than
_AT_ONCE = 16_000_000  # bytes of notes read by one git process
_FANNED_OUT = 256  # notes from which on directories are made of their first two digits, as git does
_NOBODY = b"git-clearml <git-clearml@users.invalid>"
"""Who writes a note where git knows no name, as on most CI runners. No mail ever goes to .invalid (RFC 2606)."""

_PATH = re.compile(r"(?:[0-9a-f]{2}/)*[0-9a-f]+")
_URL = re.compile(r"'?[\w+.-]+://[^\s']*'?")
# What a remote says when somebody else's push was a moment quicker (git's refs.c, and GitHub).
_RACES = ("lock", "failed to update ref", "already exists", "incorrect old value")
_QUIET = {"GIT_TERMINAL_PROMPT": "0"}
_BY_HAND = "git push <remote> refs/notes/clearml tells more"


@dataclass(frozen=True)
class _Note:
    """A file of the notes tree: the commit that it is about, its content's object, and how long that is."""

    path: str
    commit: str
    blob: str
    size: int


class Notes:
    """The notes as they are now; those of a commit are read when they are asked for. Two git processes to make."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._notes: dict[str, list[_Note]] = {}
        for note in _tree(repository, _tip(repository, REF)):
            self._notes.setdefault(note.commit, []).append(note)

    def of(self, commits: Iterable[str]) -> dict[str, tuple[Entry, ...]]:
        """The tasks on record for each of these commits that has any, the one that completed last first."""
        found = {}
        for some in _batches([note for commit in dict.fromkeys(commits) for note in self._notes.get(commit, ())]):
            contents = _contents(self._repository, some)
            for commit in dict.fromkeys(note.commit for note in some):
                lines = b"\n".join(contents.get(note.blob, b"") for note in self._notes[commit])
                if entries := note_lines.entries(lines):
                    found[commit] = entries
        return found

    def task(self, identity: str) -> tuple[str, Entry] | None:
        """The commit that has this task on record, and what is recorded of it."""
        for commit, entries in self.of(self._notes).items():
            if found := next((one for one in entries if one.task == identity), None):
                return commit, found
        return None


def read(repository: Repository, commits: Iterable[str]) -> dict[str, tuple[Entry, ...]]:
    """The tasks on record for each of these commits that has any. Raises CannotDecide when git fails."""
    return Notes(repository).of(commits)


def record(
    repository: Repository,
    commit: str,
    results: Sequence[Result],
    *,
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Writes the results into the note of a commit (its full hash). False when they are on record already.

    A task that is there gets its line replaced. Raises PublishFailed when git cannot write.
    """
    if not is_hash(commit):
        raise UnknownRevision(f"not the full hash of a commit: {commit[:80]!r}", "git rev-parse tells full hashes")
    moment = now().isoformat(timespec="milliseconds")
    lines = [note_lines.line(note_lines.entry(result, moment)) for result in results]
    names = ", ".join(result.task for result in results[:3]) + (", ..." if len(results) > 3 else "")

    def changes(tip: str) -> dict[str, bytes | None]:
        tree = _tree(repository, tip)
        mine = [note for note in tree if note.commit == commit]
        known = list(_contents(repository, mine).values())
        new = _unrecorded(lines, known)
        return _change(tree, mine, commit, note_lines.union([*known, *new])) if new else {}

    return _write(repository, changes, f"git clearml: record {names} of {commit[:12]}", sleep=sleep)


def push(
    repository: Repository,
    remote: str,
    *,
    timeout: float,
    tries: int = 5,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Pushes the notes, merged with the remote's where another machine was first. False when there are none.

    `timeout` in seconds, for all of it. Raises PublishFailed.
    """
    deadline = clock() + timeout
    for attempt in range(tries):
        if not _tip(repository, REF):
            return False
        refusal = _pushed(repository, remote, deadline - clock())
        if not refusal:
            return True
        if clock() >= deadline:
            raise PublishFailed(f"the notes could not be pushed within {timeout:g} s", _BY_HAND)
        if not any(word in refusal for word in ("[rejected]", *_RACES)):
            raise PublishFailed(f"the notes could not be pushed: {refusal}", _BY_HAND)
        sleep(0.1 * attempt)
        pull(repository, remote, timeout=deadline - clock(), sleep=sleep)
    raise PublishFailed(f"the notes could not be pushed: {tries} times somebody else was quicker", "try again")


def pull(repository: Repository, remote: str, *, timeout: float, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Merges the remote's notes into ours: of each task the newest line. False when it has none, or none that are new.

    Raises PublishFailed.
    """
    theirs = _fetched(repository, remote, timeout)
    if not theirs or _contains(repository, REF, theirs):
        return False
    tree = _tree(repository, theirs)

    def changes(tip: str) -> dict[str, bytes | None]:
        return _merged(repository, _tree(repository, tip), tree)

    ours = _tip(repository, REF)
    if (not ours or _contains(repository, theirs, ours)) and _moved(repository, theirs, ours):
        return True
    return _write(repository, changes, "git clearml: merge the notes of another clone", merged=theirs, sleep=sleep)


def _merged(repository: Repository, ours: Sequence[_Note], theirs: Sequence[_Note]) -> dict[str, bytes | None]:
    """What to write into our tree so that it says what both say."""
    have = _by_commit(ours)
    new = {
        commit: (have.get(commit, []), notes)
        for commit, notes in _by_commit(theirs).items()
        if not {note.blob for note in notes} <= {note.blob for note in have.get(commit, [])}
    }
    contents = _contents(repository, [note for pair in new.values() for notes in pair for note in notes])
    changes: dict[str, bytes | None] = {}
    for commit, (mine, notes) in new.items():
        content = note_lines.union(contents.get(note.blob, b"") for note in [*mine, *notes])
        changes |= _change(ours, mine or notes[:1], commit, content)
    return changes


def _unrecorded(lines: Iterable[bytes], known: Iterable[bytes]) -> list[bytes]:
    """The lines that say something which the known notes do not: not only that they were written later."""
    there = {replace(one, recorded="") for content in known for one in note_lines.entries(content)}
    return [one for one in lines if any(replace(new, recorded="") not in there for new in note_lines.entries(one))]


def _by_commit(tree: Iterable[_Note]) -> dict[str, list[_Note]]:
    notes: dict[str, list[_Note]] = {}
    for note in tree:
        notes.setdefault(note.commit, []).append(note)
    return notes


def _change(tree: Sequence[_Note], mine: Sequence[_Note], commit: str, content: bytes) -> dict[str, bytes | None]:
    """Path -> content (None: goes away) so that the commit has this one note, at its own path if it has one."""
    if mine:
        return {mine[0].path: content, **dict.fromkeys((note.path for note in mine[1:]), None)}
    depth = max((note.path.count("/") for note in tree), default=0) or int(len(tree) >= _FANNED_OUT)
    parts = [commit[2 * n : 2 * n + 2] for n in range(min(depth, 2))]
    return {"/".join([*parts, commit[2 * len(parts) :]]): content}


def _write(
    repository: Repository,
    changes: Callable[[str], Mapping[str, bytes | None]],
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
        tip = _tip(repository, REF)
        made = changes(tip)
        if not made and not merged:
            return False
        stream = b"".join(_stream(who, message, tip, merged, made))
        status, _, err = repository.run("fast-import", "--quiet", "--done", stdin=stream)
        if not status:
            return True
        if _tip(repository, REF) == tip and ".lock" not in err:
            raise PublishFailed(f"the note could not be written: {_said(err)}", "git fsck; is the disk full?")
        sleep(0.01 * attempt)
    raise PublishFailed(
        "the note could not be written: the notes are locked", f"is another git at work? else remove {REF}.lock"
    )


def _stream(who: bytes, message: str, tip: str, merged: str, changes: Mapping[str, bytes | None]) -> Iterator[bytes]:
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
    status, out, _ = repository.run("var", "GIT_COMMITTER_IDENT")
    return out.strip() if not status and out.strip() else _NOBODY + b" %d +0000" % int(time.time())


def _tip(repository: Repository, ref: str) -> str:
    """The commit that a ref is at, "" for none."""
    status, out, _ = repository.run("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    return "" if status else out.decode("ascii", "replace").strip()


def _contains(repository: Repository, descendant: str, commit: str) -> bool:
    return repository.run("merge-base", "--is-ancestor", commit, descendant)[0] == 0


def _moved(repository: Repository, to: str, old: str) -> bool:
    """Moves our notes forward, unless somebody else has moved them meanwhile."""
    return repository.run("update-ref", "-m", "git clearml: fetch", REF, to, old or "0" * len(to))[0] == 0


def _tree(repository: Repository, tip: str) -> list[_Note]:
    """The notes of a notes commit, those that are too long to be ours with a size of 0. One git process."""
    if not tip:
        return []
    notes = []
    for line in repository.read("ls-tree", "-r", "-l", "-z", "--full-tree", tip).split(b"\0"):
        facts, _, name = line.partition(b"\t")
        path = name.decode("utf-8", "replace")
        commit = path.replace("/", "")
        if _PATH.fullmatch(path) and is_hash(commit) and facts.split()[1] == b"blob":
            _, _, blob, size = facts.decode("ascii").split()
            notes.append(_Note(path, commit, blob, int(size) if size.isdigit() else 0))
    return notes


def _batches(notes: Iterable[_Note]) -> Iterator[list[_Note]]:
    """The notes in parts that may be in memory at once, the notes of one commit in one part."""
    some: list[_Note] = []
    total = 0
    for note in notes:
        if total > _AT_ONCE and note.commit != some[-1].commit:
            yield some
            some, total = [], 0
        some.append(note)
        total += note.size
    if some:
        yield some


def _contents(repository: Repository, notes: Iterable[_Note]) -> dict[str, bytes]:
    """Object -> content of those notes that are here and not too long. One git process."""
    asked = list(dict.fromkeys(note.blob for note in notes if 0 < note.size <= note_lines.MAX_BYTES))
    if not asked:
        return {}
    lines = "".join(f"{one}\n" for one in asked).encode()
    out = repository.read("cat-file", "--batch=%(objectsize)", stdin=lines)
    contents, place = {}, 0
    for one in asked:
        end = out.index(b"\n", place)
        header, place = out[place:end], end + 1
        if header.isdigit():  # else it says that the object is missing
            contents[one] = out[place : place + int(header)]
            place += int(header) + 1
    return contents


def _fetched(repository: Repository, remote: str, timeout: float) -> str:
    """The remote's notes commit, now in this clone; "" when it has none. Raises PublishFailed."""
    status, _, err = repository.run(
        "fetch", "--quiet", "--no-tags", "--no-prune", "--no-recurse-submodules", "--no-write-fetch-head", "--refmap=",
        "--", remote, f"+{REF}:{_FETCHED}", env=_QUIET, timeout=max(0.1, timeout),
    )  # fmt: skip
    if status and "couldn't find remote ref" in err:
        return ""
    if status and ".lock" not in err:  # another fetch of this clone is at it: what that one brings will do
        raise PublishFailed(f"the remote's notes could not be fetched: {_said(err)}", f"git fetch <remote> {REF}")
    return _tip(repository, _FETCHED)


def _pushed(repository: Repository, remote: str, timeout: float) -> str:
    """Tries once: "" when the remote has our notes, else what it or git said."""
    status, out, err = repository.run(
        "push", "--porcelain", "--no-follow-tags", "--recurse-submodules=no", "--", remote, f"{REF}:{REF}",
        env=_QUIET, timeout=max(0.1, timeout),
    )  # fmt: skip
    if not status:
        return ""
    lines = out.decode("utf-8", "replace").splitlines()
    return next((line.rpartition("\t")[2] for line in lines if line.startswith("!")), "") or _said(err)


def _said(err: str) -> str:
    """The line in which git says why; without its URL, which may hold a password."""
    lines = [_URL.sub("the remote", line.strip()) for line in err.splitlines() if line.strip()]
    if any(line.startswith("Timeout:") for line in lines):  # GitPython's word for it
        return "no answer in time"
    found = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[0] if lines else "")
    return found.removeprefix("fatal: ").removeprefix("error: ") or "git does not say why"
