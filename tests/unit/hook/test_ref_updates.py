"""What a push is about, from git's lines and from pre-commit's variables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.base.ids import is_zero
from git_clearml.errors import UsageError
from git_clearml.hook.ref_updates import (
    RefUpdate,
    from_pre_commit,
    parse_lines,
    refs_by,
    updates_to_judge,
)
from git_clearml.settings.policy import Policy
from git_clearml.settings.protection import protected

A, B, ZERO = "a" * 40, "b" * 40, "0" * 40

text = st.text(st.characters(exclude_characters="\n", codec=None), min_size=1)
word = st.text(st.characters(exclude_characters="\n ", codec=None), min_size=1)
hashes = st.one_of(*(st.text("0123456789abcdef", min_size=size, max_size=size) for size in (40, 64)))
updates = st.builds(RefUpdate, text, hashes, word, hashes)


def lines(*given_: RefUpdate) -> str:
    return "".join(f"{each.local_ref} {each.local_hash} {each.remote_ref} {each.remote_hash}\n" for each in given_)


def spoilt(update: RefUpdate, something: str, place: int) -> str:
    whole = lines(update)
    return whole[:place] + something + whole[place:]


@given(st.lists(updates, max_size=20))
def test_every_line_comes_out_as_it_went_in(pushed: list[RefUpdate]) -> None:
    assert parse_lines(lines(*pushed)) == pushed


@given(st.one_of(st.text(), st.builds(spoilt, updates, word, st.integers(0, 200))))
def test_anything_else_is_refused_or_read_without_loss(anything: str) -> None:
    """Half of them are lines of git's with something else put in somewhere."""
    try:
        read = parse_lines(anything)
    except UsageError:
        return
    assert lines(*read).split("\n")[:-1] == [each for each in anything.split("\n") if each]


@pytest.mark.parametrize(
    "bad",
    [
        "main",
        f"refs/heads/main {A} refs/heads/main",
        f"refs/heads/main {A} refs/heads/main {B} ",
        f"refs/heads/main {A[1:]} refs/heads/main {B}",
        f"refs/heads/main {A.upper()} refs/heads/main {B}",
        f"refs/heads/main {A} refs/heads/main {B}0",
        f"refs/heads/main {A} refs/heads/main {'g' * 40}",
        f"refs/heads/main\t{A}\trefs/heads/main\t{B}",
        f"refs/heads/main {A} refs/heads/main {B}\r",
    ],
)
def test_a_line_that_is_none_stops_the_push(bad: str) -> None:
    good = lines(RefUpdate("refs/heads/x", A, "refs/heads/x", B))
    for given_ in (bad, bad + "\n", good + bad, bad + "\n" + good):
        with pytest.raises(UsageError, match="not a line of a pre-push hook"):
            parse_lines(given_)


def test_the_local_ref_may_hold_spaces() -> None:
    (update,) = parse_lines(f"HEAD^{{/fix it {A} now}} {A} refs/heads/x {B}\n")
    assert update == RefUpdate(f"HEAD^{{/fix it {A} now}}", A, "refs/heads/x", B)


def test_names_that_are_not_utf8_survive() -> None:
    name = b"refs/heads/\xff\x81".decode("utf-8", "surrogateescape")
    assert parse_lines(f"{name} {A} {name} {ZERO}\n")[0].remote_ref == name


@pytest.mark.parametrize("size", [40, 64])
def test_zeros_are_no_object(size: int) -> None:
    zeros = "0" * size
    assert is_zero(zeros)
    assert not is_zero("0" * (size - 1) + "1")
    assert RefUpdate("(delete)", zeros, "refs/heads/x", A).deletes
    assert RefUpdate("refs/heads/x", A, "refs/heads/x", zeros).creates


@pytest.mark.parametrize(
    ("update", "judged"),
    [
        (RefUpdate("refs/heads/x", A, "refs/heads/x", ZERO), True),
        (RefUpdate("refs/heads/x", A, "refs/heads/x", B), True),
        (RefUpdate("refs/heads/x", A, "refs/heads/x", A), False),
        (RefUpdate("(delete)", ZERO, "refs/heads/x", A), False),
        (RefUpdate("refs/notes/commits", A, "refs/notes/commits", ZERO), False),
        (RefUpdate("refs/notes/commits", A, "refs/heads/main", ZERO), True),
        (RefUpdate("refs/heads/main", A, f"refs/heads/git-clearml/{A[:12]}-0123abcd", ZERO), False),
        (RefUpdate("refs/heads/main", A, f"refs/heads/git-clearml/{B[:12]}-0123abcd", ZERO), True),
        (RefUpdate("refs/heads/main", A, "refs/heads/git-clearml/mine", ZERO), True),
        (RefUpdate("refs/heads/main", A, f"{A[:12]}-0123abcd", ZERO), True),
        (RefUpdate("refs/heads/git-clearml/x", A, "refs/heads/main", ZERO), True),
        (RefUpdate("refs/heads/main", A, "refs/heads/git-clearml", ZERO), True),
        (RefUpdate("refs/heads/main", A, "refs/heads/git-clearml-x", ZERO), True),
        (RefUpdate("refs/heads/main", A, "refs/tags/git-clearml/x", ZERO), True),
        (RefUpdate("refs/heads/main", A, "refs/heads/x/git-clearml/y", ZERO), True),
        (RefUpdate("refs/heads/main", A, "refs/notesx", ZERO), True),
    ],
)
def test_what_needs_judging(update: RefUpdate, judged: bool) -> None:
    assert updates_to_judge([update, update]) == ((update, update) if judged else ())


@pytest.mark.parametrize(
    ("protect", "ref", "gated"),
    [
        ((), "refs/heads/main", True),
        ((), "refs/heads/any/thing", True),
        ((), "refs/tags/v1", False),
        ((), "refs/pull/1/head", False),
        ((), "", True),
        (("main",), "refs/heads/main", True),
        (("main",), "refs/heads/main2", False),
        (("main",), "refs/heads/x/main", False),
        (("main",), "refs/tags/main", False),
        (("main",), "", True),
        (("release/*",), "refs/heads/release/1", True),
        (("release/*",), "refs/heads/release/1/2", False),
        (("release/**",), "refs/heads/release/1/2", True),
        (("refs/tags/v*",), "refs/tags/v1", True),
        (("refs/tags/v*",), "refs/tags/w1", False),
        (("refs/tags/v*",), "refs/heads/v1", False),
        (("refs/heads/main",), "refs/heads/main", True),
        (("v*",), "refs/tags/v1", False),
        (("main", "refs/tags/v*"), "refs/tags/v1", True),
    ],
)
def test_what_is_protected(protect: tuple[str, ...], ref: str, gated: bool) -> None:
    assert protected(ref, Policy(protect=protect)) is gated


@pytest.mark.parametrize(
    ("environment", "update"),
    [
        ({}, None),
        ({"PRE_COMMIT_TO_REF": A}, None),
        ({"PRE_COMMIT": "1"}, RefUpdate("HEAD", "HEAD", "", ZERO)),
        (
            {"PRE_COMMIT": "1", "PRE_COMMIT_LOCAL_BRANCH": "refs/heads/x", "PRE_COMMIT_REMOTE_BRANCH": "refs/heads/y"},
            RefUpdate("refs/heads/x", "refs/heads/x", "refs/heads/y", ZERO),
        ),
        (
            {
                "PRE_COMMIT": "1",
                "PRE_COMMIT_LOCAL_BRANCH": "refs/heads/x",
                "PRE_COMMIT_REMOTE_BRANCH": "refs/heads/y",
                "PRE_COMMIT_FROM_REF": B,
                "PRE_COMMIT_TO_REF": A,
            },
            RefUpdate("refs/heads/x", A, "refs/heads/y", B),
        ),
    ],
)
def test_what_pre_commit_shows(environment: dict[str, str], update: RefUpdate | None) -> None:
    assert from_pre_commit(environment) == update


def test_refs_are_gathered_under_their_commit() -> None:
    def update(ref: str) -> RefUpdate:
        return RefUpdate("HEAD", A, ref, ZERO)

    pairs = [(A, update("refs/heads/x")), (B, update("refs/heads/y")), (A, update("refs/heads/z")), (A, update(""))]
    assert refs_by(pairs) == {A: ("refs/heads/x", "refs/heads/z", "HEAD"), B: ("refs/heads/y",)}
    assert refs_by([*pairs, *pairs]) == refs_by(pairs)


NAMES = ["PRE_COMMIT_LOCAL_BRANCH", "PRE_COMMIT_REMOTE_BRANCH", "PRE_COMMIT_FROM_REF", "PRE_COMMIT_TO_REF"]
ODD = st.sampled_from(["", "0", "000000000000", ZERO, ZERO + "0", "0" * 64, A, "HEAD", "refs/heads/0", "--all", " "])


@given(st.dictionaries(st.sampled_from(NAMES), ODD | st.text(max_size=8)))
def test_whatever_pre_commit_shows_only_nothing_new_is_not_judged(environment: dict[str, str]) -> None:
    """A deletion, or a push from and to the same. A branch may be called 0."""
    update = from_pre_commit({"PRE_COMMIT": "1", **environment})
    assert update is not None
    pushed = environment.get("PRE_COMMIT_TO_REF") or environment.get("PRE_COMMIT_LOCAL_BRANCH") or "HEAD"
    assert update.local_hash == pushed
    nothing = (ZERO, "0" * 64, environment.get("PRE_COMMIT_FROM_REF"))
    assert bool(updates_to_judge([update])) is (
        pushed not in nothing and not update.remote_ref.startswith("refs/notes/")
    )
