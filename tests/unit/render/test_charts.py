"""Curves as Mermaid charts: whatever a metric is called and whatever it was, the chart is one that Mermaid takes."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from git_clearml.render import comment as view
from git_clearml.render import metrics
from git_clearml.render.charts import fold, undrawn
from git_clearml.render.comment import Page
from git_clearml.render.flavour import GITHUB
from git_clearml.report.measures import Chart, MetricsReport, Row
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.model import Outcome
from tests.support import environments
from tests.unit.render.test_comment import HEAD, NASTY, TASK, Reader

XS = tuple(map(float, range(50)))
CHART = Chart("validation/accuracy", XS, tuple(x / 50 for x in XS), tuple(x / 60 for x in XS), "the best task")
HOSTILE = [
    *NASTY,
    '"', '"]\nline [1, 2]', "```\n# x", "</summary></details>", "%%{init: {'securityLevel': 'loose'}}%%", "`md`",
    "a\nb", "]", "x-axis", "#quot;#34;", "$$x$$", "", "   ", "\u202eevil", "日本/精度", "é" * 300, "GH-1 @team #1",
    "---\nconfig:\n---", "title", "{{x}}", "\\", "\x00", "accTitle: x", "<script>", "click a href 'x'",
    "&lt;b&gt;", "😀",
]  # fmt: skip
VALUES = [
    (0.0, 0.0), (1e308, -1e308), (5e-324, 0.0), (1e-7, 2e-7), (1e6, 1e6 + 1), (-1.5, -1.25), (0.1 + 0.2, 0.3),
    (1e300, 1e300), (12345678.9, 0.00001), (99999.5, 100000), (1e22, 1e21),
]  # fmt: skip
_NUMBER = r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)"
GRAMMAR = re.compile(  # of xychart-beta, as far as a chart of ours goes
    rf'xychart-beta\n%%{{init: (?P<init>[^%]*)}}%%\ntitle "(?P<title>[^"`\n]+)"\n'
    rf'x-axis "iteration" (?P<first>{_NUMBER}) --> (?P<last>{_NUMBER})\n'
    rf'y-axis (?:"x 10\^(?P<power>-?\d+)" )?(?P<low>{_NUMBER}) --> (?P<high>{_NUMBER})\n'
    rf"(?P<lines>(?:line \[{_NUMBER}(?:, {_NUMBER})*\]\n)+)"
)


def source(text: str) -> str:
    """The chart in a fold, which holds nothing else that is code."""
    (found,) = re.findall(r"^```mermaid\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert text.count("```") == 2
    return str(found)


def drawn(text: str) -> dict[str, Any]:
    """What Mermaid makes of the chart."""
    match = GRAMMAR.fullmatch(source(text))
    assert match, text
    lines = [[float(number) for number in line[6:-1].split(",")] for line in match["lines"].splitlines()]
    scale = int(match["power"] or 0)
    return {**match.groupdict(), "lines": lines, "scale": scale}


def test_a_chart() -> None:
    text = fold(CHART)
    shown = drawn(text)
    assert shown["lines"] == [list(CHART.ours), pytest.approx(CHART.other, abs=1e-4)]
    assert (shown["first"], shown["last"], shown["low"], shown["high"]) == ("0", "49", "0", "0.98")
    page = Reader(text)
    assert (page.tags[:2], page.tags[-1]) == (["details", "summary"], "p")
    assert "validation/accuracy, first line (blue): this task, second line (orange): the best task." in page.text


def test_one_line_and_why() -> None:
    text = fold(Chart("a/b", (0.0, 2.5), (1.0, 2.0), note="the best task has no curve of it"))
    assert drawn(text)["lines"] == [[1, 2]]
    assert (drawn(text)["first"], drawn(text)["last"]) == ("0", "2.5")
    assert "a/b of this task; the best task has no curve of it." in Reader(text).text


def test_nothing_to_draw_is_a_line_of_text() -> None:
    assert fold(Chart("a/*b*")) == "a/\\*b\\* has no curve: the task reported less than two values of it.\n"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(name: str) -> None:
    text = fold(replace(CHART, metric=name, other_is=name, other=CHART.other))
    shown = drawn(text)
    assert re.fullmatch(r"[\w ./-]{1,60}", shown["title"])
    page = Reader(text + "\nend\n")
    assert {*page.tags} - {"span"} == {"code", "details", "p", "pre", "summary"}
    assert page.text.rstrip().endswith("end")
    assert page.links == []


@example(("x", VALUES[0]))
@given(st.tuples(st.text(max_size=80), st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2)))
def test_any_name_and_any_numbers(case: tuple[str, tuple[float, float]]) -> None:
    name, values = case
    assert_chart_of(name, values)


@pytest.mark.parametrize("values", VALUES)
def test_odd_numbers(values: tuple[float, float]) -> None:
    assert_chart_of("x", values)


def assert_chart_of(name: str, values: tuple[float, ...]) -> None:
    xs = tuple(map(float, range(len(values))))
    shown = drawn(fold(Chart(name, xs, values, values[::-1], name)))
    (ours, other), low, high = shown["lines"], float(shown["low"]), float(shown["high"])
    assert (len(ours), other) == (len(values), ours[::-1])
    assert low < high
    assert len(source(fold(Chart(name, xs, values)))) < 800
    span = max(values) / 2 - min(values) / 2
    for value, point in zip(values, ours, strict=True):
        assert low - 1e-9 <= point <= high + 1e-9
        if span > 1e-9 * max(map(abs, values)) and abs(shown["scale"]) < 300:
            assert math.isclose(point * 10.0 ** shown["scale"], value, abs_tol=span / 500)


def report(charts: int, rows: int = 3) -> MetricsReport:
    made = tuple(Row("layer", f"norm {number}", 1.0, 0.5, 1.0, trend="▁▄█") for number in range(rows))
    drawings = tuple(replace(CHART, metric=f"curve {number}") for number in range(charts))
    return MetricsReport(HEAD, Outcome.VERIFIED, 0, TASK, rows=made, charts=drawings, notes=("a note",))


@pytest.mark.parametrize("folded", [True, False])
def test_the_charts_are_the_first_that_a_limit_drops(folded: bool) -> None:
    whole = metrics.report_markdown(report(3), fold=folded)
    assert [f"curve {n}" in whole for n in range(3)] == [True] * 3
    seen = set()
    for limit in range(len(whole) + 1, 200, -50):
        text = metrics.report_markdown(report(3), limit, fold=folded)
        assert len(text) <= limit
        count = text.count("```mermaid")
        seen.add(count)
        assert [f"curve {n}" in text for n in range(3)] == [n < count for n in range(3)]
        assert "a note" in text
        if count:
            assert "left out" not in text
    assert seen == {0, 1, 2, 3}


def test_a_report_has_no_charts_where_rows_are_left_out() -> None:
    whole = len(metrics.report_markdown(report(0, 60), fold=True))
    for limit in range(whole - 1500, whole, 60):
        text = metrics.report_markdown(report(3, 60), limit, fold=True)
        assert "left out" in text
        assert "mermaid" not in text


def test_a_forge_that_draws_nothing_gets_the_trends_alone() -> None:
    section = lambda limit: metrics.report_markdown(report(3), limit, fold=True)  # noqa: E731
    verdict = VerifyReport(Outcome.VERIFIED, 0, "defaults")
    drawing, plain = (
        view.comment(Page(verdict, sections=(section,), flavour=flavour))
        for flavour in (GITHUB, replace(GITHUB, draws=False))
    )
    assert drawing.count("mermaid") == 3
    assert "mermaid" not in plain
    assert plain == view.comment(
        Page(verdict, sections=(lambda limit: metrics.report_markdown(report(0), limit, fold=True),))
    )
    for name in HOSTILE:
        text = metrics.report_markdown(replace(report(0), charts=(replace(CHART, metric=name, other_is=name),)))
        assert "xychart" not in undrawn(text)
        assert undrawn(text).count("norm") == 3


def test_each_row_ends_with_its_trend() -> None:
    shown = report(0)
    assert [row[-1] for row in Reader(metrics.report_markdown(shown)).rows] == ["trend", *["▁▄█"] * 3]
    text = metrics.report_text(shown)
    assert [line.split()[-1] for line in text.splitlines() if "norm" in line] == ["▁▄█"] * 3
    without = replace(shown, rows=tuple(replace(row, trend="") for row in shown.rows))
    assert "trend" not in metrics.report_markdown(without)


@pytest.mark.parametrize(("narrower", "trend"), [(-9, 20), (0, 20), (5, 15), (15, 5), (16, 0), (40, 0)])
def test_a_terminal_gets_as_much_of_a_trend_as_it_has_room_for(narrower: int, trend: int) -> None:
    rows = tuple(replace(row, trend="▁▂▃▄▅▆▇█▇▆" * 2) for row in report(0).rows)
    told = replace(report(0), rows=rows, notes=())
    width = max(map(len, metrics.report_text(told).splitlines()[-3:])) - narrower
    shown = metrics.report_text(told, width)
    (line,) = [line for line in shown.splitlines() if "norm 0" in line]
    assert (len(line) - len(line.partition("▁")[0]), "trend" in shown) == (trend, bool(trend)), line
    assert not trend or len(line) <= width


@pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="not installed: node")
def test_mermaid_itself_takes_them() -> None:
    charts = [replace(CHART, metric=name, other_is=name) for name in HOSTILE]
    charts += [Chart("x", (0.0, 1.0), values, values[::-1], "y") for values in VALUES]
    charts += [Chart("x", (-1e18, 0.5), (1.0, 2.0))]
    program = """
        import { JSDOM } from 'jsdom'
        globalThis.window = new JSDOM('').window
        globalThis.document = window.document
        const { default: mermaid } = await import('mermaid')
        let input = ''
        for await (const part of process.stdin) input += part
        for (const text of JSON.parse(input)) {
            const answer = await mermaid.parse(text).then(() => 'taken', error => error.message)
            console.log(answer.split('\\n')[0])
        }"""
    texts = [source(fold(chart)) for chart in charts]
    refused = ['xychart-beta\ntitle "a"b"\nline [1, 2]', "xychart-beta\nline [1e5, 2]"]
    try:
        place = environments.node_modules(environments.MERMAID)
    except subprocess.CalledProcessError:
        pytest.skip("not installed: mermaid")
    command = ["node", "--input-type=module", "--eval", program]
    done = subprocess.run(
        command, cwd=place, input=json.dumps([*texts, *refused]), capture_output=True, text=True, check=True, timeout=60
    )
    *answers, first, second = done.stdout.splitlines()
    assert answers == ["taken"] * len(charts)
    assert "Parse error" in first
    assert "Parse error" in second
