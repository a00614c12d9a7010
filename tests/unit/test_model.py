"""What several verdicts come to."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.verdict.model import Outcome


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(Outcome.VERIFIED, 0), (Outcome.REJECTED, 1), (Outcome.UNDECIDED, 3), (Outcome.PENDING, 4)],
)
def test_exit_status(outcome: Outcome, status: int) -> None:
    assert outcome.status == status
    assert Outcome.worst([outcome]) is outcome
    assert Outcome.worst([Outcome.VERIFIED, outcome]) is outcome
    assert Outcome.worst([Outcome.REJECTED, outcome]) is Outcome.REJECTED


def test_1_beats_3_beats_4_beats_0() -> None:
    order = [1, 3, 4, 0]
    for count in range(1, 5):
        for outcomes in itertools.permutations(Outcome, count):
            worst = Outcome.worst(list(outcomes))
            assert worst.status == min((outcome.status for outcome in outcomes), key=order.index)


def test_nothing_to_judge_is_no_rejection() -> None:
    assert Outcome.worst([]).status == 0


@given(st.lists(st.sampled_from(Outcome)), st.lists(st.sampled_from(Outcome)))
def test_parts_can_be_joined(first: list[Outcome], second: list[Outcome]) -> None:
    assert Outcome.worst(first + second) is Outcome.worst([Outcome.worst(first), Outcome.worst(second)])
