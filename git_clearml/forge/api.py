"""What a forge (GitHub, and others like it) can do for us. Each forge has a file of its own beside this one.

All of it raises CannotDecide: NotFound, Forbidden, Unauthorized, TimedOut, Unreachable or BadAnswer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeVar

from git_clearml.base import jsonvalue
from git_clearml.base.ids import is_hash
from git_clearml.errors import CannotDecide

Answer = TypeVar("Answer")


class NotFound(CannotDecide):
    """The forge says that there is no such thing, or does not show it to this token."""

    code = "bad-answer"


class Unsupported(CannotDecide):
    """The forge has no such thing, or one that must not be used; the message says which, and why."""


@dataclass(frozen=True)
class ChangeRequest:
    """A pull request, or what another forge calls it. `head` is the full hash of its newest commit, `url` its page.

    `base` is the hash that it is to be merged with, `head_urls` are the clone URLs of the repository of the head. A
    commit is shown at `repository_url`/commit/<hash>. Addresses and arguments of git are built from all this: where the
    forge has told something of another shape, making one raises Malformed.
    """

    number: int
    head: str
    url: str
    is_open: bool
    is_fork: bool
    base: str = ""
    base_branch: str = ""
    head_branch: str = ""
    head_owner: str = ""
    head_urls: tuple[str, ...] = ()
    repository_url: str = ""

    def __post_init__(self) -> None:
        jsonvalue.integer(self.number, "number")
        jsonvalue.texts(self.head_urls, "head_urls")
        for name in ("url", "base", "base_branch", "head_branch", "head_owner", "repository_url"):
            jsonvalue.text(getattr(self, name), name)
        if not is_hash(jsonvalue.text(self.head, "head")) or (self.base and not is_hash(self.base)):
            raise jsonvalue.Malformed("head or base is no full hash")


@dataclass(frozen=True)
class Comment:
    """A comment on a change request. Anybody may have written it; `author` is "" for a deleted account.

    Making one of values of other types raises Malformed.
    """

    id: int
    author: str
    body: str
    url: str

    def __post_init__(self) -> None:
        jsonvalue.integer(self.id, "id")
        for name in ("author", "body", "url"):
            jsonvalue.text(getattr(self, name), name)


State = Literal["success", "failure", "error", "pending"]


@dataclass(frozen=True)
class Status:
    """What a commit's status says; `context` tells several apart, `target_url` is "" for no page."""

    state: State
    context: str
    description: str
    target_url: str = ""


class Writing(NamedTuple):
    """What a forge tells of writing with a token: whether comments and statuses may be written (None: it does not tell
    this token), and what stands against it, as a clause for a sentence."""

    comments: bool | None = None
    statuses: bool | None = None
    why: str = ""


class Forge(Protocol):
    """One repository on one forge, with one budget of seconds for everything that is asked of it.

    A comment that it is given is one that it has read or written.
    """

    def author(self) -> str:
        """The account that our comments are written by; "" where the forge does not tell this token."""

    def change_request(self, number: int) -> ChangeRequest:
        """A change request by its number. Raises NotFound."""

    def change_request_of(self, commit: str, *, owner: str = "", branch: str = "") -> ChangeRequest | None:
        """The open change request that a commit belongs to; of several the one whose head it is.

        A forge may not connect a fork's commits with its change request: `owner` and `branch` of the head help.
        """

    def comments(self, number: int) -> list[Comment]:
        """All comments on a change request, oldest first."""

    def hidden(self, comments: Sequence[Comment]) -> set[int]:
        """The ids of those of the comments that somebody has hidden."""

    def create_comment(self, number: int, body: str) -> Comment:
        """A new comment on a change request."""

    def edit_comment(self, comment: Comment, body: str) -> Comment:
        """The comment with another body. Raises NotFound when somebody deleted it."""

    def delete_comment(self, comment: Comment) -> None:
        """Deletes a comment; a comment that is gone already is no error."""

    def set_status(self, commit: str, status: Status) -> None:
        """Sets a commit's status. Raises Unsupported."""

    def ref_at(self, ref: str) -> str:
        """The object that a ref is at, "" for no such ref. By its full name; HEAD is the default branch."""

    def file_at(self, commit: str, path: str) -> bytes | None:
        """A file of a commit that need not be in this clone; None where the commit has no such file."""

    def merged_by(self, commit: str) -> list[int]:
        """The numbers of the merged change requests that brought this commit to a branch; [] for none.

        The forge knows it also where no message says so: a rebase leaves no number in one.
        """

    def writing(self) -> Writing:
        """What may be written with this token, as far as that is told without anything being written."""

    def close(self) -> None:
        """Lets go of the connections."""


class Ask(Protocol):
    """Asks the forge of a CI job one question, with a connection and a budget of its own.

    Raises NotConfigured without a token, UsageError for a repository that is none, and whatever the question raises.
    """

    def __call__(self, question: Callable[[Forge], Answer], /) -> Answer: ...
