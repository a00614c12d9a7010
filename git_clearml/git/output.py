"""What a git has said: its output cut into lines or entries, and the line that says why it failed. Pure.

Cut at line feeds or NUL only: `str.splitlines` cuts at a dozen characters that a path may hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from git_clearml.base.secrets import without_users
from git_clearml.errors import CannotDecide

PROMISED = "from promisor remote"
"""What git says of an object that a partial clone has not fetched."""

_NOISE = ("To ", "hint:", "error: failed to push some refs", "warning: lazy fetching disabled")


class GitResult(NamedTuple):
    """How a git ended. stderr is text, without the credentials of any URL."""

    status: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """stdout as text, without white space at its ends; bytes that are not UTF-8 become surrogates."""
        return decode(self.stdout).strip()

    @property
    def lines(self) -> list[str]:
        """stdout cut at line feeds."""
        return lines(self.stdout)

    @property
    def entries(self) -> list[str]:
        """stdout cut at NUL, for what was called with `-z`."""
        return entries(self.stdout)

    @property
    def reason(self) -> str:
        """The line of stderr in which git, or a hook, says why it failed."""
        return reason(self.stderr, self.status)


def decode(content: bytes) -> str:
    """git's output as text; bytes that are not UTF-8 become surrogates, as in `os.fsdecode`."""
    return content.decode("utf-8", "surrogateescape")


def lines(content: bytes) -> list[str]:
    """git's output cut at line feeds; the one at the end ends the last line."""
    parts = decode(content).split("\n")
    return parts[:-1] if not parts[-1] else parts


def entries(content: bytes) -> list[str]:
    """git's output cut at NUL, without empty entries."""
    return [entry for entry in decode(content).split("\0") if entry]


def cut(line: str, separator: str, count: int) -> list[str]:
    """A line of git's cut into so many parts. Raises CannotDecide for another number: a git that died, or a wrapper."""
    parts = line.split(separator, count - 1)
    if len(parts) != count:
        raise CannotDecide(f"git printed what it should not: {line[:60]!r}", "git --version")
    return parts


def integer(text: str) -> int:
    """A number that git prints. Raises CannotDecide for what is none."""
    if not (text.isascii() and text.isdigit()):
        raise CannotDecide(f"git printed what it should not: {text[:60]!r}", "git --version")
    return int(text)


def stdin_lines(texts: Iterable[str]) -> bytes:
    """The texts as lines for git's stdin."""
    return "".join(text + "\n" for text in texts).encode("utf-8", "surrogateescape")


def stdin_entries(texts: Iterable[str]) -> bytes:
    """The texts for the stdin of a git that is called with `-z`."""
    return "".join(text + "\0" for text in texts).encode("utf-8", "surrogateescape")


def options_of(settings: Iterable[str]) -> list[str]:
    """Settings (`core.x=y`) as git's own options."""
    return [word for setting in settings for word in ("-c", setting)]


def reason(stderr: str, status: int) -> str:
    """The line in which git, or a hook, says why: the first fatal error or error, else the first line.

    Without the credentials of any URL. "exit status N" where nothing was said.
    """
    spoken = [line.strip() for line in stderr.split("\n") if line.strip()]
    telling = [line for line in spoken if not line.startswith(_NOISE)]
    errors = [line for line in telling or spoken if line.startswith(("fatal:", "error:"))]
    first = "".join((errors or telling)[:1])
    plain = first.removeprefix("fatal: ").removeprefix("error: ")
    return without_users(plain) or f"exit status {status}"
