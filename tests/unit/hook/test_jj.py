"""What jj's dry run says, in the outputs that its own tests record (cli/tests/test_git_push.rs), of 2026 and before."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from git_clearml.errors import BadAnswer
from git_clearml.hook.jj import JjPush, parse

BOOKMARKS = """\
Changes to push to origin:
  bookmark: bookmark2 [move forward from 38a204733702 to 88ca14a7d46f]
  bookmark: my-bookmark [add to 88ca14a7d46f]
Dry-run requested, not pushing.
"""
ALL = """\
Changes to push to origin:
  bookmark: bookmark1 [delete from 9b2e76de3920]
  bookmark: bookmark2 [move sideways from 38a204733702 to 0cb91ecd4965]
  tag: tag1 [move sideways from 9b2e76de3920 to 0cb91ecd4965]
  tag: tag2 [add to 0cb91ecd4965]
Dry-run requested, not pushing.
"""
WARNED = """\
Warning: Won't push bookmark my-bookmark: commit 8d23abdd it has no description
  yqosqzyt 8d23abdd my-bookmark* | (empty) (no description set)
Hint: Rejected commit: yqosqzyt 8d23abdd
Hint: Pushing to the only existing remote: other
Changes to push to other:
  bookmark: bookmark1 [add to 9b2e76de3920]
Dry-run requested, not pushing.
"""
FORMER = """\
Changes to push to origin:
  Move forward bookmark main from d964e724c76e to a81d749233ff
  Add bookmark painstaking to 591f7e9aae85
  Move sideways bookmark sideways from 9c712e75a982 to 23f89ce4b31b
  Move backward bookmark backward from d964e724c76e to 561998a40ada
  Delete bookmark deleted from 9c712e75a982
Dry-run requested, not pushing.
"""
NOTHING = """\
Warning: No bookmarks/tags found in the default push revset: remote_bookmarks(remote=origin)..@
Nothing changed.
"""


def push(remote: str, *updates: tuple[str, str, str]) -> JjPush:
    leases = tuple(f"{ref}:{old}" for ref, old, _ in updates)
    return JjPush(remote, leases, tuple(f"{new}:{ref}" for ref, _, new in updates))


@pytest.mark.parametrize(
    ("output", "pushes"),
    [
        (
            BOOKMARKS,
            [
                push(
                    "origin",
                    ("refs/heads/bookmark2", "38a204733702", "88ca14a7d46f"),
                    ("refs/heads/my-bookmark", "", "88ca14a7d46f"),
                )
            ],
        ),
        (
            ALL,
            [
                push(
                    "origin",
                    ("refs/heads/bookmark1", "9b2e76de3920", ""),
                    ("refs/heads/bookmark2", "38a204733702", "0cb91ecd4965"),
                    ("refs/tags/tag1", "9b2e76de3920", "0cb91ecd4965"),
                    ("refs/tags/tag2", "", "0cb91ecd4965"),
                )
            ],
        ),
        (WARNED, [push("other", ("refs/heads/bookmark1", "", "9b2e76de3920"))]),
        (
            FORMER,
            [
                push(
                    "origin",
                    ("refs/heads/main", "d964e724c76e", "a81d749233ff"),
                    ("refs/heads/painstaking", "", "591f7e9aae85"),
                    ("refs/heads/sideways", "9c712e75a982", "23f89ce4b31b"),
                    ("refs/heads/backward", "d964e724c76e", "561998a40ada"),
                    ("refs/heads/deleted", "9c712e75a982", ""),
                )
            ],
        ),
        (
            'Changes to push to origin:\r\n  bookmark: "a@b" [add to 9b2e76de3920]\r\n'
            "Dry-run requested, not pushing.\r\n",
            [push("origin", ("refs/heads/a@b", "", "9b2e76de3920"))],
        ),
        (
            BOOKMARKS.replace("Dry-run requested, not pushing.\n", "") + WARNED,
            [
                push(
                    "origin",
                    ("refs/heads/bookmark2", "38a204733702", "88ca14a7d46f"),
                    ("refs/heads/my-bookmark", "", "88ca14a7d46f"),
                ),
                push("other", ("refs/heads/bookmark1", "", "9b2e76de3920")),
            ],
        ),
        (NOTHING, []),
    ],
)
def test_recorded(output: str, pushes: list[JjPush]) -> None:
    assert parse(output) == pushes


def test_as_arguments_of_git_push() -> None:
    assert parse(BOOKMARKS)[0].words() == [
        "--force-with-lease=refs/heads/bookmark2:38a204733702",
        "--force-with-lease=refs/heads/my-bookmark:",
        "--",
        "origin",
        "88ca14a7d46f:refs/heads/bookmark2",
        "88ca14a7d46f:refs/heads/my-bookmark",
    ]


@pytest.mark.parametrize(
    "output",
    [
        "",
        "Error: No such remote: nowhere\n",
        BOOKMARKS.replace("Dry-run requested, not pushing.\n", ""),  # jj has pushed
        BOOKMARKS.replace("move forward", "fast-forward"),
        BOOKMARKS.replace("bookmark: my-", "change: my-"),
        BOOKMARKS.replace("my-bookmark", "my bookmark"),
        BOOKMARKS.replace("my-bookmark", '"my\\"bookmark"'),
        "Dry-run requested, not pushing.\n",
        "Changes to push to origin:\nDry-run requested, not pushing.\n",
        "\x1b[1mDry-run requested, not pushing.\x1b[0m\n",
        BOOKMARKS.replace("\n  bookmark: bookmark2", "\nWarning: x\n  bookmark: bookmark2"),
    ],
)
def test_what_is_not_understood_is_not_pushed(output: str) -> None:
    with pytest.raises(BadAnswer):
        parse(output)


@example("Changes to push to origin:\n  bookmark: x [add to 9b2e]\n")
@given(
    st.text()
    | st.lists(st.sampled_from([*ALL.splitlines(), *FORMER.splitlines(), *WARNED.splitlines()])).map("\n".join)
)
def test_whatever_jj_says(text: str) -> None:
    """Every line that begins like an update in a section is one, or nothing is pushed."""
    try:
        pushes = parse(text)
    except BadAnswer:
        return
    named = [
        line for line in text.split("\n") if line.startswith(("  bookmark: ", "  tag: ", "  Move", "  Add", "  Del"))
    ]
    assert sum(len(each.refspecs) for each in pushes) <= len(named)
    assert all(word and word != "--no-verify" for each in pushes for word in each.words())
