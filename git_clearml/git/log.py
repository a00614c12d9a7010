"""Streams `git log`: commits as git finds them, the first before it has found the last."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from git_clearml.errors import CannotDecide, Error, UnknownRevision, UsageError

_BLOCK = 65_536
_FIELDS = "%H%x00%h%x00%s"
# Nobody's configuration changes what we read, and no replacement objects are looked at, as in repository.py.
_ENVIRONMENT = {"LC_ALL": "C", "LANGUAGE": "C", "GIT_NO_REPLACE_OBJECTS": "1"}


@dataclass(frozen=True)
class LogEntry:
    """A commit as `git log` names it: full and abbreviated hash, and its subject, whatever somebody committed."""

    commit: str
    short: str
    subject: str


def walk(
    ranges: Sequence[str], paths: Sequence[str], *, most: int | None = None
) -> Generator[list[LogEntry], None, None]:
    """The commits that `git log <ranges> -- <paths>` names here, in its order, whenever there are some; at most `most`.

    Close it, and git ends too. Raises UnknownRevision, UsageError for paths outside of the repository, and
    CannotDecide for all else that git stumbles over, maybe after some commits.
    """
    command = ["git", "--no-pager", "log", "-z", f"--format={_FIELDS}", "--encoding=UTF-8", "--no-color", "--no-notes"]
    command += ["--no-show-signature", *([] if most is None else [f"--max-count={most}"])]
    command += ["--end-of-options", *ranges, "--", *paths]
    with tempfile.TemporaryFile() as talk:
        environment = {**os.environ, **_ENVIRONMENT}
        git = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=talk, bufsize=0
        )
        try:
            yield from _commits(git)
            status = git.wait()
        finally:
            git.kill()
            git.communicate()
        if status:
            talk.seek(0)
            raise _explained(talk.read(10_000).decode("utf-8", "replace"), ranges)


def _commits(git: subprocess.Popen[bytes]) -> Iterator[list[LogEntry]]:
    assert git.stdout is not None
    rest = b""
    while block := git.stdout.read(_BLOCK):  # unbuffered: what there is, not what would fill a buffer
        fields = (rest + block).split(b"\0")
        whole = (len(fields) - 1) // 3 * 3
        rest = b"\0".join(fields[whole:])
        texts = [one.decode("utf-8", "replace") for one in fields[:whole]]
        if texts:
            yield [LogEntry(*three) for three in zip(texts[0::3], texts[1::3], texts[2::3], strict=True)]


def _explained(talk: str, ranges: Sequence[str]) -> Error:
    lines = [line.removeprefix("fatal: ").strip() for line in talk.splitlines() if line.startswith("fatal: ")]
    said = lines[0] if lines else "git log failed"
    if "does not have any commits yet" in said or (not ranges and "bad default revision" in said):
        return UnknownRevision("this repository has no commits yet", "commit something first")
    unknown = ("bad revision", "unknown revision", "Invalid revision range", "ambiguous", " only has ")
    if any(word in said for word in unknown) or said.removeprefix("bad object ") in ranges:
        named = f"no such revision or range: {', '.join(repr(one) for one in ranges)}"
        return UnknownRevision(named, "git log --oneline; a path is written after --")
    if "outside repository" in said or "pathspec" in said:
        return UsageError(said, "git clearml log -- <path>")
    return CannotDecide(f"git log failed: {said}", "git fsck tells whether the repository is sound")
