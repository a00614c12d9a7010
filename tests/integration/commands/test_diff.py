"""`git clearml diff`: what two tasks ran, and how that differs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from git_clearml.model import Metric
from git_clearml.render.difference import window
from git_clearml.report.difference import metric_pairs, pairs
from git_clearml.settings.policy import Best, MetricRule
from tests.integration.commands.test_checkout import EDIT
from tests.integration.git.test_recorded_diff import new_file
from tests.support.program import Gate, command, process_environment
from tests.support.terminal import at_a_terminal


def files(gate: Gate, *words: str) -> list[tuple[str, int, int]]:
    """Path, lines added and deleted of every file that differs."""
    document = gate.call("diff", "--format", "json", "--code", *words).json
    return [(file["path"], file["added"], file["deleted"]) for file in document["code"]["files"]]


def test_each_side_is_its_commit_with_its_diff(gate: Gate) -> None:
    clean, edited = gate.task(), gate.task(diff=EDIT + new_file("new.py"))
    gate.repo.commit("the same, committed", {"train.py": "print('better')\n", "new.py": "x\n"})
    committed = gate.task()
    assert files(gate, clean, edited) == [("new.py", 1, 0), ("train.py", 1, 1)]
    assert files(gate, edited, committed) == []
    assert files(gate, edited) == []
    gate.repo.write({"train.py": "print('best')\n"})
    assert files(gate, edited, ".") == [("train.py", 1, 1)]
    assert files(gate, edited, ".", "--", "new.py") == []
    gate.repo.git("checkout", "-q", "train.py")


@pytest.mark.parametrize(
    ("flags", "status"), [((), 1), (("--code",), 0), (("--metrics",), 1), (("--parameters", "--packages"), 0)]
)
def test_the_exit_code_is_of_what_was_asked_for(gate: Gate, flags: tuple[str, ...], status: int) -> None:
    a, b = gate.task(metrics={"m": {"m": 1.0}}), gate.task(metrics={"m": {"m": 2.0}})
    result = gate.call("diff", "--format", "json", "--exit-code", *flags, a, b)
    assert (result.status, result.json["exit_code"]) == (status, status)
    assert gate.call("diff", *flags, a, b).status == 0
    assert result.calls == ("tasks.get_all_ex",) * 4


def test_nothing_of_a_server_or_a_diff_moves_a_terminal(gate: Gate) -> None:
    text = new_file("new.py", content="\x1b[31mred\u202e\rover\t.")
    out = gate.call("diff", gate.task(name="\x1b]0;x\x07"), gate.task(diff=text)).out
    assert not set("\x1b\x07\u202e\r") & set(out)
    assert "over\t." in out


def test_at_a_terminal_git_shows_it_with_its_pager_and_colours(gate: Gate, tmp_path: Path) -> None:
    a, b = gate.task(), gate.task(diff=EDIT)
    env = process_environment({**gate.server.env, "GIT_PAGER": f"tee {tmp_path}/paged", "TERM": "xterm"})
    status, out = at_a_terminal(command("diff", a, b), cwd=gate.repo.path, env=env)
    assert status == 0
    paged = (tmp_path / "paged").read_text()
    assert "\x1b[32m+\x1b[m\x1b[32mprint('better')" in paged
    assert out.index("better") < out.index("metrics: ")


def test_pairs() -> None:
    assert pairs({"a": "1", "b": "2", "c": ""}, {"a": "1", "b": "3"}) == ((("b", "2", "3"), ("c", "", None)), 1)
    a = [Metric("m", "x", 1.0, 0, 0), Metric("m", "nan", math.nan, 0, 0), Metric(":monitor:gpu", "0", 1.0, 0, 0)]
    b = [Metric("m", "x", 0.75, 0, 0), Metric("m", "nan", math.nan, 0, 0), Metric("n", "y", 2.0, 0, 0)]
    x, y = ("m/x", 1.0, 0.75, -0.25), ("n/y", None, 2.0, None)
    assert metric_pairs(a, b, {}) == (((*x, "", "last"), (*y, "", "last")), 1)
    rules = {"n/y": Best(metric="n/y", direction="min", value="max"), "m/x": MetricRule("m/x")}
    assert metric_pairs(a, b, rules)[0] == (("n/y", None, 0, None, "min", "max"), (*x, "max", "last"))
    assert metric_pairs(a, b, dict(reversed(rules.items())))[0][0].name == "m/x"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("1", "2", ["1", "2"]),
        (None, "x" * 50, [None, "x" * 23 + "…"]),
        ("same " * 10 + "one", "same " * 10 + "two", ["…me same one", "…me same two"]),
        ("a" * 50, "a" * 60, ["…aaaaaaaa", "…aaaaaaaaaaaaaaaaaa"]),
        ("x" + "y" * 50, "z" + "y" * 50, ["x" + "y" * 22 + "…", "z" + "y" * 22 + "…"]),
        ("\x1b[31m" + "a" * 50 + "1", "\x1b[31m" + "a" * 50 + "2", ["…aaaaaaaa1", "…aaaaaaaa2"]),
    ],
)
def test_of_long_values_is_shown_where_they_differ(a: str | None, b: str | None, expected: list[str | None]) -> None:
    assert window(a, b, 24) == expected
