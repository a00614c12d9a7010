"""Through real pre-commit, from a clone of this repository and in an environment that pre-commit builds itself."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from git_clearml.hook import hooks_path, owner
from tests.conftest import sealed_environment
from tests.support.clearml_server import ClearMLServer
from tests.support.program import ROOT
from tests.support.pushing import BIN, Pushed, Yard, make_yard, recorder, write_hook
from tests.support.robot import Robot
from tests.support.tools import require

CONFIG = "repos:\n- repo: {repo}\n  rev: {rev}\n  hooks:\n  - id: clearml-verify\n"


@dataclass(frozen=True)
class Published:
    """This working tree as a repository to name under `repos:`, and pre-commit's store with its environment."""

    config: str
    store: Path


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Builds the environment: once, also where several processes run the tests."""
    require("bash")  # pre-commit's own hooks are scripts of it
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "pre-commit"
    place.mkdir(exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "config").exists():
            config = snapshot(place / "clone", place)
            build(place, config)
            (place / "config").write_text(config)
    return Published((place / "config").read_text(), place / "store")


def snapshot(clone: Path, home: Path) -> str:
    """A commit of this working tree, as it is, and the configuration that names it."""
    # Without what it depends on: pip takes twenty seconds for that, and `link_dependencies` none.
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    project = clone / "pyproject.toml"
    project.write_text(re.sub(r"(?ms)^dependencies = \[.*?^\]$", "dependencies = []", project.read_text()))
    environment = {**os.environ, **sealed_environment(home)}
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "all"], ["rev-parse", "HEAD"]):
        done = subprocess.run(["git", *words], cwd=clone, env=environment, check=True, capture_output=True, text=True)
    return CONFIG.format(repo=clone, rev=done.stdout.strip())


def build(place: Path, config: str) -> None:
    """`pre-commit install --install-hooks` in a scratch repository."""
    scratch = place / "scratch"
    scratch.mkdir()
    (scratch / ".pre-commit-config.yaml").write_text(config)
    environment = {**os.environ, **sealed_environment(place), "PRE_COMMIT_HOME": str(place / "store")}
    environment["PIP_NO_COMPILE"] = "1"  # most of it is never imported
    subprocess.run(["git", "init", "--quiet"], cwd=scratch, env=environment, check=True)
    words = [str(BIN / "pre-commit"), "install", "--install-hooks", "--hook-type", "pre-push"]
    done = subprocess.run(words, cwd=scratch, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [packages] = (place / "store").glob("repo*/py_env-*/lib/python*/site-packages")
    link_dependencies(packages)


def link_dependencies(packages: Path) -> None:
    """What our distribution declares that it needs, and those need in turn, from this environment: nothing else."""
    linked, wanted = {"git-clearml"}, metadata.requires("git-clearml") or []
    while wanted:
        requirement = Requirement(wanted.pop())
        if requirement.name in linked or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        linked.add(requirement.name)
        distribution = metadata.distribution(requirement.name)
        wanted += distribution.requires or []
        for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(distribution.locate_file(top))


@pytest.fixture
def bare_yard(tmp_path: Path, published: Published) -> Iterator[Yard]:
    """A clone whose configuration names our hook; nothing is installed in it yet."""
    with ClearMLServer() as server:
        yard = make_yard(tmp_path, server)
        yard.env["PRE_COMMIT_HOME"] = str(published.store)
        yard.repo.commit("hooks", {".pre-commit-config.yaml": published.config})
        yield yard


@pytest.fixture
def yard(bare_yard: Yard) -> Yard:
    """With pre-commit's hook, and no git-clearml on PATH but in pre-commit's environment."""
    pre_commit(bare_yard, "install", "--hook-type", "pre-push")
    bare_yard.env["PATH"] = os.environ["PATH"].replace(str(BIN), "")
    assert shutil.which("git-clearml", path=bare_yard.env["PATH"]) is None
    return bare_yard


def pre_commit(yard: Yard, *words: str, status: int = 0, **env: str) -> Pushed:
    done = yard.push(*words, command=[str(BIN / "pre-commit")], env=env)
    assert done.status == status, done.said
    return done


# Pushes


def test_the_first_push_of_a_root(yard: Yard) -> None:
    """No FROM_REF and no TO_REF: pre-commit gives the branch alone."""
    pushed = yard.refuses("origin", "main")
    assert yard.repo.head[:12] in pushed.said
    assert "next: git clearml run -- python train.py" in pushed.said
    yard.task()
    assert "verified" in yard.accepts("origin", "main", moved=["refs/heads/main"]).said


@pytest.mark.slow
def test_the_first_push_judges_the_pushed_branch_and_not_head(yard: Yard) -> None:
    yard.repo.git("branch", "topic")
    yard.task()
    yard.repo.commit("more, on main")
    yard.accepts("origin", "topic", moved=["refs/heads/topic"])
    yard.refuses("origin", "main")


@pytest.mark.slow
def test_an_update(yard: Yard) -> None:
    yard.publish()
    yard.repo.commit("more")
    yard.refuses("origin", "main")
    yard.task()
    yard.accepts("origin", "main", moved=["refs/heads/main"])


@pytest.mark.slow
def test_a_force_push(yard: Yard) -> None:
    yard.repo.commit("two")
    yard.publish()
    yard.repo.git("commit", "--quiet", "--amend", "--allow-empty", "--message", "amended")
    yard.refuses("--force", "origin", "main")
    yard.task()
    yard.accepts("--force", "origin", "main", moved=["refs/heads/main"])


@pytest.mark.slow
def test_a_deletion_is_free(yard: Yard) -> None:
    yard.publish("main:refs/heads/gone")
    yard.accepts("origin", ":gone", moved=["refs/heads/gone"], requests=0)


@pytest.mark.slow
def test_an_annotated_tag_is_peeled(yard: Yard) -> None:
    yard.repo.policy('protect = ["refs/tags/v*"]')
    yard.publish()
    yard.repo.commit("more")
    yard.repo.git("tag", "-a", "-m", "x", "v1")
    yard.repo.git("tag", "-a", "-m", "x", "other")
    yard.refuses("origin", "v1")
    yard.accepts("origin", "other", moved=["refs/tags/other"], requests=0)
    yard.task()
    yard.accepts("origin", "v1", moved=["refs/tags/v1"])


def test_the_policy_is_the_accepted_sides(yard: Yard) -> None:
    yard.publish()
    yard.repo.policy('protect = ["elsewhere"]')
    yard.refuses("origin", "main")
    yard.refuses("origin", "main:refs/heads/new")
    yard.task()
    yard.accepts("origin", "main", moved=["refs/heads/main"])
    yard.repo.commit("more")
    yard.accepts("origin", "main", moved=["refs/heads/main"], requests=0)


@pytest.mark.slow
def test_a_loosened_policy_on_an_unprotected_branch_is_nobodys_accepted_side(yard: Yard) -> None:
    """For a new ref pre-commit names an ancestor that the remote has: here the one that loosens."""
    yard.repo.policy('protect = ["main", "release/*"]')
    yard.publish()
    yard.repo.policy('protect = ["elsewhere"]')
    yard.accepts("origin", "HEAD:refs/heads/feature", requests=0)
    yard.repo.commit("more")
    yard.refuses("origin", "HEAD:refs/heads/release/1")
    yard.task()
    yard.accepts("origin", "HEAD:refs/heads/release/1", moved=["refs/heads/release/1"])


@pytest.mark.slow
def test_what_it_cannot_see(yard: Yard) -> None:
    """One ref of a push, and none whose commits the remote has. README and doctor say so; ours alone sees all."""
    yard.repo.git("branch", "good")
    yard.task()
    yard.repo.commit("bad")
    yard.accepts("origin", "good", "main", moved=["refs/heads/good", "refs/heads/main"])
    yard.accepts("origin", "main:refs/heads/copy", moved=["refs/heads/copy"], requests=0)


@pytest.mark.parametrize(
    "env", [pytest.param({"SKIP": "clearml-verify"}, marks=pytest.mark.slow), {"GIT_CLEARML_SKIP": "1"}]
)
def test_the_ways_around(env: dict[str, str], yard: Yard) -> None:
    yard.refuses("origin", "main")
    said = yard.accepts("origin", "main", requests=0, env=env).said
    assert ("Skipped" if "SKIP" in env else "this push is not verified") in said
    assert not yard.memory.exists()


@pytest.mark.slow
def test_an_unreachable_server_refuses(yard: Yard) -> None:
    yard.server.fail_next(status=401, count=9)
    pushed = yard.refuses("origin", "main", by_us="undecided", requests=9)
    assert "does not accept the credentials" in pushed.said


# By hand


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("manual", ()),
        pytest.param("pre-push", ("clearml-verify", "--all-files"), marks=pytest.mark.slow),
    ],
)
def test_run_by_hand_judges_head(stage: str, words: tuple[str, ...], yard: Yard) -> None:
    assert "rejected" in pre_commit(yard, "run", "--hook-stage", stage, *words, status=1).said
    yard.task()
    assert "Passed" in pre_commit(yard, "run", "--hook-stage", stage, *words).said


@pytest.mark.slow
def test_uncommitted_changes_do_not_matter(yard: Yard) -> None:
    yard.task()
    yard.repo.write({"train.py": "edited"})
    pre_commit(yard, "run", "--hook-stage", "manual")
    yard.accepts("origin", "main", requests=0)
    assert (yard.repo.path / "train.py").read_text() == "edited"


def test_the_remote_check_by_hand(yard: Yard) -> None:
    """In the manual stage alone: no commit and no push waits for an agent."""
    config = (
        (yard.repo.path / ".pre-commit-config.yaml").read_text().replace("clearml-verify", "clearml-check-runnable")
    )
    yard.repo.commit("check", {".pre-commit-config.yaml": config, "main.py": "print(1)\n"})
    yard.publish()
    told = pre_commit(yard, "run", "--hook-stage", "manual", status=1)
    assert "queue 'default' has no active workers" in told.said
    assert yard.server.tasks == {}
    Robot(yard.server, "complete", queue="default")
    assert "runnable" in pre_commit(yard, "run", "--hook-stage", "manual", "clearml-check-runnable").said
    (task,) = yard.server.tasks.values()
    assert task["script"]["version_num"] == yard.repo.head
    yard.server.reset_log()
    pre_commit(yard, "run", "--hook-stage", "pre-push")
    assert yard.server.calls() == []


# Both


def sees_every_ref(yard: Yard) -> None:
    """Ours runs as pre-push.legacy with all of stdin, pre-commit's after it; each of them can refuse."""
    yard.env.pop("PATH", None)
    assert owner.read_hook(yard.hook).owner == "pre-commit"
    assert owner.read_hook(yard.hook.with_name(hooks_path.LEGACY)).owner == "ours"
    yard.task()
    yard.repo.git("branch", "good")
    bad = yard.repo.commit("bad")
    assert bad[:12] in yard.refuses("origin", "good", "main").said
    yard.task()
    yard.forget()
    pushed = yard.accepts("origin", "good", "main", moved=["refs/heads/good", "refs/heads/main"])
    assert "verified 2 commits" in pushed.said
    assert "a ClearML task ran these commits" in pushed.said


def test_pre_commit_was_first_and_the_advice_is_followed(yard: Yard) -> None:
    advice = yard.command("install", status=2).talk()[1].partition(" (")[0]
    yard.push("-c", advice, command=["sh"], env={"PATH": f"{BIN}:{os.environ['PATH']}"})
    assert "pre-commit runs it" in yard.command("install").err
    sees_every_ref(yard)


@pytest.mark.slow
def test_ours_was_first(bare_yard: Yard) -> None:
    bare_yard.install()
    pre_commit(bare_yard, "install", "--hook-type", "pre-push")
    assert "already installed" in bare_yard.command("install").err
    sees_every_ref(bare_yard)
    pre_commit(bare_yard, "uninstall", "--hook-type", "pre-push")
    assert owner.read_hook(bare_yard.hook).current


@pytest.mark.slow
def test_a_strangers_hook_before_both(bare_yard: Yard, tmp_path: Path) -> None:
    """A hand-written one, ours and pre-commit's: each gets its lines, and uninstalling ours keeps the others."""
    write_hook(bare_yard.hook, recorder(tmp_path / "theirs"))
    bare_yard.install()
    pre_commit(bare_yard, "install", "--hook-type", "pre-push")
    sees_every_ref(bare_yard)
    assert (tmp_path / "theirs.stdin").read_text().count("\n") == 2
    bare_yard.command("uninstall")
    (tmp_path / "theirs.stdin").unlink()
    bare_yard.repo.commit("more")
    bare_yard.refuses("origin", "main")  # by pre-commit's
    assert (tmp_path / "theirs.stdin").read_text().startswith("refs/heads/main")


@pytest.mark.slow
def test_the_push_command_under_pre_commit(yard: Yard) -> None:
    yard.env.pop("PATH")
    push = ["git", "clearml", "push"]
    assert yard.push("origin", "main", command=push).moved == {}
    yard.task()
    yard.accepts("origin", "main", moved=["refs/heads/main"], command=push)
