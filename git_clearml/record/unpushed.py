"""Results commits that are not on the remote yet, each kept under a ref of this clone that nobody fetches or pushes."""

from __future__ import annotations

from git_clearml.errors import PublishFailed
from git_clearml.git import commit as commits
from git_clearml.git.repository import Repository

REFS = "refs/clearml/results/"
"""A kept commit stands here under its short hash."""


class Kept(PublishFailed):
    """The results commit is made, but it is not on the remote. `commit` is its hash."""

    def __init__(self, message: str, hint: str, commit: str) -> None:
        super().__init__(f"{message}; the results commit is kept: {commit}", hint)
        self.commit = commit


def keep(repository: Repository, commit: str) -> None:
    """Makes the ref, so that no `git gc` takes the commit. Raises CannotDecide where git cannot."""
    repository.read("update-ref", "-m", "git clearml: results", REFS + commit[:12], commit)


def before(repository: Repository, tree: str, parent: str, message: str) -> str:
    """The kept commit that is just this one, made when it could not be pushed; "" for none."""
    for _, name in every(repository):
        words = ("show", "-s", "--no-show-signature", "--format=%T %P", name)
        same = repository.read(*words).decode("ascii").strip() == f"{tree} {parent}"
        if same and commits.message_of(repository, name) == message.strip():
            return name
    return ""


def every(repository: Repository) -> list[tuple[str, str]]:
    """(ref, commit) of all that is kept."""
    out = repository.read("for-each-ref", "--format=%(refname) %(objectname)", REFS)
    lines = out.decode("utf-8", "surrogateescape").splitlines()
    return [(ref, name) for ref, _, name in (line.rpartition(" ") for line in lines)]


def forget(repository: Repository, ref: str, commit: str) -> None:
    """Removes the ref, unless it stands for another commit meanwhile."""
    repository.run("update-ref", "-d", ref, commit)
