"""Where a push goes, what an agent clones, and whether the remote has a commit: with real remotes."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from git_clearml.errors import TimedOut, Unreachable
from git_clearml.git import remote as remotes
from git_clearml.git.remote import Remote
from git_clearml.git.repository import Repository
from tests.support.git_http import GitServer
from tests.support.pushing import bare, gone, write_hook
from tests.support.repos import Repo, make_repo

SECRET = "https://me:s3cret@example.com/team/project.git"
PLAIN = "https://example.com/team/project.git"
UNKNOWN = "1" * 40


def opened(repo: Repo) -> Repository:
    return Repository(str(repo.path))


def goes_to(repo: Repo) -> tuple[str, str] | None:
    remote = remotes.pushed_to(opened(repo))
    return (remote.name, remote.url) if remote else None


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A clone with one commit and no remote."""
    return make_repo(tmp_path / "repo", remote="")


@pytest.fixture
def far(repo: Repo, tmp_path: Path) -> Repo:
    """The clone's bare remote `origin`, with main."""
    remote = bare(tmp_path / "far away.git")
    repo.git("remote", "add", "origin", str(remote.path))
    repo.git("push", "--quiet", "--set-upstream", "origin", "main")
    return remote


def origin(repo: Repo) -> Remote:
    found = remotes.pushed_to(opened(repo))
    assert found is not None
    return found


def has(repo: Repo, commit: str, remote: Remote | None = None) -> bool:
    return remotes.has(opened(repo), remote or origin(repo), commit, timeout=60)


# Where a push goes ----------------------------------------------------------------------------------------------------


def test_no_remote(repo: Repo) -> None:
    assert goes_to(repo) is None


def test_what_git_push_would_take(repo: Repo) -> None:
    """Each setting beats the ones before it."""
    repo.git("remote", "add", "only", "only-url:x")
    assert goes_to(repo) == ("only", "only-url:x")
    repo.git("remote", "add", "other", "other-url:x")
    assert goes_to(repo) is None  # git push does not know either
    repo.git("remote", "add", "origin", PLAIN)
    assert goes_to(repo) == ("origin", PLAIN)
    repo.git("config", "branch.main.remote", ".")  # a branch that follows a local one
    assert goes_to(repo) == ("origin", PLAIN)
    repo.git("config", "branch.main.remote", "only")
    assert goes_to(repo) == ("only", "only-url:x")
    repo.git("config", "remote.pushDefault", "other")
    assert goes_to(repo) == ("other", "other-url:x")
    repo.git("config", "branch.main.pushRemote", "origin")
    assert goes_to(repo) == ("origin", PLAIN)
    repo.git("checkout", "--quiet", "--detach")
    assert goes_to(repo) == ("other", "other-url:x")


def test_git_agrees(repo: Repo, tmp_path: Path) -> None:
    """`git push` itself tells its hook where it goes."""
    told = tmp_path / "told"
    write_hook(repo.path / ".git/hooks/pre-push", f"#!/bin/sh\nprintf '%s\\n' \"$1\" \"$2\" >'{told}'\n")
    for name in ("origin", "fork.of me=x", "third"):
        repo.git("remote", "add", name.replace(" ", "-"), str(bare(tmp_path / f"{name}.git").path))
    settings = ("branch.main.remote", "third", "remote.pushDefault", "fork.of-me=x", "branch.main.pushRemote", "third")
    for key, value in (("push.default", "current"), *zip(settings[::2], settings[1::2], strict=True)):
        repo.git("config", key, value)
        repo.git("push", "--quiet")
        assert goes_to(repo) == tuple(told.read_text().splitlines())


def test_push_urls_and_rewriting(repo: Repo) -> None:
    git = repo.git
    git("remote", "add", "origin", "gh:team/project")
    git("config", "url.https://example.com/.insteadOf", "gh:")
    assert goes_to(repo) == ("origin", "https://example.com/team/project")
    git("config", "url.git@example.com:.pushInsteadOf", "gh:")
    assert goes_to(repo) == ("origin", "git@example.com:team/project")
    git("remote", "set-url", "--push", "origin", "gh:first")
    git("remote", "set-url", "--push", "--add", "origin", "gh:second")
    assert goes_to(repo) == ("origin", "https://example.com/first")


def test_a_url_in_place_of_a_name(repo: Repo) -> None:
    repo.git("config", "url.git@example.com:.pushInsteadOf", "gh:")
    repo.git("config", "url.https://example.com/team/.insteadOf", "gh:team/")
    repo.git("config", "branch.main.pushRemote", "gh:fork")
    assert goes_to(repo) == ("", "git@example.com:fork")
    repo.git("config", "--remove-section", "url.git@example.com:")
    assert goes_to(repo) == ("", "gh:fork")
    repo.git("config", "url.https://example.com/.insteadOf", "gh:")
    assert goes_to(repo) == ("", "https://example.com/fork")
    repo.git("config", "branch.main.pushRemote", "gh:team/x")
    assert goes_to(repo) == ("", "https://example.com/team/x")


def test_names_of_branches_and_remotes_may_be_odd(repo: Repo) -> None:
    repo.git("remote", "add", "origin", PLAIN)
    repo.git("config", "remote.my.fork é.pushurl", "host:fork")
    repo.git("checkout", "--quiet", "-b", "Größe/x.y")
    repo.git("config", "branch.Größe/x.y.pushRemote", "my.fork é")
    assert goes_to(repo) == ("my.fork é", "host:fork")
    assert remotes.branch(opened(repo)) == "Größe/x.y"


def test_the_names_of_remotes(repo: Repo) -> None:
    repo.git("remote", "add", "origin", SECRET)
    repository = opened(repo)
    assert remotes.named(repository, "origin") == Remote("origin", SECRET)
    assert remotes.named(repository, "nowhere") is None
    assert remotes.named(repository, "") is None
    assert (Remote("origin", SECRET).shown, Remote("", SECRET).shown) == ("origin", PLAIN)
    assert "s3cret" not in repr(Remote("", SECRET))


def test_a_worktree_and_a_bare_clone(repo: Repo, far: Repo, tmp_path: Path) -> None:
    worktree = repo.worktree(tmp_path / "worktree")
    assert goes_to(worktree) == ("origin", str(far.path))
    repo.git("clone", "--quiet", "--bare", str(far.path), str(tmp_path / "bare clone"))
    copy = Repo(tmp_path / "bare clone")
    assert goes_to(copy) == ("origin", str(far.path))
    assert has(copy, repo.head)


# What an agent clones -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        (SECRET, PLAIN),
        ("https://token@example.com:8443/x.git", "https://example.com:8443/x.git"),
        ("git@example.com:team/project.git", "git@example.com:team/project.git"),
        ("ssh://git@example.com:22/team/project", "ssh://git@example.com:22/team/project"),
        ("[::1]:project", "[::1]:project"),
        ("file:///srv/x%20y.git", "file:///srv/x%20y.git"),
        ("ext::sh -c https://a:b@c/", "ext::sh -c https://c/"),
        ("/srv/a b/é.git", "file:///srv/a%20b/%C3%A9.git"),
        ("../x:y.git", "file:///home/me/x%3Ay.git"),
        ("./c", "file:///home/me/clone/c"),
        ("/srv/\udcff.git", "file:///srv/%FF.git"),
    ],
)
def test_what_an_agent_sees(url: str, seen: str) -> None:
    assert remotes.as_agents_see(url, "/home/me/clone") == seen


def test_a_path_from_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert remotes.as_agents_see("x.git") == f"file://{tmp_path}/x.git"


def test_git_clones_what_an_agent_sees(repo: Repo, far: Repo, tmp_path: Path) -> None:
    url = remotes.as_agents_see(origin(repo).url)
    assert url.startswith("file:///")
    repo.git("clone", "--quiet", url, str(tmp_path / "agent"))
    assert Repo(tmp_path / "agent").head == repo.head


# Has the remote the commit? -------------------------------------------------------------------------------------------


def test_at_a_tip_and_below_it(repo: Repo, far: Repo) -> None:
    first, second = repo.head, repo.commit("second")
    assert has(repo, first)
    assert not has(repo, second)
    repo.git("push", "--quiet", "origin", "main")
    assert has(repo, first)
    assert has(repo, second)
    assert not has(repo, UNKNOWN)


def test_a_tip_that_is_not_in_this_clone(repo: Repo, far: Repo, tmp_path: Path) -> None:
    """Somebody else has pushed: what is below their commits cannot be proved, unless another tip proves it."""
    other = far.clone(tmp_path / "other")
    other.git("remote", "set-url", "origin", str(far.path))
    theirs = other.commit("theirs")
    other.git("push", "--quiet", "origin", "HEAD:main")
    assert not has(repo, repo.head)
    assert has(repo, theirs)
    far.git("branch", "old", repo.head)
    assert has(repo, repo.head)


def test_behind_tags_only(repo: Repo, far: Repo) -> None:
    light, annotated = repo.commit("light"), repo.commit("annotated")
    repo.git("tag", "light", light)
    repo.git("tag", "-a", "-m", "x", "annotated", annotated)
    repo.git("tag", "-a", "-m", "x", "of-a-tag", "annotated")
    repo.git("tag", "tree", "HEAD^{tree}")
    beyond = repo.commit("beyond")
    for tag, reached in (("light", {light}), ("tree", {light}), ("of-a-tag", {light, annotated})):
        repo.git("push", "--quiet", "origin", f"refs/tags/{tag}")
        assert {name for name in (light, annotated, beyond) if has(repo, name)} == reached


def test_other_refs_and_our_side_refs_do_not_count(repo: Repo, far: Repo) -> None:
    """An agent clones branches and tags; a side ref may be deleted at any moment."""
    mine = repo.commit("mine")
    repo.git("push", "--quiet", "origin", "HEAD:refs/pull/7/head", f"HEAD:refs/heads/git-clearml/{mine[:12]}-00000000")
    assert not has(repo, mine)
    repo.git("push", "--quiet", "origin", "HEAD:refs/heads/git-clearmlx/y")
    assert has(repo, mine)


def test_a_shallow_clone(repo: Repo, far: Repo, tmp_path: Path) -> None:
    old, newest = repo.head, repo.commit("newest")
    repo.git("push", "--quiet", "origin", "main")
    repo.git("clone", "--quiet", "--depth=1", f"file://{far.path}", str(tmp_path / "shallow"))
    shallow = Repo(tmp_path / "shallow")
    assert has(shallow, newest)
    assert not has(shallow, old)
    mine = shallow.commit("mine")
    assert not has(shallow, mine)
    shallow.git("push", "--quiet", "origin", "HEAD:topic")
    assert has(shallow, mine)
    assert has(shallow, newest)


def test_a_partial_clone_fetches_nothing(repo: Repo, far: Repo, tmp_path: Path) -> None:
    far.git("config", "uploadpack.allowFilter", "true")
    repo.git("clone", "--quiet", "--filter=blob:none", f"file://{far.path}", str(tmp_path / "partial"))
    repo.git("push", "--quiet", "origin", f"{repo.commit('theirs')}:refs/heads/theirs")
    partial = Repo(tmp_path / "partial")
    mine = partial.commit("mine")
    assert not has(partial, mine)
    assert has(partial, f"{partial.git('rev-parse', 'HEAD^')}")


def test_sha256(tmp_path: Path) -> None:
    options = ("--object-format=sha256",)
    repo = make_repo(tmp_path / "repo", remote=str(bare(tmp_path / "far.git", *options).path), options=options)
    assert len(repo.head) == 64
    assert not has(repo, repo.head)
    repo.git("push", "--quiet", "origin", "main")
    assert has(repo, repo.head)


def test_replaced_and_empty(repo: Repo, far: Repo, tmp_path: Path) -> None:
    """A replacement is ours alone; an empty remote has nothing."""
    mine = repo.commit("mine")
    repo.git("replace", mine, repo.git("rev-parse", "HEAD^"))
    assert not has(repo, mine)
    assert not has(repo, repo.head, Remote("", str(bare(tmp_path / "empty.git").path)))


def test_the_url_that_is_pushed_to_is_asked(repo: Repo, far: Repo, tmp_path: Path) -> None:
    """Not the one that is fetched from, where the two differ."""
    fork = bare(tmp_path / "fork.git")
    repo.git("remote", "set-url", "--push", "origin", str(fork.path))
    assert not has(repo, repo.head)
    repo.git("push", "--quiet", "origin", "main")
    assert has(repo, repo.head)


def test_a_relative_url_from_a_directory_below(repo: Repo, far: Repo) -> None:
    repo.git("remote", "set-url", "origin", "../far away.git")
    (repo.path / "below").mkdir()
    repository = Repository(str(repo.path / "below"))
    remote = remotes.pushed_to(repository)
    assert remote is not None
    assert remotes.has(repository, remote, repo.head, timeout=60)


def test_one_ref(repo: Repo, far: Repo) -> None:
    repository = opened(repo)
    assert remotes.at(repository, origin(repo), "refs/heads/main", timeout=60) == repo.head
    far.git("update-ref", "refs/heads/x/refs/heads/gone", repo.head)  # ls-remote matches from the end
    assert remotes.at(repository, origin(repo), "refs/heads/gone", timeout=60) == ""


# Trouble --------------------------------------------------------------------------------------------------------------


def test_a_remote_that_is_away(repo: Repo, far: Repo) -> None:
    far.path.rename(far.path.with_name("moved.git"))
    with pytest.raises(
        Unreachable, match=r"the refs of origin cannot be listed: '.*' does not appear to be a git"
    ) as said:
        has(repo, repo.head)
    assert "git ls-remote origin" in said.value.hint


@pytest.fixture
def http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "http:file")
    with GitServer(tmp_path) as server:
        yield server


@pytest.mark.needs("git remote-http")
def test_credentials_stay_here(
    repo: Repo, far: Repo, http: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in a message nor on a command line of ours."""
    told = tmp_path / "told"
    real = next(Path(place, "git") for place in os.environ["PATH"].split(":") if Path(place, "git").exists())
    write_hook(tmp_path / "bin/git", f"#!/bin/sh\necho \"$@\" >>'{told}'\nexec '{real}' \"$@\"\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    url = http.url(far.path.rename(tmp_path / "far.git")).replace("//", "//me:s3cret@")
    assert has(repo, repo.head, Remote("", url))
    repo.git("config", "branch.main.pushRemote", url)
    assert goes_to(repo) == ("", url)
    repo.git("remote", "set-url", "origin", url)
    assert has(repo, repo.head, Remote("origin", url))
    http.refuse = 403
    for remote in (Remote("origin", url), Remote("", url)):
        with pytest.raises(Unreachable, match="403") as said:
            has(repo, repo.head, remote)
        assert "s3cret" not in said.value.message + said.value.hint
    ours = [line for line in told.read_text().splitlines() if not line.startswith(("config ", "remote set-url "))]
    assert "ls-remote" in "".join(ours)
    assert "s3cret" not in "".join(ours)


def test_words_of_git_lose_their_credentials(repo: Repo, far: Repo) -> None:
    """Whatever URL stands in them."""
    talk = 'echo "fatal: not https://me:s3cret@example.com/x, nor //you:s3cret@y" >&2; exit 128; :'
    repo.git("config", "remote.origin.uploadpack", talk)
    with pytest.raises(Unreachable, match=r"not https://example.com/x, nor //y"):
        has(repo, repo.head)


def test_nobody_is_asked_for_a_password(repo: Repo, far: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where stdin is no terminal. `uploadpack` is what git runs at the remote's end, with our environment."""
    monkeypatch.delenv("GIT_TERMINAL_PROMPT")
    told = tmp_path / "told"
    repo.git("config", "remote.origin.uploadpack", f"echo \"prompt $GIT_TERMINAL_PROMPT\" >>'{told}'; git-upload-pack")
    assert has(repo, repo.head)
    assert told.read_text() == "prompt 0\n"
    with on_terminal():
        assert has(repo, repo.head)
    assert told.read_text() == "prompt 0\nprompt \n"
    saved = os.dup(0)
    os.close(0)
    try:
        assert has(repo, repo.head)
    finally:
        os.dup2(saved, 0)
        os.close(saved)
    assert told.read_text() == "prompt 0\nprompt \nprompt 0\n"


@contextlib.contextmanager
def on_terminal() -> Iterator[None]:
    """Our stdin is a terminal meanwhile."""
    controller, terminal = pty.openpty()
    saved = os.dup(0)
    os.dup2(terminal, 0)
    try:
        yield
    finally:
        os.dup2(saved, 0)
        for descriptor in (saved, terminal, controller):
            os.close(descriptor)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_remote_that_is_silent(repo: Repo, far: Repo, tmp_path: Path, terminal: bool) -> None:
    """Git is ended, and what it has started too; that it holds our streams delays nothing."""
    pids = tmp_path / "pids"
    repo.git("config", "remote.origin.uploadpack", f"echo $$ >>'{pids}'; exec sleep 1000; :")
    for timeout in (1, 4, 16, 64):  # seconds; a busy machine may need some until the remote's side has started
        with (
            on_terminal() if terminal else contextlib.nullcontext(),
            pytest.raises(TimedOut, match="origin did not answer"),
        ):
            remotes.has(opened(repo), origin(repo), repo.head, timeout=timeout)
        if pids.exists() and pids.read_text():
            break
    (pid,) = map(int, pids.read_text().split())
    if not terminal:
        assert gone(pid)
    else:
        os.kill(pid, signal.SIGKILL)


def test_an_interrupt_ends_git_too(repo: Repo, far: Repo, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    talk = f"echo $$ >>'{pids}'; kill -INT {os.getpid()}; exec sleep 1000; :"
    repo.git("config", "remote.origin.uploadpack", talk)
    with pytest.raises(KeyboardInterrupt):
        has(repo, repo.head)
    assert gone(int(pids.read_text()))


def test_a_worktree_that_is_gone(repo: Repo, far: Repo, tmp_path: Path) -> None:
    worktree = repo.worktree(tmp_path / "worktree")
    repository, remote = opened(worktree), origin(repo)
    shutil.rmtree(worktree.path)
    with pytest.raises(Unreachable, match=r"git cannot be started in .*worktree"):
        remotes.has(repository, Remote("", remote.url), repo.head, timeout=60)


def test_a_task_names_the_host_and_not_an_alias_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host work\n HostName github.com\n")
    repo = make_repo(tmp_path / "repo", remote="git@work:acme/x.git")
    assert remotes.fetch_url(Repository(str(repo.path))) == "git@github.com:acme/x.git"
