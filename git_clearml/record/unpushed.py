"""Results commits that are not on the remote yet, each kept under a ref of this clone that nobody fetches or pushes."""

from __future__ import annotations

from git_clearml.errors import PublishFailed
from git_clearml.git import commit as commits
from git_clearml.git.output import lines
from git_clearml.git.repository import Repository

REFS = "refs/clearml/results/"
"""A kept commit stands here under its short hash."""


class Unpushed(PublishFailed):
    """The results commit exists, but it is not on the remote. `commit` is its hash."""

    def __init__(self, message: str, hint: str, commit: str) -> None:
        super().__init__(f"{message}; the results commit is kept: {commit}", hint)
        self.commit = commit


def keep(repository: Repository, commit: str) -> None:
    """Creates the ref, so that no `git gc` takes the commit. Raises CannotDecide where git cannot."""
    repository.read("update-ref", "-m", "git clearml: results", REFS + commit[:12], commit)


def same_as(repository: Repository, tree: str, parent: str, message: str) -> str:
    """The kept commit of this tree, parent and message, from when it could not be pushed; "" for none."""
    for _, commit in every(repository):
        shown = repository.run("show", "-s", "--no-show-signature", "--format=%T %P", commit)
        if shown.text == f"{tree} {parent}" and commits.message_of(repository, commit) == message.strip():
            return commit
    return ""


def every(repository: Repository) -> list[tuple[str, str]]:
    """(ref, commit) of all that is kept."""
    listing = lines(repository.read("for-each-ref", "--format=%(refname) %(objectname)", REFS))
    return [(ref, commit) for ref, _, commit in (line.rpartition(" ") for line in listing)]


def forget(repository: Repository, ref: str, commit: str) -> None:
    """Removes the ref, unless it stands for another commit meanwhile."""
    repository.run("update-ref", "-d", ref, commit)
