"""The results commit: what is in it, where it goes, and what becomes of it when something is in the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from git_clearml.clearml.model import Artifact, Result
from git_clearml.errors import CannotDecide, Interrupted, PublishFailed, Unreachable, UsageError
from git_clearml.git.repository import Repository
from git_clearml.model import Metric
from git_clearml.record import branch as results_branch
from git_clearml.record import lockfile as lock
from git_clearml.record import tree
from git_clearml.record.commit import ResultsPlan, plan
from git_clearml.record.model import RecordOptions
from git_clearml.record.push_commit import PushOutcome, execute
from git_clearml.record.unpushed import REFS as KEPT
from git_clearml.record.unpushed import Unpushed
from tests.support.clearml_server import ClearMLServer
from tests.support.program import process_environment
from tests.support.pushing import Yard, bare, make_yard, on_path, published_yard, refs_of, write_hook
from tests.support.repos import Repo, make_repo
from tests.support.tools import needs

NAME = "feature/\u00fcber gr\u00f6\u00dfe".replace(" ", "-")


def result(task: str = "a" * 32, **changes: Any) -> Result:
    """A completed task's result."""
    found = Result(
        task,
        name="train",
        project="Vision",
        status="completed",
        url="https://app.clear.ml/projects/p/experiments/a/output/log",
        parameters=(("Args/lr", "0.1"),),
        metrics=(Metric("validation", "accuracy", 0.9, 0.5, 0.9),),
        artifacts=(Artifact("final", "model", "s3://bucket/final.pt"),),
    )
    return replace(found, **changes)


@dataclass
class Desk:
    """A clone whose remote is `yard.remote`, and what was said to whoever records results there."""

    yard: Yard
    repo: Repo
    said: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    @property
    def repository(self) -> Repository:
        return Repository(str(self.repo.path))

    def plan(self, *results: Result, commit: str = "", **options: Any) -> ResultsPlan:
        environment = options.pop("environment", os.environ)
        target = options.pop("target", None)
        ran = commit or self.repo.head
        return plan(
            self.repository,
            ran,
            results or (result(),),
            RecordOptions(**options),
            environment=environment,
            target=target,
        )

    def execute(self, planned: ResultsPlan, **options: Any) -> PushOutcome:
        return execute(
            self.repository,
            planned,
            environment=os.environ,
            say=self.said.append,
            warn=self.warned.append,
            sleep=self.waits.append,
            **options,
        )

    def record(self, *results: Result, **options: Any) -> PushOutcome:
        return self.execute(self.plan(*results, **options))

    def remote(self, branch: str = "main") -> str:
        return refs_of(self.yard.remote)[f"refs/heads/{branch}"]

    def kept(self) -> dict[str, str]:
        return {ref: name for ref, name in refs_of(self.repo).items() if ref.startswith(KEPT)}

    def lock(self, rev: str) -> lock.Lock:
        return lock.from_text(self.repo.git("show", f"{rev}:clearml.lock"))

    def tasks(self, rev: str) -> set[str]:
        return {result.task for result in self.lock(rev).results}

    def changed(self, rev: str) -> list[str]:
        return self.repo.git("diff-tree", "-r", "--no-commit-id", "--name-only", rev).splitlines()

    def status(self) -> str:
        return self.repo.git("status", "--porcelain")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """main is pushed and tracked, and its commit has run."""
    with ClearMLServer() as server:
        yard = published_yard(tmp_path, server, 'results-paths = ["metrics/**", "dvc.lock"]')
        yard.task()
        yield Desk(yard, yard.repo)


@pytest.fixture
def guarded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The same, and our hook, each time a process of its own, guards every branch."""
    desk.yard.install()
    for name, value in desk.yard.environment().items():
        monkeypatch.setenv(name, value)
    desk.yard.server.reset_log()
    return desk


def other_clone(desk: Desk, path: Path) -> Repo:
    """Somebody else's clone, without our hook."""
    desk.repo.git("clone", "--quiet", str(desk.yard.remote.path), str(path))
    return Repo(path)


def moves_the_branch(desk: Desk, path: Path, files: dict[str, str] | None = None, branch: str = "main") -> str:
    """Somebody else pushes a commit, which has run; its hash."""
    clone = other_clone(desk, path)
    clone.git("checkout", "--quiet", branch)
    commit = clone.commit("elsewhere", files or {"other.py": "1"})
    clone.git("push", "--quiet", "origin", f"HEAD:{branch}")
    desk.yard.task(commit)
    return commit


# --- the commit


def test_results_of_the_checked_out_branch(desk: Desk) -> None:
    ran = desk.repo.head
    done = desk.record()
    tip = desk.remote()
    assert (done.action.value, done.commit) == ("pushed", tip)
    assert done.message == f"the results of {ran[:12]} are on origin/main: {tip[:12]}"
    assert desk.repo.git("rev-parse", f"{tip}^") == ran
    assert desk.repo.git("log", "-1", "--format=%B", tip) == "policy-results"
    assert desk.changed(tip) == ["clearml.lock"]
    assert desk.lock(tip) == lock.Lock(ran, (result(commit=ran),))
    assert (desk.repo.head, desk.status(), desk.kept()) == (tip, "", {})
    assert (desk.repo.path / "clearml.lock").read_text() == lock.to_text(ran, [result()])
    assert desk.repo.git("rev-parse", "origin/main") == tip


def test_the_results_commit_passes_our_hook_and_is_verified(guarded: Desk) -> None:
    desk = guarded
    assert desk.record().commit == desk.remote()
    assert desk.yard.server.calls() == ["tasks.get_all_ex"]  # the hook has asked, once
    assert desk.yard.command("verify", "--format", "json").commit["equivalence"] == "results"


def test_recorded_twice_is_recorded_once(desk: Desk) -> None:
    first = desk.record(commit=desk.repo.head)
    ran = desk.repo.git("rev-parse", "HEAD~1")
    again = desk.record(commit=ran)
    assert (again.action.value, again.commit) == ("unchanged", first.commit)
    assert again.message == f"the results of {ran[:12]} were already on origin/main: {first.commit[:12]}"
    assert (desk.remote(), desk.repo.head, desk.kept()) == (first.commit, first.commit, {})


def test_recorded_before_and_the_branch_went_on(desk: Desk, tmp_path: Path) -> None:
    ran = desk.repo.head
    (desk.repo.path / "dvc.lock").write_text("a")
    first = desk.record(add=("dvc.lock",))
    files = {"dvc.lock": "b", "clearml.lock": lock.to_text("c" * 40, [])}
    tip = moves_the_branch(desk, tmp_path / "other", files)
    desk.repo.git("checkout", "--quiet", ran)
    (desk.repo.path / "dvc.lock").write_text("a")
    again = desk.record(add=("dvc.lock",))
    assert (again.action.value, again.commit, desk.remote()) == ("unchanged", first.commit, tip)


def test_message_suffix_and_committer_and_no_secrets(desk: Desk) -> None:
    message = "T\u00e4glich: better\nwrapped\n\nWhy so.\n\nSigned-off-by: A <a@example.com>"
    desk.repo.commit(message, {"train.py": "2"})
    desk.yard.publish()
    environment = {"AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI"}
    shown = result(parameters=(("Args/key", "wJalrXUtnFEMI"),), artifacts=(Artifact("a", "artifact", "s3://u:p@b/a"),))
    options = {"suffix": "-done", "skip_ci": True, "committer": "R\u00f6bot <robot@example.com>"}
    done = desk.record(shown, environment=environment, **options)
    assert desk.repo.git("log", "-1", "--format=%B", done.commit) == (
        "T\u00e4glich: better\nwrapped-done\n\nWhy so.\n\nSigned-off-by: A <a@example.com>\n\n[skip ci]"
    )
    who = desk.repo.git("log", "-1", "--format=%an <%ae>|%cn <%ce>", done.commit)
    assert who == "R\u00f6bot <robot@example.com>|R\u00f6bot <robot@example.com>"
    text = (desk.repo.path / "clearml.lock").read_text()
    assert "wJalrXUtnFEMI" not in text
    assert "u:p@" not in text
    assert '"Args/key": "[secret]"' in text


def test_what_is_no_committer(desk: Desk) -> None:
    with pytest.raises(UsageError, match="not a committer"):  # which ones are none: test_commit.py
        desk.plan(committer="Robot")


def test_where_git_knows_nobody(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{who}_NAME")
        monkeypatch.delenv(f"GIT_{who}_EMAIL")
    desk.repo.git("config", "user.useConfigOnly", "true")
    done = desk.record()
    who = desk.repo.git("log", "-1", "--format=%an <%ae>|%cn <%ce>", done.commit)
    assert who == "git-clearml <git-clearml@users.invalid>|git-clearml <git-clearml@users.invalid>"


def test_a_clone_that_signs_its_commits_signs_this_one(desk: Desk) -> None:
    desk.repo.git("config", "commit.gpgSign", "true")
    desk.repo.git("config", "gpg.program", "false")
    with pytest.raises(CannotDecide, match="git commit-tree failed"):
        desk.record()
    desk.repo.git("config", "commit.gpgSign", "false")
    assert desk.record().action.value == "pushed"


# --- files added


def test_files_that_the_run_wrote(desk: Desk) -> None:
    desk.repo.write({"metrics/a.json": "{}", "metrics/sub/\u00fc b.json": "{}", "dvc.lock": "new", "notes.txt": "mine"})
    done = desk.record(add=("metrics", "dvc.lock"))
    assert desk.repo.git("diff-tree", "-r", "-z", "--no-commit-id", "--name-only", done.commit).split("\0")[:-1] == [
        "clearml.lock",
        "dvc.lock",
        "metrics/a.json",
        "metrics/sub/\u00fc b.json",
    ]
    assert (desk.status(), desk.warned, desk.repo.head) == ("?? notes.txt", [], done.commit)


def test_files_that_were_tracked(desk: Desk) -> None:
    desk.repo.commit("data", {"dvc.lock": "old", "metrics/old.json": "{}"})
    desk.yard.task()
    desk.yard.publish()
    desk.repo.write({"dvc.lock": "new"})
    (desk.repo.path / "metrics/old.json").unlink()
    done = desk.record(add=("dvc.lock", "metrics"))
    assert desk.changed(done.commit) == ["clearml.lock", "dvc.lock", "metrics/old.json"]
    assert (desk.status(), desk.repo.head) == ("", done.commit)


def test_paths_are_seen_from_the_current_directory(desk: Desk) -> None:
    desk.repo.write({"metrics/*.json": "{}", "metrics/b.json": "{}"})
    inside = Desk(desk.yard, Repo(desk.repo.path / "metrics"))
    done = inside.record(add=("*.json",))  # a name, no pattern
    assert desk.changed(done.commit) == ["clearml.lock", "metrics/*.json"]
    assert inside.record(commit=desk.repo.git("rev-parse", "HEAD^"), add=("*.json",)).action.value == "unchanged"


def test_what_is_in_the_index_stays_there(desk: Desk) -> None:
    desk.repo.write({"train.py": "print('next idea')", "half.txt": "done"})
    desk.repo.git("add", "train.py", "half.txt")
    desk.record()
    assert desk.status() == "A  half.txt\nM  train.py"


def test_files_with_which_it_will_not_verify(guarded: Desk) -> None:
    desk = guarded
    for path, add in (("data/dvc.lock", "data"), ("metrics/x.py", "metrics"), ("train.py", "train.py")):
        desk.repo.write({path: "new"})
        [warning] = desk.plan(add=(add,)).warnings
        assert f"it also changes {path}" in warning
        assert "results-paths" in warning
    with pytest.raises(Unpushed, match="does not take the results") as caught:  # our hook
        desk.record(add=("train.py",))
    assert desk.warned == [warning]
    assert any(line.startswith("rejected") for line in desk.said)
    assert desk.kept() == {KEPT + caught.value.commit[:12]: caught.value.commit}


def test_files_that_cannot_be_added(desk: Desk) -> None:
    (desk.repo.path / ".git/info/exclude").write_text("ignored.txt\n")
    desk.repo.write({"ignored.txt": ""})
    for path in ("ignored.txt", "../repo2"):
        with pytest.raises(UsageError, match="--add"):
            desk.plan(add=(path,))


def filtered(desk: Desk, name: str, **settings: str) -> None:
    """A commit whose .gitattributes sends *.bin through a filter, with these settings of it here."""
    desk.repo.commit("attributes", {".gitattributes": f"*.bin filter={name} -text\n"})
    desk.repo.git("push", "--quiet", "origin", "HEAD")
    for key, value in settings.items():
        desk.repo.git("config", f"filter.{name}.{key}", value)
    desk.repo.write({"out/model.bin": "weights\n"})


def test_a_file_whose_filter_is_not_set_up_is_refused(desk: Desk) -> None:
    filtered(desk, "mine.v2")
    hints = {"mine.v2": "git config", "lfs": "git lfs install", "git-crypt": "git-crypt unlock"}
    for name in ("mine.v2", *hints, "nbstripout"):
        if name in hints:
            desk.repo.git("config", f"filter.{name}.smudge", "cat")
            desk.repo.git("config", f"filter.{name}.clean", "")
        desk.repo.write({f"out/{name}/.gitattributes": f"*.bin filter={name}\n", f"out/{name}/x.bin": "weights\n"})
        with pytest.raises(UsageError, match="its plain content would be committed") as refused:
            desk.plan(add=(f"out/{name}",))
        assert refused.value.hint.startswith(hints.get(name, "nbstripout --install"))


def test_a_filter_that_fails_ends_it_whether_it_is_required_or_not(desk: Desk) -> None:
    filtered(desk, "mine", clean="false")
    for key, value in (("clean", "no-such-program"), ("process", "false")):
        with pytest.raises(UsageError, match="--add"):
            desk.plan(add=("out",))
        desk.repo.git("config", "--remove-section", "filter.mine")
        desk.repo.git("config", f"filter.mine.{key}", value)
    with pytest.raises(UsageError, match="--add"):
        desk.plan(add=("out",))


def test_a_filter_that_is_set_up_is_used(desk: Desk) -> None:
    filtered(desk, "mine", clean="sed s/weights/pointer/")
    (change,) = desk.plan(add=("out",)).changes
    assert desk.repo.git("cat-file", "blob", change.after[1]) == "pointer"
    desk.repo.write({"out/text.txt": "plain\n"})  # no filter's
    assert len(desk.plan(add=("out",)).changes) == 2


def test_attributes_that_the_commit_will_not_have(desk: Desk) -> None:
    """The filter is named by an uncommitted .gitattributes, or has been taken away by one."""
    filtered(desk, "mine", clean="cat")
    desk.repo.write({".gitattributes": ""})
    with pytest.raises(UsageError, match="by those of the commit"):
        desk.plan(add=("out",))
    assert desk.plan(add=("out", ".gitattributes")).changes
    desk.repo.commit("without", {".gitattributes": ""})
    desk.repo.git("push", "--quiet", "origin", "HEAD")
    desk.repo.write({".gitattributes": "*.bin filter=mine\n", "out/model.bin": "others\n"})
    with pytest.raises(UsageError, match="by those of the commit"):
        desk.plan(add=("out",))


@needs("git-lfs")
def test_git_lfs_itself(desk: Desk) -> None:
    filtered(desk, "lfs")
    with pytest.raises(UsageError, match="filter 'lfs'") as refused:
        desk.plan(add=("out",))
    subprocess.run(refused.value.hint.split(), cwd=desk.repo.path, check=True, capture_output=True)
    (change,) = desk.plan(add=("out",)).changes
    assert desk.repo.git("cat-file", "blob", change.after[1]).startswith("version https://git-lfs")


def test_a_bare_repository_has_no_files_to_add(desk: Desk, tmp_path: Path) -> None:
    desk.repo.git("clone", "--quiet", "--bare", str(desk.yard.remote.path), str(tmp_path / "bare"))
    other = Desk(desk.yard, Repo(tmp_path / "bare"))
    with pytest.raises(UsageError, match="bare"):
        other.plan(add=("dvc.lock",))
    assert other.record().action.value == "pushed"


def test_the_lock_itself_is_ours_to_write(desk: Desk) -> None:
    desk.repo.write({"clearml.lock": "forged"})
    assert desk.plan(add=("clearml.lock",)).changes == ()


# --- the branch


def test_a_detached_head_at_a_tag(desk: Desk) -> None:
    """Whatever is configured for pushes."""
    ran = desk.repo.head
    desk.repo.git("tag", "-a", "-m", "run-1", "run-1")
    desk.repo.git("config", "push.followTags", "true")
    desk.repo.git("config", "remote.origin.mirror", "true")
    desk.repo.git("checkout", "--quiet", "run-1")
    desk.repo.write({"dvc.lock": "new"})
    done = desk.record(add=("dvc.lock",))
    assert (done.action.value, done.commit) == ("pushed", desk.remote())
    assert (desk.repo.head, desk.status()) == (ran, "?? dvc.lock")
    assert refs_of(desk.yard.remote).keys() == {"refs/heads/main"}  # no tag went along


def test_a_tag_below_the_tip(desk: Desk, tmp_path: Path) -> None:
    ran = desk.repo.head
    tip = moves_the_branch(desk, tmp_path / "other")
    desk.repo.git("checkout", "--quiet", "--detach")
    done = desk.record()
    assert desk.repo.git("rev-parse", f"{done.commit}^") == tip
    assert desk.lock(done.commit).commit == ran
    assert desk.repo.git("log", "-1", "--format=%s", done.commit) == "policy-results"


def test_a_shallow_clone_of_a_tag(desk: Desk, tmp_path: Path) -> None:
    """What actions/checkout makes."""
    desk.repo.git("tag", "run-1")
    desk.repo.git("push", "--quiet", "--no-verify", "origin", "run-1")
    desk.repo.git("push", "--quiet", "--no-verify", "origin", "HEAD:refs/heads/git-clearml/123456789abc-12345678")
    unrelated = other_clone(desk, tmp_path / "unrelated")
    unrelated.git("checkout", "--quiet", "--orphan", "pages")
    unrelated.commit("pages")
    unrelated.git("push", "--quiet", "origin", "pages")
    tip = moves_the_branch(desk, tmp_path / "other")
    url = f"file://{desk.yard.remote.path}"
    desk.repo.git("clone", "--quiet", "--depth", "1", "--branch", "run-1", url, str(tmp_path / "ci"))
    ci = Desk(desk.yard, Repo(tmp_path / "ci"))
    done = ci.record()
    assert ci.repo.git("rev-parse", f"{done.commit}^") == tip
    assert desk.remote() == done.commit


def test_no_branch_contains_it(desk: Desk) -> None:
    desk.repo.git("checkout", "--quiet", "--detach")
    lonely = desk.repo.commit("experiment", {"train.py": "2"})
    desk.yard.task()
    with pytest.raises(UsageError, match="no branch of origin contains") as caught:
        desk.record()
    assert "--branch <name>" in caught.value.hint
    desk.repo.git("checkout", "--quiet", "-b", "experiments/one")
    with pytest.raises(UsageError) as caught:
        desk.record()
    assert "--branch experiments/one" in caught.value.hint, "the gate may let nobody push it first"
    desk.repo.git("checkout", "--quiet", "--detach")
    done = desk.record(branch="experiments/one")  # a new one
    assert desk.remote("experiments/one") == done.commit
    assert desk.repo.git("rev-parse", f"{done.commit}^") == lonely


def test_a_commit_that_is_not_pushed_yet_goes_along_where_the_branch_is_named(desk: Desk) -> None:
    ran = desk.repo.commit("next", {"train.py": "2"})
    desk.yard.task()
    with pytest.raises(UsageError, match="no branch"):
        desk.record()
    done = desk.record(branch="main")
    assert desk.repo.git("rev-parse", f"{done.commit}^") == ran
    assert (desk.remote(), desk.repo.head, desk.status()) == (done.commit, done.commit, "")


def test_a_branch_that_the_remote_lacks_is_a_typing_error(desk: Desk) -> None:
    name, near = "mian", "; near it: main"
    for branch, shown in (("refs/heads/mian", name + near), ("x", "x")):
        with pytest.raises(UsageError) as caught:
            desk.plan(branch=branch)
        assert caught.value.message == f"origin has no branch {shown}"
        assert f"git branch {shown.partition(';')[0]} {desk.repo.head[:12]}" in caught.value.hint
    ran = desk.repo.head
    desk.repo.git("branch", name)
    desk.repo.git("branch", "other", "HEAD^")
    assert desk.record(branch=name, commit=ran).action.value == "pushed"
    with pytest.raises(UsageError, match="no branch other"):  # it does not contain the commit
        desk.record(branch="other", commit=ran)
    assert refs_of(desk.yard.remote).keys() == {"refs/heads/main", f"refs/heads/{name}"}


def test_two_branches_contain_it(desk: Desk, tmp_path: Path) -> None:
    desk.yard.publish(f"main:refs/heads/{NAME}")
    desk.repo.git("checkout", "--quiet", "--detach")
    desk.repo.git("remote", "set-head", "origin", "main")
    with pytest.raises(UsageError, match="2 branches of origin contain") as caught:
        desk.record()
    assert caught.value.message.endswith(f": {NAME}, main")
    assert "--branch" in caught.value.hint
    done = desk.record(branch=f"refs/heads/{NAME}")
    assert (desk.remote(NAME), desk.remote()) == (done.commit, desk.repo.head)


def test_of_several_the_checked_out_one_that_tracks(desk: Desk) -> None:
    desk.yard.publish(f"main:refs/heads/{NAME}", "main:refs/heads/other")
    desk.repo.git("fetch", "--quiet")
    desk.repo.git("checkout", "--quiet", "-b", "mine", "--track", f"origin/{NAME}")
    done = desk.record()
    assert (desk.remote(NAME), desk.repo.head, desk.status()) == (done.commit, done.commit, "")
    desk.repo.git("checkout", "--quiet", "-b", "untracked", "HEAD^")
    with pytest.raises(UsageError, match="3 branches"):
        desk.record()


def test_a_branch_that_does_not_contain_it(desk: Desk, tmp_path: Path) -> None:
    ran = desk.repo.head
    clone = other_clone(desk, tmp_path / "other")
    clone.git("checkout", "--quiet", "--orphan", "pages")
    tip = clone.commit("pages", {"train.py": "other"})
    clone.git("push", "--quiet", "origin", "pages")
    desk.yard.task(tip)
    desk.repo.git("checkout", "--quiet", "--detach")
    done = desk.record(branch="pages")
    assert desk.repo.git("rev-parse", f"{done.commit}^") == tip
    assert desk.said == [f"origin/pages does not contain {ran[:12]}: the results will stand on other code"]
    assert desk.record(branch="pages").action.value == "unchanged"


def test_what_is_no_branch(desk: Desk) -> None:
    for branch in ("a..b", "refs/heads/"):
        with pytest.raises(UsageError, match="not the name of a branch"):
            desk.plan(branch=branch)


def test_no_remote_at_all(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", remote="")
    with pytest.raises(UsageError, match="no remote"):
        plan(Repository(str(repo.path)), repo.head, [result()], RecordOptions(), environment={})


def test_a_remote_that_does_not_answer_is_named_without_its_password(desk: Desk) -> None:
    desk.repo.git("remote", "set-url", "origin", "https://me:s3cret@127.0.0.1:1/x.git")
    with pytest.raises(Unreachable) as caught:
        desk.plan()
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_a_branch_that_is_gone_before_the_push_is_not_made_again(desk: Desk) -> None:
    planned = desk.plan()
    desk.yard.remote.git("update-ref", "-d", "refs/heads/main")
    with pytest.raises(PublishFailed, match=r"does not contain \w+ any more"):
        desk.execute(planned)
    assert refs_of(desk.yard.remote) == {}


# --- others at it too


def test_the_branch_moves_during_the_push(desk: Desk, tmp_path: Path) -> None:
    ran = desk.repo.head
    clone = other_clone(desk, tmp_path / "other")
    tip = clone.commit("elsewhere", {"other.py": "1"})
    desk.yard.task(tip)
    log = tmp_path / "log"
    command = f"echo once >>'{log}'; git -C '{clone.path}' push --quiet origin main"
    done = desk.record(before_push=command)
    assert desk.repo.git("rev-parse", f"{done.commit}^", f"{tip}^").splitlines() == [tip, ran]
    assert (done.action.value, desk.remote()) == ("pushed", done.commit)
    assert log.read_text() == "once\n"
    assert (desk.repo.head, desk.status(), desk.kept()) == (done.commit, "", {})
    assert "origin/main moved before the results were pushed; trying again" in desk.said


def test_a_branch_that_never_rests(desk: Desk, tmp_path: Path) -> None:
    clone = other_clone(desk, tmp_path / "other")
    write_hook(
        desk.yard.hook,
        f"#!/bin/sh\ncd '{clone.path}' && unset GIT_DIR\ngit commit -q --allow-empty -m again && git push -q\n",
    )
    with pytest.raises(Unpushed, match="origin/main moved during each of 5 push attempts") as caught:
        desk.record()
    assert len(desk.waits) == 5
    assert caught.value.commit in desk.kept().values()


def test_somebody_elses_results_of_another_commit_are_replaced(desk: Desk, tmp_path: Path) -> None:
    tip = moves_the_branch(desk, tmp_path / "other", {"clearml.lock": lock.to_text("c" * 40, [result("b" * 32)])})
    done = desk.record()
    assert desk.tasks(done.commit) == {"a" * 32}
    assert desk.tasks(tip) == {"b" * 32}  # in the history


def test_a_lock_that_nobody_can_read_is_replaced(desk: Desk, tmp_path: Path) -> None:
    clone = other_clone(desk, tmp_path / "other")
    for content in (b"<<<<<<< ours", b"\xff"):  # more of what nobody can read: test_lockfile.py
        (clone.path / "clearml.lock").write_bytes(content)
        tip = clone.commit("odd")
        assert tree.lock_at(Repository(str(clone.path)), tip) is None
    clone.git("push", "--quiet", "origin", "main")
    assert desk.tasks(desk.record().commit) == {"a" * 32}


def test_two_tasks_of_one_commit_are_both_kept(desk: Desk) -> None:
    ran = desk.repo.head
    desk.record(result("b" * 32))
    done = desk.record(result("a" * 32), commit=ran)
    assert desk.tasks(done.commit) == {"a" * 32, "b" * 32}
    assert desk.record(result("b" * 32), commit=ran).action.value == "unchanged"


@pytest.mark.slow
def test_a_sweep_over_one_commit(desk: Desk) -> None:
    ran = desk.repo.head
    tasks = [f"{number:032x}" for number in range(12)]
    assert [desk.record(result(task), commit=ran).action.value for task in tasks] == ["pushed"] * 12
    assert desk.tasks(desk.remote()) == set(tasks)


def test_several_record_at_once(desk: Desk, tmp_path: Path) -> None:
    ran, places = desk.repo.head, ("one", "one", "another")
    clones = {place: other_clone(desk, tmp_path / f"clone {place}") for place in set(places)}
    desks = [Desk(desk.yard, clones[place]) for place in places]
    start = threading.Barrier(len(desks))
    found: list[PushOutcome] = []

    def record(one: Desk, task: str) -> None:
        planned = one.plan(result(task))
        start.wait()
        found.append(one.execute(planned))

    threads = [
        threading.Thread(target=record, args=(each, letter * 32)) for each, letter in zip(desks, "abc", strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [done.action.value for done in found] == ["pushed"] * 3
    desk.repo.git("fetch", "--quiet")
    assert desk.tasks("origin/main") == {"a" * 32, "b" * 32, "c" * 32}
    assert desk.repo.git("rev-list", "--count", f"{ran}..origin/main") == "3"


def test_a_file_that_somebody_changed_in_another_way(desk: Desk, tmp_path: Path) -> None:
    ran = desk.repo.head
    tip = moves_the_branch(desk, tmp_path / "other", {"dvc.lock": "theirs"})
    desk.repo.write({"dvc.lock": "ours"})
    with pytest.raises(Unpushed, match=r"dvc\.lock has been changed on origin/main in another way") as caught:
        desk.record(add=("dvc.lock",))
    made = caught.value.commit
    assert (caught.value.status, made in caught.value.message, made[:12] in caught.value.hint) == (3, True, True)
    assert (desk.remote(), desk.repo.head, desk.status()) == (tip, ran, "?? dvc.lock")
    assert desk.repo.git("show", f"{made}:dvc.lock") == "ours"
    assert desk.repo.git("rev-parse", f"{made}^") == ran
    assert desk.kept() == {KEPT + made[:12]: made}


def test_a_file_that_somebody_changed_in_the_same_way(desk: Desk, tmp_path: Path) -> None:
    moves_the_branch(desk, tmp_path / "other", {"dvc.lock": "same"})
    desk.repo.write({"dvc.lock": "same"})
    done = desk.record(add=("dvc.lock",))
    assert (desk.changed(done.commit), desk.status(), desk.repo.head) == (["clearml.lock"], "", done.commit)


# --- the working tree


def test_a_branch_with_commits_of_its_own_stays(desk: Desk) -> None:
    ran = desk.repo.head
    mine = desk.repo.commit("next", {"next.py": "1"})
    desk.record(commit=ran)
    assert desk.said == ["main has commits that origin/main lacks: git pull --rebase gets the results"]
    assert (desk.repo.head, desk.status()) == (mine, "")


def test_a_file_in_the_way_stays(desk: Desk) -> None:
    ran = desk.repo.head
    desk.repo.write({"clearml.lock": "mine"})
    done = desk.record()
    assert done.action.value == "pushed"
    assert desk.said[0].startswith("main does not follow: ")
    assert desk.said[0].endswith("git pull gets the results")
    assert ((desk.repo.path / "clearml.lock").read_text(), desk.repo.head) == ("mine", ran)


def test_where_the_branch_does_not_follow_the_index_stays(tmp_path: Path) -> None:
    kind = "--object-format=sha256"
    remote = bare(tmp_path / "remote.git", kind)
    repo = make_repo(tmp_path / "repo", {"train.py": "1", "dvc.lock": "old"}, remote=str(remote.path), options=(kind,))
    repo.git("push", "--quiet", "--set-upstream", "origin", "main")
    with ClearMLServer() as server:
        desk = Desk(Yard(repo, remote, server), repo)
        files = {"dvc.lock": "new", "metrics/m.json": "{}", "metrics/\u00fc b.json": "{}"}
        repo.write({**files, "dvc.lock": "half"})
        repo.git("add", "dvc.lock")
        repo.write(files)
        ran = repo.head
        planned = desk.plan(add=("metrics", "dvc.lock"))
        clone = other_clone(desk, tmp_path / "other")
        clone.commit("elsewhere", {"train.py": "theirs"})
        clone.git("push", "--quiet", "origin", "main")
        repo.write({"train.py": "mine, while I wait"})
        before = (desk.status(), repo.git("ls-files", "--stage"))
        assert desk.execute(planned).action.value == "pushed"
        assert (desk.status(), repo.git("ls-files", "--stage"), repo.head) == (*before, ran)
        assert desk.said == [
            "main does not follow: Your local changes to the following files would be overwritten by merge: train.py; "
            "git pull gets the results"
        ]


def test_a_linked_worktree(desk: Desk, tmp_path: Path) -> None:
    desk.repo.git("checkout", "--quiet", "--detach")
    desk.repo.git("worktree", "add", "--quiet", str(tmp_path / "linked"), "main")
    linked = Desk(desk.yard, Repo(tmp_path / "linked"))
    done = linked.record()
    assert (linked.repo.head, linked.status()) == (done.commit, "")
    assert desk.status() == ""


# --- nothing to record, or nowhere


def test_a_task_that_did_not_complete_has_no_results(desk: Desk) -> None:
    done = desk.execute(desk.plan(result(), result("b" * 32, status="failed")))
    assert (done.action.value, done.commit, desk.kept()) == ("refused", "", {})
    assert "b" * 32 in done.message


def test_a_plan_changes_nothing(desk: Desk) -> None:
    before = (refs_of(desk.repo), refs_of(desk.yard.remote), desk.status())
    desk.repo.write({"dvc.lock": "new"})
    planned = desk.plan(add=("dvc.lock",), before_push="dvc push")
    assert (planned.paths, planned.message) == (["clearml.lock", "dvc.lock"], "policy-results\n")
    assert (refs_of(desk.repo), refs_of(desk.yard.remote), desk.status()) == (*before[:2], "?? dvc.lock")


def test_what_is_kept_is_forgotten_when_all_of_it_is_there(desk: Desk) -> None:
    desk.repo.write({"metrics/m.json": "{}"})
    with pytest.raises(Unpushed) as caught:
        desk.record(add=("metrics",), before_push="false")
    ran = desk.repo.head
    desk.record(commit=ran)  # the lock alone
    assert list(desk.kept().values()) == [caught.value.commit]
    desk.repo.write({"metrics/m.json": "{}"})
    done = desk.record(result(), result("b" * 32), commit=ran, add=("metrics",))
    assert (done.action.value, desk.kept()) == ("pushed", {})


def test_a_push_that_is_refused_keeps_the_commit(desk: Desk) -> None:
    ran = desk.repo.head
    protection = write_hook(
        desk.yard.remote.path / "hooks" / "pre-receive", "#!/bin/sh\necho 'protected \x1b[31mbranch' >&2\nexit 1\n"
    )
    with pytest.raises(Unpushed, match=r"does not take the results: .*pre-receive hook declined") as caught:
        desk.record()
    error = caught.value
    assert (error.status, error.code, error.commit in error.message) == (3, "publish-failed", True)
    assert error.hint == f"fix that, then git push origin {error.commit[:12]}:refs/heads/main"
    assert any("protected" in line for line in desk.said)
    assert desk.kept() == {KEPT + error.commit[:12]: error.commit}
    assert (desk.remote(), desk.repo.head, desk.status()) == (ran, ran, "")
    protection.unlink()
    again = desk.record()
    assert (again.action.value, again.commit, desk.kept()) == ("pushed", error.commit, {})


def test_our_own_hook_refuses_results_of_what_never_ran(guarded: Desk) -> None:
    desk = guarded
    desk.repo.commit("never ran", {"train.py": "2"})
    desk.yard.publish()
    before = desk.remote()
    with pytest.raises(Unpushed, match="does not take the results"):
        desk.record()
    assert desk.remote() == before


def test_the_command_before_the_push(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    desk.record(before_push="echo pushing data; git --version")
    out, err = capfd.readouterr()
    assert (out, "pushing data" in err) == ("", True)
    assert desk.said[0].startswith("before the push: echo pushing data")


def test_a_command_that_fails_stops_the_push(desk: Desk) -> None:
    ran = desk.repo.head
    with pytest.raises(Unpushed, match="'exit 7' ended with exit status 7") as caught:
        desk.record(before_push="exit 7")
    assert (desk.remote(), caught.value.status) == (ran, 3)
    assert desk.kept() == {KEPT + caught.value.commit[:12]: caught.value.commit}
    assert desk.record(before_push="true").commit == caught.value.commit


def test_a_command_that_is_interrupted(desk: Desk) -> None:
    with pytest.raises(Interrupted) as caught:
        desk.record(before_push="kill -INT $$")
    assert caught.value.status == 130
    assert len(desk.kept()) == 1


def test_a_command_is_ended_with_us(desk: Desk, tmp_path: Path) -> None:
    def interrupt(_: int, frame: FrameType | None) -> None:
        while frame and frame.f_code.co_name != "wait":  # only while the command is waited for
            frame = frame.f_back
        if frame:
            raise Interrupted(143)

    command = f"echo $$ >'{tmp_path}/pid'; while kill -USR1 {os.getpid()}; do sleep 0.1; done"
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(Interrupted):
            desk.record(before_push=command)
    finally:
        signal.signal(signal.SIGUSR1, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_network_that_is_gone_after_the_run(desk: Desk) -> None:
    target = results_branch.find(desk.repository, desk.repo.head, timeout=10)
    desk.repo.git("remote", "set-url", "origin", str(desk.repo.path / "gone"))
    gone = target.remote._replace(url=str(desk.repo.path / "gone"))
    planned = desk.plan(target=target._replace(remote=gone))
    with pytest.raises(Unpushed, match="the refs of origin cannot be listed") as caught:
        desk.execute(planned)
    assert desk.tasks(caught.value.commit) == {"a" * 32}


def test_a_push_that_takes_too_long(desk: Desk) -> None:
    write_hook(desk.yard.hook, "#!/bin/sh\nexec sleep 60\n")
    times = iter([0.0, 0.0, *[119.9] * 100])
    with pytest.raises(Unpushed, match="did not answer within") as caught:
        desk.execute(desk.plan(), clock=lambda: next(times))
    assert caught.value.commit in desk.kept().values()


def test_sha256(tmp_path: Path) -> None:
    with ClearMLServer() as server:
        yard = make_yard(tmp_path, server, "--object-format=sha256")
        yard.publish("--set-upstream", "main")
        desk = Desk(yard, yard.repo)
        done = desk.record()
        assert (len(done.commit), done.action.value, desk.status()) == (64, "pushed", "")


# --- kills

RECORDER = """
import os, sys
from git_clearml.git.repository import Repository
from git_clearml.clearml.model import Result
from git_clearml.record.commit import plan
from git_clearml.record.model import RecordOptions
from git_clearml.record.push_commit import execute
repository, options = Repository(), RecordOptions(add=("dvc.lock",))
planned = plan(repository, sys.argv[1], [Result("a" * 32, status="completed")], options, environment={})
done = execute(repository, planned, environment=os.environ, say=print, warn=print)
print(done.action.value)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("when", "command"),
    [
        ("before", "write-tree"),
        ("after", "update-ref"),
        ("before", "push"),
        ("after", "push"),
        ("after", "update-index --add"),
        ("after", "merge "),
    ],
)
def test_killed_at_any_point_it_ends_the_same(desk: Desk, tmp_path: Path, when: str, command: str) -> None:
    """A `git` that kills who called it, once: before or after it does what it was called for."""
    ran = desk.repo.head
    desk.repo.write({"dvc.lock": "new"})
    real = subprocess.run(["sh", "-c", "command -v git"], capture_output=True, text=True, check=True).stdout.strip()
    marker = tmp_path / "killed"
    kill = f"test -e '{marker}' || {{ : >'{marker}'; kill -9 $PPID; exit 1; }}"
    steps = f'"{real}" "$@"; {kill}; exit' if when == "after" else f'{kill}; exec "{real}" "$@"'
    write_hook(
        tmp_path / "bin" / "git", f'#!/bin/sh\ncase " $* " in *" {command}"*) {steps};; esac\nexec "{real}" "$@"\n'
    )
    words = [sys.executable, "-c", RECORDER, ran]
    env = process_environment({"PATH": on_path(tmp_path / "bin")})
    first = subprocess.run(words, cwd=desk.repo.path, env=env, capture_output=True, text=True, check=False)
    assert first.returncode == -signal.SIGKILL, first.stderr
    second = subprocess.run(words, cwd=desk.repo.path, env=env, capture_output=True, text=True, check=False)
    assert second.stdout.splitlines()[-1:] in (["pushed"], ["unchanged"]), second.stderr
    tip = desk.remote()
    assert desk.repo.git("rev-parse", f"{tip}^") == ran
    assert desk.changed(tip) == ["clearml.lock", "dvc.lock"]
    assert (desk.repo.head, desk.status(), desk.kept()) == (tip, "", {})
