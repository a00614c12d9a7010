"""`git clearml bisect`: the first commit whose metric is worse, by the numbers there are."""

from __future__ import annotations

import json
import random
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from git_clearml.clearml.model import Result
from git_clearml.git.repository import Repository
from git_clearml.model import Metric
from git_clearml.record import lockfile, notes
from tests.support.clearml_cost import MILLION, cost
from tests.support.faults import closed_port
from tests.support.program import Gate
from tests.support.program import Result as Ended
from tests.support.repos import REPOSITORY, YESTERDAY, Repo, fast_history

METRIC = "validation/accuracy"
DIFF = "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-a\n+b\n"


def measured(value: float) -> dict[str, dict[str, float]]:
    return {"validation": {"accuracy": value}}


def note(repo: Repo, commit: str, value: float, status: str = "completed") -> None:
    metric = Metric("validation", "accuracy", value, value, value)
    result = Result(f"t{commit[:8]}", "train", "Vision", status, "https://app.example.com/1", metrics=(metric,))
    notes.record(Repository(str(repo.path)), commit, [result])


def bisect(gate: Gate, *words: str, limit: str = "0.9", **options: Any) -> Ended:
    """`bisect --format json`; its status is that of the JSON."""
    result = gate.call("bisect", "--metric", METRIC, "--worse-than", limit, "--json", *words, **options)
    assert result.json["exit_code"] == result.status
    assert (result.json["schema"], result.json["command"]) == (1, "bisect")
    return result


def line(gate: Gate, *values: float | None) -> list[str]:
    """A commit for each value, with a task where that is a number."""
    commits = []
    for number, value in enumerate(values):
        commits.append(gate.repo.commit(f"c{number}", {"train.py": f"print({number})\n"}))
        if value is not None:
            gate.task(metrics=measured(value))
    return commits


def left(result: Ended) -> list[str]:
    return [commit["commit"] for commit in result.json["left"]]


def test_found(gate: Gate) -> None:
    commits = line(gate, 0.5, 0.95, 0.92, 0.85, 0.7)
    result = bisect(gate)
    assert (result.status, result.json["outcome"], result.calls) == (0, "found", ("tasks.get_all_ex",))
    first = result.json["first"]
    assert (first["commit"], first["subject"], first["value"]) == (commits[3], "c3", 0.85)
    assert (first["task"]["source"], first["task"]["status"]) == ("server", "completed")
    assert [each["commit"] for each in result.json["before"]] == [commits[2]]
    assert (result.json["commits"], result.json["without_number"], result.json["recovered"]) == (2, [], [])


def test_which_two_commits(gate: Gate) -> None:
    commits = line(gate, 0.95, 0.8, 0.96, 0.7, None)
    for words, found in (
        ((commits[0],), commits[3]),
        ((commits[0], commits[3]), commits[3]),
        ((f"{commits[0]}..{commits[1]}",), commits[1]),
        ((f"{commits[0]}..",), commits[3]),
        ((gate.repo.git("rev-parse", "HEAD~5"), commits[1]), commits[1]),  # it has no number
    ):
        result = bisect(gate, *words)
        assert (result.json["first"] or {}).get("commit") == found, words
    assert bisect(gate, commits[0]).json["recovered"][0]["commit"] == commits[1]
    for words, code in (
        ((commits[1], commits[3]), "usage"),  # worse already
        ((commits[3], commits[0]), "usage"),  # the wrong way round
        (("HEAD", "HEAD"), "usage"),
        (("a", "b", "c"), "usage"),
        (("nosuch",), "unknown-revision"),
    ):
        result = bisect(gate, *words)
        assert (result.status, result.errors) == (2, [code]), words


def test_what_is_no_good_and_bad_commit_gets_the_command_that_may_be_meant(gate: Gate) -> None:
    one, two, three = line(gate, 0.95, 0.92, 0.7)
    flags = f"git clearml bisect --metric {METRIC} --worse-than 0.9"
    for words, code, meant in (
        ((f"{one}...{three}",), "usage", f"{flags} {one} {three}"),
        ((f"{one}...",), "usage", f"{flags} {one} HEAD"),
        ((three, f"^{one}"), "usage", f"{flags} {one} {three}"),
        ((f"^{one}", three), "usage", f"{flags} {one} {three}"),
        ((f"^{one}",), "usage", f"{flags} {one}"),
        ((f"{one}..{two}", three), "usage", flags),
        ((one, two, three), "usage", flags),
        ((three, one), "usage", f"{flags} {one[:12]} {three[:12]}"),
        ((two, two), "usage", flags),
        (("HEAD",), "usage", flags),
        (("..",), "usage", flags),
        ((f"{two}..{two}",), "usage", flags),
        ((three,), "usage", flags),
        (("nosuch",), "unknown-revision", None),
        ((f"nosuch..{two}",), "unknown-revision", None),
        ((f"{one}..nosuch",), "unknown-revision", None),
    ):
        result = gate.call(*shlex.split(flags)[2:], "--json", *words)
        assert (result.status, result.errors) == (2, [code]), words
        if meant:
            assert f"hint: {meant}\n" in result.err, words
            assert gate.call(*shlex.split(meant)[2:], "--json").json["first"]["commit"] == three, words


def test_where_two_branches_part_is_taken_for_good(gate: Gate) -> None:
    """As in git bisect, and unless its number says otherwise."""
    base, bad = line(gate, 0.95, 0.7)
    gate.repo.git("checkout", "-q", "-b", "other", base)
    good = gate.repo.commit("other", {"train.py": "other"})
    assert bisect(gate, good, bad).json["first"]["commit"] == bad
    gate.server.tasks.clear()
    gate.task(commit=base, metrics=measured(0.5))
    gate.task(commit=good, metrics=measured(0.95))
    gate.task(commit=bad, metrics=measured(0.7))
    result = bisect(gate, good, bad)
    assert (result.status, result.errors) == (2, ["usage"])
    assert "where the branches part" in result.err


def test_a_shallow_clone_may_lack_the_answer(gate: Gate, tmp_path: Path) -> None:
    *_, bad, _ = line(gate, 0.95, 0.92, 0.8, 0.7)
    for depth, status in ((1, 3), (2, 3), (3, 0)):
        clone = Repo(tmp_path / f"clone{depth}")
        gate.repo.git("clone", "-q", f"--depth={depth}", f"file://{gate.repo.path}", str(clone.path))
        clone.git("remote", "set-url", "origin", REPOSITORY)
        result = bisect(gate, cwd=clone.path)
        assert (result.status, result.errors) == (status, ["unknown-revision"] if status else []), depth
        if status:
            assert "hint: git fetch --unshallow" in result.err
        else:
            assert result.json["first"]["commit"] == bad


def test_numbers_that_are_missing_hide_the_answer(gate: Gate) -> None:
    commits = line(gate, 0.95, None, None, None, 0.8)
    result = bisect(gate)
    assert (result.status, result.json["outcome"], result.json["first"]) == (3, "undecided", None)
    assert left(result) == commits[1:]
    assert result.json["without_number"] == commits[1:4]
    assert result.json["hint"] == f"git checkout {commits[2][:12]} && git clearml run -- python train.py"
    named = bisect(gate, commits[0], commits[3])  # whoever calls a commit without a number bad has a reason
    assert (named.status, left(named)) == (3, commits[1:4])


def test_nothing_falls(gate: Gate) -> None:
    line(gate, 0.95, 0.8, 0.97)
    assert (bisect(gate).status, bisect(gate).json["outcome"]) == (1, "none")
    assert bisect(gate, limit="0.99").status == 1  # nothing was ever better
    line(gate, None)
    assert bisect(gate).status == 3  # nobody knows what HEAD came to
    missing = gate.call("bisect", "--metric", "no/such", "--worse-than", "1", "--json")
    assert (missing.status, missing.json["outcome"]) == (3, "undecided")


def test_only_what_verify_accepts_counts(gate: Gate) -> None:
    line(gate, 0.95)
    bad = gate.repo.commit("bad", {"train.py": "1"})
    for wrong in ({"diff": DIFF}, {"status": "failed"}, {"system_tags": ["archived"]}, {"entry_point": "gone.py"}):
        gate.task(metrics=measured(0.99), **wrong)
    gate.task(metrics=measured(0.5))
    gate.task(metrics=measured(0.6))
    result = bisect(gate)
    assert (result.json["first"]["commit"], result.json["first"]["value"]) == (bad, 0.6)  # the best of several


@pytest.mark.parametrize("equivalence", ["commit", "tree", "paths"])
def test_a_task_counts_for_what_the_policy_calls_equal(gate: Gate, equivalence: str) -> None:
    gate.repo.policy(f'equivalence = "{equivalence}"', 'code-paths = ["*.py"]')
    one, two = line(gate, 0.95, None)
    gate.repo.git("checkout", "--quiet", one, "--", "train.py")
    three = gate.repo.commit("as it was")
    four = gate.repo.commit("words", {"README": "more"})
    five = gate.repo.commit("bad", {"train.py": "2"})
    gate.task(metrics=measured(0.5))
    hiding = {"commit": [two, three, four, five], "tree": [four, five], "paths": [five]}
    assert left(bisect(gate, one)) == hiding[equivalence]


def test_a_results_commit_has_its_parent_s_number(gate: Gate) -> None:
    commits = line(gate, 0.95, 0.93)
    lock = gate.repo.commit("results", {"clearml.lock": lockfile.to_text(commits[1], [])})
    bad = gate.repo.commit("bad", {"train.py": "bad"})
    gate.task(metrics=measured(0.1))
    result = bisect(gate)
    assert (left(result), [each["commit"] for each in result.json["before"]]) == ([bad], [lock])


def test_less_is_better(gate: Gate) -> None:
    gate.repo.policy("[tool.git-clearml.best]", f'metric = "{METRIC}"', 'direction = "min"', 'value = "min"')
    one, two = line(gate, 0.1, 0.3)
    assert gate.call("bisect", "--worse-than", "0.2", "--json").json["first"]["commit"] == two
    assert bisect(gate, "--direction", "max", limit="0.2").status == 1
    line(gate, 0.0)  # may have been NaN
    assert (bisect(gate, one, limit="0.2").json["without_number"]) == [gate.repo.head]


def test_what_the_policy_says_of_several_metrics_and_runs(gate: Gate) -> None:
    rule = ("[[tool.git-clearml.metrics]]", f'metric = "{METRIC}"', "at-least = 0.9", 'of = "worst"', "min-runs = 3")
    loss = ("[[tool.git-clearml.metrics]]", 'metric = "m/loss"', 'direction = "min"', "at-most = 0.5")
    requirements = ("[[tool.git-clearml.require]]", 'name = "evaluate"', 'task-name = "evaluate"')
    for more in ((), requirements):
        gate.repo.policy(*rule, *loss, *more)
        good = gate.repo.commit("good", {"train.py": f"1 {more}"})
        for value in (0.91, 0.95):
            gate.task(metrics=measured(value) | {"m": {"loss": 0.1}}, name="evaluate")
        gate.task(metrics=measured(0.1), name="train" if more else "evaluate", status="completed" if more else "failed")
        bad = gate.repo.commit("bad", {"train.py": f"2 {more}"})
        for value in (0.89, 0.95):
            gate.task(metrics=measured(value) | {"m": {"loss": 0.6}}, name="evaluate")
        for metric, value in ((METRIC, 0.89), ("m/loss", 0.6)):
            result = gate.call("bisect", "--metric", metric, "--json", good, "HEAD")
            assert (result.json["first"]["commit"], result.json["first"]["value"]) == (bad, value)
    assert gate.call("bisect", "--json", good).json["metric"] == METRIC
    assert gate.call("bisect", "--json", good, "--worse-than", "0.8").status == 1


def test_what_is_on_record_counts_without_a_server(gate: Gate) -> None:
    one, two, three = line(gate, None, None, None)
    note(gate.repo, one, 0.95)
    note(gate.repo, two, 0.2, status="failed")
    metric = Metric("validation", "accuracy", 0.4, 0.4, 0.4)
    lock = lockfile.to_text(three, [Result("t3", "train", "Vision", "completed", metrics=(metric,))])
    gate.repo.commit("results", {"clearml.lock": lock})
    result = bisect(gate, env=dict.fromkeys(gate.server.env))
    assert (result.status, left(result)) == (3, [two, three])
    assert result.json["left"][1]["task"]["source"] == "recorded"
    away = bisect(gate, env={"CLEARML_API_HOST": f"http://127.0.0.1:{closed_port()}"})
    assert (away.status, away.errors, left(away)) == (3, ["unreachable"], [two, three])
    gate.task(commit=two, metrics=measured(0.91))
    assert bisect(gate).json["first"]["commit"] == three


def test_a_thousand_commits_in_one_request(gate: Gate) -> None:
    commits = fast_history(gate.repo, 1000)[::-1]
    for number, commit in enumerate(commits[::3]):
        gate.task(commit=commit, metrics=measured(0.95 if number < 200 else 0.5))
    gate.server.add_task(commit="f" * 40, metrics=measured(0.1))
    result = bisect(gate, gate.repo.head, "long")
    assert len(result.calls) <= 2
    assert left(result) == commits[598:601]
    assert len(result.json["without_number"]) == 666
    assert all(cost(request.body) < MILLION / 8 for request in gate.server.requests)


def test_as_git_bisect_on_histories_with_merges(gate: Gate) -> None:
    """What stands on one commit is worse: git's own bisect names the same, asking commit by commit."""
    for seed in range(3):
        rng = random.Random(seed)
        who = f"C. Committer <committer@example.com> {YESTERDAY} +0000"
        script, parents = "", dict[int, list[int]]()
        for n in range(1, 25):
            parents[n] = rng.sample(range(max(1, n - 4), n), min(n - 1, rng.choice((1, 1, 2, 3)))) if n > 1 else []
            script += f"commit refs/heads/random{seed}\nmark :{n}\ncommitter {who}\ndata 1\nx\n"
            script += f"from {gate.repo.head}\n" if n == 1 else f"from :{parents[n][0]}\n"
            script += "".join(f"merge :{parent}\n" for parent in parents[n][1:])
            script += f"M 100644 inline train.py\ndata <<E\n{n}\nE\n"
        marks = gate.repo.path / f"marks{seed}"
        gate.repo.git("fast-import", "--quiet", f"--export-marks={marks}", stdin=script)
        names = {int(number[1:]): name for number, name in (each.split() for each in marks.read_text().splitlines())}
        standing, culprit = dict[int, set[int]](), 0
        for n in parents:
            standing[n] = {n}.union(*(standing[parent] for parent in parents[n]))
        culprit = rng.choice(sorted(standing[24]))
        worse = {names[n] for n in parents if culprit in standing[n]}
        for n, name in names.items():
            gate.task(commit=name, metrics=measured(0.5 if name in worse else 0.95), name=f"train {n}")
        (gate.repo.path / "worse.json").write_text(json.dumps(sorted(worse)))
        gate.repo.git("bisect", "start", names[24], gate.repo.head)
        run = ["git", "bisect", "run", "sh", "-c", "! grep -q $(git rev-parse HEAD) worse.json"]
        out = subprocess.run(run, cwd=gate.repo.path, capture_output=True, text=True, check=True).stdout
        gate.repo.git("bisect", "reset")
        assert f"{names[culprit]} is the first bad commit" in out
        result = bisect(gate, gate.repo.head, names[24])
        assert result.json["first"]["commit"] == names[culprit]
        assert result.json["others"] == []
