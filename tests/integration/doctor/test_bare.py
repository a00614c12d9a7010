"""`git clearml doctor` in a bare repository: the git server's hook, its credentials, the repository's names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from git_clearml.doctor import bare
from git_clearml.hook import script
from tests.support.clearml_server import ClearMLServer
from tests.support.program import inside
from tests.support.pushing import write_hook
from tests.support.receiving import Receiver, listing, make_receiver, with_system_config


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with ClearMLServer() as server:
        yield make_receiver(tmp_path, server)


def examine(receiver: Receiver, env: Mapping[str, str | None] | None = None) -> tuple[int, dict[str, str]]:
    """The exit status, and name -> state."""
    around = {"GIT_CONFIG_NOSYSTEM": None, "CLEARML_CONFIG_FILE": str(receiver.conf), **(env or {})}
    result = inside("doctor", "--format", "json", cwd=receiver.remote.path, env=around)
    checks = result.json["checks"]
    assert all(set(check) == {"name", "level", "message", "fix"} for check in checks)
    return result.status, {check["name"]: check["level"] for check in checks}


def test_what_is_installed(receiver: Receiver, tmp_path: Path) -> None:
    assert examine(receiver)[1]["server-hook"] == "fail"
    hook = receiver.remote.path / "hooks" / "pre-receive"
    write_hook(hook, "#!/bin/sh\ngit-clearml hook pre-receive\n")
    assert examine(receiver)[1]["server-hook"] == "ok"
    write_hook(hook, "#!/bin/sh\nexit 0\n")
    assert examine(receiver)[1]["server-hook"] == "fail"
    assert inside("install", "--server", cwd=receiver.remote.path).status == 0
    status, states = examine(receiver)
    assert (status, states["server-hook"], states["hook-order"]) == (0, "ok", "ok")
    hook.with_name("pre-receive.pre-clearml").chmod(0o644)
    assert examine(receiver)[1]["hook-order"] == "warn"
    hook.chmod(0o700)
    assert examine(receiver)[1]["server-hook"] == "fail"
    for python, state in (("/gone/python", "fail"), ("", "ok")):
        write_hook(hook, script.with_python(script.text("pre-receive"), python))
        assert examine(receiver)[1]["server-hook"] == state
    write_hook(hook, script.text("pre-receive") + b"# edited\n")
    assert examine(receiver)[1]["server-hook"] == "warn"


def test_a_hook_that_runs_those_of_a_directory(receiver: Receiver) -> None:
    hooks = receiver.remote.path / "hooks"
    delegate = write_hook(hooks / "pre-receive", "#!/bin/sh\nfor hook in hooks/pre-receive.d/*; do :; done\n")
    (hooks / "pre-receive.d").mkdir()
    assert inside("install", "--server", cwd=receiver.remote.path).status == 0
    assert examine(receiver)[1]["server-hook"] == "ok"
    delegate.chmod(0o644)
    assert examine(receiver)[1]["server-hook"] == "fail"


def test_credentials_and_names(receiver: Receiver, tmp_path: Path) -> None:
    assert (
        examine(receiver)[1] | {"server": "ok", "credentials-file": "warn", "repository-names": "ok"}
        == examine(receiver)[1]
    )
    assert examine(receiver, {"CLEARML_CONFIG_FILE": None})[1]["credentials-file"] == "fail"
    assert examine(receiver, {"CLEARML_CONFIG_FILE": "clearml.conf"})[1]["credentials-file"] == "fail"
    system = with_system_config(tmp_path / "bin", "[clearml]", f"\tconfig-file = {receiver.conf}")
    states = examine(receiver, {**system, "CLEARML_CONFIG_FILE": None})[1]
    assert (states["server"], "credentials-file" in states) == ("ok", False)
    receiver.remote.git("config", "--unset", "clearml.repository")
    assert examine(receiver)[1]["repository-names"] == "warn"
    receiver.remote.git("config", "clearml.server-url", "https://git.example.com")
    assert examine(receiver)[1]["repository-names"] == "ok"
    receiver.conf.write_text("api { api_server: http://127.0.0.1:1 }\n")
    assert examine(receiver)[1]["credentials"] == "fail"


@pytest.mark.parametrize(
    ("owner", "group", "mode", "readable"),
    [(7, 8, 0o400, True), (1, 8, 0o440, True), (1, 1, 0o444, True), (7, 1, 0o040, False), (1, 8, 0o400, False)],
)
def test_who_may_read_it(tmp_path: Path, owner: int, group: int, mode: int, readable: bool) -> None:
    status = os.stat_result((mode, 0, 0, 0, owner, group, 0, 0, 0, 0))
    assert bare.may_read(status, os.stat_result((0, 0, 0, 0, 7, 8, 0, 0, 0, 0))) == readable


def test_a_drill_and_a_fix(receiver: Receiver, tmp_path: Path) -> None:
    def drill(*words: str, env: Mapping[str, str | None] | None = None) -> dict[str, str]:
        around = {"GIT_CONFIG_NOSYSTEM": None, "CLEARML_CONFIG_FILE": str(receiver.conf), **(env or {})}
        result = inside("doctor", "--drill", *words, "--json", cwd=receiver.remote.path, env=around)
        return dict(result.json["checks"][-1])

    receiver.accept()
    hooks = receiver.remote.path / "hooks"
    write_hook(hooks / "post-receive", "#!/bin/sh\ntouch deployed\n")
    before = listing(receiver.remote.path)
    check = drill()
    assert (check["name"], check["level"], "there is no hook" in check["message"]) == ("drill", "fail", True)
    write_hook(hooks / "pre-receive", "#!/bin/sh\nexit 0\n")
    assert "did not ask" in drill()["message"]
    (hooks / "pre-receive").unlink()
    assert listing(receiver.remote.path) == before
    assert drill("--fix")["level"] == "ok"
    check = drill(env={"CLEARML_CONFIG_FILE": None})
    assert (check["level"], "decided" in check["message"] or "verdict" in check["message"]) == ("warn", True)
    receiver.repo.policy('protect = ["release/*"]')
    receiver.accept()
    assert drill()["level"] == "ok"
    assert not list(tmp_path.rglob("deployed"))
