"""Which flags count in CI: only those that no policy could be loosened by."""

from __future__ import annotations

from typing import Any

import pytest

from git_clearml.settings.ci_flags import stricter_flags, without_policy
from git_clearml.settings.load import ResolvedPolicy
from git_clearml.settings.table import merge, policy_of
from git_clearml.settings.tolerance import parse_tolerance


def ruling(**table: Any) -> ResolvedPolicy:
    """What a commit with this `[tool.git-clearml]` table is judged by; underscores in the names are hyphens."""
    pyproject = {key.replace("_", "-"): value for key, value in table.items()}
    settings, _ = merge(flags={}, environment={}, git_config=(), pyproject=pyproject)
    return ResolvedPolicy(policy_of(settings), settings, "0" * 40)


def test_flags_cannot_loosen_the_policy() -> None:
    policy = ruling(project="Vision", equivalence="tree")
    given = {
        "project": "Vision/Detector", "task-name": "train", "equivalence": "commit", "on-unreachable": "block",
        "evidence": "offline", "timeout": 3.0,
    }  # fmt: skip
    assert stricter_flags(given, [policy]) == (given, [])
    loose = {"project": "Visionary", "equivalence": "paths", "on-unreachable": "warn", "timeout": None}
    counting, warnings = stricter_flags(loose, [policy])
    assert counting == {"timeout": None}
    assert len(warnings) == 3
    assert "\n" not in "".join(warnings)


@pytest.mark.parametrize(
    ("policy", "flag", "counts"),
    [
        ("server", "offline", False),
        ("server", "auto", False),
        ("server", "server", True),
        ("offline", "server", True),
        ("offline", "offline", True),
        ("auto", "offline", True),  # design 7: there for whoever asks for it in the workflow
        ("auto", "server", True),
    ],
)
def test_the_policy_says_where_evidence_is_looked_for(policy: str, flag: str, counts: bool) -> None:
    counting, warnings = stricter_flags({"evidence": flag}, [ruling(evidence=policy)])
    assert (counting, len(warnings)) == (({"evidence": flag}, 0) if counts else ({}, 1))
    assert stricter_flags({"evidence": "offline"}, [ruling(), ruling(evidence="server")])[0] == {}


@pytest.mark.parametrize(
    ("flags", "loose", "strict"),
    [
        ({"project": "One/Two"}, {"project": "One/Two"}, {"project": "One/Three"}),
        ({"task-name": "train"}, {}, {"task_name": "evaluate"}),
        ({"equivalence": "tree"}, {"equivalence": "tree"}, {"equivalence": "commit"}),
        ({"merges": "clean"}, {"merges": "clean"}, {"merges": "strict"}),
        ({"on-unreachable": "warn"}, {"on_unreachable": "warn"}, {"on_unreachable": "block"}),
        ({"best.tolerance": "1%"}, {"best": {"tolerance": "2%"}}, {"best": {"tolerance": "0"}}),
    ],
)
def test_of_several_policies_the_strictest_decides(
    flags: dict[str, str], loose: dict[str, Any], strict: dict[str, Any]
) -> None:
    assert stricter_flags(flags, [ruling(**loose)]) == (flags, [])
    for policies in ([loose, strict], [strict, loose]):
        counting, warnings = stricter_flags(flags, [ruling(**policy) for policy in policies])
        assert counting == {}
        assert len(warnings) == 1


@pytest.mark.parametrize(
    ("flags", "best", "counting"),
    [
        ({"best.metric": "a/b", "best.tolerance": "3%"}, {}, ["best.metric", "best.tolerance"]),
        ({"best.metric": "a/b", "best.direction": "min"}, {"metric": "x/y"}, []),
        ({"best.metric": "x/y", "best.direction": None}, {"metric": "x/y"}, ["best.metric"]),
        ({"best.tolerance": "1%"}, {"metric": "x/y", "tolerance": "2%"}, ["best.tolerance"]),
        ({"best.tolerance": "3%"}, {"metric": "x/y", "tolerance": "2%"}, []),
        ({"best.tolerance": "0"}, {"metric": "x/y", "tolerance": "2%"}, ["best.tolerance"]),
        ({"best.tolerance": "0.001"}, {"metric": "x/y", "tolerance": "2%"}, []),
        ({"best.tolerance": "0.1"}, {"metric": "x/y"}, []),
        ({"best.tolerance": "nonsense"}, {"metric": "x/y"}, ["best.tolerance"]),
        ({"best.metric": "a/b", "best.direction": "max"}, {"direction": "min"}, ["best.metric"]),
    ],
)
def test_flags_of_the_best_task(flags: dict[str, str | None], best: dict[str, str], counting: list[str]) -> None:
    counts, warnings = stricter_flags(flags, [ruling(best=best)])
    assert list(counts) == counting
    assert len(warnings) == len([value for value in flags.values() if value is not None]) - len(counting)


def test_flags_that_are_no_policy() -> None:
    flags = {"project": "P", "best.metric": "a/b", "timeout": 3.0, "runnable.queue": "gpu"}
    assert without_policy(flags) == {"timeout": 3.0, "runnable.queue": "gpu"}


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "inf", "1%%"])
def test_what_is_no_tolerance(text: str) -> None:
    with pytest.raises(ValueError, match=r"tolerance|float"):
        parse_tolerance(text)
