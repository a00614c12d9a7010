"""The flags of `git clearml run`, as they are named once more to whoever has to call again."""

from __future__ import annotations

import argparse

import pytest

from git_clearml.commands import run_flags


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    run_flags.add(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--record", "notes"),
        ("--record", "notes", "--push-record"),
        ("--record", "commit", "--add", "a b", "--add", "c", "--before-push", "dvc push", "--skip-ci"),
        ("--record", "commit", "--branch", "main", "--committer", "Robot <robot@example.com>"),
    ],
)
def test_the_flags_of_recording_are_named_as_they_were(words: tuple[str, ...]) -> None:
    flags = parsed(*words)
    assert run_flags.record_options(parsed(*run_flags.record_words(flags))) == run_flags.record_options(flags)
