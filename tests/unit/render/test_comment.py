"""The comment's body, read by the parser that GitHub uses: what went in is what is shown, and it always fits."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import example, given
from hypothesis import strategies as st

from git_clearml.agent.model import Check, CheckOutcome
from git_clearml.base.markdown import GUARD, code, escape, link
from git_clearml.base.sanitize import sanitize
from git_clearml.model import Problem, Task
from git_clearml.render import comment as view
from git_clearml.render import comment_history as history
from git_clearml.render import headline, metrics
from git_clearml.render.comment import Page, Section
from git_clearml.render.comment_history import HistoryRow
from git_clearml.report.measures import Comparison, ComparisonOutcome, MetricsReport, Row
from git_clearml.report.model import VerifyReport
from git_clearml.settings.policy import Equivalence, MetricRule
from git_clearml.verdict.model import Finding, Measured, Outcome, Reason, RequirementVerdict, Verdict

SNAPSHOTS = Path(__file__).parent / "snapshots"
HEAD, OTHER = "1a2b3c4d5e6f" + 28 * "0", "9f8e7d6c5b4a" + 28 * "1"
HOME = "https://github.com/team/project"
URL = "https://app.clear.ml/projects/p1/experiments/t1/output/log"
TASK = Task("t1", "server", "train", "Vision/Detector", commit=HEAD, status="completed", url=URL)

NASTY = [
    "a|b",
    "`code` ``x",
    "line\nbreak\r\nand\ttab",
    "<b>bold</b><!-- x --><script>",
    "-->",
    "@team and a@b.example",
    "#1 GH-2 owner/repo#3",
    "[link](http://x) ![image](y) [^1]",
    "https://evil.example www.evil.example mailto:a@b.c ftp://x.y",
    ":tada: 🎉 👩‍🔬",
    "\u202eright to left\u202c \u200fx",
    "&copy; &#35; &amp;",
    "**b** _i_ ~~s~~ $x^2$ \\",
    "- item",
    "    four spaces  inside",
    "1. one",
    "> quote",
    "# heading",
    "===",
    "***",
    "x" * 10_000,
    "|" * 10_000,
    "\ud800 lone",
    "\x1b[31mred\x1b[0m",
    "git-clearml: verify",
    "\u200c",
    "",
]
names = st.text(
    st.one_of(st.characters(), st.sampled_from("|`<>&*_~[]()#@:$\\!\n\r\t -=+.'\"{}^1aé\u202e\u200d🎉")), max_size=60
)


class Reader(HTMLParser):
    """The rendered page as GitHub's filters see it: table rows, texts, links, and every tag."""

    def __init__(self, markdown: str) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[str]] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.comments: list[str] = []
        self.text = ""
        self._cell: list[str] | None = None
        self.feed(cmarkgfm.github_flavored_markdown_to_html(markdown, Options.CMARK_OPT_UNSAFE))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self._cell = []
        elif tag == "a":
            self.links.append(dict(attrs)["href"] or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._cell is not None:
            self.rows[-1].append("".join(self._cell))
            self._cell = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cell is not None:
            self._cell.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def shown(text: str, limit: int = 200) -> str:
    """What a reader should see of a text: the same, on one line, without what cannot be seen."""
    return " ".join(sanitize(text, limit).split()).replace(GUARD, "")


def seen(text: str) -> str:
    return text.replace(GUARD, "").strip()


def cases(function: Callable[..., None]) -> Callable[..., None]:
    for nasty in NASTY:
        function = example(nasty)(function)
    return function


# --- escaping ----------------------------------------------------------------------------------------------------


@cases
@given(names)
def test_a_cell_holds_exactly_the_name(name: str) -> None:
    page = Reader(f"| a | b |\n|---|---|\n| {escape(name)} | {link(escape(name) or 'x', URL)} |\n\nend")
    assert [list(map(seen, row)) for row in page.rows] == [
        ["a", "b"],
        [shown(name), shown(name) if escape(name) else "x"],
    ]
    assert page.links == [URL]
    assert set(page.tags) <= {"table", "thead", "tbody", "tr", "th", "td", "p", "a", "span"}
    assert page.comments == []


@cases
@given(names)
def test_nothing_that_github_links_afterwards_is_left(name: str) -> None:
    """GitHub looks for these in the texts of the parsed page, where a backslash is gone."""
    text = Reader(f"x {escape(name)} y").text
    assert not re.search(r"@\w", text)
    assert not re.search(r"#\d|\bgh-\d", text, re.IGNORECASE)
    assert not re.search(r":[a-z0-9_+-]+:", text, re.IGNORECASE)


@cases
@given(names)
def test_a_code_span_holds_the_name(name: str) -> None:
    page = Reader(f"Next: {code('run ' + name)} end")
    assert page.tags == ["p", "code"]
    assert " ".join(page.text.split()) == " ".join(f"Next: {sanitize('run ' + name, 500)} end".split())


@pytest.mark.parametrize(
    "url",
    [
        "https://x/a b",
        "https://x/a|b",
        "https://x/<b>",
        "https://x/`a`",
        "https://x/a>b](http://evil)",
        'https://x/"',
        "https://x/é&copy;",
    ],
)
def test_a_link_leads_nowhere_else(url: str) -> None:
    page = Reader(f"| a |\n|---|\n| {link('name', url)} |\n")
    assert page.rows == [["a"], ["name"]]
    (target,) = page.links
    assert target.startswith("https://x/")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "", "data:x", "//x", " https://x"])
def test_no_link_to_what_is_no_page(url: str) -> None:
    assert Reader(link("name", url)).links == []


# --- the body ----------------------------------------------------------------------------------------------------


def report(outcome: Outcome = Outcome.VERIFIED, commit: str = HEAD, **fields: object) -> VerifyReport:
    verdict = Verdict(commit, outcome, task=TASK if outcome is Outcome.VERIFIED else None, accepted=1)
    return VerifyReport(outcome, outcome.status, HEAD, (verdict,))._replace(**fields)  # type: ignore[arg-type]


def rejected() -> VerifyReport:
    near = (
        Finding(
            TASK._replace(id="t2"),
            Equivalence.COMMIT,
            (Reason("dirty", "ran with uncommitted changes in train.py (+4 -1)"),),
        ),
        Finding(
            TASK._replace(id="t3", name="train | @all #1", completed="2026-01-02T03:04:05.678"),
            Equivalence.COMMIT,
            (Reason("failed", "failed 12 minutes ago"), Reason("archived", "is archived")),
        ),
    )
    verdict = Verdict(
        HEAD, Outcome.REJECTED, near_misses=near, considered=2, notes=("published: its success is not on record",)
    )
    return VerifyReport(Outcome.REJECTED, 1, OTHER, (verdict,), "git clearml run -- python train.py")


def snapshot(name: str, text: str) -> None:
    """Compares with the file of that name; UPDATE_SNAPSHOTS=1 writes it."""
    file = SNAPSHOTS / name
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def scrubbed(body: str) -> str:
    """The body without what another version or history changes."""
    return re.sub(r"git-clearml [\d\\.a-z]+,", "git-clearml VERSION,", re.sub(r"history: \S*", "history: ...", body))


BEST = TASK._replace(id="t0", name="the best so far", commit=OTHER, url=URL.replace("t1", "t0"))
ROWS = (
    Row("validation", "accuracy", 0.9312, 0.1, 0.9401, 0.92, 0.0112, "max"),
    Row("train", "loss | x", 0.25, 0.25, 3.5, 0.3, -0.05),
    Row("data", "samples", 1234567, 1234567, 1234567, 1234567, 0.0),
    Row("test", "f1", 0.0, 0.0, 0.71, note="0 may have been NaN"),
)


def measured(*rows: Row) -> Section:
    """The section of these metrics, next to the best task's."""
    label = "the best task (Best Performance)"
    shown = MetricsReport(HEAD, Outcome.VERIFIED, 0, TASK, BEST, label, rows=rows, hidden=5)
    return lambda limit: metrics.report_markdown(shown, limit, fold=True)


def test_verified_as_a_whole() -> None:
    old = view.comment(Page(report(Outcome.REJECTED, OTHER)))
    told = report(against_best=ROWS[0])
    body = view.comment(Page(told, sections=(measured(*ROWS),), repository_url=HOME), old)
    snapshot("comment-verified.md", scrubbed(body))
    page = Reader(body)
    assert page.links[:2] == [f"{HOME}/commit/{HEAD}", URL]
    assert ["validation", "accuracy"] in [row[:2] for row in page.rows]
    assert "train" in page.text


def test_rejected_as_a_whole() -> None:
    body = view.comment(Page(rejected(), repository_url=HOME))
    snapshot("comment-rejected.md", scrubbed(body))
    assert "failed on 2026-01-02 03:04 UTC" in seen(Reader(body).text).replace(GUARD, "")


def test_requirements_as_a_whole() -> None:
    """Each with its task, or with what nearly met it and the command for it: the heading has the worst one's."""
    unmet = rejected().verdicts[0]._replace(notes=())
    parts = (
        RequirementVerdict("train", report().verdicts[0]._replace(notes=("verified by a run record",))),
        RequirementVerdict("evaluation | all", unmet, "evaluate.py", "git clearml run -- python evaluate.py"),
        RequirementVerdict("export", Verdict(HEAD, Outcome.REJECTED)),
    )
    verdict = unmet._replace(requirements=parts)
    told = VerifyReport(Outcome.REJECTED, 1, OTHER, (verdict,), "git clearml run -- python evaluate.py")
    body = view.comment(Page(told, repository_url=HOME))
    snapshot("comment-requirements.md", scrubbed(body))
    assert body.count("ran with uncommitted changes") == 1
    assert headline.plain(told) == "rejected: meets 1 of 3 requirements"
    passed = verdict._replace(outcome=Outcome.VERIFIED, near_misses=(), task=TASK, requirements=(parts[0],) * 3)
    assert headline.plain(told._replace(outcome=Outcome.VERIFIED, status=0, verdicts=(passed,))) == (
        "verified: meets all 3 requirements"
    )


def test_a_worse_model_as_a_whole() -> None:
    compared = Comparison(
        ComparisonOutcome.WORSE, 1, HEAD, "validation/accuracy", "max", "last", TASK, 0.91, BEST, 0.93, -0.02, "0.5%"
    )
    rows = (replace(ROWS[0], last=0.91, best=0.93, delta=-0.02), *ROWS[1:])
    told = report(status=1, comparison=compared)
    sections = (lambda _: metrics.comparison_details(compared, tasks=False), measured(*rows))
    body = view.comment(Page(told, sections=sections, repository_url=HOME))
    snapshot("comment-worse.md", scrubbed(body))
    text = seen(Reader(body).text)
    worse = "but worse than the best task by 0.02: validation/accuracy 0.91, best 0.93"
    assert text.startswith(f"⚠️ Verified: 1a2b3c4d5e6f by train, {worse}\n")
    assert headline.plain(told) == f"verified, {worse}"
    assert body.count("### ") == 1


def standing(outcome: ComparisonOutcome, value: float) -> Comparison:
    """How a task of this value stands against the best one's 0.93."""
    delta = round(value - 0.93, 10)
    return Comparison(outcome, 0, HEAD, "validation/accuracy", "max", "last", TASK, value, BEST, 0.93, delta)


@pytest.mark.parametrize(
    ("fields", "heading", "line"),
    [
        ({}, "✅ Verified: {} by train", "verified by the task 'train'"),
        ({"status": 1}, "✅ Verified: {} by train", "verified, but a check after it failed"),
        ({"problems": (Problem("x", "the report could not be posted"),), "status": 3}, "✅ Verified: {} by train",
         "verified, but the report could not be posted"),
        ({"check": Check(CheckOutcome.FAILED, 1, sentence="the task failed"), "status": 1},
         "⚠️ Verified: {} by train, but not proved to run on a ClearML agent: the task failed",
         "verified, but not proved to run on a ClearML agent: the task failed"),
        ({"check": Check(CheckOutcome.NO_WORKER, 3), "status": 3},
         "⚠️ Verified: {} by train, but not proved to run on a ClearML agent: no-worker",
         "verified, but not proved to run on a ClearML agent: no-worker"),
        ({"status": 1, "comparison":
              Comparison(ComparisonOutcome.MISSING, 1, notes=("a/b of this task was not reported",))},
         "⚠️ Verified: {} by train, but not compared with the best task: a/b of this task was not reported",
         "verified, but not compared with the best task: a/b of this task was not reported"),
        ({"comparison": Comparison(ComparisonOutcome.FIRST, 3), "status": 3, "problems": (Problem("x", "no tag"),)},
         "✅ Verified: {} by train, first: there is no best task yet", "verified, but no tag"),
        ({"comparison": standing(ComparisonOutcome.BETTER, 0.95)},
         "✅ Verified: {} by train, better than the best task by 0.02: validation/accuracy 0.95, best 0.93",
         "verified by the task 'train', better than the best task by 0.02: validation/accuracy 0.95, best 0.93"),
        ({"comparison": standing(ComparisonOutcome.EQUAL, 0.93)},
         "✅ Verified: {} by train, equal to the best task: validation/accuracy 0.93, best 0.93",
         "verified by the task 'train', equal to the best task: validation/accuracy 0.93, best 0.93"),
        ({"comparison": standing(ComparisonOutcome.WORSE, 0.92)},
         "⚠️ Verified: {} by train, worse than the best task by 0.01: validation/accuracy 0.92, best 0.93",
         "verified by the task 'train', worse than the best task by 0.01: validation/accuracy 0.92, best 0.93"),
        ({"against_best": Row("validation", "accuracy", 0.9, 0.1, 0.96, 0.93, 0.03, "max", which="max")},
         "✅ Verified: {} by train, better than the best task by 0.03: validation/accuracy 0.96, best 0.93",
         "verified by the task 'train', better than the best task by 0.03: validation/accuracy 0.96, best 0.93"),
        ({"against_best": Row("val", "loss", 0.9, 0.1, 1.0, 0.9, 0.0, "min")},
         "✅ Verified: {} by train, equal to the best task: val/loss 0.9, best 0.9",
         "verified by the task 'train', equal to the best task: val/loss 0.9, best 0.9"),
        ({"against_best": Row("val", "loss", 0.9, 0.1, 1.0, 0.5, 0.4, "min")},
         "⚠️ Verified: {} by train, worse than the best task by 0.4: val/loss 0.9, best 0.5",
         "verified by the task 'train', worse than the best task by 0.4: val/loss 0.9, best 0.5"),
    ],
)  # fmt: skip
def test_the_headline_says_what_the_verdict_is_worth(fields: dict[str, object], heading: str, line: str) -> None:
    told = report(**fields)
    body = view.comment(Page(told))
    assert seen(Reader(body).text).splitlines()[0] == heading.format(HEAD[:12])
    assert body.count("### ") == 1
    assert headline.plain(told) == line


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (report(Outcome.REJECTED, hint="git clearml run -- python train.py"),
         "❌ Rejected: {}. No ClearML task has run it. Next: git clearml run -- python train.py"),
        (report(Outcome.REJECTED, hint="git clearml run", problems=(Problem("publish-failed", "no", "what else"),)),
         "❌ Rejected: {}. No ClearML task has run it. Next: git clearml run"),
        (report(Outcome.PENDING, hint="git clearml verify --wait"),
         "⏳ Pending: {}. The right task has not ended yet. Next: git clearml verify --wait"),
        (report(Outcome.UNDECIDED, hint="is it up?", problems=(Problem("unreachable", "no answer", "is it up?"),)),
         "❔ Undecided: {}. Cannot tell whether a task has run it: no answer. Hint: is it up?"),
        (report(Outcome.UNDECIDED, status=2, problems=(Problem("usage", "no such flag"),)),
         "❔ Undecided: {}. It has not been judged: no such flag"),
        (report(Outcome.UNDECIDED)._replace(verdicts=(), problems=(Problem("usage", "no such flag", "spell it"),)),
         "❔ Undecided: no such flag. Hint: spell it"),
    ],
)  # fmt: skip
def test_the_headline_says_what_to_do(told: VerifyReport, line: str) -> None:
    text = seen(Reader(view.comment(Page(told))).text)
    assert text.splitlines()[0] == line.format(HEAD[:12])
    for said in (told.hint, *(problem.hint for problem in told.problems), *(each.message for each in told.problems)):
        assert not said or text.count(said) == 1


def test_several_verdicts_share_what_there_is_to_do() -> None:
    told = report(Outcome.REJECTED, hint="git clearml run")
    told = told._replace(verdicts=(*told.verdicts, *report(commit=OTHER).verdicts))
    lines = seen(Reader(view.comment(Page(told))).text).splitlines()
    assert lines[0] == f"❌ Rejected: {HEAD[:12]}. No ClearML task has run it"
    assert [line for line in lines if line.startswith("✅")] == [f"✅ Verified: {OTHER[:12]} by train"]
    assert "Next: git clearml run" in lines


def test_a_rejection_keeps_its_reason_whatever_came_after() -> None:
    problem = Problem("publish-failed", "the report could not be posted")
    told = rejected()._replace(problems=(problem,))
    assert headline.plain(told) == "rejected: no clean, completed ClearML task has run this commit"
    assert not headline.tells_first_problem(told)
    away = report(Outcome.UNDECIDED, problems=(problem,))
    assert headline.plain(away) == "undecided: the report could not be posted"


def test_undecided_says_why_and_what_to_do() -> None:
    problem = Problem("unreachable", "https://api.clear.ml refuses connections", "is the server up?")
    text = seen(Reader(view.comment(Page(report(Outcome.UNDECIDED, problems=(problem,), hint=problem.hint)))).text)
    assert "Undecided: 1a2b3c4d5e6f" in text
    assert "https://api.clear.ml refuses connections. Hint: is the server up?" in text
    assert "Next:" not in text


@pytest.mark.parametrize("equivalence", list(Equivalence))
def test_says_in_which_sense_the_task_is_of_the_commit(equivalence: Equivalence) -> None:
    verdict = Verdict(HEAD, Outcome.VERIFIED, task=TASK._replace(commit=OTHER), equivalence=equivalence)
    text = view.comment(Page(VerifyReport(Outcome.VERIFIED, 0, "defaults", (verdict,))))
    assert (OTHER[:12] in text) is (equivalence is not Equivalence.COMMIT)


@cases
@given(names)
def test_no_server_text_forges_a_marker_or_a_mention(name: str) -> None:
    near = Finding(Task("x", "server", name, name, url="https://x/" + name), None, (Reason("dirty", f"ran {name}"),))
    notes = (name, f"<!-- git-clearml: verify --> {name}")
    verdict = Verdict(HEAD, Outcome.REJECTED, near_misses=(near,), notes=notes)
    told = VerifyReport(Outcome.REJECTED, 1, "flags", (verdict,), f"run {name}", (), notes)
    body = view.comment(Page(told, sections=(lambda _: escape(name),)))
    page = Reader(body)
    assert [text.strip().partition(":")[0] for text in page.comments] == ["git-clearml", "git-clearml history"]
    assert "script" not in page.tags
    assert len(body) <= view.LIMIT


# --- the budget --------------------------------------------------------------------------------------------------


def test_of_two_thousand_metrics_of_a_policy_it_is_said_how_many_are_missing() -> None:
    rules = tuple(Measured(MetricRule(f"validation/number {number}"), value=0.5, runs=1) for number in range(2000))
    verdict = Verdict(HEAD, Outcome.VERIFIED, task=TASK, accepted=1, runs=(TASK,), metrics=rules)
    body = view.comment(Page(VerifyReport(Outcome.VERIFIED, 0, HEAD, (verdict,))))
    assert len(body) <= view.LIMIT
    page = Reader(body)
    (left_out,) = re.findall(r"and ([\d,]+) more metrics of the policy", page.text)
    assert len([row for row in page.rows if row[0].startswith("validation/")]) + int(left_out.replace(",", "")) == 2000


def test_two_thousand_metrics_stay_under_the_limit_and_say_how_many_are_missing() -> None:
    rows = tuple(replace(ROWS[0], variant=f"|@#1 variant number {number}") for number in range(2000))
    many = MetricsReport(HEAD, Outcome.VERIFIED, 0, TASK, rows=rows)
    body = view.comment(Page(report(), sections=(lambda limit: metrics.report_markdown(many, limit),)))
    assert 50_000 < len(body) <= view.LIMIT
    page = Reader(body)
    (left_out,) = re.findall(r"([\d,]+) more metrics are left out here", page.text)
    kept = [row for row in page.rows if row[0] == "validation"]
    assert len(kept) + int(left_out.replace(",", "")) == 2000


def test_findings_of_any_length_are_cut_before_they_are_looked_at() -> None:
    """Each of these once took a quarter of a second, whether there was room for it or not."""
    for text in ("9" * 20_000, "\u202e\xe9" * 10_000):
        finding = Finding(TASK._replace(name=text), None, (Reason("dirty", text),) * 3)
        refused = Verdict(HEAD, Outcome.REJECTED, near_misses=(finding,) * 60)
        verdicts = tuple(refused._replace(commit=f"{number:040x}") for number in range(30))
        body = view.comment(Page(VerifyReport(Outcome.REJECTED, 1, "defaults", verdicts)))
        assert body.count("- and ") == view._MOST_VERDICTS
        assert len(body) <= view.LIMIT


def test_everything_at_its_longest_still_fits() -> None:
    long = "|@#1 $" * 2000
    near = tuple(
        Finding(Task("x", "server", long, long, url="https://x/" + "é" * 5000), None, (Reason("dirty", long),) * 9)
        for _ in range(500)
    )
    verdicts = tuple(
        Verdict(f"{number:040x}", Outcome.REJECTED, near_misses=near, notes=(long,) * 100) for number in range(100)
    )
    told = VerifyReport(Outcome.REJECTED, 1, HEAD, verdicts, long, (Problem("x", long, long),) * 50, (long,) * 50)
    old = ""
    for number in range(12):
        task = TASK._replace(name=long, url="https://x/" + "é" * 280)
        old = view.comment(
            Page(report()._replace(verdicts=(Verdict(f"{number + 500:040x}", Outcome.VERIFIED, task=task),))), old
        )
    body = view.comment(Page(told, label="a" * 60, sections=(lambda limit: "x" * limit,) * 3, repository_url=HOME), old)
    assert len(body) <= view.LIMIT
    assert len(view.summary(Page(told, sections=(lambda limit: "x" * limit,)), (long,) * 5)) <= view.SUMMARY_LIMIT
    assert "- and " in body


def test_a_section_that_does_not_keep_to_its_limit_is_left_out() -> None:
    body = view.comment(
        Page(report(), sections=(lambda limit: "x" * (limit + 1), lambda _: "", lambda _: "the last one"))
    )
    assert len(body) <= view.LIMIT
    assert "A part was left out" in body
    assert "the last one" in body


# --- the history -------------------------------------------------------------------------------------------------


def told_about(*commits: str) -> str:
    body = ""
    for name in commits:
        body = view.comment(Page(report(commit=name)), body)
    return body


def test_the_history_is_read_back() -> None:
    names = [f"{number:040x}" for number in range(1, 15)]
    found = history.rows_of(told_about(*names))
    assert [entry.commit for entry in found] == names[:-12:-1]
    assert found[0] == HistoryRow(names[-1], Outcome.VERIFIED, "train", URL)


def test_the_same_commit_again_is_one_entry() -> None:
    body = told_about(OTHER, HEAD, HEAD)
    assert [entry.commit for entry in history.rows_of(body)] == [HEAD, OTHER]
    assert view.comment(Page(report()), body) == body
    assert view.same(view.comment(Page(report()), body.replace("\n", "\r\n") + "\r\n"), body)


def packed(value: object) -> str:
    data = base64.b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).decode()
    return f"{view.marker('verify')}\n<!-- git-clearml history: {data} -->\nrest"


GOOD = [HEAD, "verified", "train", URL]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no marker",
        view.marker("verify"),
        f"{view.marker('verify')}\n<!-- git-clearml history: ??? -->\n",
        f"{view.marker('verify')}\n<!-- git-clearml history: YWJj -->\n",
        packed(b"\xff\xfe"),
        packed(b"[" * 10_000),
        packed({"a": 1}),
        packed([[HEAD, "verified", "train"]]),
        packed([[HEAD, "wonderful", "train", URL]]),
        packed([["--><b>", "verified", "train", URL]]),
        packed([[HEAD, "verified", 3, URL], None, "x", []]),
        f"text\n<!-- git-clearml history: {base64.b64encode(json.dumps([GOOD]).encode()).decode()} -->x\n",
        "first\nsecond\n" + packed([GOOD]),
    ],
)
def test_a_damaged_history_is_dropped(body: str) -> None:
    assert history.rows_of(body) == ()
    assert view.comment(Page(report()), body) == view.comment(Page(report()))


def test_what_is_good_in_a_history_is_kept() -> None:
    assert [entry.commit for entry in history.rows_of(packed([GOOD, [OTHER, "x", "", ""], GOOD]))] == [HEAD]


def test_comments_that_stand_apart_carry_no_history() -> None:
    body = view.comment(Page(report(), apart=True), told_about(OTHER))
    assert history.rows_of(body) == ()
    assert view.is_marked(body, "verify", apart=True)
    assert not view.is_marked(body, "verify")
    assert "Earlier" not in body


@pytest.mark.parametrize(
    "body", ["> " + view.marker("verify"), " " + view.marker("verify") + "\n", view.marker("verify") + "x"]
)
def test_a_marker_elsewhere_is_none(body: str) -> None:
    assert not view.is_marked(body, "verify")
