"""How a comment of ours is found again: by the marker in its first line *and* by its author. Pure.

The marker alone proves nothing: anybody can write it. It stands in render/comment.py, which writes it.
"""

from __future__ import annotations

from collections.abc import Iterable

from git_clearml.forge.api import Comment
from git_clearml.render.comment import Page, is_marked


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
