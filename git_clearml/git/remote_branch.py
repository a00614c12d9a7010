"""A branch of a remote, and the one that the checked-out branch tracks."""

from __future__ import annotations

from typing import NamedTuple

from git_clearml.git import remote as remotes
from git_clearml.git.remote import Remote
from git_clearml.git.repository import Repository

HEADS = "refs/heads/"


class RemoteBranch(NamedTuple):
    """A branch of a remote, without `refs/heads/`, and the commit that it was at when we asked ("": no such branch)."""

    remote: Remote
    branch: str
    tip: str

    @property
    def shown(self) -> str:
        """What to call it in a message: `origin/main`."""
        return f"{self.remote.name}/{self.branch}" if self.remote.name else f"{self.branch} of {self.remote.shown}"


def tracked(repository: Repository, remote: Remote) -> str:
    """The remote's branch that the checked-out one tracks, "" for none."""
    config, current = dict(repository.config()), remotes.branch(repository)
    if not current or not remote.name or config.get(f"branch.{current}.remote") != remote.name:
        return ""
    merge = config.get(f"branch.{current}.merge", "")
    return merge.removeprefix(HEADS) if merge.startswith(HEADS) else ""
