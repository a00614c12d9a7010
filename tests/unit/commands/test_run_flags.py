"""The flags of `git clearml run`, as they are named once more to whoever has to call again."""

from __future__ import annotations

import argparse
import shlex

import pytest

from git_clearml.commands import run_flags
from git_clearml.errors import UsageError


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


def seeds(*words: str, command: str = "python train.py --seed {seed}") -> list[int]:
    return list(run_flags.seeds(argparse.Namespace(**vars(parsed(*words)), words=command.split())))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), []),
        (("--seeds", "3"), [0, 1, 2]),
        (("--seeds", "1"), [0]),
        (("--seeds", "2", "--first-seed", "7"), [7, 8]),
        (("--seeds", "2", "--first-seed", "4294967294"), [4294967294, 4294967295]),
    ],
)
def test_seeds(words: tuple[str, ...], expected: list[int]) -> None:
    assert seeds(*words) == expected
    assert run_flags.for_seed(["a{seed}", "{seed}{seed}", "{se"], 12) == ["a12", "1212", "{se"]


@pytest.mark.parametrize(
    "words",
    [
        ("--seeds", "0"), ("--seeds", "-1"), ("--seeds", "1001"), ("--seeds", "9" * 30), ("--first-seed", "1"),
        ("--seeds", "2", "--first-seed", "-1"), ("--seeds", "2", "--first-seed", "4294967295"), ("--parallel", "2"),
        ("--seeds", "2", "--parallel", "0"), ("--seeds", "2", "--follow"), ("--seeds", "2", "--attach", "x"),
    ],
)  # fmt: skip
def test_seeds_that_make_no_sense(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        seeds(*words)
    assert caught.value.hint or "leave --seeds out" in caught.value.message


@pytest.mark.parametrize("command", ["python train.py", "python {seeds}", "python train.py --seed 1"])
def test_a_command_without_a_place_for_the_seed(command: str) -> None:
    with pytest.raises(UsageError) as caught:
        seeds("--seeds", "3", command=command)
    hint = shlex.split(caught.value.hint)
    assert hint[:6] == ["git", "clearml", "run", "--seeds", "3", "--"]
    assert seeds("--seeds", "3", command=" ".join(hint[6:])) == [0, 1, 2]


def test_the_parallel_of_a_run_here() -> None:
    with pytest.raises(UsageError, match="--parallel requires --queue"):
        run_flags.refuse_alone(parsed("--seeds", "2", "--parallel", "2"))
