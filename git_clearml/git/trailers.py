"""Trailers of commit messages, as git finds them (git-interpret-trailers)."""

from __future__ import annotations

from git_clearml.git.output import decode
from git_clearml.git.repository import Repository


def values(repository: Repository, commit: str, key: str) -> list[str]:
    """The values of a commit's trailers with this key, in upper or lower case, each unfolded to one line.

    Raises CannotDecide where the commit cannot be read.
    """
    form = f"%(trailers:key={key},valueonly=true,unfold=true,separator=%x00)"
    text = decode(
        repository.read("show", "-s", "--no-show-signature", "--encoding=UTF-8", f"--format=tformat:{form}", commit)
    )
    return [value.strip() for value in text.rstrip("\n").split("\0") if value.strip()]
