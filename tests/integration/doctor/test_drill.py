"""`git clearml doctor --drill`: an untrained commit for a throw-away remote, through git's hook, without a trace."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.apart import Apart
from tests.support.clearml_server import ClearMLServer
from tests.support.faults import closed_port
from tests.support.program import inside
from tests.support.pushing import BIN, Yard, gone, make_yard, on_path, write_hook
from tests.support.repos import Repo, make_repo
from tests.support.tools import require

OURS = 'exec git-clearml hook pre-push "$@"\n'


@pytest.fixture
def yard(tmp_path: Path, apart: Apart) -> Iterator[Yard]:
    with ClearMLServer() as server:
        yard = make_yard(tmp_path, server)
        yard.at_hand = apart
        yield yard


def drill(yard: Yard, cwd: Path | None = None, env: Mapping[str, str | None] | None = None) -> dict[str, Any]:
    """The check, after which everything is as it was: every file of the clone, every ref of its remote."""
    place = cwd or yard.repo.path
    before = files(yard.repo.path.parent)
    path = on_path(*([yard.at_hand.path] if yard.at_hand else []))
    around = {"PATH": path, **yard.server.env, **yard.env, **(env or {})}
    result = inside("doctor", "--drill", "--json", cwd=place, env=around)
    assert files(yard.repo.path.parent) == before
    *_, check = result.json["checks"]
    assert check["name"] == "drill"
    assert result.status == 1 or check["level"] != "fail"
    return dict(check)


def files(place: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(place.rglob("*")) if path.is_file()
    }


def test_it_is_refused_and_leaves_nothing(yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.install()
    temporary = tmp_path.parent / f"{tmp_path.name}-temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    assert drill(yard)["level"] == "ok"
    assert list(temporary.iterdir()) == []
    below = yard.repo.path / "deep" / "below"
    below.mkdir(parents=True)
    assert drill(yard, below)["level"] == "ok"


def _worktree(yard: Yard) -> Path:
    yard.repo.git("worktree", "add", "-q", "../linked")
    return yard.repo.path.parent / "linked"


def _detached(yard: Yard) -> Path:
    yard.repo.git("checkout", "-q", "--detach")
    return yard.repo.path


def _protects_releases(yard: Yard) -> Path:
    yard.repo.policy('protect = ["release/*"]', 'equivalence = "paths"', 'code-paths = ["src/**"]')
    return yard.repo.path


def _hooks_of_its_own_place(yard: Yard) -> Path:
    os.rename(yard.hook.parent, yard.repo.path / "my hooks")
    yard.repo.git("config", "core.hooksPath", "my hooks")
    return yard.repo.path


def _says_where_else_it_pushes(yard: Yard) -> Path:
    """Settings by which a push would bring along more, or ask for more."""
    for key, value in {"push.followTags": "true", "push.gpgSign": "true", "push.recurseSubmodules": "on-demand",
                       "push.pushOption": "ci.skip", "protocol.file.allow": "never", "remote.pushDefault": "nowhere",
                       "user.useConfigOnly": "true", "commit.gpgSign": "true"}.items():  # fmt: skip
        yard.repo.git("config", key, value)
    return yard.repo.path


def _husky(yard: Yard) -> Path:
    yard.repo.git("config", "core.hooksPath", ".husky/_")
    write_hook(yard.repo.path / ".husky/_/pre-push", '#!/bin/sh\nsh -e ".husky/pre-push" "$@"\n')
    write_hook(yard.repo.path / ".husky/pre-push", OURS)
    return yard.repo.path


def _skipped(yard: Yard) -> Path:
    yard.env["GIT_CLEARML_SKIP"] = "1"
    return yard.repo.path


def _tree_is_trained(yard: Yard) -> Path:
    yard.repo.policy('equivalence = "tree"', 'merges = "clean"', 'results-paths = ["**/*.json"]')
    yard.task()
    return yard.repo.path


@pytest.mark.parametrize(
    "scene",
    [_worktree, _detached, _protects_releases, _hooks_of_its_own_place, _says_where_else_it_pushes, _husky, _skipped,
     _tree_is_trained],
)  # fmt: skip
def test_it_is_refused_wherever_it_is_run(scene: Callable[[Yard], Path], yard: Yard) -> None:
    yard.install()
    place = scene(yard)
    check = drill(yard, place)
    assert check["level"] == "ok", check


def test_no_commit_yet(yard: Yard, tmp_path: Path) -> None:
    empty = Repo(tmp_path / "empty")
    subprocess.run(["git", "init", "-q", str(empty.path)], check=True)
    fresh = Yard(empty, yard.remote, yard.server).install()
    assert drill(fresh)["level"] == "ok"


def test_a_submodule(yard: Yard, tmp_path: Path) -> None:
    source = make_repo(tmp_path / "source")
    yard.repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(source.path), "lib")
    inside_it = Yard(Repo(yard.repo.path / "lib"), yard.remote, yard.server)
    inside_it.command("install")
    assert drill(inside_it)["level"] == "ok"


def test_sha256(tmp_path: Path, apart: Apart) -> None:
    with ClearMLServer() as server:
        yard = make_yard(tmp_path, server, "--object-format=sha256").install()
        yard.at_hand = apart
        assert drill(yard)["level"] == "ok"


def test_the_accepted_policy_judges_it(yard: Yard) -> None:
    yard.repo.policy('protect = ["prod"]')
    yard.publish()
    yard.repo.git("remote", "set-head", "origin", "main")
    yard.repo.policy('protect = ["other"]')
    yard.install()
    assert drill(yard)["level"] == "ok"


def test_without_a_server_run_records_are_asked(yard: Yard) -> None:
    yard.install()
    assert drill(yard, env=dict.fromkeys(yard.server.env))["level"] == "ok"


def test_a_server_that_is_away(yard: Yard) -> None:
    yard.install()
    away = {"CLEARML_API_HOST": f"http://127.0.0.1:{closed_port()}"}
    check = drill(yard, env=away)
    assert (check["level"], "nothing could be decided" in check["message"]) == ("warn", True)
    yard.repo.policy('on-unreachable = "warn"')
    check = drill(yard, env=away)
    assert (check["level"], "on-unreachable" in check["message"]) == ("fail", True)


@pytest.mark.parametrize(
    ("hook", "level", "words"),
    [
        (None, "fail", "there is no hook"),
        ("exit 0\n", "fail", "did not ask git-clearml"),
        ("cat >/dev/null\n" + OURS, "fail", "read the lines of the push before"),
        ("echo 3 tests failed >&2; exit 1\n" + OURS, "fail", "not by git-clearml"),
        ('if [ "$1" = nowhere ]; then exit 0; fi\n' + OURS, "ok", "was refused"),
        ("lines=$(cat)\nprintf '%s\\n' \"$lines\" | " + OURS, "ok", "was refused"),
    ],
)
def test_a_hook_is_tried(hook: str | None, level: str, words: str, yard: Yard) -> None:
    if hook is not None:
        write_hook(yard.hook, "#!/bin/sh\n" + hook)
    check = drill(yard)
    assert (check["level"], words in check["message"]) == (level, True), check


def test_a_hook_that_does_not_end(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    write_hook(yard.hook, "#!/bin/sh\nsleep 60\n")
    monkeypatch.setattr("git_clearml.doctor.drill.SECONDS", 0.5)
    check = drill(yard)
    assert (check["level"], "did not end within 0.5 s" in check["message"]) == ("fail", True)


def test_an_address_that_git_would_rewrite_is_not_pushed_to(yard: Yard, tmp_path: Path) -> None:
    yard.install()
    yard.repo.git("config", "url.ssh://elsewhere/.insteadOf", "/")
    check = drill(yard)
    assert (check["level"], "insteadOf" in check["message"]) == ("fail", True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_by_a_signal_it_leaves_nothing(number: signal.Signals, yard: Yard, tmp_path: Path) -> None:
    write_hook(yard.hook, "#!/bin/sh\necho $$ >../pid\nsleep 60\n")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = files(yard.repo.path)
    process = subprocess.Popen(
        [BIN / "git-clearml", "doctor", "--drill"],
        cwd=yard.repo.path,
        env=yard.environment({"TMPDIR": str(temporary)}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(30) == 128 + number
    assert list(temporary.iterdir()) == []
    assert files(yard.repo.path) == before
    assert gone(int((tmp_path / "pid").read_text()))


CONFIG = """\
repos:
- repo: local
  hooks:
  - id: clearml-verify
    name: a ClearML task ran these commits
    entry: git-clearml hook pre-push
    language: system
    stages: [pre-push]
    always_run: true
    pass_filenames: false
"""


@pytest.mark.parametrize("manager", ["pre-commit", "prek"])
def test_beside_a_manager(manager: str, yard: Yard, tmp_path: Path) -> None:
    if not (BIN / manager).exists():
        require(manager)
    if manager == "pre-commit":
        require("bash")
    # Elsewhere than the clone: they keep what they like there.
    home = tmp_path.parent / f"{tmp_path.name}-{manager}"
    yard.env |= {"PREK_HOME": str(home / "prek"), "PRE_COMMIT_HOME": str(home / "pre-commit")}
    yard.repo.commit("hooks", {".pre-commit-config.yaml": CONFIG})
    assert yard.push("install", "-t", "pre-push", command=[manager]).status == 0
    assert drill(yard)["level"] == "ok"
    yard.repo.write({"train.py": "changed\n"})
    check = drill(yard)
    assert (check["level"], "stash your uncommitted changes" in check["message"]) == ("fail", True)
