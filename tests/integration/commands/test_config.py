"""`git clearml config`: every setting with its value and origin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from git_clearml.settings.table import TABLE
from tests.support.program import Gate
from tests.support.repos import make_repo


def settings(gate: Gate, **options: Any) -> dict[str, tuple[Any, str]]:
    """Key -> (value, origin)."""
    result = gate.call("config", "--format", "json", **options)
    assert result.status == 0, result.err
    assert result.calls == ()
    return {row["key"]: (row["value"], row["origin"]) for row in result.json["settings"]}


def test_every_setting_is_there(gate: Gate) -> None:
    found = settings(gate)
    assert list(found) == [setting.key for setting in TABLE]
    assert {origin for _, origin in found.values()} == {"default"}
    text = gate.call("config").out
    for setting in TABLE:
        assert f"\n{setting.key} " in "\n" + text
    assert "(none)" not in text


def test_the_layers_and_who_wins(gate: Gate) -> None:
    head = gate.repo.policy('project = "Vision"', "require-run-record = true", 'code-paths = ["src/**"]')
    gate.repo.git("config", "clearml.timeout", "7")
    gate.repo.git("config", "clearml.waitTimeout", "70")
    found = settings(gate, env={"GIT_CLEARML_TIMEOUT": "8"})
    where = f"pyproject.toml at {head[:12]}"
    assert found["project"] == ("Vision", where)
    assert found["require-run-record"] == (True, where)
    assert found["code-paths"] == (["src/**"], where)
    assert found["timeout"] == (8.0, "GIT_CLEARML_TIMEOUT")
    assert found["wait-timeout"] == (70.0, "git config")
    assert found["published"] == ("accept", "default")


def test_the_text(gate: Gate) -> None:
    head = gate.repo.policy('project = "a\\"b"', 'protect = ["main", "release/*"]')
    lines = gate.call("config").out.splitlines()
    (project,) = (line for line in lines if line.startswith("project "))
    assert project.split()[1:] == ["pyproject.toml", "at", head[:12], '"a\\"b"']
    assert any('["main", "release/*"]' in line for line in lines)
    assert lines[-2].split() == ["server", gate.server.url]
    assert lines[-1].endswith("from environment")


def test_no_server(gate: Gate) -> None:
    result = gate.call("config", env=dict.fromkeys(gate.server.env))
    assert "none configured" in result.out


def test_a_server_from_clearml_conf(gate: Gate, tmp_path: Path) -> None:
    conf = tmp_path / "c.conf"
    keys = f'access_key: "{gate.server.access_key}", secret_key: "{gate.server.secret_key}"'
    conf.write_text(f'api {{ api_server: "{gate.server.url}", credentials {{ {keys} }} }}')
    env = {**dict.fromkeys(gate.server.env), "CLEARML_CONFIG_FILE": str(conf)}
    result = gate.call("config", env=env)
    assert f"from {conf}" in result.out
    assert gate.server.url in result.out


def test_uncommitted_policy_is_warned_of(gate: Gate) -> None:
    gate.repo.policy('project = "Ours"')
    assert gate.call("config").err == ""
    gate.repo.policy('project = "Theirs"', commit=False)
    result = gate.call("config")
    assert '"Ours"' in result.out
    assert "pyproject.toml has uncommitted changes; the policy is the committed one" in result.err
    gate.repo.path.joinpath("pyproject.toml").unlink()
    assert "uncommitted" in gate.call("config").err


def test_policy_where_it_does_not_count_is_warned_of(gate: Gate) -> None:
    result = gate.call("config", env={"GIT_CLEARML_EQUIVALENCE": "tree"})
    assert "GIT_CLEARML_EQUIVALENCE is ignored" in result.err
    assert settings(gate, env={"GIT_CLEARML_EQUIVALENCE": "tree"})["equivalence"] == ("commit", "default")


def test_outside_a_repository_and_before_the_first_commit(gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert settings(gate, cwd=tmp_path / "empty", env={"GIT_CLEARML_TIMEOUT": "3"})["timeout"][0] == 3
    new = make_repo(tmp_path / "new", {})
    new.git("config", "clearml.timeout", "4")
    assert settings(gate, cwd=new.path)["timeout"] == (4, "git config")
    bare = gate.repo.clone(tmp_path / "bare.git", "--bare")
    assert settings(gate, cwd=bare.path)["project"] == ("", "default")


def test_in_a_subdirectory(gate: Gate) -> None:
    gate.repo.write({"sub/x": "1"})
    gate.repo.policy('project = "Ours"')
    assert settings(gate, cwd=gate.repo.path / "sub")["project"][0] == "Ours"
    assert gate.call("config", cwd=gate.repo.path / "sub").err == ""


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    ("env", "policy", "code", "hint"),
    [
        ({"GIT_CLEARML_TIMEOUTS": "3"}, "", "bad-setting", "did you mean GIT_CLEARML_TIMEOUT?"),
        ({"GIT_CLEARML_TIMEOUT": "soon"}, "", "bad-setting", ""),
        ({}, 'pubished = "x"', "bad-setting", "did you mean published?"),
        ({}, 'equivalence = "paths"', "bad-setting", "code-paths"),
    ],
)
def test_what_is_wrong(gate: Gate, form: str, env: dict[str, str], policy: str, code: str, hint: str) -> None:
    if policy:
        gate.repo.policy(policy)
    result = gate.call("config", "--format", form, env=env)
    assert result.status == 2
    assert hint in result.talk()[1]
    if form == "json":
        assert (result.errors, result.json["command"], result.json["exit_code"]) == ([code], "config", 2)


def test_half_a_configuration(gate: Gate) -> None:
    result = gate.call("config", "--format", "json", env={"CLEARML_API_HOST": None})
    assert (result.status, result.errors) == (3, ["not-configured"])


def test_values_print_harmlessly(gate: Gate) -> None:
    gate.repo.policy('project = "\\u001b[31mred\\nline"')
    out = gate.call("config").out
    assert "\x1b" not in out
    assert len([line for line in out.splitlines() if line.startswith("project ")]) == 1
