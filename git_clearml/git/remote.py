"""Remotes: which one a push goes to, what its URL is, which commits it has. Everything here asks git."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

from git_clearml.base.files import read_limited
from git_clearml.base.ids import SIDE_REFS, is_hash
from git_clearml.base.secrets import without_credentials
from git_clearml.errors import NotARepository, TimedOut, Unreachable
from git_clearml.git.output import GitResult, lines, stdin_lines
from git_clearml.git.repository import Repository
from git_clearml.git.runner import Runner

_LOCAL = re.compile(r"[^:/]*(?:/.*)?", re.DOTALL)  # no colon before the first slash: git's rule for a path
_TEMPORARY = "git-clearml-remote"  # the name under which git gets to know a remote that has none
_VARIABLE = "URL_OF_THE_REMOTE"
_BRANCHES = "ref: refs/heads/"
_NO_FILES = _BRANCHES + ".invalid"  # what HEAD says where refs are in another store (reftable)


class Remote(NamedTuple):
    """A remote repository: its name in this clone, "" where it has none, and its URL, which may hold a password."""

    name: str
    url: str

    def __repr__(self) -> str:
        return f"Remote({self.name!r})"

    @property
    def shown(self) -> str:
        """What to call it in a message."""
        return self.name or without_credentials(self.url)


def branch(repository: Repository) -> str:
    """The branch that is checked out, "" for a detached HEAD. By a process where HEAD is no plain file of git's."""
    content = read_limited(os.path.join(repository.git_dir, "HEAD"), 4096)
    text = "" if isinstance(content, str) else content.decode("utf-8", "surrogateescape").rstrip("\n")
    if text.startswith(_BRANCHES) and text != _NO_FILES:
        return text.removeprefix(_BRANCHES)
    if is_hash(text):
        return ""
    result = repository.run("symbolic-ref", "--quiet", "--short", "HEAD")
    return "" if result.status else result.text


def pushed_to(repository: Repository) -> Remote | None:
    """Where `git push` would push the current branch to (git-config(1), remote.pushDefault); of several URLs the first.

    The URL is rewritten as `url.<base>.insteadOf` and `pushInsteadOf` say. None when nothing says which remote.
    """
    config, current = dict(repository.config()), branch(repository)
    names = repository.remotes("url|pushurl")
    keys = (f"branch.{current}.pushremote", "remote.pushdefault", f"branch.{current}.remote")
    wanted = [value for key in keys if (value := config.get(key, "")) not in ("", ".")]  # "." is this clone itself
    if not wanted:
        wanted = ["origin"] if "origin" in names else names if len(names) == 1 else []
    if not wanted:
        return None
    if wanted[0] in names:
        return named(repository, wanted[0])
    return Remote("", _rewritten(repository.config(), wanted[0]))


def named(repository: Repository, name: str, *, push: bool = True) -> Remote | None:
    """The remote of that name, with the URL that a push goes to, or else a fetch asks; None when there is none."""
    urls = _urls(repository, name, *(["--push"] if push else [])) if name else []
    return Remote(name, urls[0]) if urls else None


def names_of(repository: Repository, name: str, url: str) -> list[str]:
    """The remotes that a push is about: the one of that name, else those that have this URL, however it is spelled."""
    urls: dict[str, list[str]] = {}
    for key, value in repository.config():
        if match := re.fullmatch(r"remote\.(.+)\.(?:url|pushurl)", key, re.DOTALL):
            urls.setdefault(match[1], []).append(value)
    if name in urls:
        return [name]
    wanted = {repository.name_of(spelled) for spelled in (url, name) if spelled}
    return [
        remote
        for remote, values in urls.items()
        if any(repository.name_of(each) in wanted for value in values for each in repository.spellings(value))
    ]


def fetch_url(repository: Repository) -> str:
    """The repository's URL as a task should name it: a remote's, rewritten as git would; without one, this clone's.

    Without credentials, and with a host that others know too. A linked worktree names the main one, which is where the
    clone is.
    """
    config, current = dict(repository.config()), branch(repository)
    names = repository.remotes()
    keys = (f"branch.{current}.remote", f"branch.{current}.pushremote", "remote.pushdefault")
    wanted = [*(config.get(key, "") for key in keys), "origin", *names]
    remote = next((name for name in wanted if name in names), "")
    if remote:
        result = repository.run("ls-remote", "--get-url", remote)
        if not result.status and result.text:
            return without_credentials(repository.without_alias(result.text))
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
    refs = _listed(repository, remote, "--heads", "--tags", timeout=timeout)
    return tuple(dict.fromkeys(name for ref, name in refs.items() if not ref.startswith(SIDE_REFS)))


def at(repository: Repository, remote: Remote, ref: str, *, timeout: float) -> str:
    """The object that the remote's ref (full name) is at now, "" when there is no such ref. Raises as `tips` does."""
    return _listed(repository, remote, refs=(ref,), timeout=timeout).get(ref, "")


def branches(repository: Repository, remote: Remote, *, timeout: float) -> dict[str, str]:
    """Full name -> object of the remote's branches. Raises as `tips` does."""
    return _listed(repository, remote, "--heads", timeout=timeout)


def default_branch(repository: Repository, remote: Remote, *, timeout: float) -> tuple[str, str]:
    """The remote's default branch, by its full name ("" from a server that tells only where it is), and its object.

    Both are "" where its HEAD is at nothing. Raises as `tips` does.
    """
    branch = name = ""
    for line in _told(repository, remote, "--symref", refs=("HEAD",), timeout=timeout):
        what, _, ref = line.partition("\t")
        if ref == "HEAD" and is_hash(what):
            name = what
        elif ref == "HEAD":
            branch = what.removeprefix("ref: ")
    return (branch, name) if name else ("", "")


def contains(repository: Repository, tips: Sequence[str], commit: str) -> bool:
    """Is the commit one of these objects, or one of their ancestors as far as this object store knows?"""
    if commit in tips:
        return True
    if commit not in repository.trees([commit]):
        return False  # an unknown commit would be ignored below, and then nothing would be left to list
    return not unreached(repository, tips, [commit], "--max-count=1")


def unreached(repository: Repository, tips: Sequence[str], commits: Sequence[str], *options: str) -> list[str]:
    """What `git rev-list` says of these commits' history that no tip reaches. What is not in this clone is left out."""
    words = ("rev-list", *options, "--ignore-missing", "--stdin")
    return lines(repository.read(*words, stdin=stdin_lines([*commits, *(f"^{tip}" for tip in tips)])))


def _listed(
    repository: Repository, remote: Remote, *options: str, refs: Sequence[str] = (), timeout: float
) -> dict[str, str]:
    """What `git ls-remote` tells: ref -> object."""
    listed = _told(repository, remote, *options, refs=refs, timeout=timeout)
    pairs = (line.split("\t", 1) for line in listed if "\t" in line)
    return {ref: name for name, ref in pairs if is_hash(name)}


def _told(repository: Repository, remote: Remote, *options: str, refs: Sequence[str] = (), timeout: float) -> list[str]:
    """The lines of `git ls-remote`."""
    result = run(repository, remote, ["ls-remote", "--quiet", *options], refs, timeout=timeout)
    if result.status:
        raise Unreachable(
            f"the refs of {remote.shown} cannot be listed: {result.reason}", f"git ls-remote {remote.shown}"
        )
    return result.lines


def run(
    repository: Repository, remote: Remote, command: Sequence[str], refs: Sequence[str] = (), *, timeout: float
) -> GitResult:
    """Runs `git <command> -- <remote> <refs>`, a git that speaks to the remote.

    Where nobody sits at a terminal, git does not ask for a password. Raises TimedOut and Unreachable.
    """
    pushing = command[0] == "push"
    name, options, env = _address(repository, remote, pushing)
    if pushing:
        options += ["-c", "push.pushOption="]  # may be one that makes a merge request of every push
    words = [*options, *command, "--", name, *refs]
    try:
        git = Runner(repository.top or repository.git_dir)
        result = git.run(*words, env=env, timeout=timeout, remote=True, may_ask=True)
    except TimedOut:
        raise TimedOut(
            f"git {command[0]}: {remote.shown} did not answer within {timeout:g} s; does it wait for a password?",
            f"git ls-remote {remote.shown}",
        ) from None
    except NotARepository as error:
        raise Unreachable(error.message, "git status") from None
    return result._replace(stderr=result.stderr.replace(remote.url, without_credentials(remote.url)))


def push(repository: Repository, remote: Remote, ref: str, *options: str, timeout: float) -> GitResult:
    """Pushes one ref (`<object>:<full name>`) and, whatever is configured for other pushes, nothing else.

    Raises as `run` does.
    """
    words = ("push", "--porcelain", "--no-follow-tags", "--recurse-submodules=no", *options)
    return run(repository, remote, words, [ref], timeout=timeout)


def refusal(pushed: GitResult) -> str:
    """The remote's reason for refusing a ref, "" for none: from the output of `git push --porcelain`."""
    return next((line.rpartition("\t")[2].strip() for line in pushed.lines if line.startswith("!")), "")


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
    """What `git remote get-url` says; asked once."""
    key = (name, *which)
    if key not in repository.urls:
        result = repository.run("remote", "get-url", *which, "--", name)
        repository.urls[key] = [] if result.status else result.lines
    return repository.urls[key]


def _rewritten(config: Sequence[tuple[str, str]], url: str) -> str:
    """The URL as a push to it is rewritten: by the longest pushInsteadOf that fits, else the longest insteadOf."""
    for end in (".pushinsteadof", ".insteadof"):
        fitting = [(len(old), key) for key, old in config if key.endswith(end) and old and url.startswith(old)]
        if fitting:
            length, key = max(fitting)
            return key.removeprefix("url.").removesuffix(end) + url[length:]
    return url


def _file_url(path: str) -> str:
    return "file://" + quote(path.encode("utf-8", "surrogateescape"))
