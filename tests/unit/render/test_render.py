"""One report in three formats: harmless whatever a server said, and readable. UPDATE_SNAPSHOTS=1 rewrites."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.base.markdown import GUARD, code, escape, link
from git_clearml.base.sanitize import sanitize
from git_clearml.errors import BadSetting, Unreachable
from git_clearml.model import Problem
from git_clearml.render import json as json_view
from git_clearml.render import markdown, text
from git_clearml.report.model import VerifyReport
from git_clearml.settings.policy import Equivalence, Policy, Require
from git_clearml.verdict.model import Finding, Outcome, Reason
from git_clearml.verdict.requirements import combined
from git_clearml.verdict.rules import judge
from tests.support import schemas
from tests.support.builders import (
    DIRTY,
    HASH,
    OTHER_HASH,
    PAGE,
    commit,
    facts,
    finding,
    offline,
    policy,
    rejected,
    report,
    run,
    task,
    verdict,
)

SNAPSHOTS = Path(__file__).parent / "snapshots"
EVIL = "\x1b[2J\x1b]0;t\x07\r\n\x85\u2028\u202e\u2066x\u200b\ud800 [a](http://x) <b> @team #1 `c` | ::error::x \x00"


def judged(*tasks: Any, **rules: Any) -> Any:
    def sense(name: str) -> Equivalence | None:
        return {HASH: Equivalence.COMMIT, OTHER_HASH: Equivalence.TREE}.get(name)

    return judge(commit(), tasks, policy(**rules), facts(), equivalent=sense)


def _reports() -> dict[str, VerifyReport]:
    main = {"refs": ("refs/heads/main",)}
    page = PAGE.format(id="4f1c0ffee0ddba11ca55e77e00000001")
    verified = judged(task(url=page))._replace(**main)
    published = judged(task(url=page, status="published"), task(id="b", status="published"))._replace(**main)
    no_evidence = judged()._replace(**main)
    near = judged(
        task(id="a" * 32, diff=DIRTY, url=PAGE.format(id="a" * 32)),
        task(id="b" * 32, status="failed", completed="2026-01-02T11:48:00+00:00"),
        task(id="c" * 32, commit=OTHER_HASH),
        task(id="d" * 32, commit="", name="quick look"),
        task(id="e" * 32, archived=True, repository="https://github.com/acme/other"),
    )
    pending = judged(task(status="in_progress", completed="", iteration=310, url=page))
    hint = "git clearml run -- python train.py"
    return {
        "verified": report(verified),
        "published": report(published, policy_from="flags"),
        "offline": report(judged(offline(run(), name="train", project=""))),
        "nothing": report(no_evidence, hint=hint),
        "rejected": report(near._replace(**main), hint=hint),
        "pending": report(pending._replace(**main), hint="git clearml verify --wait"),
        "undecided": report(
            rejected(outcome=Outcome.UNDECIDED, considered=0),
            hint="git clearml doctor",
            problems=(Problem("unreachable", "https://api.clear.ml refuses connections"),),
        ),
        "requirements": report(
            combined(
                Policy(require=(Require("train"), Require("evaluation"), Require("export"))),
                [
                    verified,
                    judged(task(id="f" * 32, name="evaluate", status="failed")),
                    judged(),
                ],
            )._replace(**main),
            hint="git clearml run -- python evaluate.py",
        ),
        "several": report(
            verified, near._replace(commit=OTHER_HASH, rev="HEAD~1", near_misses=near.near_misses[:1]), hint=hint
        ),
    }


REPORTS = _reports()


def same_as_snapshot(name: str, content: str) -> None:
    place = SNAPSHOTS / name
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        place.parent.mkdir(exist_ok=True)
        place.write_text(content, encoding="utf-8")
    assert content == place.read_text(encoding="utf-8"), f"UPDATE_SNAPSHOTS=1 rewrites {place}"


@pytest.mark.parametrize("name", REPORTS)
def test_text_reads_well_at_a_terminal(name: str) -> None:
    shown = text.verify(REPORTS[name])
    same_as_snapshot(f"verify-{name}.txt", shown)
    wide = [line for line in shown.splitlines() if len(line) > 80]
    assert all("https://" in line or "vcs_repo_detect_async" in line for line in wide), wide
    assert shown.endswith("\n")


@pytest.mark.parametrize("name", REPORTS)
def test_markdown_says_the_same(name: str) -> None:
    same_as_snapshot(f"verify-{name}.md", markdown.verify(REPORTS[name]))


@pytest.mark.parametrize("name", REPORTS)
def test_json_says_the_same(name: str) -> None:
    same_as_snapshot(f"verify-{name}.json", json.dumps(json_view.verify(REPORTS[name]), indent=2) + "\n")


@pytest.mark.parametrize("name", REPORTS)
def test_the_first_word_is_the_verdict(name: str) -> None:
    first = REPORTS[name].verdicts[0]
    plain = text.verify(REPORTS[name])
    assert plain.startswith(f"{first.outcome.value} {HASH[:12]}")
    assert first.outcome.value in markdown.verify(REPORTS[name]).splitlines()[0]
    coloured = text.verify(REPORTS[name], colour=True)
    assert coloured.startswith("\x1b[")
    assert re.sub(r"\x1b\[\d*m", "", coloured) == plain
    assert "\x1b" not in plain


def test_a_verdict_that_could_not_be_made_does_not_say_that_nothing_ran() -> None:
    for shown in (text.verify(REPORTS["undecided"]), markdown.verify(REPORTS["undecided"])):
        assert "No ClearML task" not in shown
        assert "no ClearML task" not in shown


def test_notes_and_the_next_step_stand_in_every_format() -> None:
    shown = report(
        verdict(notes=("published: its success is not on record",)), notes=("put tag main",), hint="git push"
    )
    for content in (text.verify(shown), markdown.verify(shown), json.dumps(json_view.verify(shown))):
        plain = content.replace("\\", "")
        assert "published: its success is not on record" in plain
        assert "put tag main" in plain
        assert "git push" in plain


def test_more_than_ten_near_misses_are_cut_and_counted() -> None:
    many = report(rejected(*(finding("dirty", task=task(id=f"id-{n}")) for n in range(14))))
    shown = text.verify(many)
    assert shown.count("is dirty") == 10
    assert "and 4 more" in shown
    assert len(json_view.verify(many)["commits"][0]["near_misses"]) == 10
    assert json_view.verify(many)["commits"][0]["evidence"]["considered"] == 14
    assert markdown.verify(many).count("is dirty") == 10
    assert "and 4 more" in markdown.verify(many)


# --- JSON: design 11


SHAPE: dict[str, Any] = {
    "schema": int, "command": str, "outcome": str, "exit_code": int, "policy": {"from": str}, "check_runnable": None,
    "compare": None, "comment": None, "looked_back_to": (str, None), "hint": (str, None),
    "errors": [{"code": str, "message": str}], "notes": [str],
    "commits": [{
        "commit": str, "refs": [str], "outcome": str, "equivalence": (str, None), "evidence_commit": (str, None),
        "evidence": {"considered": int, "accepted": int}, "notes": [str],
        "task": ("TASK", None),
        "near_misses": [{"task": "TASK", "reasons": [{"code": str, "message": str}]}],
    }],
}  # fmt: skip
TASK = dict.fromkeys(("id", "name", "project", "status", "source", "commit", "url"), str)


def has_shape(value: Any, shape: Any) -> bool:
    if shape == "TASK":
        shape = TASK
    if isinstance(shape, tuple):
        return any(has_shape(value, each) for each in shape)
    if shape is None:
        return value is None
    if isinstance(shape, list):
        return isinstance(value, list) and all(has_shape(each, shape[0]) for each in value)
    if isinstance(shape, dict):
        return (
            isinstance(value, dict)
            and value.keys() == shape.keys()
            and all(has_shape(value[k], shape[k]) for k in shape)
        )
    return type(value) is shape


@pytest.mark.parametrize("name", REPORTS)
def test_the_shape_of_the_json(name: str) -> None:
    shown = REPORTS[name]
    document = json.loads(json.dumps(json_view.verify(shown)))
    schemas.check(document)
    required = [each for told in document["commits"] for each in told.pop("requirements", ())]
    assert [each["name"] for each in required] == [
        each.name for verdict in shown.verdicts for each in verdict.requirements
    ]
    assert has_shape(document, SHAPE)
    assert (document["schema"], document["command"], document["exit_code"]) == (1, "verify", shown.outcome.status)
    assert document["outcome"] == shown.outcome.value
    for each, told in zip(shown.verdicts, document["commits"], strict=True):
        assert (told["task"] is None) == (each.outcome is not Outcome.VERIFIED)
        assert told["equivalence"] == (each.equivalence.value if each.equivalence else None)


def test_the_evidence_of_another_commit_is_named() -> None:
    told = json_view.verify(report(verdict(task=task(commit=OTHER_HASH), equivalence=Equivalence.TREE)))["commits"][0]
    assert (told["commit"], told["evidence_commit"], told["equivalence"]) == (HASH, OTHER_HASH, "tree")


def test_an_error_before_there_was_a_report() -> None:
    told = json_view.failed("config", BadSetting("unknown setting: x", "did you mean y?"))
    assert told == {
        "schema": 1, "command": "config", "outcome": "undecided", "exit_code": 2, "hint": "did you mean y?",
        "errors": [{"code": "bad-setting", "message": "unknown setting: x"}],
    }  # fmt: skip
    assert json_view.failed("config", Unreachable("away"))["hint"] is None
    assert json_view.failed("config", Unreachable("away"))["exit_code"] == 3


# --- harmless


def is_harmless(shown: str) -> bool:
    bidi = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return not any(
        unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(each) in bidi
        for each in shown
    )


anything = st.one_of(st.text(st.characters(codec=None)), st.text(st.sampled_from(list(EVIL))), st.just(EVIL))


@given(anything, st.integers(0, 30))
def test_nothing_that_moves_a_terminal_survives(given_: str, limit: int) -> None:
    shown = sanitize(given_, limit)
    assert is_harmless(shown)
    assert not {"\u200b", "\u200e", "\u200f", "\u061c", "\ufeff"} & set(shown)
    assert shown.encode("utf-8").decode() == shown
    assert len(shown.splitlines()) <= 1
    assert not limit or len(shown) <= limit
    assert sanitize(sanitize(given_)) == sanitize(given_)


@given(st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="\u061c"), max_size=40))
def test_plain_words_stay_as_they_are(given_: str) -> None:
    assert sanitize(given_) == given_


def test_what_is_cut_says_so_and_emoji_stay() -> None:
    assert sanitize("abcdef", 4) == "abc…"
    assert sanitize("abcd", 4) == "abcd"
    assert sanitize("x" * 10_000, 60) == "x" * 59 + "…"
    assert sanitize("é" * 10_000, 60) == "é" * 59 + "…"
    assert sanitize("👩‍💻 training", 60) == "👩‍💻 training"
    assert sanitize("a\nb\tc\x1b[31md") == "a b c\ufffd[31md"


strange = st.one_of(
    anything, st.sampled_from([EVIL, "x" * 10_000, "", "```", "- a", "1. a", "| a | b |", "$(x)", "a" * 300 + "\x1b"])
)
evil_tasks = st.builds(
    lambda name, project, identity, url: task(name=name, project=project, id=identity, url=url),
    strange, strange, strange, strange.map(lambda path: "https://host/" + path) | strange,
)  # fmt: skip
evil_reports = st.builds(
    lambda one, reasons, notes, refs, hint, said: report(
        rejected(
            Finding(one, None, tuple(Reason("dirty", reason) for reason in reasons)),
            notes=tuple(notes),
            refs=tuple(refs),
        ),
        verdict(task=one, notes=tuple(notes), refs=tuple(refs)),
        hint=hint,
        notes=tuple(notes),
        problems=(Problem("bad-answer", said),),
    ),
    evil_tasks, st.lists(strange, min_size=1, max_size=3), st.lists(strange, max_size=2), st.lists(strange, max_size=2),
    strange, strange,
)  # fmt: skip


@given(evil_reports)
def test_no_report_moves_a_terminal(shown: VerifyReport) -> None:
    lines = text.verify(shown).split("\n")
    assert all(is_harmless(line) for line in lines)
    assert all(len(line) < 600 for line in lines)
    "\n".join(lines).encode("utf-8")
    json.dumps(json_view.verify(shown)).encode("ascii")
    plain = markdown.verify(shown)
    assert all(is_harmless(line) for line in plain.split("\n"))
    plain.encode("utf-8")


def test_a_long_strange_name_does_not_move_what_stands_beside_it() -> None:
    shown = text.verify(report(verdict(task=task(name=EVIL * 200, project=EVIL * 200))))
    plain = text.verify(report())
    assert len(shown.splitlines()) == len(plain.splitlines())
    assert max(len(line) for line in shown.splitlines()) < 200


# --- Markdown

special = st.text(st.sampled_from(list("\\`*_{}[]()#+-.!|~:<>&@$1ahtps/w=^'\" \n\t")), max_size=24)


@given(st.one_of(special, anything))
def test_every_mark_of_markdown_is_escaped(given_: str) -> None:
    escaped = escape(given_)
    assert "\n" not in escaped
    bare = re.sub(r"\\[\\`*_{}\[\]()#+\-.!|~:]|<span>\$</span>|&(?:amp|lt|gt);", "", escaped)
    assert not re.search(r"[\\`*_{}\[\]()#+.!|~<>&$:-]", bare), escaped
    # A mention, a reference to an issue, and a short name of an emoji need their second character right behind.
    assert not re.search(r"@\w|#\d|gh-\d", escaped.replace("\\", ""), re.IGNORECASE)


@given(st.one_of(special, anything))
def test_escaped_text_reads_as_it_was(given_: str) -> None:
    escaped = escape(given_, 0)
    read = re.sub(r"\\(.)", r"\1", escaped.replace("<span>$</span>", "$").replace(GUARD, ""))
    read = read.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert read == " ".join(sanitize(given_).split()).replace(GUARD, "")


@given(st.one_of(st.text("`a ", max_size=20), anything))
def test_a_code_span_ends_where_it_should(given_: str) -> None:
    span = code(given_)
    fence = re.match("`+", span)
    assert fence
    assert span.endswith(fence[0])
    inside = span[len(fence[0]) : -len(fence[0])]
    assert fence[0] not in re.findall("`+", inside)
    assert sanitize(given_, 500).strip(" ") in inside


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "", "data:text/html,x", "//host/x", "JAVASCRIPT://x", "file:///etc/passwd", " https://x"],
)
def test_only_a_page_is_linked(url: str) -> None:
    assert link("train", url) == "**train**"


@given(anything)
def test_a_link_cannot_be_broken_out_of(path: str) -> None:
    shown = link("train", "https://host/" + path)
    assert shown.startswith("[train](<https://host/")
    assert shown.endswith(">)")
    assert not set('<>\\|\n" `') & set(shown[len("[train](<") : -2])
