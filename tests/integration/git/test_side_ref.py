"""Side refs: pushed through real hooks to real remotes, recorded, deleted, swept; and nothing else touched."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from git_clearml.base import process as processes
from git_clearml.errors import CannotDecide, PublishFailed, TimedOut, Unreachable
from git_clearml.git import remote as remotes
from git_clearml.git import side_ref as side_refs
from git_clearml.git.remote import Remote
from git_clearml.git.repository import Repository
from git_clearml.git.side_ref import SideRef
from tests.support.clearml_server import ClearMLServer
from tests.support.git_http import GitServer
from tests.support.program import process_environment
from tests.support.pushing import Yard, bare, make_yard, recorder, refs_of, write_hook
from tests.support.repos import Repo, make_repo
from tests.support.tools import require

NOW = 1767323045.0


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    """A clone, a bare remote that has the first commit, and a second commit that it lacks."""
    with ClearMLServer() as server:
        yard = make_yard(tmp_path / "a place", server)
        for name, value in yard.environment().items():  # for the hooks of our own pushes
            monkeypatch.setenv(name, value)
        yard.publish()
        yard.repo.commit("second", {"train.py": "print('second')\n"})
        yield yard


def opened(yard: Yard) -> Repository:
    return Repository(str(yard.repo.path))


def origin(yard: Yard) -> Remote:
    found = remotes.pushed_to(opened(yard))
    assert found is not None
    return found


def push(yard: Yard, commit: str = "", remote: Remote | None = None, **options: float) -> SideRef:
    return side_refs.push(opened(yard), remote or origin(yard), commit or yard.repo.head, clock=lambda: NOW, **options)


def side(repo: Repo) -> dict[str, str]:
    """The refs of a remote, but for main."""
    return {ref: name for ref, name in refs_of(repo).items() if ref != "refs/heads/main"}


def records(yard: Yard) -> list[Path]:
    return sorted((yard.repo.path / ".git/clearml/side-refs").iterdir())


def local(yard: Yard) -> list[str]:
    return yard.repo.git("for-each-ref", "--format=%(refname)").splitlines()


# There and back -------------------------------------------------------------------------------------------------------


def test_there_and_back(yard: Yard) -> None:
    repository, head, before = opened(yard), yard.repo.head, local(yard)
    made = push(yard)
    assert side(yard.remote) == {made.ref: head}
    assert made.ref.startswith(f"refs/heads/git-clearml/{head[:12]}-")
    assert made == SideRef(
        made.ref, "origin", str(yard.remote.path), head, "", os.getpid(), processes.started(os.getpid()),
        processes.here(), NOW, NOW + 86400.0,
    )  # fmt: skip
    (record,) = records(yard)
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert side_refs.recorded(repository) == [made]
    assert local(yard) == before  # no tracking ref either
    side_refs.delete(repository, made)
    assert (side(yard.remote), records(yard), local(yard)) == ({}, [], before)
    side_refs.delete(repository, made)  # once more is no harm


def test_two_of_one_commit(yard: Yard) -> None:
    one, other = push(yard), push(yard)
    assert set(side(yard.remote)) == {one.ref, other.ref}
    side_refs.delete(opened(yard), one)
    assert side_refs.recorded(opened(yard)) == [other]
    assert set(side(yard.remote)) == {other.ref}


def test_many_at_once(yard: Yard) -> None:
    made: list[SideRef] = []
    threads = [threading.Thread(target=lambda: made.append(push(yard))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (
        set(side(yard.remote)) == {each.ref for each in made} == {ref.ref for ref in side_refs.recorded(opened(yard))}
    )


def test_gone_from_the_remote_already(yard: Yard) -> None:
    made = push(yard)
    yard.remote.git("update-ref", "-d", made.ref)
    side_refs.delete(opened(yard), made)
    assert records(yard) == []


def test_moved_by_somebody(yard: Yard) -> None:
    made, first = push(yard), yard.repo.git("rev-parse", "HEAD^")
    yard.remote.git("update-ref", made.ref, first)
    with pytest.raises(PublishFailed, match=f"was moved to {first[:12]}, and is left alone") as said:
        side_refs.delete(opened(yard), made)
    assert f"git push origin --delete {made.ref}" in said.value.hint
    assert side(yard.remote) == {made.ref: first}
    assert side_refs.recorded(opened(yard)) == [made]


def test_fetched_by_its_own_clone_meanwhile(yard: Yard) -> None:
    """A tracking ref that a fetch has made goes with the ref."""
    before, made = local(yard), push(yard)
    yard.repo.git("fetch", "--quiet", "origin")
    assert len(local(yard)) == len(before) + 1
    side_refs.delete(opened(yard), made)
    assert [ref for ref in local(yard) if "git-clearml" in ref] == []


def test_sha256(tmp_path: Path) -> None:
    with ClearMLServer() as server:
        yard = make_yard(tmp_path, server, "--object-format=sha256")
        made = push(yard)
        assert side(yard.remote) == {made.ref: yard.repo.head}
        assert side_refs.recorded(opened(yard)) == [made]
        side_refs.delete(opened(yard), made)
        assert side(yard.remote) == {}


def test_from_a_worktree(yard: Yard, tmp_path: Path) -> None:
    """The record belongs to the clone, whichever worktree made it."""
    worktree = replace(yard, repo=yard.repo.worktree(tmp_path / "worktree"))
    made = push(worktree)
    assert side_refs.recorded(opened(yard)) == [made]
    side_refs.delete(opened(yard), made)
    assert side(yard.remote) == {}


# Whatever is configured for pushes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        (  # all at once: what holds one of them off does it for each
            "remote.origin.mirror=true",
            "push.followTags=true",
            "push.recurseSubmodules=on-demand",
            "submodule.recurse=true",
            "push.pushOption=merge_request.create",
            "push.autoSetupRemote=true",
            "push.default=nothing",
            "push.gpgSign=if-asked",
            "remote.origin.prune=true",
            "fetch.prune=true",
            "color.ui=always",
            "advice.pushUpdateRejected=false",
            "push.useForceIfIncludes=true",
        ),
        ("remote.origin.push=refs/heads/*:refs/heads/*", "push.default=matching"),
    ],
    ids=lambda settings: settings[0],
)
def test_nothing_but_the_one_ref(yard: Yard, tmp_path: Path, settings: tuple[str, ...]) -> None:
    yard.repo.git("tag", "-a", "-m", "x", "v1")
    yard.repo.git("branch", "topic")
    yard.remote.git("branch", "theirs", "main")
    yard.remote.git("config", "receive.advertisePushOptions", "true")
    told = tmp_path / "told"
    script = f"#!/bin/sh\necho \"$GIT_PUSH_OPTION_COUNT\" >>'{told}'\n"
    write_hook(yard.remote.path / "hooks/pre-receive", script)
    for setting in settings:
        yard.repo.git("config", *setting.split("=", 1))
    before = refs_of(yard.remote)
    made = push(yard)
    assert refs_of(yard.remote) == {**before, made.ref: yard.repo.head}
    side_refs.delete(opened(yard), made)
    assert refs_of(yard.remote) == before
    assert told.read_text().split() == ["0", "0"]
    assert [ref for ref in local(yard) if "git-clearml" in ref] == []


def test_a_moved_submodule_does_not_go_along(yard: Yard, tmp_path: Path) -> None:
    inner_remote = bare(tmp_path / "inner.git")
    inner = make_repo(tmp_path / "inner", remote=str(inner_remote.path))
    inner.git("push", "--quiet", "origin", "main")
    yard.repo.git("-c", "protocol.file.allow=always", "submodule", "add", "--quiet", str(inner_remote.path), "inner")
    yard.repo.commit("with a submodule")
    Repo(yard.repo.path / "inner").commit("not pushed")
    yard.repo.commit("moved")
    yard.repo.git("config", "push.recurseSubmodules", "check")
    before = refs_of(inner_remote)
    made = push(yard)
    assert side(yard.remote) == {made.ref: yard.repo.head}
    assert refs_of(inner_remote) == before


def test_several_push_urls(yard: Yard, tmp_path: Path) -> None:
    """The first alone, which is what agents are told to clone."""
    second = bare(tmp_path / "second.git")
    for url in (yard.remote.path, second.path):
        yard.repo.git("remote", "set-url", "--push", "--add", "origin", str(url))
    made = push(yard)
    assert side(yard.remote) == {made.ref: yard.repo.head}
    assert refs_of(second) == {}
    side_refs.delete(opened(yard), made)
    assert side(yard.remote) == {}


def test_odd_names_of_remotes(yard: Yard) -> None:
    name = "my.größe=b"
    yard.repo.git("remote", "rename", "origin", name)
    yard.repo.git("config", f"remote.{name}.mirror", "true")
    made = push(yard)
    assert made.remote == name
    assert side_refs.recorded(opened(yard)) == [made]
    side_refs.delete(opened(yard), made)
    assert side(yard.remote) == {}


def test_a_url_without_a_name(yard: Yard) -> None:
    yard.repo.git("remote", "remove", "origin")
    url = f"file://{yard.remote.path}".replace(" ", "%20")
    made = push(yard, remote=Remote("", url))
    assert (made.remote, made.url) == (url, url)
    side_refs.delete(opened(yard), made)
    assert side(yard.remote) == {}


def test_the_remote_has_another_url_by_now(yard: Yard, tmp_path: Path) -> None:
    """The ref is deleted from where it was pushed to."""
    made = push(yard)
    yard.repo.git("remote", "set-url", "origin", str(bare(tmp_path / "new.git").path))
    side_refs.delete(opened(yard), made)
    assert side(yard.remote) == {}


@pytest.mark.needs("git remote-http")
def test_credentials_are_not_recorded(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do they stand in a message."""
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "http:file")
    place = yard.remote.path.rename(yard.remote.path.with_name("far.git"))
    with GitServer(place.parent) as server:
        url = server.url(place)
        secret = url.replace("//", "//me:s3cret@")
        yard.repo.git("remote", "set-url", "origin", secret)
        named = push(yard)
        yard.repo.git("remote", "remove", "origin")
        yard.repo.git("config", "remote.pushDefault", secret)
        bare_url = push(yard)
        assert [(item.remote, item.url) for item in (named, bare_url)] == [("origin", url), (url, url)]
        assert "s3cret" not in "".join(record.read_text() for record in records(yard))
        for item in (named, bare_url):
            side_refs.delete(opened(yard), item)
        assert side(Repo(place)) == {}
        server.refuse = 403
        for failing in (lambda: push(yard), lambda: side_refs.delete(opened(yard), bare_url)):
            with pytest.raises(CannotDecide, match="403") as said:
                failing()
            assert "s3cret" not in said.value.message + said.value.hint


# Hooks ----------------------------------------------------------------------------------------------------------------


def test_every_other_hook_runs(yard: Yard, tmp_path: Path) -> None:
    """Ours, with every branch protected and no evidence, lets the side ref pass; the one behind it runs as always."""
    log = tmp_path / "log"
    write_hook(yard.hook, recorder(log))
    yard.install()
    yard.server.reset_log()
    head = yard.repo.head
    made = push(yard)
    assert Path(f"{log}.stdin").read_text() == f"{head} {head} {made.ref} {'0' * 40}\n"
    assert Path(f"{log}.args").read_text().splitlines() == ["2", "origin", str(yard.remote.path)]
    side_refs.delete(opened(yard), made)
    assert Path(f"{log}.stdin").read_text() == f"(delete) {'0' * 40} {made.ref} {head}\n"
    assert yard.server.calls() == []
    assert side(yard.remote) == {}


def test_our_hook_lets_nothing_else_pass(yard: Yard) -> None:
    yard.repo.policy('protect = ["*", "**/*", "refs/tags/*", "refs/tags/**/*"]')
    yard.publish()
    yard.repo.commit("third")
    yard.install()
    name = f"{yard.repo.head[:12]}-00000000"
    for ref in (f"refs/heads/git-clearmlx/{name}", f"refs/tags/git-clearml/{name}", f"refs/heads/x/git-clearml/{name}"):
        yard.refuses("origin", f"HEAD:{ref}")
    yard.refuses("origin", "main", f"HEAD:refs/heads/git-clearml/{name}")  # not even in such company
    push(yard)
    yard.refuses("origin", "main")  # that the remote has the commit now proves nothing


@pytest.mark.slow
def test_under_pre_commit(yard: Yard) -> None:
    """The side ref passes; and no tracking ref of it makes pre-commit take the commit for one that was pushed."""
    hook = "{id: gate, name: gate, entry: git-clearml hook pre-push, language: system, always_run: true, "
    hook += "pass_filenames: false, stages: [pre-push]}"
    yard.repo.commit("hooks", {".pre-commit-config.yaml": f"repos: [{{repo: local, hooks: [{hook}]}}]\n"})
    pre_commit = ["pre-commit", "install", "--hook-type", "pre-push"]
    subprocess.run(pre_commit, cwd=yard.repo.path, check=True, capture_output=True)
    made = push(yard)
    assert side(yard.remote) == {made.ref: yard.repo.head}
    for ref in ("refs/heads/new", f"refs/heads/git-clearmlx/{made.ref[-21:]}", "refs/heads/main"):
        yard.refuses("origin", f"HEAD:{ref}")
    side_refs.delete(opened(yard), made)
    assert side(yard.remote) == {}


def with_lfs(yard: Yard) -> str:
    """git-lfs as its users set it up, and a large file committed; the id of its object."""
    require("git-lfs")
    yard.repo.git("config", "lfs.locksverify", "false")
    yard.repo.git("lfs", "install", "--local", "--skip-smudge")
    yard.repo.git("lfs", "track", "*.bin")
    yard.repo.commit("a model", {"model.bin": "weights\n" * 1000})
    return yard.repo.git("cat-file", "blob", "HEAD:model.bin").split("sha256:")[1].split()[0]


def uploaded(remote: Repo) -> list[str]:
    """The objects that git-lfs has put beside a remote that is a directory."""
    return [path.name for path in (remote.path / "lfs/objects").rglob("*") if path.is_file()]


def test_git_lfs_uploads_its_objects(yard: Yard) -> None:
    large = with_lfs(yard)
    yard.install()
    made = push(yard)
    assert side(yard.remote) == {made.ref: yard.repo.head}
    assert uploaded(yard.remote) == [large]
    yard.refuses("origin", "main")
    side_refs.delete(opened(yard), made)


def test_git_lfs_and_several_push_urls(yard: Yard, tmp_path: Path) -> None:
    """git-lfs follows where the ref goes, although that goes by no name then."""
    large, second = with_lfs(yard), bare(tmp_path / "second.git")
    for url in (yard.remote.path, second.path):
        yard.repo.git("remote", "set-url", "--push", "--add", "origin", str(url))
    push(yard)
    assert (uploaded(yard.remote), uploaded(second)) == ([large], [])


def test_a_hook_refuses(yard: Yard) -> None:
    write_hook(yard.hook, "#!/bin/sh\necho 'not on a Friday' >&2\nexit 1\n")
    with pytest.raises(PublishFailed, match="could not be pushed to origin: not on a Friday") as said:
        push(yard)
    assert said.value.status == 3
    assert said.value.hint == "push the branch; a check does without: git clearml check-runnable --as-diff"
    assert (side(yard.remote), records(yard)) == ({}, [])


def test_a_hook_refuses_to_delete(yard: Yard) -> None:
    made = push(yard)
    write_hook(yard.hook, "#!/bin/sh\necho 'not on a Friday' >&2\nexit 1\n")
    with pytest.raises(PublishFailed, match="could not be deleted from origin: not on a Friday") as said:
        side_refs.delete(opened(yard), made)
    assert said.value.hint == f"git push origin --delete {made.ref}"
    assert side_refs.recorded(opened(yard)) == [made]


# Trouble --------------------------------------------------------------------------------------------------------------


def test_the_remote_refuses(yard: Yard) -> None:
    write_hook(yard.remote.path / "hooks/pre-receive", "#!/bin/sh\necho 'You are not allowed' >&2\nexit 1\n")
    words = (
        r"could not be pushed to origin: \[remote rejected\] \(pre-receive hook declined\); remote: You are not allo"
    )
    with pytest.raises(PublishFailed, match=words):
        push(yard)
    assert records(yard) == []


def test_the_remote_refuses_to_delete(yard: Yard) -> None:
    made = push(yard)
    yard.remote.git("config", "receive.denyDeletes", "true")
    with pytest.raises(PublishFailed, match=r"from origin: \[remote rejected\] \(deletion prohibited\)"):
        side_refs.delete(opened(yard), made)
    assert side_refs.recorded(opened(yard)) == [made]


def test_a_branch_in_the_way(yard: Yard) -> None:
    yard.remote.git("branch", "git-clearml", "main")
    with pytest.raises(PublishFailed, match="remote rejected"):
        push(yard)
    assert records(yard) == []


def test_the_remote_is_away(yard: Yard) -> None:
    """Whether anything arrived cannot be asked: the record stays, and the sweep finds out once the remote is back."""
    made, repository, remote = push(yard), opened(yard), origin(yard)
    away = yard.remote.path.rename(yard.remote.path.with_name("away.git"))
    with pytest.raises(PublishFailed, match="does not appear to be a git repository"):
        push(yard, remote=remote)
    with pytest.raises(Unreachable, match="the refs of origin cannot be listed"):
        side_refs.delete(repository, made)
    first, second = side_refs.recorded(repository)
    assert made in (first, second)
    away.rename(yard.remote.path)
    for item in (first, second):
        side_refs.delete(repository, item)
    assert (side(yard.remote), records(yard)) == ({}, [])


def test_it_arrived_although_git_failed(yard: Yard) -> None:
    """The connection broke before the remote's answer: what is there is deleted again."""
    once = "#!/bin/sh\nmkdir once && kill -9 $PPID\n"
    write_hook(yard.remote.path / "hooks/post-receive", once)
    with pytest.raises(PublishFailed):
        push(yard)
    assert (yard.remote.path / "once").is_dir()
    assert (side(yard.remote), records(yard)) == ({}, [])


def test_a_remote_that_is_silent(yard: Yard) -> None:
    """The ref may still arrive: its record stays."""
    write_hook(yard.remote.path / "hooks/pre-receive", "#!/bin/sh\nexec sleep 1000\n")
    with pytest.raises(TimedOut, match="git push: origin did not answer within 1 s") as said:
        push(yard, timeout=1)
    assert "the next check deletes the side ref" in said.value.hint
    (left,) = side_refs.recorded(opened(yard))
    assert left.commit == yard.repo.head
    assert side_refs.abandoned(opened(yard), host=processes.here(), now=NOW) == []  # we are alive


def told_by(yard: Yard, expected: type[BaseException] | None, **options: float) -> list[SideRef | None]:
    """What a push tells of its ref, from before anything is sent."""
    told: list[SideRef | None] = []

    def tell(side_ref: SideRef | None) -> None:
        if not told:
            assert (side(yard.remote), side_refs.recorded(opened(yard))) == ({}, [side_ref])
        told.append(side_ref)

    with pytest.raises(expected) if expected else nullcontext():
        side_refs.push(opened(yard), origin(yard), yard.repo.head, keeper=tell, clock=lambda: NOW, **options)
    return told


def test_it_is_named_before_it_is_sent(yard: Yard) -> None:
    first, second = told_by(yard, None)
    assert first
    assert second == first
    assert (first.arriving, second.arriving) == (True, False)


def test_one_that_was_refused_is_no_more(yard: Yard) -> None:
    write_hook(yard.hook, "#!/bin/sh\nexit 1\n")
    assert told_by(yard, PublishFailed)[-1] is None


def test_one_that_cannot_be_taken_back_is_still_there(yard: Yard) -> None:
    yard.remote.git("config", "receive.denyDeletes", "true")
    write_hook(yard.remote.path / "hooks/post-receive", "#!/bin/sh\nkill -9 $PPID\n")
    last = told_by(yard, PublishFailed)[-1]
    assert last
    assert (list(side(yard.remote)), side_refs.recorded(opened(yard))) == ([last.ref], [last])


def test_one_whose_push_took_too_long_may_still_arrive(yard: Yard) -> None:
    """Then it is deleted, if somebody tries in time; if not, he hears of it, and its record stays."""
    write_hook(yard.remote.path / "hooks/pre-receive", "#!/bin/sh\nexec sleep 1000\n")
    (left,) = told_by(yard, TimedOut, timeout=1)
    assert left
    (yard.remote.path / "hooks/pre-receive").unlink()
    with pytest.raises(PublishFailed, match=f"the push of {left.ref} was cut short, and it may still arrive"):
        side_refs.delete(opened(yard), left)
    assert side_refs.recorded(opened(yard)) == [left]
    yard.remote.git("update-ref", left.ref, "main")
    with pytest.raises(PublishFailed, match="was moved"):
        side_refs.delete(opened(yard), left)
    yard.repo.git("push", "--quiet", "--no-verify", "--force", "origin", f"{left.commit}:{left.ref}")
    side_refs.delete(opened(yard), left)
    assert (side(yard.remote), records(yard)) == ({}, [])


def test_interrupted_before_it_arrived(yard: Yard) -> None:
    """It may still arrive: nothing there is no reason to forget it."""
    write_hook(yard.hook, f"#!/bin/sh\nkill -INT {os.getpid()}\nexec sleep 1000\n")
    (left,) = told_by(yard, KeyboardInterrupt)
    assert side_refs.recorded(opened(yard)) == [left]
    assert side(yard.remote) == {}


def test_interrupted_after_it_arrived(yard: Yard) -> None:
    once = f"#!/bin/sh\nmkdir once || exit 0\nkill -INT {os.getpid()}\nexec sleep 1000\n"
    write_hook(yard.remote.path / "hooks/post-receive", once)
    assert told_by(yard, KeyboardInterrupt)[-1] is None
    assert (side(yard.remote), records(yard)) == ({}, [])


KILLED = """
import os, sys
from git_clearml.git import remote as remotes, side_ref as side_refs
from git_clearml.git.repository import Repository
repository = Repository()
side_refs.push(repository, remotes.pushed_to(repository), sys.argv[1])
{end}
"""


@pytest.mark.parametrize("when", ["before it arrived", "after it arrived"])
def test_killed(yard: Yard, when: str) -> None:
    """`kill -9` of us while git pushes, and after it: the next one finds the record, and the ref goes."""
    if when == "before it arrived":
        write_hook(yard.hook, "#!/bin/sh\nkill -9 $(cut -d' ' -f4 /proc/$PPID/stat)\nexit 0\n")
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(end="os.kill(os.getpid(), 9)"), yard.repo.head],
        cwd=yard.repo.path,
        env=process_environment(yard.env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    repository = opened(yard)
    (left,) = side_refs.abandoned(repository, host=processes.here(), now=NOW)
    if when == "after it arrived":
        assert side(yard.remote) == {left.ref: yard.repo.head}
    wait_for_git(yard, left)
    yard.hook.unlink(missing_ok=True)
    side_refs.delete(repository, left)
    assert (side(yard.remote), records(yard)) == ({}, [])


def wait_for_git(yard: Yard, left: SideRef) -> None:
    """The git that outlived us has come to its end when the ref is there."""
    for _ in range(6000):
        if left.ref in side(yard.remote):
            return
        time.sleep(0.01)
    raise AssertionError("git was killed too")


def test_killed_and_not_arrived_yet(yard: Yard) -> None:
    """The git that we had started may be at it still: the record is kept for as long as that may be."""
    repository = opened(yard)
    bound = side_refs.bind(repository, replace(push(yard), pid=0), "a1b2c3")
    yard.remote.git("update-ref", "-d", bound.ref)
    side_refs.delete(repository, bound, clock=lambda: NOW)  # its push had ended before there was a task
    assert side_refs.recorded(repository) == []
    side_refs.bind(repository, replace(push(yard), pid=0), "")
    (left,) = side_refs.abandoned(repository, host=processes.here(), now=NOW)
    yard.remote.git("update-ref", "-d", left.ref)
    side_refs.delete(repository, left, clock=lambda: NOW + 599)
    assert side_refs.recorded(repository) == [left]
    side_refs.delete(repository, left, clock=lambda: NOW + 601)
    assert side_refs.recorded(repository) == []


def test_a_record_that_cannot_be_written(yard: Yard) -> None:
    """Then nothing is pushed at all."""
    (yard.repo.path / ".git/clearml").mkdir()
    (yard.repo.path / ".git/clearml/side-refs").write_text("in the way")
    with pytest.raises(CannotDecide, match="the record of a side ref cannot be written") as said:
        push(yard)
    assert "push the branch" in said.value.hint
    assert side(yard.remote) == {}
    assert side_refs.recorded(opened(yard)) == []


def test_a_worktree_that_is_gone(yard: Yard, tmp_path: Path) -> None:
    worktree = replace(yard, repo=yard.repo.worktree(tmp_path / "worktree"))
    repository, remote, head = opened(worktree), Remote("", str(yard.remote.path)), yard.repo.head
    shutil.rmtree(worktree.repo.path)
    with pytest.raises(Unreachable, match="git cannot be started"):
        side_refs.push(repository, remote, head)
    assert records(yard) == []


# Records --------------------------------------------------------------------------------------------------------------


def test_bound_to_a_task(yard: Yard) -> None:
    """Then only the task's end says when the ref may go, and that the caller knows."""
    repository, made = opened(yard), push(yard)
    bound = side_refs.bind(repository, made, "a1b2c3", "https://api.example.com")
    assert bound == replace(made, task="a1b2c3", server="https://api.example.com")
    assert side_refs.recorded(repository) == [bound]
    dead = replace(bound, pid=0)
    side_refs.bind(repository, dead, "a1b2c3")
    assert side_refs.abandoned(repository, host=processes.here(), now=NOW) == []
    side_refs.delete(repository, dead)
    assert records(yard) == []


# By name --------------------------------------------------------------------------------------------------------------


def test_one_that_another_clone_made(yard: Yard, tmp_path: Path) -> None:
    made = push(yard)
    other = Repo(tmp_path / "other")
    yard.repo.git("clone", "--quiet", "--depth=1", f"file://{yard.remote.path}", str(other.path))
    repository = Repository(str(other.path))
    remote = remotes.named(repository, "origin")
    assert remote is not None
    side_refs.delete_named(repository, remote, made.ref, made.commit)
    assert side(yard.remote) == {}


def test_nothing_else_is_ever_deleted_or_pushed(yard: Yard) -> None:
    """Least of all by a name that comes from a server. Which names are none: test_side_ref_record.py."""
    repository, remote, head = opened(yard), origin(yard), yard.repo.head
    with pytest.raises(CannotDecide, match="is no side ref of commit"):
        side_refs.delete_named(repository, remote, "refs/heads/main", head)
    with pytest.raises(CannotDecide, match="is no side ref of commit"):
        side_refs.push(repository, remote, "HEAD")
    assert set(refs_of(yard.remote)) == {"refs/heads/main"}


def test_a_commit_that_is_not_here(yard: Yard) -> None:
    with pytest.raises(PublishFailed, match="could not be pushed to origin"):
        push(yard, "1" * 40)
    assert records(yard) == []
