"""Whose policy judges what is new on a remote: never the pushed commit's own because something was not known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.hook.test_push import LOOSE, STRICT
from tests.support.clearml_server import ClearMLServer
from tests.support.program import inside
from tests.support.pushing import ONE, Yard, bare, line, make_yard, quick
from tests.support.repos import Repo
from tests.support.tools import needs

UNKNOWN = "policy that applies is unknown"


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with ClearMLServer() as server, quick(make_yard(tmp_path, server)) as yard:
        yield yard.install()


@pytest.fixture
def trunk(yard: Yard) -> Yard:
    """The remote's default branch is `trunk`, and strict. Its `main` is loose, and so is what HEAD would push."""
    yard.repo.policy(*STRICT)
    yard.publish("HEAD:refs/heads/trunk")
    yard.remote.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    yard.repo.policy(*LOOSE)
    yard.publish("HEAD:refs/heads/main")
    yard.repo.commit("topic")
    yard.task()
    yard.repo.git("fetch", "--quiet", "origin")
    return yard


def refused(yard: Yard, *words: str) -> None:
    """By the policy of trunk, which wants another project."""
    assert "is in project" in yard.refuses(*words, "HEAD:refs/heads/new").said


def test_init_remote_add_fetch(trunk: Yard) -> None:
    assert "refs/remotes/origin/HEAD" not in trunk.repo.git("for-each-ref")
    refused(trunk, "origin")
    trunk.task(project="Other")
    trunk.accepts("origin", "HEAD:refs/heads/new", moved=["refs/heads/new"])


def test_a_head_that_dangles(trunk: Yard) -> None:
    trunk.repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/gone")
    refused(trunk, "origin")


def test_a_branch_of_the_remote_that_is_called_head(trunk: Yard) -> None:
    """A fetch brings it here as refs/remotes/origin/HEAD."""
    trunk.remote.git("update-ref", "refs/heads/HEAD", "main")
    trunk.repo.git("fetch", "--quiet", "origin")
    assert "refs/remotes/origin/HEAD" in trunk.repo.git("for-each-ref")
    refused(trunk, "origin")


@pytest.mark.parametrize("name", ["refs/remotes/origin/HEAD", "remotes/origin/HEAD", "origin/HEAD"])
def test_a_branch_or_tag_that_sounds_like_it(trunk: Yard, name: str) -> None:
    """git takes refs/heads/refs/remotes/origin/HEAD for a name that it finds nowhere else."""
    for folder in ("refs/heads", "refs/tags"):
        trunk.repo.git("update-ref", f"{folder}/{name}", "HEAD")
    refused(trunk, "origin")


@pytest.mark.parametrize("spelled", ["file://{0}/.", "../remote.git", "short:remote.git"])
def test_another_spelling_of_the_url(trunk: Yard, spelled: str) -> None:
    trunk.repo.git("config", f"url.{trunk.remote.path.parent}/.insteadOf", "short:")
    trunk.repo.git("remote", "set-head", "origin", "trunk")
    trunk.remote.git("symbolic-ref", "HEAD", "refs/heads/main")  # what was fetched last counts
    refused(trunk, spelled.format(trunk.remote.path))


def test_a_url_behind_a_symbolic_link(trunk: Yard, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(trunk.remote.path)
    trunk.repo.git("remote", "set-head", "origin", "trunk")
    trunk.remote.git("symbolic-ref", "HEAD", "refs/heads/main")
    refused(trunk, str(tmp_path / "link"))


def test_a_remote_that_was_never_fetched(trunk: Yard) -> None:
    trunk.repo.git("remote", "rename", "origin", "old")
    trunk.repo.git("remote", "set-url", "old", "https://example.com/team/project.git")
    trunk.repo.git("remote", "add", "new", str(trunk.remote.path))
    refused(trunk, "new")
    refused(trunk, str(trunk.remote.path))


def test_a_pushurl_beside_the_url(trunk: Yard, tmp_path: Path) -> None:
    trunk.repo.git("remote", "set-url", "origin", "https://example.com/team/project.git")
    trunk.repo.git("remote", "set-url", "--push", "origin", str(trunk.remote.path))
    refused(trunk, "origin")
    other = bare(tmp_path / "other.git")
    trunk.repo.git("remote", "set-url", "--push", "--add", "origin", str(other.path))
    refused(trunk, "origin")


def test_a_detached_head(trunk: Yard) -> None:
    trunk.remote.git("update-ref", "--no-deref", "HEAD", trunk.remote.git("rev-parse", "trunk"))
    refused(trunk, "origin")


def test_a_head_that_this_clone_lacks(trunk: Yard, tmp_path: Path) -> None:
    trunk.repo.git("clone", "--quiet", str(trunk.remote.path), str(tmp_path / "colleague"))
    colleague = Repo(tmp_path / "colleague")
    newer = colleague.commit("theirs")
    colleague.git("push", "--quiet", "origin", "HEAD:trunk")
    pushed = trunk.refuses("origin", "HEAD:refs/heads/new", by_us=UNKNOWN, requests=0)
    assert newer[:12] in pushed.err
    assert "hint: git fetch origin\n" in pushed.err
    pushed = trunk.refuses(str(trunk.remote.path), "HEAD:refs/heads/new", by_us=UNKNOWN, requests=0)
    trunk.repo.git("config", "remote.origin.fetch", "+refs/heads/main:refs/remotes/origin/main")
    pushed = trunk.refuses("origin", "HEAD:refs/heads/new", by_us=UNKNOWN, requests=0)
    assert "hint: git fetch origin HEAD\n" in pushed.err
    trunk.repo.git("fetch", "--quiet", "origin", "HEAD")
    refused(trunk, "origin")


def test_an_old_commit_that_this_clone_lacks(trunk: Yard, tmp_path: Path) -> None:
    """The hint brings it, also where `git fetch origin` alone would not."""
    trunk.repo.policy('protect = ["trunk", "refs/tags/*"]')
    trunk.publish("HEAD:refs/heads/trunk")
    trunk.repo.git("clone", "--quiet", str(trunk.remote.path), str(tmp_path / "colleague"))
    colleague = Repo(tmp_path / "colleague")
    colleague.commit("theirs")
    colleague.git("push", "--quiet", "origin", "HEAD:trunk", "HEAD:refs/tags/v1")
    trunk.repo.commit("ours")
    url = str(trunk.remote.path)
    for remote, ref, hint in (
        ("origin", "refs/heads/trunk", "git fetch origin\n"),
        ("origin", "refs/tags/v1", "git fetch origin refs/tags/v1\n"),
        (url, "refs/heads/trunk", "git fetch origin\n"),
    ):
        pushed = trunk.refuses("--force", remote, f"HEAD:{ref}", by_us=UNKNOWN, requests=0)
        assert f"hint: {hint}" in pushed.err
    trunk.repo.git("fetch", "--quiet", "origin", "refs/tags/v1")
    trunk.refuses("--force", "origin", "HEAD:refs/tags/v1", "HEAD:refs/heads/trunk")
    trunk.repo.git("remote", "remove", "origin")
    colleague.commit("more")
    colleague.git("push", "--quiet", "origin", "HEAD:trunk")
    pushed = trunk.refuses("--force", url, "HEAD:refs/heads/trunk", by_us=UNKNOWN, requests=0)
    assert f"hint: git fetch {url} refs/heads/trunk\n" in pushed.err


def test_a_remote_whose_head_names_nothing(trunk: Yard) -> None:
    """Then every branch that it has has been accepted by somebody."""
    trunk.remote.git("symbolic-ref", "HEAD", "refs/heads/master")
    refused(trunk, "origin")
    trunk.task(project="Other")
    trunk.accepts("origin", "HEAD:refs/heads/new", moved=["refs/heads/new"])


@pytest.mark.parametrize("ref", ["refs/tags/v1", "refs/notes/x", "refs/heads/git-clearml/0123456789ab-01234567"])
def test_a_remote_without_a_branch_has_accepted_nothing(yard: Yard, ref: str) -> None:
    yard.remote.git("fetch", "--quiet", str(yard.repo.path), f"HEAD:{ref}")
    yard.repo.policy(*LOOSE)
    yard.accepts("origin", "main", moved=["refs/heads/main"], requests=0)


def test_a_tag_that_was_one_of_a_blob(trunk: Yard) -> None:
    """What it was says nothing about policies."""
    trunk.repo.policy('project = "Other"', 'protect = ["refs/tags/v*", "main", "trunk"]')
    trunk.publish("HEAD:refs/heads/trunk")
    trunk.repo.git("tag", "v1", "HEAD:train.py")
    trunk.publish("refs/tags/v1")
    trunk.repo.policy(*LOOSE)
    trunk.task()
    pushed = trunk.refuses("--force", "origin", "HEAD:refs/tags/v1")
    assert "is in project" in pushed.said


def test_a_remote_that_does_not_answer(trunk: Yard, tmp_path: Path) -> None:
    """Called as git would, since git itself would fail before."""
    words = ("hook", "pre-push", "elsewhere", f"{tmp_path}/nowhere.git")
    result = inside(*words, cwd=trunk.repo.path, env={}, stdin=line(new=trunk.repo.head))
    assert (result.status, UNKNOWN in result.err, "hint: " in result.err) == (3, True, True)


def test_a_hook_that_is_not_told_the_remote(trunk: Yard) -> None:
    """It is the one that git push would take."""
    lines = line(new=trunk.repo.head, remote="refs/heads/new")
    result = inside("hook", "pre-push", cwd=trunk.repo.path, env=trunk.server.env, stdin=lines)
    assert (result.status, "is in project" in result.out) == (1, True)
    trunk.repo.git("remote", "remove", "origin")
    result = inside("hook", "pre-push", cwd=trunk.repo.path, env=trunk.server.env, stdin=lines)
    assert (result.status, UNKNOWN in result.err) == (3, True)


def test_a_sha256_repository(tmp_path: Path) -> None:
    with ClearMLServer() as server:
        yard = make_yard(tmp_path, server, "--object-format=sha256").install()
        yard.repo.policy(*STRICT)
        yard.publish("HEAD:refs/heads/trunk")
        yard.remote.git("symbolic-ref", "HEAD", "refs/heads/trunk")
        yard.repo.policy(*LOOSE)
        yard.task()
        refused(yard, "origin")


def test_pre_commit_of_a_new_branch(trunk: Yard) -> None:
    """It names an ancestor that a remote has, which is none of this branch."""
    env = {
        "PRE_COMMIT": "1",
        "PRE_COMMIT_REMOTE_NAME": "origin",
        "PRE_COMMIT_REMOTE_URL": str(trunk.remote.path),
        "PRE_COMMIT_FROM_REF": trunk.repo.git("rev-parse", "HEAD~1"),
        "PRE_COMMIT_TO_REF": trunk.repo.head,
        "PRE_COMMIT_LOCAL_BRANCH": "refs/heads/main",
        "PRE_COMMIT_REMOTE_BRANCH": "refs/heads/new",
    }
    result = inside("hook", "pre-push", cwd=trunk.repo.path, env={**trunk.server.env, **env}, stdin=b"")
    assert (result.status, "is in project" in result.out) == (1, True)
    assert ONE not in result.out


@pytest.mark.parametrize(
    ("gated", "head"), [([], "names nothing"), pytest.param(["main"], "fetched", marks=needs("git 2.38"))]
)
def test_what_no_gate_has_accepted_is_no_half_of_a_clean_merge(yard: Yard, gated: list[str], head: str) -> None:
    """Anybody pushes untrained commits to a branch that nobody protects: a new one of them is not accepted by that."""
    repo = yard.repo
    repo.policy('merges = "clean"', f"protect = {[*gated, 'release/*']}")
    repo.git("checkout", "--quiet", "-b", "feature")
    repo.commit("feature", {"feature.py": "1"})
    yard.task()
    repo.git("checkout", "--quiet", "main")
    repo.commit("untrained", {"untrained.py": "1"})
    yard.publish("main")
    repo.git("remote", "set-head", "origin", "main")
    if head == "names nothing":
        repo.git("remote", "set-head", "origin", "--delete")
        yard.remote.git("symbolic-ref", "HEAD", "refs/heads/nothing")
    yard.refuses("origin", "HEAD:refs/heads/release/1")
    repo.git("merge", "--no-ff", "--quiet", "--no-edit", "feature")
    if gated:
        yard.accepts("origin", "HEAD:refs/heads/release/1", moved=["refs/heads/release/1"])
    else:
        yard.refuses("origin", "HEAD:refs/heads/release/1", requests=5)


def test_a_task_that_waits_for_a_branch_that_the_push_makes_is_pending(yard: Yard) -> None:
    """By the name that it gets on the remote; none of a ref that the remote has, since it is not there yet."""
    yard.publish("main")
    yard.repo.commit("next", {"train.py": "next"})
    waiting = {"commit": None, "diff": None, "status": "queued", "script__branch": "exp"}
    yard.server.add_task(**waiting, repository=str(yard.remote.path))
    yard.repo.git("checkout", "--quiet", "-b", "elsewhere")
    yard.refuses("origin", "HEAD:refs/heads/exp", by_us="pending")
    yard.refuses("origin", "HEAD:refs/heads/other")
    yard.remote.git("branch", "exp", "main")
    yard.repo.git("fetch", "--quiet", "origin")
    yard.refuses("origin", "HEAD:refs/heads/exp")


LIMIT = ("[[tool.git-clearml.metrics]]", 'metric = "validation/accuracy"', "at-least = 0.8")
EVALUATION = ("[[tool.git-clearml.require]]", 'name = "evaluation"', 'task-name = "evaluate"')
TRAINING = ("[[tool.git-clearml.require]]", 'name = "train"', 'task-name = "train"')


def test_what_must_hold_is_not_deleted_or_renamed_by_the_push_that_it_holds_up(yard: Yard) -> None:
    """A metric, a requirement: those of the accepted side decide, whatever the pushed commit makes of them."""
    yard.repo.policy(*TRAINING, *EVALUATION, *LIMIT)
    yard.publish("main")
    metrics = {"validation": {"accuracy": 0.5}}
    renamed = [line.replace("validation/accuracy", "other/metric") for line in LIMIT]
    other = [line.replace("evaluat", "judg") for line in EVALUATION]
    for lines, wrong in (
        ((*TRAINING, *EVALUATION), "must be at least 0.8"),
        ((*TRAINING, *EVALUATION, *renamed), "must be at least 0.8"),
        ((*TRAINING, *EVALUATION, *LIMIT[:2], "at-least = 0.4"), "must be at least 0.8"),
        ((*TRAINING, *LIMIT), "evaluation"),
        ((*TRAINING, *other, *LIMIT), "evaluation"),
        ((), "evaluation"),
    ):
        yard.repo.policy(*lines)
        yard.task(name="train", metrics=metrics if wrong.startswith("must") else {"validation": {"accuracy": 0.9}})
        if wrong.startswith("must"):
            yard.task(name="evaluate", metrics={"validation": {"accuracy": 0.9}})
        assert wrong in yard.refuses("origin", "main", requests=3).said, lines
    yard.task(name="evaluate")
    yard.accepts("origin", "main", moved=["refs/heads/main"])  # the last one, without any policy, now decides
    yard.repo.commit("next")
    yard.task(name="anything")
    yard.accepts("origin", "main", moved=["refs/heads/main"])
