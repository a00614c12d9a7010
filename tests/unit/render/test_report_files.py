"""The files of `verify --reports`: whatever the names in them, each is what its readers take."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from git_clearml.agent.model import Check, CheckOutcome
from git_clearml.model import Problem
from git_clearml.render import dotenv, junit, links, openmetrics
from git_clearml.render import json as json_view
from git_clearml.report.measures import Comparison, ComparisonOutcome, Row
from git_clearml.report.model import CommentResult, VerifyReport
from git_clearml.verdict.model import Finding, Outcome, Reason
from tests.support.builders import HASH, OTHER_HASH, finding, rejected, report, task, verdict

HOSTILE = [
    "]]>",
    "<failure/>",
    '"/><x a="',
    "&amp;\x00",
    "\ud800",
    "\ufffe\uffff",
    "a\nb\r\x85\u2028c",
    "\x1b[31m",
    "\\",
]
TEXTS = (
    st.text(max_size=30) | st.sampled_from(HOSTILE) | st.text(st.sampled_from('\\"\n{}=,# \x00]>&<\ud83d'), max_size=9)
)


def parsed(shown: VerifyReport, **more: Any) -> ElementTree.Element:
    """The JUnit XML, checked against the rules of Jenkins' and GitLab's readers."""
    root = ElementTree.fromstring(junit.xml({**json_view.verify(shown), **more}).encode("utf-8"))
    assert (root.tag, {child.tag for child in root}) == ("testsuites", {"testsuite"})
    assert {*root.attrib} <= {"name", "time", "tests", "failures", "disabled", "errors"}
    for suite in root:
        assert {*suite.attrib} == {"name", "time", "tests", "failures", "errors", "skipped"}
        assert suite.get("name")
        assert suite.get("time") == "0"
        assert suite.get("tests") == str(len(suite))
        assert len(suite)
        for case in suite:
            assert case.tag == "testcase"
            assert set(case.attrib) == {"classname", "name", "time"}
            assert all(case.attrib.values())
            assert len(case) <= 1
            assert {child.tag for child in case} <= {"failure", "error", "skipped"}
            assert all({*child.attrib} <= {"type", "message"} for child in case)
    for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert root.get(attribute, str(len(list(root.iter(tag))))) == str(len(list(root.iter(tag))))
        assert sum(int(suite.get(attribute, "")) for suite in root) == len(list(root.iter(tag)))
    return root


def results(root: ElementTree.Element) -> dict[str, list[str]]:
    """Result -> the names of the test cases that have it."""
    cases: dict[str, list[str]] = {}
    for case in root.iter("testcase"):
        cases.setdefault(next((child.tag for child in case), "passed"), []).append(case.get("name", ""))
    return cases


def test_a_verified_commit_is_green() -> None:
    root = parsed(report())
    assert {*results(root)} == {"passed"}
    assert [suite.get("name") for suite in root] == [HASH]


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("dirty", "the task ran without uncommitted changes"),
        ("failed", "the task completed"),
        ("entry-point-missing", "the entry point is in the commit"),
        ("other-project", "the task belongs to this repository and project"),
        ("something-new", "a task ran this commit"),
    ],
)
def test_near_misses_are_the_failures_text(code: str, rule: str) -> None:
    root = parsed(report(rejected(finding(code)), hint="git clearml run -- python train.py"))
    assert results(root)["failure"] == [rule]
    (failure,) = root.iter("failure")
    assert failure.get("type") == "rejected"
    assert (failure.get("message") or "").startswith("train in Vision/Detector")
    assert f"is {code}" in (failure.text or "")
    assert "Next: git clearml run -- python train.py" in (failure.text or "")


def test_no_task_at_all() -> None:
    assert results(parsed(report(rejected())))["failure"] == ["a task ran this commit"]


AWAY = (Problem("unreachable", "the server is away", "try again"),)
OPEN: list[VerifyReport] = [
    report(verdict(outcome=Outcome.UNDECIDED, task=None), problems=AWAY),
    report(verdict(outcome=Outcome.PENDING, task=None, near_misses=(finding("running"),))),
    VerifyReport(Outcome.UNDECIDED, 2, "defaults", problems=(Problem("bad-setting", "no such setting"),)),
    VerifyReport(Outcome.UNDECIDED, 3, "defaults", notes=("it has not finished",)),
    report(verdict(outcome=Outcome.UNDECIDED, task=None), problems=AWAY, status=0, notes=("not verified",)),
]


@pytest.mark.parametrize("shown", OPEN)
def test_what_is_not_decided_is_an_error_and_nothing_is_green(shown: VerifyReport) -> None:
    root = parsed(shown)
    assert len(results(root)["error"]) == 1
    assert "passed" not in results(root)
    (error,) = root.iter("error")
    assert error.text
    assert all(problem.message in error.text for problem in shown.problems)


def test_nothing_to_judge_is_no_pass() -> None:
    assert {*results(parsed(VerifyReport(Outcome.VERIFIED, 0, "defaults", notes=("a ref went away",))))} == {"skipped"}


def test_several_commits_do_not_hide_each_other() -> None:
    """GitLab knows a test by its class and its name."""
    root = parsed(report(verdict(), rejected(finding("dirty"), commit=OTHER_HASH)))
    cases = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(cases) == len(set(cases))
    assert len(results(root)["failure"]) == 1


def test_what_else_was_asked_for() -> None:
    compared = Comparison(ComparisonOutcome.WORSE, 1, HASH, "loss/train", "min", current=task(), current_value=0.3)
    check = Check(CheckOutcome.TIMEOUT, 1, HASH, sentence="no sign of life", log_tail=("out of memory",))
    problem = Problem("publish-failed", "the report could not be posted")
    root = parsed(report(status=1, comparison=compared, check=check, problems=(problem,)))
    assert results(root)["failure"] == ["compared with the best task by loss/train", "it runs on a ClearML agent"]
    assert results(root)["error"] == ["problem publish-failed"]


def test_requirements_and_metrics_of_the_policy() -> None:
    (commit,) = json_view.verify(report())["commits"]
    commit["requirements"] = [{"name": "train", "outcome": "verified"}, {"name": "evaluate", "outcome": "pending"}]
    commit["metrics"] = [
        {"metric": "a/b", "outcome": "pass", "value": 1.0, "at_least": 0.5},
        {"metric": "c/d", "outcome": "fail", "value": 0.1, "at_least": 0.5},
        {"metric": "e/f", "outcome": "accepted", "value": 0.1},
    ]
    cases = results(parsed(report(), commits=[commit]))
    assert cases["failure"] == ["metric c/d"]
    assert cases["error"] == ["requirement evaluate"]
    assert {"metric a/b", "metric e/f", "requirement train"} <= {*cases["passed"]}


@given(TEXTS, TEXTS, TEXTS, st.sampled_from(Outcome))
@example("]]>", "\x00", "\ud800", Outcome.REJECTED)
def test_no_name_breaks_the_xml(name: str, message: str, hint: str, outcome: Outcome) -> None:
    miss = Finding(task(name=name, project=message, url=hint), None, (Reason("dirty", message),))
    shown = verdict(outcome=outcome, task=task(name=name), near_misses=(miss,), notes=(message,))
    root = parsed(report(shown, hint=hint, problems=(Problem("timeout", message),)))
    assert ("passed" in results(root)) is (outcome in (Outcome.VERIFIED, Outcome.REJECTED))


# --- OpenMetrics -------------------------------------------------------------------------------------------------

SAMPLE = re.compile(r'clearml_metric\{title="((?:[^"\\\n]|\\[\\"n])*)",series="((?:[^"\\\n]|\\[\\"n])*)"\} (\S+)')


def samples(text: str) -> dict[tuple[str, str], str]:
    """What a strict reader makes of the text: each series once, a number each, nothing behind `# EOF`."""
    *lines, end, nothing = text.split("\n")
    assert (end, nothing) == ("# EOF", "")
    if not lines:
        return {}
    assert lines[0] == "# TYPE clearml_metric gauge"
    assert lines[1].startswith("# HELP clearml_metric ")
    found = {}
    for line in lines[2:]:
        match = SAMPLE.fullmatch(line)
        assert match, line
        assert (match[1], match[2]) not in found
        assert re.fullmatch(r"NaN|[+-]Inf|-?\d+(\.\d+)?(e[+-]\d+)?", match[3])
        found[match[1], match[2]] = match[3]
    return found


def row(title: str, series: str, last: float = 0.5) -> Row:
    return Row(title, series, last, last, last)


def test_metrics() -> None:
    rows = [row("loss", "train", 0.25), row("loss", "val", 1e-20), row("a b", 'q"\\', float("nan")), row("x", "", -3)]
    assert samples(openmetrics.text(rows)) == {
        ("loss", "train"): "0.25",
        ("loss", "val"): "1e-20",
        ("a b", 'q\\"\\\\'): "NaN",
        ("x", ""): "-3.0",
    }
    assert openmetrics.text([]) == "# EOF\n"
    twice = samples(openmetrics.text([row("a\x00", "b", 1), row("a\x01", "b", 2)]))
    assert [*twice.values()] == ["1.0"]


@given(st.lists(st.tuples(TEXTS, TEXTS, st.floats()), max_size=8))
def test_no_name_breaks_the_metrics(rows: list[tuple[str, str, float]]) -> None:
    text = openmetrics.text([row(*each) for each in rows])
    assert len(samples(text)) <= len(rows)
    text.encode("utf-8")


# --- outputs and links -------------------------------------------------------------------------------------------


def test_dotenv() -> None:
    url = "https://app.clear.ml/projects/p/experiments/e/output/log?x=1&y=2"
    outputs = {"outcome": "rejected", "task-url": url, "commit": HASH, "task-id": "", "a": "x y", "b": "$(x)", "c": '"'}
    assert dotenv.text(outputs) == f"OUTCOME=rejected\nTASK_URL={url}\nCOMMIT={HASH}\n"


@given(st.dictionaries(st.from_regex(r"[a-z][a-z-]{0,8}", fullmatch=True), TEXTS | st.text("ab", max_size=4000)))
def test_no_value_breaks_the_dotenv(outputs: dict[str, str]) -> None:
    text = dotenv.text(outputs)
    lines = text.splitlines()
    assert len(text.encode()) <= 5 * 1024
    assert len(lines) <= 20
    assert all(re.fullmatch(r"[A-Z_]+=[^\s\"'$#`\\]+", line) for line in lines)


@given(TEXTS, TEXTS | st.just("javascript:alert(1)") | st.just("https://x/ y"))
def test_links(name: str, url: str) -> None:
    mine, other = task(name=name, url="https://app.clear.ml/x"), task(name=name, url=url)
    shown = report(
        verdict(task=mine, near_misses=(Finding(other, None, (Reason("dirty", "x"),)),)),
        comment=CommentResult("https://forge/1", "created"),
    )
    (section,) = links.external(json_view.verify(shown)).values()
    urls = [each["external_link"]["url"] for each in section]
    assert urls[0] == "https://app.clear.ml/x"
    assert urls[-1] == "https://forge/1"
    assert all(each["external_link"]["label"].isprintable() for each in section)
    assert all(re.fullmatch(r"https?://\S+", each) for each in urls)
