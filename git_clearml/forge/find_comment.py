"""Which comments on a pull request are ours, and what to do about them: create, update, or leave it. Pure.

A comment is ours by the marker in its first line *and* by its author. The marker alone proves nothing: anybody can
write it. It stands in render/comment.py, which writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from git_clearml.forge.api import Comment
from git_clearml.render import comment as view
from git_clearml.render import comment_history as history
from git_clearml.render.comment import Page, is_marked


class Action(Enum):
    """What a plan does; the value says it."""

    CREATE = "create a comment"
    UPDATE = "update the comment"
    UNCHANGED = "leave the comment unchanged"
    SKIP = "leave the newer comment alone"


@dataclass(frozen=True)
class CommentPlan:
    """What to do: `keep` is the comment that stays, None for a new one; `delete` are the duplicates of it."""

    action: Action
    body: str = ""
    keep: Comment | None = None
    delete: tuple[Comment, ...] = ()


def own_comments(comments: Iterable[Comment], author: str, page: Page) -> list[Comment]:
    """Those of the comments that `author`, which is us, wrote with the page's marker; in their order."""
    return [comment for comment in marked(comments, page) if comment.author == author]


def marked(comments: Iterable[Comment], page: Page) -> list[Comment]:
    """Those of the comments that somebody who has an account wrote with the page's marker; in their order."""
    return [
        comment
        for comment in comments
        if comment.author and is_marked(comment.body, page.label, apart=page.apart, flavour=page.flavour)
    ]


def plan(own: Sequence[Comment], page: Page, head: str) -> CommentPlan:
    """What to do, given our comments (oldest first) and the pull request's head.

    A late job does not overwrite what the comment says about the head with a verdict on an older commit.
    """
    if page.apart:
        body = view.comment(page)
        twin = next((comment for comment in own if view.same(comment.body, body)), None)
        return CommentPlan(Action.UNCHANGED, body, twin) if twin else CommentPlan(Action.CREATE, body)
    if not own:
        return CommentPlan(Action.CREATE, view.comment(page))
    keep, *others = own
    reported = history.rows_of(keep.body, page.flavour)
    judged = {verdict.commit for verdict in page.report.verdicts}
    if reported and reported[0].commit == head and judged and head not in judged:
        return CommentPlan(Action.SKIP, keep=keep)
    body = view.comment(page, keep.body)
    action = Action.UNCHANGED if view.same(keep.body, body) else Action.UPDATE
    return CommentPlan(action, body, keep, tuple(others))
