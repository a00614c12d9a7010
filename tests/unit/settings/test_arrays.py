"""`[[metrics]]` and `[[require]]`: what they become, what is refused and what the refusal names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.errors import BadSetting
from git_clearml.render import config as view
from git_clearml.settings import arrays
from git_clearml.settings.policy import MetricRule, Policy, Require
from git_clearml.settings.table import merge, policy_of, pyproject_table
from tests.support.odd_json import JSON, places, spoilt


def policy(text: str) -> Policy:
    table = pyproject_table(f"[tool.git-clearml]\n{text}".encode(), "pyproject.toml")
    return policy_of(merge(flags={}, environment={}, git_config=(), pyproject=table)[0])


def metrics(*lines: str) -> str:
    return "\n".join(["[[tool.git-clearml.metrics]]", *lines, ""])


def require(*lines: str) -> str:
    return "\n".join(["[[tool.git-clearml.require]]", *lines, ""])


ACCURACY = 'metric = "validation/accuracy"'
EVERY_KEY = """
accept-trailer = true
[[tool.git-clearml.metrics]]
metric = "validation/accuracy"
direction = "min"
value = "max"
at-least = -1
at-most = 0.95
against = "base"
tolerance = "0.5%"
of = "median"
requirement = "eval"
zero-is-a-value = true
min-runs = 5
on-worse = "warn"
[[tool.git-clearml.metrics]]
metric = "a title/with/slashes"
[[tool.git-clearml.require]]
name = "detector"
project = "Vision/Detector"
task-name = "train"
entry-point = "detector/train.py"
code-paths = ["detector/**", "!detector/README.md", "common/**"]
[[tool.git-clearml.require]]
name = "eval"
"""


WHOLE = pyproject_table(f"[tool.git-clearml]\n{EVERY_KEY}".encode(), "pyproject.toml")


@given(st.integers(0, 1000), JSON | st.just("gone"))
def test_anything_in_one_place(where: int, value: Any) -> None:
    """It is a policy, or one line that names the file: nothing is left out because it is odd."""
    table = spoilt(WHOLE, 1 + where % len([*places(WHOLE)][1:]), value)
    refused = rules = None
    try:
        rules = policy_of(merge(flags={}, environment={}, git_config=(), pyproject=table)[0])
    except BadSetting as error:
        refused = error
    assert refused is None or (refused.hint and "\n" not in refused.message)
    if rules is None:
        return
    counts = [len(table[key]) if isinstance(table.get(key), list) else 0 for key in ("metrics", "require")]
    assert [len(rules.metrics), len(rules.require)] == counts


def test_every_key_becomes_a_value() -> None:
    rules = policy(EVERY_KEY)
    first = MetricRule(
        "validation/accuracy", "min", "max", -1.0, 0.95, "base", "0.5%", "median", "eval", True, 5, "warn"
    )
    paths = ("detector/**", "!detector/README.md", "common/**")
    assert rules.accept_trailer
    assert rules.metrics == (first, MetricRule("a title/with/slashes"))
    assert rules.require == (
        Require("detector", "Vision/Detector", "train", "detector/train.py", paths),
        Require("eval"),
    )
    assert isinstance(rules.metrics[0].at_least, float)
    assert hash(rules) == hash(policy(EVERY_KEY))
    for kind, settings in ((MetricRule, arrays.METRICS), (Require, arrays.REQUIRE)):
        assert [each.key.replace("-", "_") for each in settings] == list(kind._fields)
        assert [each.default for each in settings][1:] == list(kind._field_defaults.values())


def test_each_key_makes_another_policy() -> None:
    """A remembered verdict hangs on the policy's text."""
    lines = EVERY_KEY.strip().splitlines()
    whole = repr(policy(EVERY_KEY))
    for number, line in enumerate(lines):
        if line.startswith(("[", 'metric = "v', "name", 'metric = "a')):
            continue
        assert repr(policy("\n".join(lines[:number] + lines[number + 1 :]))) != whole, line


# What is wrong, and what the message or the hint names.
WRONG = [
    (metrics(), ["no metric", "metrics]] 1 "]),
    (metrics("metric = 3"), ["metric of", "= 3", "string"]),
    (metrics('metric = "accuracy"'), ["TITLE/SERIES", "'accuracy'"]),
    (metrics('metric = "/accuracy"'), ["TITLE/SERIES"]),
    (metrics('metric = "validation/"'), ["TITLE/SERIES"]),
    (metrics('metric = " / "'), ["TITLE/SERIES"]),
    (metrics('metric = "a/b\\nc"'), ["TITLE/SERIES"]),
    (metrics(ACCURACY, 'at_least = "0.8"'), ["'at_least'", "did you mean at-least?"]),
    (metrics(ACCURACY, "atleast = 0.8"), ["'atleast'", "did you mean at-least?"]),
    (metrics(ACCURACY, "min-run = 3"), ["did you mean min-runs?"]),
    (metrics(ACCURACY, 'at-least = "0.8"'), ["at-least of", "expected a number"]),
    (metrics(ACCURACY, "at-least = true"), ["at-least of", "expected a number"]),
    (metrics(ACCURACY, "at-most = nan"), ["at-most of", "finite"]),
    (metrics(ACCURACY, "at-least = -inf"), ["at-least of", "finite"]),
    (metrics(ACCURACY, f"at-most = 1{'0' * 400}"), ["at-most of", "finite"]),
    (metrics(ACCURACY, "at-least = 0.9", "at-most = 0.8"), ["at-least = 0.9 is more than at-most = 0.8", "1 in"]),
    (metrics(ACCURACY, 'direction = "up"'), ["direction of", "max, min"]),
    (metrics(ACCURACY, 'value = "mean"'), ["value of", "last, min, max"]),
    (metrics(ACCURACY, 'against = "main"'), ["against of", "best, base, none"]),
    (metrics(ACCURACY, 'of = "mean"'), ["of of", "best, median, worst"]),
    (metrics(ACCURACY, 'on-worse = "ignore"'), ["on-worse of", "fail, warn"]),
    (metrics(ACCURACY, 'tolerance = "-1%"'), ["tolerance of", "0 or more"]),
    (metrics(ACCURACY, 'tolerance = "much"'), ["tolerance of", "percentage"]),
    (metrics(ACCURACY, "min-runs = 0"), ["min-runs of", "1 or more"]),
    (metrics(ACCURACY, "min-runs = 2.0"), ["min-runs of", "whole number"]),
    (metrics(ACCURACY, "min-runs = true"), ["min-runs of", "whole number"]),
    (metrics(ACCURACY, 'zero-is-a-value = "yes"'), ["zero-is-a-value of", "true or false"]),
    (metrics(ACCURACY, "requirement = 1"), ["requirement of", "string"]),
    (metrics(ACCURACY, 'requirement = "train"'), ["'train'", "[[require]]"]),
    (metrics(ACCURACY, 'requirement = "detecter"') + require('name = "detector"'), ["did you mean detector?"]),
    (metrics(ACCURACY) + metrics(ACCURACY, "at-least = 0.8"), ["metrics]] 2", "already"]),
    (
        metrics(ACCURACY) + metrics(ACCURACY, 'requirement = "a"') + require('name = "a"') + require('name = "b"'),
        ["metrics]] 2", "already"],  # the first [[require]] is meant where none is named
    ),
    (require(), ["no name", "require]] 1 "]),
    (require('name = ""'), ["name of", "expected a name"]),
    (require('name = " "'), ["name of", "expected a name"]),
    (require('name = "a\\tb"'), ["name of", "expected a name"]),
    (require('name = "a"') + require('name = "b"') + require('name = "a"'), ["require]] 3", "'a'", "already"]),
    (require('name = "a"', 'taskname = "train"'), ["did you mean task-name?"]),
    (require('name = "a"', 'project = "ab"'), ["project of", "3 characters"]),
    (require('name = "a"', "task-name = 1"), ["task-name of", "string"]),
    (require('name = "a"', 'entry-point = "/train.py"'), ["entry-point of", "below"]),
    (require('name = "a"', 'entry-point = "a/../../train.py"'), ["entry-point of", "below"]),
    (require('name = "a"', 'code-paths = "a/**"'), ["code-paths of", "list"]),
    (require('name = "a"', "code-paths = []"), ["code-paths of", "no code"]),
    (require('name = "a"', 'code-paths = [""]'), ["code-paths of", "list"]),
    (require('name = "a"', 'code-paths = ["!a/**"]'), ["code-paths of", "no code"]),
    (require('name = "a"', 'code-paths = ["../b/**"]'), ["code-paths of", "below"]),
    (require('name = "a"', 'code-paths = ["a/**", "!/b"]'), ["code-paths of", "below"]),
    (metrics(ACCURACY) + metrics('metric = "loss"'), ["metrics]] 2"]),
    ('[tool.git-clearml.metrics]\nmetric = "a/b"', ["metrics", "[[tool.git-clearml.metrics]]"]),
    ('metrics = ["a/b"]', ["metrics", "[[tool.git-clearml.metrics]]"]),
    ('[tool.git-clearml.require.detector]\nname = "a"', ["require", "[[tool.git-clearml.require]]"]),
    ('[[tool.git-clearml.metric]]\nmetric = "a/b"', ["did you mean metrics?"]),
    ('[[tool.git-clearml.requires]]\nname = "a"', ["did you mean require?"]),
    ('[[tool.git-clearml.best]]\nmetric = "a/b"', ["'best'"]),
    ("accept-trailers = true", ["did you mean accept-trailer?"]),
    ('accept-trailer = "yes"', ["accept-trailer", "true or false"]),
]


@pytest.mark.parametrize(("text", "named"), WRONG)
def test_what_is_wrong_is_named(text: str, named: list[str]) -> None:
    with pytest.raises(BadSetting) as caught:
        policy(text)
    said = f"{caught.value.message}\n{caught.value.hint}"
    assert all(word in said for word in [*named, "pyproject.toml"]), said
    assert caught.value.status == 2
    assert caught.value.hint
    assert len(said) < 400


def test_what_is_fine() -> None:
    """The bounds of the rules above."""
    assert not policy("metrics = []\nrequire = []").metrics
    assert policy(metrics(ACCURACY, "at-least = 0.8", "at-most = 0.8")).metrics[0].at_most == 0.8
    assert policy(metrics(ACCURACY, "min-runs = 1", "tolerance = 0")).metrics[0].tolerance == "0"
    assert policy(metrics('metric = ": monitor:gpu/gpu_0 / é"')).metrics[0].metric == ": monitor:gpu/gpu_0 / é"
    two = metrics(ACCURACY, 'requirement = "a"') + metrics(ACCURACY, 'requirement = "b"')
    assert len(policy(two + require('name = "a"') + require('name = "b"')).metrics) == 2


def test_config_shows_them() -> None:
    table = pyproject_table(f"[tool.git-clearml]\n{EVERY_KEY}".encode(), "pyproject.toml")
    settings = merge(flags={}, environment={}, git_config=(), pyproject=table)[0]
    values: dict[str, Any] = {row["key"]: row["value"] for row in view.document(settings, {})["settings"]}
    assert values["metrics"][0]["at-most"] == 0.95
    assert values["metrics"][1] == {
        "metric": "a title/with/slashes",
        "direction": "max",
        "value": "last",
        "at-least": None,
        "at-most": None,
        "against": "best",
        "tolerance": "0",
        "of": "best",
        "requirement": "",
        "zero-is-a-value": False,
        "min-runs": 1,
        "on-worse": "fail",
    }
    assert values["require"][0]["code-paths"] == ["detector/**", "!detector/README.md", "common/**"]
    text = view.text(settings, {})
    assert '{metric = "a title/with/slashes"}' in text
    assert '{name = "eval"}' in text
    assert "at-least = -1, at-most = 0.95" in text
