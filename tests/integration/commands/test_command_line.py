"""The command line as people type it, and the pages that describe it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from git_clearml import cli
from git_clearml.commands import manual
from tests.support.program import ROOT, Gate

PARSER, COMMANDS = cli.build_parser()
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAN = (ROOT / "docs" / "manual" / "git-clearml.md").read_text(encoding="utf-8")


def examples(command: str) -> list[str]:
    """The first two of its manual, which are those of `-h` too."""
    return [each for each, _ in manual.source(command).examples[:2]]


def test_flags_may_stand_between_and_after_revisions(gate: Gate) -> None:
    gate.server.add_task(commit=gate.repo.head, entry_point="train.py")
    for words in (("HEAD", "--format", "json", "HEAD"), ("--format", "json", "HEAD"), ("HEAD", "--format=json")):
        assert gate.call("verify", *words).json["outcome"] == "verified"


def test_json_is_short_for_format_json(gate: Gate) -> None:
    gate.server.add_task(commit=gate.repo.head, entry_point="train.py")
    assert gate.call("verify", "--json").json["outcome"] == "verified"
    wrong = gate.call("verify", "--json", "--fromat")
    assert (wrong.status, wrong.json["errors"][0]["code"]) == (2, "usage")


def test_nothing_and_what_was_mistyped(gate: Gate) -> None:
    alone = gate.call()
    assert (alone.status, alone.err) == (0, "")
    assert all(re.search(rf"^    {name}\b", alone.out, re.MULTILINE) for name in COMMANDS)
    for words, meant in (
        (["verfy"], "did you mean verify?"),
        (["check-runable"], "did you mean check-runnable?"),
        (["zzz"], "'zzz'"),
        (["verify", "--fromat", "json"], "did you mean --format?"),
        (["verify", "--tag-bset=x"], "did you mean --tag-best?"),
        (["report", "--zzz"], "--zzz"),
    ):
        result = gate.call(*words)
        assert (result.status, result.out) == (2, ""), words
        assert meant in result.err.splitlines()[0]
        assert ("did you mean" in result.err) is ("did you mean" in meant)


MISTYPED = {
    "--versio": ["unknown option --versio; did you mean --version?", "git clearml -h"],
    "-q verify HEAD": ["options come after the command: -q", "git clearml verify -q HEAD"],
    "-q -- verify HEAD": ["options come after the command: -q --", "git clearml verify -q HEAD"],
    "-- verify": ["options come after the command: --", "git clearml verify"],  # no pass for a gate that is mistyped
    "--": ["no command given", "git clearml -h"],
    "help": ["'help' is not a command of git clearml", "git clearml -h"],
    "help verify": ["'help' is not a command of git clearml", "git clearml verify -h"],
    "version": ["'version' is not a command of git clearml", "git clearml --version"],
    "completion": ["no shell given: bash, zsh or fish", *examples("completion")],
    "hook": ["no hook given: pre-push, pre-receive or update", *examples("hook")],
    "diff": ["no <a> given: a task, or a revision that it has run", *examples("diff")],
    "checkout": ["no <task> given: a task, or a revision that it has run", *examples("checkout")],
    "completion bsh": ["shell must be bash, zsh or fish, not 'bsh'; did you mean bash?", *examples("completion")],
    "verify --equivalence": ["--equivalence needs a value: commit, tree or paths", "git clearml verify -h"],
    "compare --direction up": ["--direction must be max or min, not 'up'", "git clearml compare -h"],
    "log -n x": ["--max-count must be a whole number, not 'x'", "git clearml log -h"],
    "verify --timeout x": ["--timeout must be a number, not 'x'", "git clearml verify -h"],
    "verify --quiet=x": ["--quiet takes no value", "git clearml verify -h"],
    "show a b": ["unexpected argument: b", "git clearml show -h"],
    "run --from x": ["--from requires --queue", "git clearml run --queue <queue> --from x"],
    "run --queue q --record notes -- ls -l": [
        "--record requires waiting for the end of the task",
        "git clearml run --wait --queue q --record notes -- ls -l",
    ],
    "run --queue q --follow --seeds=2 -- ls {seed}": [
        "--follow is about one task",
        "git clearml run --queue q --follow -- ls '{seed}'",
    ],
    "run --wait -- ls --api-key=hunter22": ["--wait requires --queue", "--queue <queue>"],
    "comment --label=/ --dry-run": ["invalid label: '/'", "git clearml comment --label verify --dry-run"],
    "comment --repository x HEAD": ["invalid repository: 'x'", "git clearml comment --repository owner/name HEAD"],
    "push --bogus": ["git push would fail: unknown option `bogus'", "git push -h"],
}
"""What is typed, and what is said: the message, then the commands to type instead."""


@pytest.mark.parametrize("typed", MISTYPED)
def test_what_is_missing_or_cannot_be_is_said_in_words_of_ours(gate: Gate, typed: str) -> None:
    result = gate.call(*typed.split())
    message, *hints = MISTYPED[typed]
    assert result.err.splitlines() == [f"git clearml: {message}", *(f"hint: {hint}" for hint in hints)]
    assert (result.status, result.out) == (2, "")


def test_help_is_short_or_the_page(gate: Gate) -> None:
    for name in ("", *COMMANDS):
        words = [name] if name else []
        short, page = gate.call(*words, "-h"), gate.call(*words, "--help")
        assert (short.status, short.err, page.status, page.err) == (0, "", 0, ""), name
        assert short.out.startswith("usage: git clearml")
        assert "\nexamples:\n  git" in short.out or "\nexamples:\n  eval" in short.out, name
        assert page.out.startswith(f"NAME\n       git-clearml{'-' if name else ' '}{name}")
        assert "\x1b" not in short.out + page.out


def test_flags_may_stand_between_the_hook_s_arguments(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    for words in (("pre-push", "--quiet", "origin", "url"), ("--quiet", "pre-push", "origin", "url")):
        result = gate.call("hook", *words)
        assert (result.status, result.out, result.err) == (0, "", "")


def test_what_follows_run_is_the_command_s(gate: Gate) -> None:
    result = gate.call("run", "--dry-run", "python", "train.py", "--quiet", "--format", "json")
    assert result.status == 0
    assert "python train.py --quiet --format json" in result.out


def test_readme_has_a_row_for_every_command() -> None:
    table = README.partition("\n| command | does |\n")[2].partition("\n\n")[0]
    named = {name for row in table.splitlines() for name in re.findall(r"`git clearml ([\w-]+)", row.split(" | ")[0])}
    assert named == set(COMMANDS)


def test_readme_names_every_page() -> None:
    index = README.partition("\n## More\n")[2]
    pages = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} | {"docs/schemas"}
    assert set(re.findall(r"^\| \[(docs/\S+)\]\(\1\) \| \S", index, re.MULTILINE)) == pages


def test_readme_and_the_manual_have_the_exit_statuses() -> None:
    for status in ("0", "1", "2", "3", "4", "70"):
        assert re.search(rf"^\| {status} \|", README, re.MULTILINE)
        assert f"\n- `{status}`: " in MAN


def test_readme_s_policy_is_a_policy() -> None:
    from git_clearml.settings import table as settings

    text = next(block for block in re.findall(r"```toml\n(.*?)```", README, re.DOTALL))
    table = settings.pyproject_table(text.encode(), "README")
    values, _ = settings.merge(flags={}, environment={}, git_config=(), pyproject=table)
    assert settings.policy_of(values).project == "Vision/Detector"
    top = {setting.key for setting in settings.TABLE if setting.policy and "." not in setting.key}
    assert top <= set(table)


def test_readme_tells_of_every_pre_commit_hook() -> None:
    ids = re.findall(r"- id: (\S+)", (Path(ROOT) / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert ids == ["clearml-verify", "clearml-check-runnable"]
    assert re.findall(r"- id: (\S+)", README) == ids
