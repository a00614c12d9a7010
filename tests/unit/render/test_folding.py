"""What of a report's metrics a comment shows at once, and what below a fold."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from git_clearml.render import comment as view
from git_clearml.render import metrics
from git_clearml.render.comment import Page
from git_clearml.report.measures import MetricsReport, Row
from git_clearml.verdict.model import Outcome
from tests.unit.render.test_comment import HEAD, TASK, Reader, report

CHANGED = Row("validation", "accuracy", 0.9, 0.1, 0.9, 0.8, 0.1)
SAME = Row("data", "samples", 5.0, 5.0, 5.0, 5.0, 0.0)
NEW = Row("test", "f1", 0.7, 0.7, 0.7)
LOST = Row("train", "loss", math.nan, math.nan, math.nan, 0.3, None, "", "has NaN")
RULED = Row("validation", "loss", 0.5, 0.5, 0.5, 0.5, 0.0, "min")


def drawn(*rows: Row, limit: int = 0, **fields: object) -> str:
    made = MetricsReport(HEAD, Outcome.VERIFIED, 0, TASK, TASK, "the best task", rows=rows)
    return metrics.report_markdown(replace(made, **fields), limit, fold=True)  # type: ignore[arg-type]


def parted(text: str) -> tuple[list[str], list[str]]:
    """The variants in sight, and those below the fold."""
    before, _, after = text.partition("<details>")
    rows = [[row[1] for row in Reader(part + "\n").rows if row[0] != "metric"] for part in (before, "<div>" + after)]
    return rows[0], rows[1]


def test_what_differs_is_in_sight_and_the_rest_is_folded_away() -> None:
    text = drawn(RULED, SAME, CHANGED, NEW, LOST)
    assert parted(text) == (["loss", "accuracy", "loss"], ["samples", "f1"])
    assert "<details><summary>2 more metrics</summary>" in text
    assert Reader(text).tags.count("details") == 1


def test_without_another_task_all_are_in_sight_but_no_more_than_thirty() -> None:
    rows = [replace(NEW, variant=str(number)) for number in range(33)]
    shown, folded = parted(drawn(*rows, against=None))
    assert (shown, folded) == ([str(n) for n in range(30)], ["30", "31", "32"])
    assert "<details>" not in drawn(*rows[:30], against=None)


@pytest.mark.parametrize(("column", "whom"), [("best", "the best task"), ("other", "the other task")])
def test_nothing_differs(column: str, whom: str) -> None:
    text = drawn(SAME, column=column)
    assert f"No metric differs from {whom}." in text
    assert "<summary>1 more metric</summary>" in text
    assert parted(text) == ([], ["samples"])


@pytest.mark.parametrize("limit", [1_200, 5_000, 60_000])
@pytest.mark.parametrize("changed", [0, 1, 25, 2000])
def test_any_limit_is_kept_and_none_is_lost(limit: int, changed: int) -> None:
    rows = [replace(CHANGED if n < changed else SAME, variant=f"|@#1 number {n}") for n in range(2000)]
    text = drawn(*rows, limit=limit)
    assert len(text) <= limit
    left_out = sum(int(number.replace(",", "")) for number in re.findall(r"([\d,]+) more metrics are left out", text))
    assert sum(map(len, parted(text))) + left_out == 2000
    assert text.count("<details>") == text.count("</details>") == 1


def test_two_thousand_in_a_comment() -> None:
    rows = tuple(replace(CHANGED, variant=f"number {n}") for n in range(2000))
    many = MetricsReport(HEAD, Outcome.VERIFIED, 0, TASK, TASK, rows=rows)
    body = view.comment(Page(report(), sections=(lambda limit: metrics.report_markdown(many, limit, fold=True),)))
    assert 50_000 < len(body) <= view.LIMIT
    assert "more metrics are left out here" in body
    assert "<sub>git-clearml" in body
