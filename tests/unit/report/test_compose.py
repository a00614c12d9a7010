"""Reports put together: what an error, a remote check or a comparison makes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from git_clearml.agent.model import Check, CheckOutcome
from git_clearml.errors import BadSetting, Error, Unauthorized, Unfinished, Unreachable
from git_clearml.report import compose
from git_clearml.report.measures import Comparison, ComparisonOutcome
from git_clearml.report.model import VerifyReport
from git_clearml.settings.policy import Policy
from git_clearml.verdict.model import Outcome, Verdict

AWAY = Unreachable("no connection", "start it")
OPEN = Verdict("a" * 40, Outcome.UNDECIDED, refs=("refs/heads/main",))
WARN, BLOCK = Policy(on_unreachable="warn"), Policy(on_unreachable="block")


def test_an_asking_that_an_error_ended() -> None:
    report = compose.undecided(AWAY, [OPEN, OPEN], origin="b" * 40, policies=[BLOCK])
    assert (report.outcome, report.status, report.policy_from) == (Outcome.UNDECIDED, 3, "b" * 40)
    assert report.verdicts == (OPEN,)
    assert [(problem.code, problem.message) for problem in report.problems] == [("unreachable", "no connection")]
    assert (report.hint, report.notes) == ("start it", ())
    assert compose.undecided(BadSetting("no such key")).status == 2


@pytest.mark.parametrize(
    ("error", "policies", "status"),
    [
        (AWAY, [WARN], 0),
        (AWAY, [WARN, BLOCK], 3),
        (AWAY, [], 3),
        (Unauthorized("no"), [WARN], 3),
    ],
)
def test_on_unreachable(error: Error, policies: list[Policy], status: int) -> None:
    report = compose.undecided(error, [OPEN], policies=policies)
    assert (report.outcome, report.status) == (Outcome.UNDECIDED, status)
    assert bool(report.notes) == (status == 0)


def report(status: int) -> VerifyReport:
    return VerifyReport(Outcome.VERIFIED, status, "defaults", hint="")


@pytest.mark.parametrize(
    ("before", "other", "status"),
    [(0, 0, 0), (0, 1, 1), (1, 3, 1), (3, 1, 1), (0, 3, 3), (4, 3, 3), (4, 0, 4), (0, 4, 4)],
)
def test_the_status_is_the_worst_of_both(before: int, other: int, status: int) -> None:
    check = Check(CheckOutcome.FAILED, other, hint="look")
    assert compose.with_check(report(before), check).status == status
    assert compose.with_comparison(report(before), Comparison(ComparisonOutcome.WORSE, other)).status == status


def test_the_hint_of_a_check_stands_where_there_is_none_yet() -> None:
    failed = Check(CheckOutcome.FAILED, 1, hint="look")
    assert compose.with_check(report(0), failed).hint == "look"
    assert compose.with_check(report(1)._replace(hint="run"), failed).hint == "run"
    assert compose.with_check(report(0), replace(failed, status=0)).hint == ""


@pytest.mark.parametrize(("before", "after"), [(0, 3), (1, 1), (4, 3)])
def test_a_problem_after_the_verdict(before: int, after: int) -> None:
    changed = compose.with_problem(report(before), AWAY)
    assert (changed.status, changed.hint) == (after, "start it")
    assert [problem.code for problem in changed.problems] == ["unreachable"]


def test_how_to_look_further_names_what_is_not_at_head() -> None:
    """A push may be of any branch."""
    error = Unfinished("over", "git clearml verify --since 2026-01-01 --timeout 300")
    pushed = [Verdict(digit * 40, Outcome.UNDECIDED, refs=(f"refs/heads/{digit}",)) for digit in "aba"]
    report = compose.undecided(error, pushed)
    assert report.hint == report.problems[0].hint == f"{error.hint} {'a' * 12} {'b' * 12}"
    assert compose.undecided(error, [pushed[0]._replace(rev="HEAD")]).hint == error.hint
    many = [Verdict(f"{number:040x}", Outcome.UNDECIDED) for number in range(500)]
    assert len(compose.undecided(error, many).hint) < 500
