"""What a check's agent gets to run, as far as no repository is needed to tell."""

from __future__ import annotations

import argparse
from typing import cast

from git_clearml.agent.launch import check_launch
from git_clearml.clearml import tasks
from git_clearml.commands import check_runnable
from git_clearml.git.repository import Repository
from git_clearml.model import Commit
from git_clearml.settings.policy import Runnable


def test_arguments() -> None:
    """From the command line to the section that ClearML fills argparse from."""
    parser = argparse.ArgumentParser()
    check_runnable.add_flags(parser)
    given: tuple[str, ...]
    expected: dict[str, str]
    for given, expected in (
        ((), {}),
        (("--args", ""), {}),
        (("--args", "epochs=1"), {"epochs": "1"}),
        (("--args", "--batch-size=8 -x=2 a=b=c"), {"batch_size": "8", "x": "2", "a": "b=c"}),
        (("--args", "'note=two words' path=\"a b\""), {"note": "two words", "path": "a b"}),
        (("--args", "empty="), {"empty": ""}),
        (("--args", "quote='it'\"'\"'s'"), {"quote": "it's"}),
        (("--args", "lines='a\nb'"), {"lines": "a\nb"}),
        (("--args", "'end=blank '"), {"end": "blank "}),
        (("--args", "größe=ü"), {"größe": "ü"}),
        (("--args", "a=1", "--args", "b=2 a=3"), {"a": "3", "b": "2"}),
        (("--args", "hack=empty_string_doesnt_work"), {}),  # the old action's word for nothing
    ):
        words = check_runnable.flags(parser.parse_args(given)).get("runnable.args", [])
        rules = Runnable(args=tuple(words))
        launch, _ = check_launch(cast(Repository, None), Commit("a" * 40, "b" * 40), rules, ["no-file-is-read"])
        section = tasks.body(launch, "p")["hyperparams"].get("Args", {})
        assert {name: item["value"] for name, item in section.items()} == expected, given
        assert all(item == {"section": "Args", "name": name, "value": item["value"]} for name, item in section.items())
