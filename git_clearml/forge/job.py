"""A CI job, whatever the forge: which commit it is about, on which pull request, and whose code it is.

The judged commit is the pull request's head, never the merge commit that CI checks out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Provider(str, Enum):
    """Whose job it is."""

    GITHUB = "github"
    GITEA = "gitea"  # and Forgejo
    GITLAB = "gitlab"
    BITBUCKET = "bitbucket"
    OTHER = "other"

    @property
    def shown(self) -> str:
        """What its users call it."""
        return _SHOWN[self]

    @property
    def request(self) -> str:
        """What they call a change that somebody wants merged."""
        return "merge request" if self is Provider.GITLAB else "pull request"


_SHOWN = {
    Provider.GITHUB: "GitHub",
    Provider.GITEA: "Gitea",
    Provider.GITLAB: "GitLab",
    Provider.BITBUCKET: "Bitbucket",
    Provider.OTHER: "this CI service",
}


BRANCHES = "refs/heads/"


def branch_of(ref: str) -> str:
    """The branch that a full ref names, "" for another kind of ref."""
    return ref.removeprefix(BRANCHES) if ref.startswith(BRANCHES) else ""


def branch_ref(branch: str) -> str:
    """The full ref of a branch, "" for none."""
    return BRANCHES + branch if branch else ""


@dataclass(frozen=True)
class Job:
    """The job we are in. Commits are full hashes; "" and 0 mean none, or not known.

    `head` is the commit to judge, or an annotated tag of it. Where the event names a ref of the remote instead, that is
    `head_ref`, and `head` what it was at when the job began; where it names a pull request, `number`; else there is
    none. `base` is the accepted commit whose policy applies; `base_ref` is the remote's ref to take it from where the
    event names none; without both it is the base of pull request `number`, or nothing was accepted before. `deletes`
    where the event is that a ref went away; `is_tag` where a tag was pushed, which may be one of something else than a
    commit. `head_urls` are the clone URLs of the repository that the head comes from, a fork's where it `is_fork`.
    `checked_out` is the commit that the job runs for, such as a merge commit. `before_untold` where the job does not
    tell what its branch was at before: of the default branch that is then `earlier`, the commit of the build before, or
    the head's first parent. `notes` are for whoever reads the verdict.
    """

    provider: Provider
    event: str
    head: str = ""
    head_ref: str = ""
    head_branch: str = ""
    head_owner: str = ""
    head_urls: tuple[str, ...] = ()
    base: str = ""
    base_ref: str = ""
    base_branch: str = ""
    number: int = 0
    repository: str = ""  # owner/name
    default_branch: str = ""
    is_fork: bool = False
    is_push_to_base: bool = False
    deletes: bool = False
    is_tag: bool = False
    before_untold: bool = False
    earlier: str = ""
    checked_out: str = ""
    server: str = ""
    api: str = ""
    notes: tuple[str, ...] = ()

    @property
    def default_ref(self) -> str:
        """The full ref of the default branch; where the event does not name that, the remote's HEAD."""
        return branch_ref(self.default_branch) or "HEAD"

    @property
    def status_commit(self) -> str:
        """The commit that a status belongs on where that is not the judged one: in a merge queue, the merge."""
        return self.checked_out if self.event == "merge_group" else ""
