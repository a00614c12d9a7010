"""`git clearml log`: commits with their tasks, from notes or from the server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from git_clearml.clearml.model import Result
from git_clearml.git import log as history
from git_clearml.git.log import Chosen
from git_clearml.git.repository import Repository
from git_clearml.model import Metric
from git_clearml.record import lockfile, notes
from tests.support.clearml_cost import MILLION, cost
from tests.support.faults import closed_port
from tests.support.program import Gate, command, inside, process_environment
from tests.support.program import Result as Ended
from tests.support.pushing import on_path, write_hook
from tests.support.repos import YESTERDAY, Repo, fast_history, make_repo
from tests.support.terminal import at_a_terminal
from tests.support.tools import needs

MEASURED = {"validation": {"accuracy": 0.9, "loss": 0.25}, "train": {"loss": 0.5}, ":monitor:gpu": {"gpu_0": 97.0}}
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def note(repo: Repo, commit: str = "", task: str = "1", status: str = "completed", **metrics: float) -> str:
    """Puts a task on record for a commit (HEAD); the metrics by their series, of the title `m`."""
    measured = tuple(Metric("m", series, value, value, value) for series, value in metrics.items())
    result = Result(task, f"train {task}", "Vision", status, f"https://app.example.com/{task}", metrics=measured)
    notes.record(Repository(str(repo.path)), commit or repo.head, [result], now=lambda: WHEN)
    return commit or repo.head


def log(gate: Gate, *words: str, **options: Any) -> Ended:
    """`log --format json`; its status is that of the JSON."""
    result = gate.call("log", "--format", "json", *words, **options)
    assert result.json["exit_code"] == result.status
    assert (result.json["schema"], result.json["command"]) == (1, "log")
    return result


def shown(result: Ended) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Each commit's subject, and of its tasks id, status and source."""
    return [
        (commit["subject"], [(task["id"], task["status"], task["source"]) for task in commit["tasks"]])
        for commit in result.json["commits"]
    ]


def test_from_notes_without_network(gate: Gate) -> None:
    first = note(gate.repo, accuracy=0.9, loss=0.5, zz=1.0)
    gate.repo.commit("second")
    result = gate.call("log")
    assert (result.status, result.calls, result.err) == (0, (), "")
    assert result.out == (
        f"{gate.repo.git('rev-parse', '--short', 'HEAD')} second\n"
        f"{first[:7]} first\n"
        "    completed  train 1  m/accuracy 0.9  m/loss 0.5  (recorded)\n"
    )


def test_json(gate: Gate) -> None:
    head = note(gate.repo, accuracy=0.9)
    result = log(gate)
    assert (result.status, result.json["outcome"], result.json["errors"]) == (0, "shown", [])
    assert result.json["commits"] == [
        {
            "commit": head,
            "subject": "first",
            "tasks": [
                {
                    "id": "1",
                    "name": "train 1",
                    "project": "Vision",
                    "status": "completed",
                    "url": "https://app.example.com/1",
                    "completed": None,
                    "metrics": {"m/accuracy": 0.9},
                    "source": "recorded",
                    "recorded": "2026-01-02T03:04:05.000+00:00",
                }
            ],
        }
    ]


def test_markdown(gate: Gate) -> None:
    head = note(gate.repo, accuracy=0.9)
    header, _, row = gate.call("log", "--format", "markdown").out.splitlines()
    assert [cell.strip() for cell in header.split("|")] == ["", "commit", "subject", "status", "task", "metrics", ""]
    task = "[train 1](<https://app.example.com/1>)"
    assert [cell.strip() for cell in row.split("|")] == [
        *("", head[:7], "first", "completed (recorded)", task, "m/accuracy 0.9", ""),
    ]


def test_without_notes_it_is_git_log(gate: Gate) -> None:
    gate.repo.commit("naïve – ünïcode 训练")
    gate.repo.commit("") if False else gate.repo.git("commit", "--allow-empty", "--allow-empty-message", "-m", "")
    shown = gate.call("log")
    assert shown.out.splitlines() == gate.repo.git("log", "--oneline", "--no-decorate").splitlines()
    assert shown.err.splitlines()[1:] == ["hint: git clearml log --fetch"]
    assert gate.call("log", "--fetch").err == "git clearml: the server has no task of these commits\n"
    for words in (("-q",), ("--json",), ("--format", "%h"), ("-n", "0")):
        assert gate.call("log", *words).err == ""


def test_a_failed_task_is_shown_as_one(gate: Gate) -> None:
    note(gate.repo, status="failed")
    assert shown(log(gate)) == [("first", [("1", "failed", "recorded")])]


# Which commits.


def test_ranges_and_paths_as_git_log_has_them(gate: Gate) -> None:
    repo = gate.repo
    repo.commit("second", {"a dir/ä.py": "1"})
    repo.git("checkout", "--quiet", "-b", "side/zweig-ü")
    repo.commit("third", {"main": "a file of a branch's name"})
    cases: dict[tuple[str, ...], list[str]] = {
        (): ["third", "second", "first"],
        ("main",): ["second", "first"],
        ("main..side/zweig-ü",): ["third"],
        ("side/zweig-ü", "^main"): ["third"],
        ("HEAD~1",): ["second", "first"],
        (":/second",): ["second", "first"],
        ("-n", "2"): ["third", "second"],
        ("-n1", "main"): ["second"],
        ("--max-count", "0"): [],
        ("--", "a dir"): ["second"],
        ("--", "main"): ["third"],
        ("main", "--", "main"): [],
        ("main", "--max-count", "1", "--", "train.py", "a dir/ä.py"): ["second"],
        ("--", ":(exclude)train.py"): ["third", "second"],
        ("--", "--format"): [],
        ("--", "--", "main"): ["third"],
        ("HEAD", "--"): ["third", "second", "first"],
    }
    for words, subjects in cases.items():
        assert [subject for subject, _ in shown(log(gate, *words))] == subjects, words


def test_paths_are_seen_from_where_one_is(gate: Gate) -> None:
    gate.repo.commit("second", {"inner/deep.py": "1"})
    inner = gate.repo.path / "inner"
    assert [subject for subject, _ in shown(log(gate, "--", "deep.py", cwd=inner))] == ["second"]
    assert [subject for subject, _ in shown(log(gate, "--", "../train.py", cwd=inner))] == ["first"]


def test_flags_may_stand_anywhere_before_the_paths(gate: Gate) -> None:
    note(gate.repo, accuracy=0.9)
    for words in (
        ("HEAD", "--format", "json", "-n", "1", "HEAD", "--", "train.py"),
        ("--format=json", "HEAD", "--metric", "m/accuracy", "HEAD"),
    ):
        assert len(gate.call("log", *words).json["commits"]) == 1


@pytest.mark.parametrize("word", ["nosuch", "nosuch..HEAD", "train.py", "", "HEAD:nosuch", "HEAD@{99}", "1" * 40, "-5"])
def test_an_unknown_range(gate: Gate, word: str) -> None:
    result = gate.call("log", word)
    what, hint = result.talk()
    assert (result.status, result.out) == (2, "")
    assert repr(word) in what
    assert "after --" in what
    assert hint == "git log --oneline"
    document = log(gate, word)
    assert (document.status, document.json["outcome"], document.errors) == (2, "undecided", ["unknown-revision"])
    assert document.json["commits"] == []


def test_paths_outside_of_the_repository(gate: Gate) -> None:
    result = gate.call("log", "--", "/etc/passwd")
    assert (result.status, result.talk()[1]) == (2, "git clearml log -- <path>")
    assert "outside repository" in result.talk()[0]


def test_no_commits_yet(tmp_path: Path) -> None:
    empty = make_repo(tmp_path / "empty", {})
    result = inside("log", cwd=empty.path)
    assert (result.status, result.talk()) == (2, ("this repository has no commits yet", "commit something first"))


def test_a_head_without_commits_is_no_obstacle(gate: Gate) -> None:
    note(gate.repo)
    gate.repo.git("checkout", "--quiet", "--orphan", "fresh")
    assert shown(log(gate, "main")) == [("first", [("1", "completed", "recorded")])]


def test_outside_of_a_repository(gate: Gate, tmp_path: Path) -> None:
    assert gate.call("log", cwd=tmp_path).status == 2


def test_a_negative_count(gate: Gate) -> None:
    assert gate.call("log", "-n", "-1").status == 2


@pytest.mark.parametrize("name", ["bare", "worktree", "sha256"])
def test_other_kinds_of_repositories(tmp_path: Path, gate: Gate, name: str) -> None:
    repo = gate.repo
    if name == "sha256":
        repo = make_repo(tmp_path / "long", options=("--object-format=sha256",))
    head = note(repo, accuracy=0.5)
    if name == "bare":
        repo.git("clone", "--quiet", "--mirror", str(repo.path), str(tmp_path / "bare.git"))
        repo = Repo(tmp_path / "bare.git")
    if name == "worktree":
        repo = repo.worktree(tmp_path / "tree")
    result = log(gate, cwd=repo.path)
    assert result.json["commits"][0]["commit"] == head
    assert shown(result) == [("first", [("1", "completed", "recorded")])]


def test_nobody_s_configuration_changes_what_is_shown(gate: Gate) -> None:
    note(gate.repo)
    before = log(gate).json
    for key, value in {
        "log.showSignature": "true",
        "color.ui": "always",
        "format.pretty": "fuller",
        "log.decorate": "full",
        "notes.displayRef": "refs/notes/*",
        "i18n.logOutputEncoding": "ISO-8859-1",
        "log.follow": "true",
        "core.pager": "false",
    }.items():
        gate.repo.git("config", key, value)
    assert log(gate).json == before


def test_forged_notes_are_skipped(gate: Gate) -> None:
    gate.repo.git("notes", "--ref=clearml", "add", "-m", '{"task": 1}\nlooks good to me')
    assert shown(log(gate)) == [("first", [])]


def test_what_is_not_ours_does_nothing_to_the_terminal(gate: Gate) -> None:
    gate.repo.git("commit", "--allow-empty", "-m", "evil \x1b]0;owned\x07 \u202e ::error::x")
    line = {
        "task": "1",
        "name": "\x1b[2Jx",
        "project": "",
        "status": "\x9b31m",
        "url": "",
        "completed": "",
        "schema": 1,
    }
    line |= {"metrics": {"\x1b[31m/y": 1}, "recorded": "2026-01-02T03:04:05Z"}
    gate.repo.git("notes", "--ref=clearml", "add", "-F", "-", stdin=json.dumps(line))
    out = gate.call("log").out
    assert len(out.splitlines()) == 3
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 or each == "\u202e" for each in out.replace("\n", ""))
    assert log(gate).json["commits"][0]["tasks"][0]["name"] == "\x1b[2Jx"


# Which metrics, in which order.


def three(repo: Repo) -> None:
    """Three commits with m/loss 0.5, 0.2 and 0.9, the newest last, and one without."""
    for number, loss in enumerate((0.5, 0.2, 0.9)):
        note(repo, repo.commit(f"c{number}"), task=str(number), loss=loss, accuracy=number / 10)
    repo.commit("bare")


def order(gate: Gate, *words: str) -> list[str]:
    return [subject for subject, _ in shown(log(gate, *words))]


def test_sorted_by_a_metric(gate: Gate) -> None:
    three(gate.repo)
    assert order(gate, "--sort", "m/loss") == ["c2", "c0", "c1", "bare", "first"]
    assert order(gate, "--sort", "m/loss", "-n", "2") == ["c2", "c0"]
    assert order(gate, "--sort", "m/loss", "HEAD~2") == ["c0", "c1", "first"]


def test_sorted_by_the_policy_s_direction(gate: Gate) -> None:
    gate.repo.policy("[tool.git-clearml.best]", 'metric = "m/loss"', 'direction = "min"')
    three(gate.repo)
    assert order(gate, "--sort", "m/loss") == ["c1", "c0", "c2", "bare", "policy", "first"]
    assert order(gate, "--sort", "m/accuracy")[:3] == ["c2", "c1", "c0"]


def test_the_best_of_a_commit_s_tasks_ranks_it(gate: Gate) -> None:
    one, two = note(gate.repo, loss=0.5), gate.repo.commit("two")
    note(gate.repo, one, task="other", loss=0.9)
    note(gate.repo, two, loss=0.7)
    assert order(gate, "--sort", "m/loss") == ["first", "two"]


def test_chosen_metrics(gate: Gate) -> None:
    note(gate.repo, a=1, b=2, c=3)
    assert "m/a 1  m/b 2  (recorded)" in gate.call("log").out
    assert "1  m/c 3  m/a 1  (recorded)" in gate.call("log", "--metric", "m/c", "--metric", "m/a").out
    assert "1  m/b 2  (recorded)" in gate.call("log", "--sort", "m/b").out
    assert log(gate, "--metric", "m/c").json["commits"][0]["tasks"][0]["metrics"] == {"m/c": 3}
    gate.repo.policy("[tool.git-clearml.best]", 'metric = "m/c"')
    assert "1  m/c 3  (recorded)" in gate.call("log").out
    assert len(log(gate).json["commits"][1]["tasks"][0]["metrics"]) == 3


def test_a_metric_that_no_task_has(gate: Gate) -> None:
    note(gate.repo, a=1)
    result = gate.call("log", "--metric", "m/a", "--metric", "m/typo", "--sort", "n/o")
    assert result.status == 0
    assert result.err == (
        "git clearml: warning: no task shown has the metric m/typo\n"
        "git clearml: warning: no task shown has the metric n/o\n"
    )


def test_a_policy_elsewhere_than_in_the_commit(gate: Gate) -> None:
    gate.repo.git("config", "clearml.bestMetric", "m/b")
    note(gate.repo, a=1, b=2, c=3)
    result = gate.call("log")
    assert "m/a 1  m/b 2  (recorded)" in result.out
    assert result.err.startswith("git clearml: warning: ")


def test_a_policy_that_is_no_policy(gate: Gate) -> None:
    gate.repo.policy("nosuch = 1")
    assert gate.call("log").status == 2


# From the server.


def test_fetched(gate: Gate) -> None:
    first = gate.repo.head
    task = gate.task(metrics=MEASURED, name="train")
    gate.repo.commit("second")
    running = gate.task(status="in_progress")
    gate.task(commit="f" * 40)
    gate.task(system_tags=["archived"])
    result = log(gate, "--fetch")
    assert result.calls == ("tasks.get_all_ex",)
    assert shown(result) == [
        ("second", [(running, "in_progress", "server")]),
        ("first", [(task, "completed", "server")]),
    ]
    one = result.json["commits"][1]
    assert (one["commit"], one["tasks"][0]["recorded"]) == (first, None)
    assert one["tasks"][0]["metrics"] == {"train/loss": 0.5, "validation/accuracy": 0.9, "validation/loss": 0.25}
    assert one["tasks"][0]["url"].endswith(f"/experiments/{task}/output/log")
    assert "  completed  train  train/loss 0.5  validation/accuracy 0.9\n" in gate.call("log", "--fetch").out


def test_fetched_beside_what_is_on_record(gate: Gate) -> None:
    task = gate.task()
    note(gate.repo, task=task, status="in_progress")
    note(gate.repo, task="gone")
    assert shown(log(gate, "--fetch")) == [
        ("first", [(task, "completed", "server"), ("gone", "completed", "recorded")])
    ]


def test_only_the_wanted_metrics_are_fetched(gate: Gate) -> None:
    gate.task(metrics=MEASURED)
    gate.call("log", "--fetch", "--metric", "validation/loss")
    fields = gate.server.requests[-1].body["only_fields"]
    assert sum(field.startswith("last_metrics.") for field in fields) == 1
    assert "last_metrics" not in fields
    assert "  validation/loss 0.25\n" in gate.call("log", "--fetch", "--sort", "validation/loss").out


def test_one_query_for_500_commits(gate: Gate) -> None:
    commits = fast_history(gate.repo, 1100)
    gate.task(commit=commits[0])
    gate.task(commit=commits[-1])
    result = log(gate, "--fetch", "long")
    assert result.calls == ("tasks.get_all_ex",) * 3
    assert [len(commit["tasks"]) for commit in result.json["commits"]] == [1, *[0] * 1098, 1, 0]
    assert log(gate, "--fetch", "long", "-n", "500").calls == ("tasks.get_all_ex",)
    assert log(gate, "--fetch", "-n", "0").calls == ()


def test_without_a_server_what_is_on_record_is_shown(gate: Gate) -> None:
    note(gate.repo)
    fast_history(gate.repo, 600)
    result = log(gate, "--fetch", "long", env={"CLEARML_API_HOST": f"http://127.0.0.1:{closed_port()}"})
    assert (result.status, result.json["outcome"], result.errors) == (3, "undecided", ["unreachable"])
    assert len(shown(result)) == 601
    assert ("first", [("1", "completed", "recorded")]) in shown(result)
    assert result.err.count("refuses connections") == 1


def test_a_server_that_goes_away_in_between(gate: Gate) -> None:
    commits = fast_history(gate.repo, 600)
    first, last = gate.task(commit=commits[0]), gate.task(commit=commits[-1])
    note(gate.repo, commits[-1], task=last)

    def leave(name: str, body: dict[str, Any]) -> None:
        gate.server.hook = None
        gate.server.fail_next(403, b'{"meta": {"result_code": 403, "result_msg": "no"}, "data": {}}')

    gate.server.hook = leave
    result = log(gate, "--fetch", "long")
    assert (result.status, result.errors) == (3, ["forbidden"])
    found = [task for _, tasks in shown(result) for task in tasks]
    assert found == [(first, "completed", "server"), (last, "completed", "recorded")]


@pytest.mark.parametrize("wrong", [{"CLEARML_API_SECRET_KEY": "wrong"}, None])
def test_without_credentials(gate: Gate, wrong: Mapping[str, str] | None) -> None:
    note(gate.repo)
    none: dict[str, str | None] = dict.fromkeys(gate.server.env)
    result = gate.call("log", "--fetch", env=dict(wrong) if wrong else none)
    assert result.status == 3
    assert "(recorded)" in result.out
    assert result.err.splitlines()[-1] == "git clearml: only what is recorded in this clone is shown"


# Streams, pipes and terminals.


@needs("bash")
def test_whoever_reads_it_may_leave(gate: Gate) -> None:
    fast_history(gate.repo, 10_000)
    piped = subprocess.run(
        ["bash", "-c", '"$@" | head -1; echo "${PIPESTATUS[0]}"', "-", *command("log", "long")],
        cwd=gate.repo.path,
        env=process_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    first, status = piped.stdout.splitlines()
    assert first.endswith(" x")
    assert (status, piped.stderr) == ("141", "")


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_the_first_lines_come_before_the_last_commit_is_read(gate: Gate, tmp_path: Path, form: str) -> None:
    """A git that stops in the middle of the log until somebody has seen the first commit."""
    note(gate.repo)
    gate.repo.commit("second")
    seen = tmp_path / "seen"
    os.mkfifo(seen)
    real = shutil.which("git")
    slow = f'"{real}" "$@" | {{ head -c 60; cat "{seen}"; cat; }}'
    write_hook(
        tmp_path / "bin" / "git", f'#!/bin/sh\ncase " $* " in *" log "*) {slow};; *) exec "{real}" "$@";; esac\n'
    )
    with subprocess.Popen(
        command("log", "--format", form),
        cwd=gate.repo.path,
        env=process_environment({"PATH": on_path(tmp_path / "bin")}),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3 if form == "markdown" else 1)]
        assert "second" in lines[-1]
        seen.write_text("")
        assert "(recorded)" in process.stdout.read()
    assert process.returncode == 0


@pytest.mark.slow
def test_git_does_not_outlive_a_reader_that_leaves(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    fast_history(gate.repo, 20_000)
    blocks = history.walk(Repository(str(gate.repo.path)), Chosen(["long"]))
    assert next(blocks)
    blocks.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_an_object_that_is_missing(gate: Gate) -> None:
    first = gate.repo.head
    for number in range(5):
        gate.repo.commit(f"c{number}")
    (gate.repo.path / ".git" / "objects" / first[:2] / first[2:]).unlink()
    result = gate.call("log")
    assert result.status == 3
    assert [line[8:] for line in result.out.splitlines()] == ["c4", "c3", "c2", "c1"]
    assert result.talk()[1] == "git fsck"


def on_a_terminal(gate: Gate, *words: str, columns: str = "80", env: Mapping[str, str] | None = None) -> str:
    """What the program prints to a terminal of so many columns."""
    environment = {"TERM": "xterm", "COLUMNS": columns, "GIT_PAGER": "cat", **gate.server.env, **(env or {})}
    return at_a_terminal(command(*words), cwd=gate.repo.path, env=process_environment(environment), is_asked=True)[1]


def test_on_a_terminal(gate: Gate) -> None:
    gate.repo.commit("a long subject " * 20)
    note(gate.repo, accuracy=0.9)
    coloured = on_a_terminal(gate, "log")
    assert "\x1b[32mcompleted\x1b[0m" in coloured
    plain = on_a_terminal(gate, "log", columns="60", env={"NO_COLOR": "1"})
    assert "\x1b" not in plain
    lines = plain.splitlines()
    assert max(map(len, lines)) == len(lines[0]) == 60
    assert lines[0].endswith("…")
    assert lines[1] == "    completed  train 1  m/accuracy 0.9  (recorded)"
    assert "…" not in gate.call("log").out


def test_tasks_of_years_are_asked_for_in_windows(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """No question of a large server is one about more than a tenth of its tasks; a small one is asked a few times."""
    gate.repo.write({"train.py": "print('old')\n"})
    date = f"@{YESTERDAY - 900 * 86_400} +0000"
    gate.repo.git("commit", "--quiet", "--all", "--message", "old", env={"GIT_COMMITTER_DATE": date})
    for days in (899, 500, 300, 0):
        gate.task(last_update=(datetime.now(timezone.utc) - timedelta(days=days)).isoformat())
    for at_once, most in ((0.3, 5), (0.0, 10)):
        monkeypatch.setattr("git_clearml.verdict.lookback._AT_ONCE", at_once)
        result = log(gate, "--fetch", "-n", "1")
        assert len(result.json["commits"][0]["tasks"]) == 4
        assert len(result.calls) <= most
    assert all(cost(request.body) < MILLION / 8 for request in gate.server.requests)


# git's graph and format, with ours.


def test_the_graph_is_git_s(gate: Gate) -> None:
    repo = gate.repo
    note(repo, accuracy=0.5)
    repo.git("checkout", "--quiet", "-b", "side")
    note(repo, repo.commit("side"), task="2", status="failed")
    repo.git("checkout", "--quiet", "main")
    repo.commit("main")
    repo.git("merge", "--quiet", "--no-ff", "-m", "merge", "side")
    note(repo, accuracy=0.875, loss=1.0)
    note(repo, task="4")
    repo.git("branch", "other", repo.commit("elsewhere"))
    repo.git("reset", "--quiet", "--hard", "HEAD~1")
    for words in ((), ("--all",), ("-n", "2"), ("HEAD~1", "--", "train.py")):
        ours = gate.call("log", "--graph", *words)
        git = repo.git("log", "--graph", "--format=%h%d %s", "--exclude=refs/notes/*", *words)
        assert (ours.status, ours.err) == (0, "")
        assert [re.sub("  (completed|failed).*| *$", "", line) for line in ours.out.splitlines()] == [
            line.rstrip() for line in git.splitlines()
        ]
    assert gate.call("log", "--graph").out.endswith(" first  completed  m/accuracy 0.5\n")
    assert " merge  completed  +1\n" in gate.call("log", "--graph", "-n1").out
    assert gate.call("log", "--graph", "-n1", "--fetch").calls == ("tasks.get_all_ex",)
    for words in (("--graph", "--json"), ("--graph", "--sort", "m/a"), ("--format", "%h", "--sort", "m/a")):
        assert gate.call("log", *words).status == 2


def test_the_graph_on_a_terminal(gate: Gate) -> None:
    gate.repo.commit("evil \x1b]0;owned\x07 " + "a long subject " * 20)
    note(gate.repo, accuracy=0.9)
    plain = on_a_terminal(gate, "log", "--graph", env={"NO_COLOR": "1"}).splitlines()
    assert [len(line) for line in plain] == [80 - 5, len(plain[1])]  # a value has eight columns
    assert plain[0].endswith("…  completed  m/accuracy 0.9")
    coloured = on_a_terminal(gate, "log", "--graph")
    assert "\x1b[32mcompleted\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured).splitlines() == plain
    gate.repo.git("config", "color.ui", "false")
    assert "\x1b" not in on_a_terminal(gate, "log", "--graph") + on_a_terminal(gate, "log")


def test_git_s_pager_shows_it(gate: Gate) -> None:
    def shown(*words: str) -> bool:
        return "paged: " in on_a_terminal(gate, "log", *words, env={"GIT_PAGER": "sed 's/^/paged: /'"})

    assert shown("--graph")
    assert not shown("--json")
    gate.repo.git("config", "pager.log", "false")
    assert not shown()
    gate.repo.git("config", "pager.log", "true")
    left = on_a_terminal(gate, "log", env={"GIT_PAGER": "true"})  # whoever leaves it early sees no error
    assert left == ""


FORMATS = {
    "%h %(clearml:status)": "{h} completed",
    "tformat:%(clearml:id)|%(clearml:name)|%(clearml:project)|%(clearml:source)": "1|train 1|Vision|recorded",
    "%(clearml:url) %(clearml:count)": "https://app.example.com/1 1",
    "%(clearml:metric:m/acc (top 5)%)": "0.1",
    "%(clearml:metric:m/a%x29b) %(clearml:metric:m/%x78)": "0.3 ",
    "%(clearml:metrics)": "m/a)b=0.3 m/acc (top 5)%=0.1",
    "[%<(12)%(clearml:status)][%>(12)%(clearml:status)][%><(11)%(clearml:status)]": (
        "[completed   ][   completed][ completed ]"
    ),
    "[%<(6,trunc)%(clearml:status)][%<(3)%(clearml:status)][%<(4)%s]": "[comp..][completed][first]",
    "%s% (clearml:status).% (clearml:metric:m/none).": "first completed..",
    "%%(clearml:id) %x25(clearml:id) %(nosuch) %(clearml": "%(clearml:id) %(clearml:id) %(nosuch) %(clearml",
    "%n%s%x09%x00%C(red)%(clearml:id)": "\nfirst\t\x001",
    "%x1b[1m%(clearml:id)%x07": "\x1b[1m1\x07",
    "%C(always,red)%(clearml:id)": "\x1b[31m1",
    "%C(auto)%(clearml:id)": "1",
    "%(trailers:separator=%x2C)%(clearml:id)%": "1%",
}


def test_placeholders_of_ours_beside_git_s(gate: Gate) -> None:
    metrics = {"acc (top 5)%": 0.1, "a)b": 0.3}
    head = note(gate.repo, **metrics)
    for form, wanted in FORMATS.items():
        result = gate.call("log", "--format", form)
        assert (result.status, result.out) == (0, wanted.format(h=head[:7]) + "\n"), form
    assert gate.call("log", "--format", "format:%(clearml:id)").out == "1\n"
    gate.repo.commit("second")
    empty = gate.call(
        "log", "-n1", "--format", "[%(clearml:id)%(clearml:metric:m/a)%(clearml:metrics)%(clearml:count)]"
    )
    assert empty.out == "[0]\n"
    assert "no task shown has the metric m/a" in empty.err
    task = gate.task(metrics=MEASURED, commit=head)
    fetched = gate.call("log", "--fetch", "--format", "%(clearml:id) %(clearml:metric:validation/loss)")
    assert (fetched.out.splitlines()[-1], fetched.calls) == (f"{task} 0.25", ("tasks.get_all_ex",))


def test_what_is_no_placeholder(gate: Gate) -> None:
    for form, meant in (
        ("%(clearml:stauts)", "did you mean %(clearml:status)?"),
        ("%(clearml:metrc:a/b)", "did you mean %(clearml:metric:TITLE/SERIES)?"),
        ("%(clearml:metric:accuracy)", "did you mean %(clearml:metric:TITLE/SERIES)?"),
        ("%(clearml:zzz)", "there are id, name"),
        ("%(clearml:)", "there are id, name"),
        ("%(clearml:status:x)", "did you mean %(clearml:status)?"),
        ("%(clearml:status", "no ) ends"),
        ("%+(clearml:status)", "only with a blank"),
        ("jsn", "did you mean json?"),
        ("oneline", "not a format"),
    ):
        result = gate.call("log", "--format", form)
        assert (result.status, result.out) == (2, ""), form
        assert meant in result.err, form


def test_nobody_s_text_gets_through_a_format(gate: Gate) -> None:
    """Neither what a note says nor what a commit says; and no commit can forge a mark, whose token is drawn anew."""
    mark = "\x01" + "0" * 16 + "0:" + gate.repo.head + "\x02"
    gate.repo.git("commit", "--allow-empty", "-m", f"\x1b[2J\x07{mark} \u202e \x1b[31mred")
    note(gate.repo, status="\x1b[2Jdone", task="1")
    for words in (("--format", "%s %(clearml:status)"), ("--graph",)):
        out = gate.call("log", "-n1", *words).out
        assert not [letter for letter in out.replace("\n", "") if ord(letter) < 32 or letter == "\u202e"]


def test_a_lock_that_is_committed_is_a_record(gate: Gate) -> None:
    first = gate.repo.head
    result = Result("7", "train", "Vision", "completed", metrics=(Metric("m", "a", 0.5, 0.5, 0.5),))
    gate.repo.commit("results", {"clearml.lock": lockfile.to_text(first, [result])})
    gate.repo.commit("gone", {"train.py": "1"})
    assert shown(log(gate))[2] == ("first", [("7", "completed", "recorded")])
    note(gate.repo, first, task="7", status="published")
    assert shown(log(gate))[2] == ("first", [("7", "published", "recorded")])
    gate.repo.commit("bad", {"clearml.lock": "{"})
    gate.repo.git("rm", "--quiet", "clearml.lock")
    gate.repo.commit("no lock any more")
    assert gate.call("log", "--format", "%(clearml:id)").status == 0
