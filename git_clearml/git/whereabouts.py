"""What this clone knows of a commit that a task names: who made it, and which branches have it."""

from __future__ import annotations

from typing import NamedTuple

from git_clearml.base.ids import is_hash
from git_clearml.git import commit as commits
from git_clearml.git.output import cut
from git_clearml.git.repository import Repository

_FORM = "%s%x00%an%x00%aI"


class Whereabouts(NamedTuple):
    """A commit as a task names it; all else is empty where it is not `present`. `date` is the author's, ISO 8601.

    `branches` are the branches here and those of remotes, as last fetched, that it is in.
    """

    hash: str
    present: bool = False
    subject: str = ""
    author: str = ""
    date: str = ""
    branches: tuple[str, ...] = ()


def find(repository: Repository, commit: str) -> Whereabouts:
    """Looks for the commit here: two git processes. What is no full hash is nowhere."""
    if not is_hash(commit) or not repository.trees([commit]):
        return Whereabouts(commit)
    subject, author, date = cut(commits.shown(repository, commit, _FORM).removesuffix("\n"), "\0", 3)
    form = "--format=%(refname:short)%00%(symref)"
    listed = repository.run("for-each-ref", form, f"--contains={commit}", "refs/heads", "refs/remotes").lines
    branches = [name for name, _, symbolic in (line.partition("\0") for line in listed) if not symbolic]
    return Whereabouts(commit, True, subject, author, date, tuple(branches))
