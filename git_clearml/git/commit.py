"""Makes commits from objects: who commits, what the message is, whether it is signed; and reads messages of others.

No index, no working tree.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from git_clearml.errors import CannotDecide, UsageError
from git_clearml.git.output import decode
from git_clearml.git.repository import Repository

_NOBODY = ("git-clearml", "git-clearml@users.invalid")  # no mail ever goes to .invalid (RFC 2606)
_COMMITTER = re.compile(r"\s*([^<>\x00-\x1f]*[^<>\x00-\x1f\s])\s*<([^<>\x00-\x20]+)>\s*")
_WHO = ("AUTHOR", "COMMITTER")


def identity(repository: Repository, committer: str) -> dict[str, str]:
    """The variables that make git commit as `Name <mail>`, none for "" where git knows a name itself.

    Where it knows none, as on most CI runners, it is a name of ours. Raises UsageError for what is no identity.
    """
    name, mail = _NOBODY
    if committer:
        match = _COMMITTER.fullmatch(committer)
        if not match:
            raise UsageError(f"not a committer: {committer!r}", '--committer "Name <name@example.com>"')
        name, mail = match.groups()
    elif not any(repository.run("var", f"GIT_{who}_IDENT").status for who in _WHO):
        return {}
    return {f"GIT_{who}_{what}": value for who in _WHO for what, value in (("NAME", name), ("EMAIL", mail))}


def make(repository: Repository, tree: str, parent: str, message: str, committer: str = "") -> str:
    """A new commit's hash. Signed where this clone signs its commits: a branch may take no others.

    Raises CannotDecide with git's own words.
    """
    signs = dict(repository.config()).get("commit.gpgsign", "false").lower()
    options = ["-S"] if signs in ("true", "yes", "on", "1", "") else []
    result = repository.run(
        "-c", "i18n.commitEncoding=UTF-8", "commit-tree", *options, "-p", parent, tree,
        stdin=message.encode("utf-8", "surrogateescape"), env=identity(repository, committer), may_ask=True,
    )  # fmt: skip
    if result.status:
        raise CannotDecide(f"git commit-tree failed: {result.reason}", "git commit --allow-empty --dry-run")
    return result.text


def message_of(repository: Repository, commit: str) -> str:
    """A commit's message, without empty lines around it."""
    return shown(repository, commit, "%B").strip()


def shown(repository: Repository, commit: str, form: str) -> str:
    """What `git show` says of a commit in this format (git-log(1)), each commit ended by a line feed. One git process.

    Raises CannotDecide where the commit cannot be read.
    """
    return decode(repository.read("show", "-s", "--no-show-signature", "--encoding=UTF-8", f"--format={form}", commit))


class Trailers(NamedTuple):
    """The values of a commit's trailers with one key, each unfolded to one line; and the lines of its message that look
    like such a trailer and are none for git, because they do not stand in the last paragraph."""

    values: list[str]
    elsewhere: list[str]


def trailers(repository: Repository, commit: str, key: str) -> Trailers:
    """The trailers with this key, in whatever case, as git finds them (git-interpret-trailers(1)); else as `shown`."""
    form = f"%B%x00%(trailers:key={key},valueonly=true,unfold=true,separator=%x00)"
    message, _, last = shown(repository, commit, form).partition("\0")
    values = [value.strip() for value in last.rstrip("\n").split("\0") if value.strip()]
    alike = re.findall(rf"(?im)^[ \t*-]*{re.escape(key)}[ \t]*:(.*)$", message)
    return Trailers(values, [line.strip() for line in alike[: max(len(alike) - len(values), 0)] if line.strip()])
