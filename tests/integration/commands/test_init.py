"""`git clearml init` in real repositories: what it writes holds, is written once, and only when somebody says yes."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from git_clearml import __version__
from tests.support.apart import Apart
from tests.support.clearml_server import ClearMLServer
from tests.support.faults import closed_port
from tests.support.program import Gate, command, inside, process_environment
from tests.support.pushing import BIN, Yard, make_yard, without_privileges, write_hook
from tests.support.repos import Repo, make_repo
from tests.support.tools import require
from tests.support.transcript import Transcript

PRE_COMMIT = "repos:\n- repo: local\n  hooks:\n  - {id: x, name: x, entry: 'true', language: system}\n"
HUSKY = """#!/usr/bin/env sh
n=$(basename "$0")
s=$(dirname "$(dirname "$0")")/$n
[ ! -f "$s" ] && exit 0
sh -e "$s" "$@"
"""


@pytest.fixture
def yard(tmp_path: Path, apart: Apart) -> Iterator[Yard]:
    with ClearMLServer() as server:
        yard = make_yard(tmp_path, server)
        yard.at_hand = apart
        yield yard


def actions(yard: Yard, *words: str, cwd: Path | None = None) -> dict[str, str]:
    """Path -> action of `init --yes`."""
    changes = yard.command("init", "--yes", "--json", *words, cwd=cwd).json["changes"]
    return {change["path"]: change["action"] for change in changes}


def gates(yard: Yard, *, cwd: Path | None = None) -> None:
    """What `init` wrote changes no more, is a valid policy, pleases the doctor, and refuses what has not been run."""
    assert set(actions(yard, cwd=cwd).values()) == {"unchanged"}
    repo = Repo(cwd or yard.repo.path)
    repo.commit("set up")
    yard.command("config", cwd=cwd)
    drill = yard.push("doctor", "--drill", "--quiet", cwd=cwd, command=["git-clearml"])
    assert drill.status == 0, drill.said
    refused = yard.push("origin", "HEAD:refs/heads/main", cwd=cwd)
    assert refused.status, refused.said
    assert "rejected" in refused.said
    yard.task(repo.head, project="Vision/Detector")
    pushed = yard.push("origin", "HEAD:refs/heads/main", cwd=cwd)
    assert (pushed.status, set(pushed.moved)) == (0, {"refs/heads/main"}), pushed.said


def test_a_fresh_repository(yard: Yard) -> None:
    yard.task(metrics={"validation": {"accuracy": 0.9}, "lr": {"lr": 0.1}})
    assert actions(yard) == {".git/hooks/pre-push": "created", "pyproject.toml": "created"}
    assert '\nproject = "Vision/Detector"\n' in (yard.repo.path / "pyproject.toml").read_text()
    gates(yard)


def test_it_looks_and_asks_no_more_than_thrice(gate: Gate) -> None:
    """The newest tasks of this repository, however its URL is spelled; no question is unbounded (the server counts)."""
    own = {"repository": "git@example.com:team/project.git"}
    for _ in range(3):
        gate.task(metrics={"test": {"loss": 1}}, **own)
    gate.task(project="Other", repository="https://example.com/another/project.git")
    gate.task(project="Other", tags=["git-clearml-check"], **own)
    gate.task(project="Other", system_tags=["archived"], **own)
    gate.task(project="Other", last_update="2020-01-01T00:00:00", **own)
    result = gate.call("init", "--dry-run", "--json")
    assert len(result.calls) == 2
    assert result.json["facts"]["tasks"] == "3 tasks of this repository in the last 7 days, in Vision/Detector"
    added = {change["path"]: change["added"] for change in result.json["changes"]}
    assert '\nmetric = "test/loss"\n' in added["pyproject.toml"]
    assert not gate.repo.git("status", "--porcelain")
    gate.server.ignored = ["_all_", "last_update", "system_tags"]  # what a proxy may do
    assert gate.call("init", "--dry-run", "--json").json["facts"] == result.json["facts"]


@pytest.mark.parametrize("name", ["pre-commit", "prek"])
@pytest.mark.parametrize("first", [False, True])
def test_pre_commit_and_prek(name: str, first: bool, yard: Yard, tmp_path: Path) -> None:
    """Their hook is there before ours, or comes later; both then refuse, and ours sees every ref."""
    require("bash", *([] if (BIN / name).exists() else [name]))
    yard.env |= {"PREK_HOME": str(tmp_path / "prek"), "PRE_COMMIT_HOME": str(tmp_path / "pre-commit")}
    yard.repo.commit("hooks", {".pre-commit-config.yaml": PRE_COMMIT})
    if first:
        assert yard.push("install", "-t", "pre-push", command=[name]).status == 0
    made = actions(yard)
    assert made[".pre-commit-config.yaml"] == "changed"
    assert made[".git/hooks/pre-push.legacy" if first else ".git/hooks/pre-push"] == "created"
    if not first:
        assert yard.push("install", command=[name]).status == 0
    assert (yard.hook.with_name("pre-push.legacy")).exists()
    gates(yard)
    assert yard.push("run", "--hook-stage", "manual", "clearml-verify", command=[name]).status == 0


def test_a_hook_that_pre_commit_runs_already_stays_in_force(tmp_path: Path) -> None:
    """Ours runs it from then on; without ours it is back where it was. Beside yet another one there is no place."""
    repo = make_repo(tmp_path / "repo")
    hooks = repo.path / ".git" / "hooks"
    write_hook(hooks / "pre-push", "#!/bin/sh\n# File generated by pre-commit: https://pre-commit.com\n")
    write_hook(hooks / "pre-push.legacy", "#!/bin/sh\necho theirs\n")
    assert inside("init", "--yes", cwd=repo.path).status == 0
    assert "theirs" in (hooks / "pre-push.pre-clearml").read_text()
    assert inside("uninstall", cwd=repo.path).status == 0
    assert "theirs" in (hooks / "pre-push.legacy").read_text()
    write_hook(hooks / "pre-push.pre-clearml", "#!/bin/sh\n")
    result = inside("init", "--yes", "--json", cwd=repo.path)
    assert (result.status, result.json["changes"][0]["action"]) == (1, "unchanged")
    assert "git clearml install" in result.json["changes"][0]["added"]


@pytest.mark.needs("lefthook")
@pytest.mark.parametrize("config", ["pre-commit:\n  jobs:\n  - run: 'true'\n", "pre-push:\n  jobs:\n  - run: 'true'\n"])
def test_lefthook(config: str, yard: Yard) -> None:
    yard.repo.commit("hooks", {"lefthook.yml": config})
    assert yard.push("install", command=["lefthook"]).status == 0
    assert actions(yard)["lefthook.yml"] == "changed"
    assert yard.push("validate", command=["lefthook"]).status == 0
    gates(yard)
    assert yard.push("install", command=["lefthook"]).status == 0  # what it does anyway when its configuration changed
    yard.repo.commit("not run")
    assert "rejected" in yard.push("origin", "HEAD:refs/heads/main").said
    yard.command("doctor")


@pytest.mark.parametrize("theirs", ["", "cat >seen\n"])
@pytest.mark.parametrize("version", [8, 9])
def test_husky(version: int, theirs: str, yard: Yard) -> None:
    """What it puts into a clone; a person's own lines get those of the push as before."""
    yard.repo.write({".gitignore": "seen\n", ".husky/_/.gitignore": "*"})
    if version == 9:
        write_hook(yard.repo.path / ".husky/_/pre-push", HUSKY)
    if theirs:
        write_hook(yard.repo.path / ".husky/pre-push", theirs)
    yard.repo.git("config", "core.hooksPath", ".husky/_" if version == 9 else ".husky")
    made = actions(yard)
    assert made[".husky/pre-push"] == ("changed" if theirs else "created")
    gates(yard)
    if theirs:
        assert (yard.repo.path / "seen").read_text().startswith("HEAD ")


def test_a_worktree_and_a_submodule(yard: Yard, tmp_path: Path) -> None:
    tree = yard.repo.worktree(tmp_path / "tree")
    assert actions(yard, cwd=tree.path) == {str(yard.hook): "created", "pyproject.toml": "created"}
    gates(yard, cwd=tree.path)
    around = make_repo(tmp_path / "around", remote="")
    around.git("-c", "protocol.file.allow=always", "submodule", "add", "--quiet", str(yard.remote.path), "lib")
    made = actions(yard, cwd=around.path / "lib")
    assert list(made.values()) == ["created", "unchanged"]  # the policy came with the clone
    Repo(around.path / "lib").commit("more")
    gates(yard, cwd=around.path / "lib")


def test_no_commit_and_a_directory_below(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {}, remote="")
    repo.write({"packages/a/pyproject.toml": "[project]\n"})
    assert inside("init", "--yes", cwd=repo.path / "packages" / "a").status == 0
    assert "git-clearml" in (repo.path / "pyproject.toml").read_text()
    assert inside("config", cwd=repo.path).status == 0


def test_no_working_tree(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    bare = make_repo(tmp_path / "bare", {}, remote="", options=("--bare",))
    for place in (bare.path, repo.path / ".git"):
        result = inside("init", "--yes", "--json", cwd=place)
        assert (result.status, result.json["errors"][0]["code"], result.json["changes"]) == (2, "usage", [])


# Writing


def test_nobody_to_ask(gate: Gate) -> None:
    result = gate.call("init", alone=True)
    assert result.status == 2
    assert "create  pyproject.toml" in result.out
    assert result.talk()[1] == "git clearml init --yes"
    assert gate.call("init", "--json", alone=True).json["written"] is False
    assert not gate.repo.git("status", "--porcelain")


def at_a_terminal(repo: Repo, answer: bytes) -> int:
    """The exit status of `init`, whose question is answered by these bytes, typed."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command("init"), cwd=repo.path, env=process_environment(), stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True, preexec_fn=lambda: _controlled_by(theirs),
    ) as process:  # fmt: skip
        os.close(theirs)
        text = b""
        try:
            while part := os.read(ours, 4096):
                text += part
                if b"[y/N]" in text and answer:
                    os.write(ours, answer)
                    answer = b""
        except OSError:  # EIO: the other end is closed
            pass
        status = process.wait()
        os.close(ours)
    assert b"Traceback" not in text
    return status


def _controlled_by(terminal: int) -> None:
    import fcntl
    import termios

    signal.signal(signal.SIGINT, signal.default_int_handler)
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


@pytest.mark.parametrize(("answer", "status"), [(b"n\n", 1), (b"\n", 1), (b"\x04", 1), (b"\x03", 130), (b"yes\n", 0)])
def test_the_question(answer: bytes, status: int, tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    assert at_a_terminal(repo, answer) == status
    assert bool(repo.git("status", "--porcelain")) is (status == 0)
    assert (repo.path / ".git" / "hooks" / "pre-push").exists() is (status == 0)


@pytest.mark.parametrize("which", ["directory", "file"])
def test_what_cannot_be_written(which: str, tmp_path: Path) -> None:
    """What was written before stays, is said, and is not written again."""
    repo = make_repo(tmp_path / "repo", {"pyproject.toml": "# mine\n"})
    place = repo.path if which == "directory" else repo.path / "pyproject.toml"
    mode = place.stat().st_mode
    place.chmod(mode & ~0o222)
    words = without_privileges(command("init", "--yes"))
    done = subprocess.run(words, cwd=repo.path, env=process_environment(), capture_output=True, text=True, check=False)
    place.chmod(mode)
    assert done.returncode == 2
    assert "pyproject.toml could not be written" in done.stderr
    assert "written before: .git/hooks/pre-push" in done.stderr
    assert not repo.git("status", "--porcelain")
    again = inside("init", "--yes", "--json", cwd=repo.path).json["changes"]
    assert [change["action"] for change in again] == ["unchanged", "changed"]
    assert (repo.path / "pyproject.toml").read_text().startswith("# mine\n")


def test_links_are_not_followed(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", remote="git@github.com:team/project.git")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    (repo.path / ".github").symlink_to(tmp_path / "elsewhere")
    (repo.path / "pyproject.toml").symlink_to(tmp_path / "pyproject.toml")
    result = inside("init", "--yes", "--json", cwd=repo.path)
    assert result.status == 1
    assert [change["by_hand"] is None for change in result.json["changes"]] == [True, False, False]
    assert (tmp_path / "pyproject.toml").read_text() == ""
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_git_has_and_the_working_tree_lacks(tmp_path: Path) -> None:
    """Deleted, or left out of a sparse checkout: a new file would take its place at the next commit."""
    repo = make_repo(tmp_path / "repo", {"pyproject.toml": "[project]\n", "train.py": ""})
    (repo.path / "pyproject.toml").unlink()
    result = inside("init", "--yes", "--json", cwd=repo.path)
    assert [(change["action"], bool(change["by_hand"])) for change in result.json["changes"]] == [
        ("created", False),
        ("unchanged", True),
    ]
    assert not (repo.path / "pyproject.toml").exists()


def test_what_gitignore_hides_is_added_all_the_same(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {".gitignore": "*.toml\n"})
    (command, *_) = inside("init", "--yes", "--json", cwd=repo.path).json["next"]
    subprocess.run(["sh", "-c", command], cwd=repo.path, check=True, capture_output=True)
    assert repo.git("ls-files", "pyproject.toml") == "pyproject.toml"


def test_permissions_are_kept(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"pyproject.toml": ""})
    (repo.path / "pyproject.toml").chmod(0o640)
    before = os.umask(0o027)
    try:
        assert inside("init", "--yes", cwd=repo.path).status == 0
    finally:
        os.umask(before)
    assert (repo.path / "pyproject.toml").stat().st_mode & 0o777 == 0o640


# Words


@pytest.mark.usefixtures("commits_of_one_day")
def test_transcript(gate: Gate) -> None:
    transcript = Transcript(
        "init", {"REPOSITORY": gate.repo.path, "http://server": gate.server.url, "==VERSION": f"=={__version__}"}
    )
    env: dict[str, str | None] = {}

    def says(title: str, *words: str, **more: str | None) -> None:
        transcript.add(title, ("init", *words), gate.call("init", *words, env={**env, **more}))

    def anew(**files: str) -> None:
        for place in gate.repo.path.iterdir():
            if place.name not in (".git", "train.py"):
                shutil.rmtree(place) if place.is_dir() else place.unlink()
        gate.repo.write({name.replace("__", "/").replace("_", "."): text for name, text in files.items()})

    says("no task yet, and a forge that nobody knows; nobody can be asked")
    gate.repo.git("remote", "set-url", "origin", "git@github.com:team/project.git")
    own = {"repository": "https://github.com/team/project", "queue": None}
    for series in (0.7, 0.8):
        gate.task(metrics={"validation": {"accuracy": series}, "train": {"loss": 1}}, **own)
    says("what would be written", "--dry-run")
    says("as JSON", "--yes", "--json")
    says("again", "--yes")
    anew(**{"_pre-commit-config_yaml": PRE_COMMIT, "lefthook_yml": "pre-push: {jobs: []}\n", "pyproject_toml": "a =\n"})
    says("beside hook managers, and a file that cannot be read", "--yes")
    anew()
    says("the server does not answer", "--dry-run", CLEARML_API_HOST=f"http://127.0.0.1:{closed_port()}")
    says("as Markdown", "--dry-run", "--format", "markdown", **dict.fromkeys(gate.server.env))
    says("without a server", "--yes", **dict.fromkeys(gate.server.env))
    gate.repo.git("config", "--global", "core.hooksPath", "/srv/hooks")
    says("one hooks directory for all repositories", "--yes")
    transcript.compare()
