"""Which options of a comment cannot be, and what is planned for a comment."""

from __future__ import annotations

import pytest

from git_clearml.errors import UsageError
from git_clearml.forge.api import Comment
from git_clearml.forge.comment import CommentOptions, check
from git_clearml.forge.find_comment import Action, own_comments, plan
from git_clearml.render import comment as view
from git_clearml.render.comment import Page
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.model import Outcome, Verdict

HEAD, OLD = "a" * 40, "b" * 40
BOT = "github-actions[bot]"


def page(commit: str = HEAD, label: str = "verify", *, apart: bool = False) -> Page:
    report = VerifyReport(Outcome.REJECTED, 1, "defaults", (Verdict(commit, Outcome.REJECTED),))
    return Page(report, label, apart=apart)


def comment(number: int, body: str, author: str = BOT) -> Comment:
    return Comment(number, author, body, f"https://github.com/team/project/pull/7#issuecomment-{number}")


@pytest.mark.parametrize("label", ["", "a--b", "x -->", "a\nb", "-", "a" * 70])
def test_a_label_that_could_end_the_marker(label: str) -> None:
    with pytest.raises(UsageError, match="invalid label"):
        check(CommentOptions(label))


@pytest.mark.parametrize("repository", ["nonsense", "/b", "a/", "a/b?c", "a/b c", "a/b#c", "a/%62", "a/b\\c"])
def test_a_repository_that_is_none(repository: str) -> None:
    with pytest.raises(UsageError, match="invalid repository"):
        check(CommentOptions(repository=repository))


def test_what_can_be() -> None:
    check(CommentOptions("GPU tests/1.0_x-y", repository="team/project", number=7))
    with pytest.raises(UsageError):
        check(CommentOptions(number=-1))


def test_a_comment_is_found_by_its_marker_and_its_author() -> None:
    body = view.comment(page())
    ours = comment(3, body)
    others = [
        comment(1, body, "mallory"),
        comment(2, "text\n" + body),
        comment(4, view.comment(page(label="gpu"))),
        comment(5, view.comment(page(apart=True))),
        comment(6, body, ""),
    ]
    assert own_comments([*others, ours], BOT, page()) == [ours]
    assert own_comments(others, BOT, page(apart=True)) == [others[3]]


def test_the_first_is_created_the_next_updated_the_same_left_alone() -> None:
    assert plan([], page(), HEAD).action is Action.CREATE
    first = comment(1, view.comment(page(OLD)))
    update = plan([first, comment(2, "x"), comment(3, "y")], page(), HEAD)
    assert (update.action, update.keep, [each.id for each in update.delete]) == (Action.UPDATE, first, [2, 3])
    again = plan([comment(1, update.body)], page(), HEAD)
    assert (again.action, again.body.count(OLD)) == (Action.UNCHANGED, update.body.count(OLD))


def test_a_late_job_leaves_what_is_said_about_the_head() -> None:
    about_head = comment(1, view.comment(page(HEAD)))
    assert plan([about_head], page(OLD), HEAD).action is Action.SKIP
    assert plan([about_head], page(OLD), "c" * 40).action is Action.UPDATE


def test_one_for_each_report_is_never_updated() -> None:
    twin = comment(1, view.comment(page(apart=True)))
    assert plan([twin], page(apart=True), HEAD).action is Action.UNCHANGED
    other = plan([twin], page(OLD, apart=True), HEAD)
    assert (other.action, other.keep) == (Action.CREATE, None)
