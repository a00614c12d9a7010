"""The lines of a note, and what `git clearml log` makes of tasks and commits."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import cmarkgfm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.clearml.model import Result
from git_clearml.git.notes_ref import MAX_BYTES
from git_clearml.model import Metric
from git_clearml.record import note_lines
from git_clearml.record.model import CommitWithTasks, RecordedTask
from git_clearml.render import log
from tests.support.odd_json import JSON, spoilt

TASK = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
EARLY, LATE = "2026-01-02T03:04:05.000+00:00", "2026-01-02T03:04:05.123+00:00"
RESULT = Result(
    TASK,
    "train",
    "Vision/Detector",
    "completed",
    "https://app.example.com/projects/1/experiments/2/output/log",
    "a" * 40,
    "2026-01-02T03:00:00.000000+00:00",
    metrics=(Metric("validation", "accuracy", 0.9, 0.1, 0.95), Metric("loss", "train", 2.0, 0.5, 3.0)),
)


def line(**changes: Any) -> bytes:
    """A good line, but for the changes; a key that is None is left out."""
    document = json.loads(note_lines.line(note_lines.recorded_task(RESULT, EARLY))) | changes
    return json.dumps({key: value for key, value in document.items() if value is not None}).encode()


def test_a_line_has_these_keys() -> None:
    text = note_lines.line(note_lines.recorded_task(RESULT, EARLY)).decode()
    assert json.loads(text) == {
        "task": TASK,
        "name": "train",
        "project": "Vision/Detector",
        "status": "completed",
        "url": RESULT.url,
        "completed": RESULT.completed,
        "metrics": {"loss/train": 2.0, "validation/accuracy": 0.9},
        "recorded": EARLY,
        "schema": 1,
    }
    assert list(json.loads(text)) == sorted(json.loads(text))


def test_a_line_is_read_back() -> None:
    entry = note_lines.recorded_task(RESULT, EARLY)
    assert note_lines.tasks(note_lines.line(entry) + b"\n") == (entry,)
    assert entry.metrics == (("loss/train", 2.0), ("validation/accuracy", 0.9))


def test_no_numbers_and_no_resource_monitor() -> None:
    odd = (
        Metric(":monitor:gpu", "gpu_0_utilization", 97.0, 0, 97),
        Metric("loss", "nan", math.nan, 0, 0),
        Metric("loss", "inf", -math.inf, 0, 0),
        Metric("a/b", "c", 1.0, 0, 0),
    )
    assert note_lines.recorded_task(Result(TASK, metrics=odd)).metrics == (("a/b/c", 1.0),)


def test_no_password_is_written_or_shown() -> None:
    url = "https://user:hunter22@app.example.com/1"
    assert note_lines.recorded_task(Result(TASK, url=url)).url == "https://app.example.com/1"
    (forged,) = note_lines.tasks(line(url=url))
    assert forged.url == "https://app.example.com/1"


def test_odd_names_stay_on_one_line_of_ascii() -> None:
    name = "tra\nin \x1b[31m \u202e é \ud800 " + "x" * 5000
    entry = note_lines.recorded_task(Result(TASK, name=name, metrics=(Metric("lö\nss", "|", 1.0, 0, 0),)), EARLY)
    text = note_lines.line(entry)
    assert b"\n" not in text
    assert text.isascii()
    (read,) = note_lines.tasks(text)
    assert read.name == name[:1000]
    assert read.metrics == (("lö\nss/|", 1.0),)


def test_of_very_many_metrics_the_first_fit() -> None:
    metrics = tuple(Metric(f"metric {n:06}", "value", float(n), 0, 0) for n in range(20_000))
    text = note_lines.line(note_lines.recorded_task(Result(TASK, metrics=metrics), EARLY))
    assert len(text) <= 32_000
    (read,) = note_lines.tasks(text)
    assert 500 < len(read.metrics) < 1000
    assert read.metrics[0] == ("metric 000000/value", 0.0)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"hello, this is a note that somebody wrote",
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"schema": ' + b"9" * 10_000 + b"}",
        line(schema=2),
        line(schema=None),
        line(task=None),
        line(task="../../etc"),
        line(task=""),
        line(task=7),
        line(name=["train"]),
        line(status=None),
        line(metrics=[]),
        line(metrics=None),
        line(recorded="yesterday"),
        line(recorded=""),
        line(url=1),
    ],
)
def test_what_is_no_line_is_skipped(damaged: bytes) -> None:
    assert note_lines.tasks(damaged) == ()
    good = line(task=OTHER)
    assert [task.task for task in note_lines.tasks(damaged + b"\n" + good)] == [OTHER]


def test_metrics_that_are_no_numbers_are_skipped() -> None:
    (entry,) = note_lines.tasks(
        line(metrics={"a/b": "1", "c/d": True, "e/f": None, "g/h": 10**400, "i/j": 3}).replace(b"3}", b'3, "k/l": NaN}')
    )
    assert entry.metrics == (("i/j", 3.0),)


def test_of_one_task_the_newest_line_counts() -> None:
    old, new = line(status="stopped", recorded=EARLY), line(recorded=LATE)
    for content in (old + b"\n" + new, new + b"\n" + old):
        assert [task.status for task in note_lines.tasks(content)] == ["completed"]


def test_the_task_that_completed_last_comes_first() -> None:
    tasks = {"a" * 32: "2026-01-01T00:00:00", "b" * 32: "2026-01-03T00:00:00", "c" * 32: ""}
    content = b"\n".join(line(task=task, completed=completed) for task, completed in tasks.items())
    # one that never completed stands where it was recorded: 2026-01-02
    assert [each.task[0] for each in note_lines.tasks(content)] == ["b", "c", "a"]


def test_a_union_keeps_the_newest_line_of_each_task_and_what_it_does_not_know() -> None:
    old, new, other = line(recorded=EARLY), line(recorded=LATE), line(task=OTHER)
    later, words = line(schema=2), b"reviewed by hand"
    union = note_lines.union([old + b"\n" + words + b"\r\n\n", new + b"\n" + other, later, words])
    assert union == b"".join(sorted(word + b"\n" for word in (new, other, later, words)))


LINES = st.sampled_from(
    [line(recorded=EARLY), line(recorded=LATE), line(recorded=LATE, status="failed"), line(task=OTHER), b"words", b""]
)
CONTENTS = st.lists(LINES, max_size=6).map(b"\n".join)


@given(CONTENTS, CONTENTS, CONTENTS)
def test_unions_agree_in_whatever_order_they_are_made(one: bytes, two: bytes, three: bytes) -> None:
    union = note_lines.union
    assert union([one, two]) == union([two, one])
    assert union([union([one, two]), three]) == union([one, union([two, three])])
    assert union([union([one])]) == union([one])


@given(st.integers(0, 100), JSON | st.just("gone"), st.binary(max_size=40))
def test_any_line_is_a_task_or_none(where: int, value: Any, other: bytes) -> None:
    """Anybody may write into a note: what is shown is text and numbers, and a union loses none of it."""
    odd = json.dumps(spoilt(json.loads(line()), where, value)).encode()
    content = b"\n".join([line(task=OTHER), odd, other])
    read = note_lines.tasks(content)
    assert OTHER in [each.task for each in read]
    for each in read:
        texts = (each.task, each.name, each.project, each.status, each.url, each.completed, each.recorded)
        assert all(type(text) is str for text in texts)
        assert all(type(name) is str and math.isfinite(number) for name, number in each.metrics)
    assert [each.task for each in note_lines.tasks(note_lines.union([content]))] == [each.task for each in read]


def test_a_union_that_is_too_long_to_be_read_again_drops_what_was_recorded_first() -> None:
    lines = [
        line(task=f"{n:032x}", recorded=f"2026-01-02T03:{n // 60:02}:{n % 60:02}Z", name="x" * 9000) for n in range(600)
    ]
    union = note_lines.union([b"\n".join(lines), b"words"])
    assert len(union) <= MAX_BYTES
    kept = {int(task.task, 16) for task in note_lines.tasks(union)}
    assert 400 < len(kept) < 500
    assert kept == set(range(600 - len(kept), 600))


# What is shown.

TASKS = (
    RecordedTask(
        TASK, "train", "Vision", "completed", "https://app.example.com/1", metrics=(("a/b", 1.0), ("c/d", 0.5))
    ),
    RecordedTask(OTHER, "", "Vision", "failed", metrics=(("a/b", 2.0), ("c/d", 1 / 3), ("e/f", 4.0)), recorded=EARLY),
)
COMMITS = [CommitWithTasks("a" * 40, "aaaaaaa", "Add a head", TASKS), CommitWithTasks("b" * 40, "bbbbbbb", "Start")]


def test_text() -> None:
    assert log.text(COMMITS, []) == (
        "aaaaaaa Add a head\n"
        "    completed  train  a/b 1  c/d 0.5\n"
        f"    failed  {OTHER}  a/b 2  c/d 0.333333  (recorded)\n"
        "bbbbbbb Start\n"
    )


def test_text_of_chosen_metrics() -> None:
    lines = log.text(COMMITS, ["e/f", "a/b"]).splitlines()
    assert lines[1:3] == ["    completed  train  a/b 1", f"    failed  {OTHER}  e/f 4  a/b 2  (recorded)"]


def test_text_in_colour() -> None:
    lines = log.text(COMMITS, [], colour=True).splitlines()
    assert lines[0] == "\x1b[33maaaaaaa\x1b[0m Add a head"
    assert lines[1].startswith("    \x1b[32mcompleted\x1b[0m  train")
    assert lines[2].startswith("    \x1b[31mfailed\x1b[0m  ")
    assert lines[2].endswith("\x1b[2m  (recorded)\x1b[0m")
    running = [CommitWithTasks("a" * 40, "aaaaaaa", "x", (RecordedTask(TASK, status="in_progress"),))]
    assert "\x1b[33min_progress\x1b[0m" in log.text(running, [], colour=True)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("width", [1, 2, 12, 20, 40, 80])
def test_no_line_is_wider_than_the_terminal(width: int, colour: bool) -> None:
    subjects = ("plain " * 40, "数据增强" * 20, "e\u0301" * 100, "", "🦊" * 60)
    tasks = (
        *TASKS,
        RecordedTask(TASK, "学习率" * 20, "", "completed", metrics=(("数据/精度" * 9, 0.5),), recorded=EARLY),
    )
    commits = [CommitWithTasks("a" * 40, "aaaaaaa", subject, tasks) for subject in subjects]
    for splitline in log.text(commits, [], width=width, colour=colour).splitlines():
        bare = re.sub(r"\x1b\[\d+m", "", splitline)
        room = max(width, len("  (recorded)") + 1)
        assert log.column_count(bare) <= room, bare
        assert splitline.count("\x1b[0m") * 2 == splitline.count("\x1b[")


def test_what_is_cut_says_so() -> None:
    (one,) = log.text([CommitWithTasks("a" * 40, "aaaaaaa", "a long subject of a commit")], [], width=20).splitlines()
    assert one == "aaaaaaa a long subj…"


def test_text_from_elsewhere_does_nothing_to_a_terminal() -> None:
    evil = "\x1b]0;owned\x07 \r\n\u202e::error::x\x9b31m"
    task = RecordedTask(TASK, evil, evil, evil, evil, evil, ((evil, 1.0),), EARLY)
    shown = log.text([CommitWithTasks("a" * 40, "aaaaaaa", evil, (task,))], [], colour=False)
    assert len(shown.splitlines()) == 2
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 or each == "\u202e" for each in shown.replace("\n", ""))


def html(text: str) -> str:
    """As GitHub shows it, without how cells are aligned."""
    return cmarkgfm.github_flavored_markdown_to_html(text).replace(' align="left"', "")


def test_rows_of_several_blocks_are_one_table() -> None:
    """The first commits are printed before the last are known, and each block may have other widths."""
    parts = [log.markdown(COMMITS[:1], []), log.markdown(COMMITS[1:], [], head=False)]
    assert html("".join(parts)).count("<tr>") == 4
    assert html("".join(parts)).count("<th") == 6  # five, and <thead>
    assert log.markdown([], []).splitlines()[0].split() == "| commit | subject | status | task | metrics |".split()


def test_markdown_is_a_table() -> None:
    page = html(log.markdown(COMMITS, []))
    assert page.count("<tr>") == 4
    assert '<td><a href="https://app.example.com/1">train</a></td>' in page
    assert "<td>failed (recorded)</td>" in page
    assert "<td>a/b 2, c/d 0.333333</td>" in page


def test_markdown_from_elsewhere_does_nothing() -> None:
    evil = "a | b\n\n<script>x</script> [x](javascript:y) @team **b** `c`"
    task = RecordedTask(TASK, evil, evil, evil, "javascript:alert(1)", evil, ((evil, 1.0),), EARLY)
    text = log.markdown([CommitWithTasks("a" * 40, "aaaaaaa", evil, (task,))], [])
    assert len(text.splitlines()) == 3
    page = html(text)
    assert page.count("<td>") == 5
    assert "<script" not in page
    assert "href" not in page


def test_json() -> None:
    document = log.document(COMMITS, [])
    first, second = document["commits"]
    assert (document["schema"], document["command"], document["outcome"], document["exit_code"]) == (
        1,
        "log",
        "shown",
        0,
    )
    assert second == {"commit": "b" * 40, "subject": "Start", "tasks": []}
    assert [task["source"] for task in first["tasks"]] == ["server", "recorded"]
    assert first["tasks"][1]["metrics"] == {"a/b": 2.0, "c/d": 1 / 3, "e/f": 4.0}
    assert first["tasks"][1]["recorded"] == EARLY
    named = log.document(COMMITS, ["e/f"])
    assert [task["metrics"] for task in named["commits"][0]["tasks"]] == [{}, {"e/f": 4.0}]
