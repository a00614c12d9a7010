"""Trailers of commit messages, as git finds them (git-interpret-trailers)."""

from __future__ import annotations

import re
from typing import NamedTuple

from git_clearml.git.output import decode
from git_clearml.git.repository import Repository


class Found(NamedTuple):
    """The values of a commit's trailers with one key, each unfolded to one line; and the lines of its message that look
    like such a trailer and are none for git, because they do not stand in the last paragraph."""

    values: list[str]
    elsewhere: list[str]


def find(repository: Repository, commit: str, key: str) -> Found:
    """The trailers with this key, in upper or lower case. One git process.

    Raises CannotDecide where the commit cannot be read.
    """
    form = f"%B%x00%(trailers:key={key},valueonly=true,unfold=true,separator=%x00)"
    text = decode(
        repository.read("show", "-s", "--no-show-signature", "--encoding=UTF-8", f"--format=tformat:{form}", commit)
    )
    message, _, trailers = text.partition("\0")
    values = [value.strip() for value in trailers.rstrip("\n").split("\0") if value.strip()]
    alike = re.findall(rf"(?im)^[ \t*-]*{re.escape(key)}[ \t]*:(.*)$", message)
    return Found(values, [line.strip() for line in alike[: max(len(alike) - len(values), 0)] if line.strip()])
