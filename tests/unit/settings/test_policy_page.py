"""docs/policy.md has every key of the policy with an example, and five policies that can be copied as they are."""

from __future__ import annotations

from typing import Any

import pytest

from docs import policy_page
from git_clearml.settings.policy import Policy
from git_clearml.settings.table import merge, policy_of, pyproject_table

PAGE = policy_page.PAGE.read_text(encoding="utf-8")
KEYS = [(name, setting.key) for name, settings in policy_page.keys().items() for setting in settings]
POLICIES = list(policy_page.policies(PAGE))
NEEDED: dict[tuple[str, str], str] = {("metrics", "requirement"): '\n[[tool.git-clearml.require]]\nname = "evaluation"'}


def policy(text: str) -> Policy:
    table: Any = pyproject_table(text.encode(), "docs/policy.md")
    return policy_of(merge(flags={}, environment={}, git_config=(), pyproject=table)[0])


def test_the_tables_are_what_the_settings_are() -> None:
    assert policy_page.written(PAGE) == PAGE, "python docs/policy_page.py"
    assert {name: set(examples) for name, examples in policy_page.EXAMPLES.items()} == {
        name: {setting.key for setting in settings} for name, settings in policy_page.keys().items()
    }
    for name, key in KEYS:
        assert f"| `{key} = {policy_page.EXAMPLES[name][key]}` |" in PAGE


@pytest.mark.parametrize(("name", "key"), KEYS)
def test_an_example_is_a_value_other_than_the_default(name: str, key: str) -> None:
    header = f"[tool.git-clearml{'.' * bool(name)}{name}]"
    header = f"[{header}]" if name in ("metrics", "require") else header
    first = {"metrics": "metric", "require": "name"}.get(name, "")
    lines = [f"{each} = {policy_page.EXAMPLES[name][each]}" for each in dict.fromkeys([first, key]) if each]
    shown = policy("\n".join([header, *lines]) + NEEDED.get((name, key), ""))
    without = policy("\n".join([header, *(lines[:1] if first else [])]))
    assert shown != (Policy() if key == first else without)


def test_there_are_five_policies() -> None:
    titles = ["One model", "Seeds", "Train and evaluate", "A monorepo of three models"]
    assert [title for title, _ in POLICIES] == [*titles, "A team that only trains on queues"]


@pytest.mark.parametrize(("title", "text"), POLICIES)
def test_a_policy_can_be_copied(title: str, text: str) -> None:
    rules = policy(text)
    assert rules.project.startswith("Vision")
    facts = {
        "One model": (rules.best.metric, "validation/accuracy"),
        "Seeds": ([(rule.of, rule.min_runs, rule.against) for rule in rules.metrics], [("median", 3, "base")]),
        "Train and evaluate": ({rule.requirement for rule in rules.metrics}, {"evaluation"}),
        "A monorepo of three models": (len(rules.require), 3),
        "A team that only trains on queues": (rules.require_run_record, True),
    }
    assert facts[title][0] == facts[title][1]
