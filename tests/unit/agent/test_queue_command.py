"""The command line of `run --queue` as an entry point."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from git_clearml.agent.queue_command import entry
from git_clearml.clearml.entry_point import entry_paths
from git_clearml.errors import UsageError

WORD = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


@given(st.lists(WORD, max_size=5))
@example(["--lr", "0.1", "a b", "", "'", "$HOME", "é"])
def test_the_agent_gets_the_same_words(arguments: list[str]) -> None:
    """It splits the entry point as a shell does (clearml-agent 3.0, commands/worker.py)."""
    assert shlex.split(entry(["python", "train.py", *arguments]).entry_point) == ["train.py", *arguments]
    assert shlex.split(entry(["python", "-m", "a.b", *arguments]).entry_point) == ["-m", "a.b", *arguments]


@given(st.lists(WORD, max_size=3))
def test_the_gate_finds_the_script(arguments: list[str]) -> None:
    assert "src/my train.py" in entry_paths(entry(["python", "my train.py", *arguments]).entry_point, "src")
    assert entry_paths(entry(["python", "-m", "a.b", *arguments]).entry_point, ".") == ("a/b.py", "a/b/__main__.py")


@pytest.mark.parametrize(
    "python", ["python", "python3", "python3.13", "/usr/bin/python3", ".venv/bin/python", "./python"]
)
def test_any_python(python: str) -> None:
    assert entry([python, "train.py"]).name == "train"


@given(st.lists(WORD, max_size=4))
def test_anything_is_an_entry_or_a_usage_error(words: list[str]) -> None:
    try:
        found = entry(words).entry_point
    except UsageError as error:
        found = error.hint
    assert found.startswith(("git clearml run -- ", *(shlex.quote(word)[:1] for word in words[1:2])))


@pytest.mark.parametrize(
    ("module", "tests"), [("pytest", True), ("unittest", True), ("train", False), ("my.pytest", False)]
)
def test_a_test_session(module: str, tests: bool) -> None:
    assert entry(["python", "-m", module]).is_test is tests


def test_what_no_agent_runs() -> None:
    odd = ("make train", "python", "python -u train.py", "python -c print()", "python -m", "python -m not-a-module")
    for words in (*odd, "python2 train.py", "./train.py"):
        with pytest.raises(UsageError) as refused:
            entry(words.split())
        assert refused.value.hint.startswith("git clearml run -"), words
