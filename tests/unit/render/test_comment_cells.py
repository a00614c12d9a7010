"""The whole comment, read by the parser that GitHub uses: its tables have exactly the cells that went in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from git_clearml.agent.model import Check, CheckOutcome
from git_clearml.base.markdown import escape
from git_clearml.render import check as check_view
from git_clearml.render import comment as view
from git_clearml.render import metrics
from git_clearml.render.comment import Page
from git_clearml.report.measures import Comparison, ComparisonOutcome, MetricsReport, Row
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.model import Outcome, Verdict
from tests.unit.render.test_comment import HEAD, HOME, NASTY, OTHER, TASK, Reader, cases, names, seen, shown

FRAME = {"h3", "p", "a", "code", "span", "sub", "ul", "li", "details", "summary", "strong", "table", "thead", "tbody"}
FRAME |= {"tr", "th", "td", "blockquote", "br"}


def read(name: str, other: str = "") -> Reader:
    """The comment about a task, a project, metrics and notes of this name."""
    task = TASK._replace(name=name, project=name)
    verdict = Verdict(HEAD, Outcome.VERIFIED, task=task, accepted=1, notes=(name,))
    report = VerifyReport(Outcome.VERIFIED, 1, HEAD, (verdict,), notes=(name,))
    rows = (
        Row(name, other, 0.5, 0.25, 1.0, 0.25, 0.25, "max", name),
        Row(other, name, 2.0, 2.0, 2.0, 2.0, 0.0, "", ""),
    )
    measured = MetricsReport(HEAD, Outcome.VERIFIED, 0, task, task, name, rows=rows, notes=(name,))
    numbers = {"current_value": 0.5, "best_value": 0.25, "delta": 0.25}
    compared = Comparison(
        ComparisonOutcome.BETTER, 0, HEAD, name, current=task, best=task, tolerance="0.5%", notes=(name,), **numbers
    )
    old = view.comment(Page(VerifyReport(Outcome.VERIFIED, 0, HEAD, (verdict._replace(commit=OTHER),))))
    sections = (lambda _: metrics.comparison_details(compared), lambda limit: metrics.report_markdown(measured, limit))
    body = view.comment(Page(report, sections=sections, repository_url=HOME), old)
    assert len(body) <= view.LIMIT
    return Reader(body)


def cell(name: str) -> str:
    return shown(name, 60)


@cases
@given(names)
def test_every_table_has_exactly_the_cells_that_went_in(name: str) -> None:
    page = read(name, "other")
    rows = [[seen(each) for each in row] for row in page.rows]
    assert rows[0] == ["metric", "value", "current", "best", "delta", "", "tolerance"]
    assert rows[1] == [cell(name), "last, max is better", "0.5", "0.25", "+0.25", "▲ better", "0.5%"]
    noted = [name] if name else []  # a column that no row has anything for is left out
    assert ["metric", "variant", "last", "min", "max", "best", "delta", "", *(["note"] if noted else [])] in rows
    assert [cell(name), "other", "0.5", "0.25", "1", "0.25", "+0.25", "▲ better", *map(cell, noted)] in rows
    called = cell(name) if escape(name, 60) else "task"
    assert rows[-2:] == [["commit", "verdict", "task"], [OTHER[:12], "✅ verified", called]]
    assert any(row[:2] == ["other", cell(name)] for row in rows)
    assert set(page.tags) <= FRAME
    assert [text.strip().partition(":")[0] for text in page.comments] == ["git-clearml", "git-clearml history"]
    assert {link.partition("/projects/")[0].partition("/commit/")[0] for link in page.links} <= {
        "https://app.clear.ml",
        HOME,
    }


@given(st.lists(st.one_of(names, st.sampled_from(NASTY)), min_size=1, max_size=8, unique=True))
def test_as_many_rows_as_metrics(many: list[str]) -> None:
    rows = tuple(Row(name, f"v{number}", 1.0, 1.0, 1.0) for number, name in enumerate(many))
    report = MetricsReport(HEAD, Outcome.VERIFIED, 0, TASK, rows=rows)
    page = Reader(metrics.report_markdown(report, 60_000))
    found = [[seen(each) for each in row] for row in page.rows if seen(row[0]) != "metric"]
    assert sorted(found) == sorted([cell(name), f"v{number}", "1", "1", "1"] for number, name in enumerate(many))


@cases
@given(names)
def test_the_log_of_a_check_is_text(name: str) -> None:
    """It stands in a code block below a fold, and nothing in it ends either."""
    lines = ("first", name, "</details>", "```", "    " + name, "last")
    check = Check(CheckOutcome.FAILED, 1, HEAD, sentence=name, worker=name, queue=name, log_tail=lines, task="t1")
    page = Reader(check_view.markdown_of(check))
    assert set(page.tags) <= FRAME | {"pre"}
    assert page.tags.count("details") == 1
    assert page.comments == []
    assert page.links == []
