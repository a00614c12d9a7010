"""Where the policy of a verdict comes from, and what may not set it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from git_clearml.clearml import lease as owners
from git_clearml.git.repository import Repository
from tests.support.check_world import owner
from tests.support.faults import closed_port
from tests.support.program import Gate, command, process_environment


def policy_from(gate: Gate, *words: str) -> str:
    return str(gate.verify(*words).json["policy"]["from"])


def test_defaults_without_a_table(gate: Gate) -> None:
    assert policy_from(gate) == "defaults"
    gate.repo.commit("other tools", {"pyproject.toml": "[tool.ruff]\nline-length = 100\n# git-clearml\n"})
    assert policy_from(gate) == "defaults"


def test_from_the_judged_commits_own_pyproject(gate: Gate) -> None:
    gate.repo.policy('project = "Ours"')
    gate.task(project="Theirs")
    assert gate.refuses("other-project").json["policy"]["from"] == gate.repo.head


def test_each_of_several_commits_by_its_own(gate: Gate) -> None:
    loose = gate.repo.head
    gate.task(project="Theirs")
    gate.repo.policy('project = "Ours"')
    gate.task(project="Theirs")
    result = gate.verify(loose, "HEAD")
    assert [commit["outcome"] for commit in result.json["commits"]] == ["verified", "rejected"]


def test_flags_win_and_say_so(gate: Gate) -> None:
    gate.repo.policy('project = "Ours"')
    gate.task(project="Theirs", name="other")
    words = ("--project", "Theirs", "--task-name", "other")
    assert gate.accepts(*words).json["policy"]["from"] == "flags"
    assert "judged by your flags" in gate.call("verify", *words).out
    assert "judged by your flags" not in gate.call("verify").out
    assert gate.verify("--timeout", "3", "--wait-timeout", "1").json["policy"]["from"] == gate.repo.head


def test_policy_from_another_commit(gate: Gate) -> None:
    strict = gate.repo.policy('project = "Ours"')
    gate.repo.policy('project = "Theirs"')
    gate.task(project="Theirs")
    gate.accepts()
    refused = gate.refuses("other-project", words=["--policy-from", "HEAD~1"])
    assert refused.json["policy"]["from"] == strict


def test_policy_from_nothing_known(gate: Gate) -> None:
    result = gate.verify("--policy-from", "nosuch")
    assert (result.status, result.errors, result.calls) == (2, ["unknown-revision"], ())


def test_uncommitted_edits_do_not_count(gate: Gate) -> None:
    gate.repo.policy('project = "Ours"')
    gate.task(project="Theirs")
    gate.repo.policy('project = "Theirs"', commit=False)
    gate.refuses("other-project")
    gate.repo.git("add", ".")
    gate.refuses("other-project")


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ('projekt = "x"', "unknown setting: 'projekt'", "did you mean project?"),
        ("require_run_record = true", "unknown setting: 'require_run_record'", "did you mean require-run-record?"),
        ('best.metrik = "a/b"', "unknown setting: 'best.metrik'", "did you mean best.metric?"),
        ('clearml-host = "https://evil"', "unknown setting: 'clearml-host'", ""),
        ('equivalence = "sort of"', "equivalence", 'write equivalence = "commit": which other'),
        ("project = 3", "project", ""),
        ("require-run-record = 'yes'", "require-run-record", ""),
        ("protect = []", "protect", "leave the key out"),
        ('untracked-ok = ["*.py"]', "untracked-ok", "untracked *.py files never pass"),
        ("project = ", "pyproject.toml at", "fix the file"),
    ],
)
def test_a_policy_that_cannot_be_read_is_no_pass(gate: Gate, line: str, message: str, hint: str) -> None:
    gate.task()
    gate.repo.policy(line)
    gate.task()
    result = gate.verify()
    assert (result.status, result.errors, result.json["outcome"], result.calls) == (2, ["bad-setting"], "undecided", ())
    said, advice = result.talk()
    assert message in said
    assert hint in advice


@pytest.mark.parametrize("content", ["[tool]\ngit-clearml = 1\n", "tool = 'git-clearml'\n", "\xff[tool.git-clearml]"])
def test_strange_pyproject_files(gate: Gate, content: str) -> None:
    gate.repo.path.joinpath("pyproject.toml").write_bytes(content.encode("latin-1"))
    gate.repo.commit("strange")
    result = gate.verify()
    assert result.status == (1 if content.startswith("tool = ") else 2)


@pytest.mark.parametrize(
    "content", ["# \n", '[tool.git-clearml]\nproject = "Ours"\n', "[tool.big]\na = [" + "1," * 100 + "]\n"]
)
def test_a_file_that_is_too_large_is_no_policy(gate: Gate, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it none: it is not read, whatever stands in it."""
    exact = content + "#" * (1_000_000 - len(content))
    gate.repo.commit("large", {"pyproject.toml": exact})
    gate.task(project="Ours")
    assert gate.verify().status == 0
    gate.repo.commit("too large", {"pyproject.toml": exact + "#"})
    gate.task(project="Ours")
    read: list[str] = []
    monkeypatch.setattr(Repository, "blobs", lambda _, names: read.extend(names))
    result = gate.verify()
    assert (result.status, result.errors, result.calls, read) == (2, ["bad-setting"], (), [])
    assert "too large" in result.talk()[0]


def test_environment_and_git_config_do_not_set_policy(gate: Gate) -> None:
    gate.repo.policy('project = "Ours"')
    gate.task(project="Theirs")
    gate.repo.git("config", "clearml.taskName", "x")
    result = gate.verify(env={"GIT_CLEARML_PROJECT": "Theirs", "GIT_CLEARML_BEST_METRIC": "a/b"})
    assert (result.status, result.codes) == (1, ["other-project"])
    warnings = [line for line in result.err.splitlines() if "warning" in line]
    assert len(warnings) == 3
    assert "GIT_CLEARML_PROJECT is ignored: project is policy" in result.err
    assert "git config clearml.taskName is ignored" in result.err


@pytest.mark.parametrize(
    ("name", "hint"), [("GIT_CLEARML_TIMEOT", "did you mean GIT_CLEARML_TIMEOUT?"), ("GIT_CLEARML_X", "")]
)
def test_an_unknown_variable(gate: Gate, name: str, hint: str) -> None:
    result = gate.verify(env={name: "1"})
    assert (result.status, result.errors, result.calls) == (2, ["bad-setting"], ())
    assert name in result.talk()[0]
    assert hint in result.talk()[1]


def test_an_unknown_git_config_key(gate: Gate) -> None:
    gate.repo.git("config", "clearml.timeoute", "3")
    result = gate.verify()
    assert (result.status, result.errors) == (2, ["bad-setting"])
    assert result.talk()[1] == "did you mean clearml.timeout?"


@pytest.mark.parametrize("value", ["soon", "-1", "inf", "nan"])
def test_a_bad_timeout(gate: Gate, value: str) -> None:
    for options in ({"env": {"GIT_CLEARML_TIMEOUT": value}}, {}):
        result = gate.verify(*([] if options else [f"--timeout={value}"]), **options)
        assert result.status == 2
        assert result.calls == ()
        assert result.errors[0] in ("bad-setting", "usage")


def test_the_timeout_of_each_layer(gate: Gate) -> None:
    """The number stands in the message about the timeout, so that each layer can be told from the other."""

    def budget(*words: str, **env: str) -> str:
        gate.server.latency = 1.5
        result = gate.verify(*words, env=env)
        assert result.errors == ["timeout"]
        return result.talk()[0].rpartition("within ")[2]

    gate.repo.git("config", "clearml.timeout", "0.05")
    assert budget() == "0.05 s"
    # what `git -c clearml.timeout=0.07 clearml verify` hands to us
    assert budget(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="clearml.timeout", GIT_CONFIG_VALUE_0="0.07") == "0.07 s"
    assert budget(GIT_CONFIG_PARAMETERS="'clearml.timeout'='0.08'") == "0.08 s"
    assert budget(GIT_CLEARML_TIMEOUT="0.06") == "0.06 s"
    assert budget("--timeout", "0.09", GIT_CLEARML_TIMEOUT="0.06") == "0.09 s"


@pytest.mark.parametrize("from_flag", [True, False])
def test_on_unreachable_warn(gate: Gate, from_flag: bool) -> None:
    if not from_flag:
        gate.repo.policy('on-unreachable = "warn"')
    words = ["--on-unreachable", "warn"] if from_flag else []
    gate.env = {"CLEARML_API_HOST": f"http://127.0.0.1:{closed_port()}"}
    result = gate.verify(*words)
    assert (result.status, result.json["outcome"], result.json["exit_code"]) == (0, "undecided", 0)
    assert result.errors == ["unreachable"]
    text = gate.call("verify", *words)
    assert (text.status, "not verified" in text.out) == (0, True)
    gate.env = {}
    gate.server.latency = 1.0
    assert gate.call("verify", "--timeout", "0.05", *words).status == 0


@pytest.mark.parametrize(("status", "code"), [(401, "unauthorized"), (403, "forbidden"), (500, "bad-answer")])
def test_on_unreachable_warn_is_for_unreachable_servers_only(gate: Gate, status: int, code: str) -> None:
    gate.server.fail_next(status, count=9)
    result = gate.verify("--on-unreachable", "warn")
    assert (result.status, result.errors) == (3, [code])
    assert "not verified" not in result.out + result.err


def test_on_unreachable_warn_changes_no_rejection(gate: Gate) -> None:
    gate.refuses(words=["--on-unreachable", "warn"])


def test_require_run_record(gate: Gate) -> None:
    gate.repo.policy("require-run-record = true")
    gate.task()
    gate.refuses("no-task")


BY_AGENT = {"last_worker": "w1", "runtime": {"_exec_agent_hostname": "w1"}}


def test_a_task_of_run_queue_needs_none(gate: Gate) -> None:
    """An agent's clone is clean. A clone of the task carries the same name, and may run anything."""
    gate.repo.policy("require-run-record = true")
    task = gate.task(**BY_AGENT)
    value = owners.to_property(owner(task=task), owners.CHECK)
    gate.server.tasks[task]["hyperparams"] = {"properties": {owners.CHECK: value}}
    properties = gate.server.tasks[task]["hyperparams"]["properties"]
    gate.refuses("not-a-check", "no-task")
    properties[owners.RUN] = properties.pop(owners.CHECK)
    gate.accepts()
    copy = gate.task(**BY_AGENT)
    gate.server.tasks[copy]["hyperparams"] = {"properties": properties}
    del gate.server.tasks[task]
    gate.refuses("no-task")
    properties[owners.RUN] = {**properties[owners.RUN], "value": "{"}
    gate.refuses("no-task")


def test_as_a_command_of_git(gate: Gate, tmp_path: Path) -> None:
    """`git clearml` finds git-clearml on PATH, and hands its `-c` and `-C` on."""
    program = tmp_path / "bin" / "git-clearml"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {" ".join(command())} "$@"\n')
    program.chmod(0o755)
    gate.repo.commit("sub", {"sub/x": "1"})
    gate.task()
    path = f"{program.parent}:{os.environ['PATH']}"
    env = process_environment({**gate.server.env, "PATH": path})

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *words], cwd=gate.repo.path, env=env, capture_output=True, text=True, check=False)

    assert git("clearml", "verify").returncode == 0
    assert git("-C", "sub", "clearml", "verify").stdout.startswith("verified ")
    gate.server.latency = 1.0
    done = git("-c", "clearml.timeout=0.07", "clearml", "verify")
    assert (done.returncode, "within 0.07 s" in done.stderr) == (3, True)


def test_a_policy_that_wants_a_remote_check(gate: Gate) -> None:
    """A task alone is not enough then, and the next step says what is."""
    commit = gate.repo.policy("", "[tool.git-clearml.runnable]", "required = true")
    gate.server.add_task(commit=commit, entry_point="train.py")
    result = gate.verify()
    assert (result.status, result.json["outcome"], len(result.calls)) == (1, "rejected", 2)
    assert result.json["hint"] == "git clearml check-runnable"


def test_a_project_with_a_part_that_is_too_short(gate: Gate) -> None:
    """As a flag, as policy, and as the policy that was accepted: the call is wrong, and nothing is asked."""
    result = gate.verify("--project", "AB/x")
    assert (result.status, result.errors, result.calls) == (2, ["bad-setting"], ())
    assert "'x' has less than 3 characters" in result.talk()[0]
    gate.repo.policy('project = "AB/x"')
    assert gate.verify().status == 2
    gate.repo.policy('project = "ABC/xyz"')
    assert gate.verify("--policy-from", "HEAD^").status == 2
    assert gate.verify().status == 1
