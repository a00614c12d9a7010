"""Remotes: which one a push goes to, what its URL is, which commits it has. Everything here asks git."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from git_clearml.base.ids import is_hash
from git_clearml.base.secrets import without_credentials
from git_clearml.errors import TimedOut, Unreachable
from git_clearml.git.repository import Repository
from git_clearml.git.side_ref_records import SIDE_REFS

_PASSWORD = re.compile(r"//[^/\s'\"]*@")
_LOCAL = re.compile(r"[^:/]*(?:/.*)?", re.DOTALL)  # no colon before the first slash: git's rule for a path
_TEMPORARY = "git-clearml-remote"  # the name under which git gets to know a remote that has none
_VARIABLE = "URL_OF_THE_REMOTE"
_LOOK = 0.05  # seconds between two looks whether git has ended
_GRACE = 2.0  # seconds that git has to end by itself
_NOISE = ("To ", "hint:", "error: failed to push some refs")


@dataclass(frozen=True)
class Remote:
    """A remote repository: its name in this clone, "" where it has none, and its URL, which may hold a password."""

    name: str
    url: str = field(repr=False)

    @property
    def shown(self) -> str:
        """What to call it in a message."""
        return self.name or without_credentials(self.url)


def branch(repository: Repository) -> str:
    """The branch that is checked out, "" for a detached HEAD."""
    status, out, _ = repository.run("symbolic-ref", "--quiet", "--short", "HEAD")
    return "" if status else out.decode("utf-8", "surrogateescape").strip()


def pushed_to(repository: Repository) -> Remote | None:
    """Where `git push` would push the current branch to (git-config(1), remote.pushDefault); of several URLs the first.

    The URL is rewritten as `url.<base>.insteadOf` and `pushInsteadOf` say. None when nothing says which remote.
    """
    config, here = dict(repository.config()), branch(repository)
    known = _names(config, "url|pushurl")
    keys = (f"branch.{here}.pushremote", "remote.pushdefault", f"branch.{here}.remote")
    wanted = [value for key in keys if (value := config.get(key, "")) not in ("", ".")]  # "." is this clone itself
    if not wanted:
        wanted = ["origin"] if "origin" in known else known[:1] if len(known) == 1 else []
    if not wanted:
        return None
    if wanted[0] in known:
        return named(repository, wanted[0])
    return Remote("", _rewritten(repository.config(), wanted[0]))


def named(repository: Repository, name: str) -> Remote | None:
    """The remote of that name, with the URL that a push goes to; None when there is none."""
    urls = _urls(repository, name, "--push") if name else []
    return Remote(name, urls[0]) if urls else None


def fetch_url(repository: Repository) -> str:
    """The repository's URL as a task should name it: a remote's, rewritten as git would; without one, this clone's.

    Without credentials. A linked worktree names the main one, which is where the clone is.
    """
    config, here = dict(repository.config()), branch(repository)
    known = _names(config, "url")
    keys = (f"branch.{here}.remote", f"branch.{here}.pushremote", "remote.pushdefault")
    wanted = [*(config.get(key, "") for key in keys), "origin", *known]
    remote = next((name for name in wanted if name in known), "")
    if remote:
        status, out, _ = repository.run("ls-remote", "--get-url", remote)
        url = out.decode("utf-8", "surrogateescape").strip()
        if not status and url:
            return without_credentials(url)
    main = repository.top
    if repository.git_dir != repository.common_dir:
        main = repository.common_dir.removesuffix("/.git")
    return _file_url(main)


def as_agents_see(url: str, base: str = "") -> str:
    """The URL for a task's `script.repository`: without credentials, and a path as `file://`.

    A relative path is seen from `base`, the top of the working tree (the current directory when "").
    """
    if _LOCAL.fullmatch(url):
        return _file_url(os.path.normpath(os.path.join(base or os.getcwd(), url)))
    return without_credentials(url)


def has(repository: Repository, remote: Remote, commit: str, *, timeout: float) -> bool:
    """Is the commit in a clone of the remote, with all its branches and tags, which is what an agent makes?

    Only what this object store can prove is a yes: in a shallow clone that is less. Raises as `tips` does.
    """
    return contains(repository, tips(repository, remote, timeout=timeout), commit)


def tips(repository: Repository, remote: Remote, *, timeout: float) -> tuple[str, ...]:
    """The objects at the remote's branches and tags, tags also peeled; without our own side refs, which go any moment.

    Raises Unreachable with git's own words, TimedOut after `timeout` seconds.
    """
    found = _listed(repository, remote, "--heads", "--tags", timeout=timeout)
    return tuple(dict.fromkeys(name for ref, name in found.items() if not ref.startswith(SIDE_REFS)))


def at(repository: Repository, remote: Remote, ref: str, *, timeout: float) -> str:
    """The object that the remote's ref (full name) is at now, "" when there is no such ref. Raises as `tips` does."""
    return _listed(repository, remote, refs=(ref,), timeout=timeout).get(ref, "")


def contains(repository: Repository, tips: Sequence[str], commit: str) -> bool:
    """Is the commit one of these objects, or one of their ancestors as far as this object store knows?"""
    if commit in tips:
        return True
    if commit not in repository.trees([commit]):
        return False  # an unknown commit would be ignored below, and then nothing would be left to list
    return not unreached(repository, tips, commit, "--max-count=1")


def unreached(repository: Repository, tips: Sequence[str], commit: str, *options: str) -> list[str]:
    """What `git rev-list` says of the commits that no tip reaches. Tips that are not in this clone do not count."""
    lines = "".join(f"{name}\n" for name in (commit, *(f"^{tip}" for tip in tips)))
    words = ("rev-list", *options, "--ignore-missing", "--stdin")
    env = {"GIT_NO_LAZY_FETCH": "1"}  # or a partial clone would ask its remote for each tip
    return repository.read(*words, stdin=lines.encode("ascii"), env=env).decode("ascii").splitlines()


def _listed(
    repository: Repository, remote: Remote, *options: str, refs: Sequence[str] = (), timeout: float
) -> dict[str, str]:
    """What `git ls-remote` tells: ref -> object."""
    status, out, err = ask(repository, remote, ["ls-remote", "--quiet", *options], refs, timeout=timeout)
    if status:
        raise Unreachable(
            f"{remote.shown} does not tell what it has: {said(err, status)}",
            f"git ls-remote {remote.shown} must work first; look at the network, the URL and your rights",
        )
    pairs = (line.split("\t", 1) for line in out.splitlines() if "\t" in line)
    return {ref: name for name, ref in pairs if is_hash(name)}


def ask(
    repository: Repository,
    remote: Remote,
    command: Sequence[str],
    refs: Sequence[str] = (),
    *,
    timeout: float,
    pushing: bool = False,
) -> tuple[int, str, str]:
    """Runs `git <command> -- <remote> <refs>`, a git that speaks to the remote: (exit status, stdout, stderr).

    stderr comes without credentials. Where nobody sits at a terminal, git does not ask for a password. After `timeout`
    seconds, or when we are interrupted, git is ended with all that it has started. Raises TimedOut and Unreachable.
    """
    name, options, env = _address(repository, remote, pushing)
    place = repository.top or repository.git_dir
    if pushing:
        options += ["-c", "push.pushOption="]  # may be one that makes a merge request of every push
    words = ["git", *options, *command, "--", name, *refs]
    alone = not os.isatty(0)  # at a terminal, ssh may ask for a passphrase: not in a session of its own
    env = {**os.environ, **env, **({"GIT_TERMINAL_PROMPT": "0"} if alone else {})}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:  # files: no pipe that a grandchild holds
        try:
            process = subprocess.Popen(
                words, cwd=place, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=alone
            )
        except OSError as error:
            raise Unreachable(f"git cannot be started in {place}: {error.strerror}", "see git status") from None
        try:
            status = _ended(process, timeout)
        except subprocess.TimeoutExpired:
            raise TimedOut(
                f"git {command[0]}: {remote.shown} did not answer within {timeout:g} s",
                f"try git ls-remote {remote.shown}; does it wait for a password?",
            ) from None
        finally:
            _end(process, alone)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "surrogateescape"))
    shown = texts[1].replace(remote.url, without_credentials(remote.url))
    return status, texts[0], _PASSWORD.sub("//", shown)


def _ended(process: subprocess.Popen[bytes], timeout: float) -> int:
    """The process's exit status, as soon as it ends: Popen.wait, given a timeout, looks up to 50 ms late.

    The pidfd only makes it quicker: two of thousands of waits seem to have taken their whole timeout for nothing.
    """
    deadline = time.monotonic() + timeout
    with contextlib.ExitStack() as after:
        poll = select.poll()
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):  # a kernel, or a sandbox, that has none
                end = os.pidfd_open(process.pid)
                after.callback(os.close, end)
                poll.register(end, select.POLLIN)
        while process.poll() is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(process.args, timeout)
            poll.poll(1000 * min(left, _LOOK))
        return process.wait()


def said(err: str, status: int) -> str:
    """The line in which git, or a hook, says why."""
    lines = [line.strip() for line in err.splitlines() if line.strip() and not line.startswith(_NOISE)]
    found = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[0] if lines else "")
    return found.removeprefix("fatal: ").removeprefix("error: ") or f"exit status {status}"


def _address(repository: Repository, remote: Remote, pushing: bool) -> tuple[str, list[str], dict[str, str]]:
    """How git is told of the remote: the word, options and variables.

    By its name where that means this URL and no other; then hooks, git-lfs and the remote's settings see the remote
    that they know. A mirror's setting would forbid to push one ref alone. Otherwise the URL becomes a remote of this
    one command, by way of the environment: a list of processes is public.
    """
    name = remote.name
    which = ("--push", "--all") if pushing else ()
    if name and "=" not in name and _urls(repository, name, *which) == [remote.url]:
        return name, ["-c", f"remote.{name}.mirror=false"], {}
    return _TEMPORARY, [f"--config-env=remote.{_TEMPORARY}.url={_VARIABLE}"], {_VARIABLE: remote.url}


def _urls(repository: Repository, name: str, *which: str) -> list[str]:
    status, out, _ = repository.run("remote", "get-url", *which, "--", name)
    return [] if status else out.decode("utf-8", "surrogateescape").splitlines()


def _rewritten(config: Sequence[tuple[str, str]], url: str) -> str:
    """The URL as a push to it is rewritten: by the longest pushInsteadOf that fits, else the longest insteadOf."""
    for end in (".pushinsteadof", ".insteadof"):
        fitting = [(len(old), key) for key, old in config if key.endswith(end) and old and url.startswith(old)]
        if fitting:
            length, key = max(fitting)
            return key.removeprefix("url.").removesuffix(end) + url[length:]
    return url


def _names(config: Mapping[str, str], keys: str) -> list[str]:
    """The remotes with one of these keys, in the order of the settings; a name may hold dots."""
    found = (re.fullmatch(rf"remote\.(.+)\.(?:{keys})", key, re.DOTALL) for key in config)
    return list(dict.fromkeys(one[1] for one in found if one))


def _file_url(path: str) -> str:
    return "file://" + quote(path.encode("utf-8", "surrogateescape"))


def _end(process: subprocess.Popen[bytes], alone: bool) -> None:
    """Ends git if it still runs, and what it has started where that is a session of its own."""
    if process.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):  # git removes its lock files at the first
        with contextlib.suppress(ProcessLookupError):
            if alone:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
