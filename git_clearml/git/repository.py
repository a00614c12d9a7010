"""The git repository around a directory: where it lies, its settings, the names that it goes by."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Sequence

from git_clearml.base.files import read_limited
from git_clearml.errors import NotARepository
from git_clearml.git import peel as peeling
from git_clearml.git import ssh_config
from git_clearml.git import url as repository_urls
from git_clearml.git.objects import ObjectStore
from git_clearml.git.output import GitResult, cut, decode

_NO_REF = r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|^[-/]|/$"  # compiled when used


class Repository(ObjectStore):
    """The repository around a directory. Cheap to make: one git process.

    `top` is the working tree's root, "" in a bare repository; `git_dir` and `common_dir` are absolute.

    Raises NotARepository when git finds none, or refuses it.
    """

    def __init__(self, directory: str = "") -> None:
        try:
            directory = directory or os.getcwd()
        except OSError:
            raise NotARepository("the current directory does not exist any more", "cd into the clone first") from None
        super().__init__(directory)
        result = self.run("rev-parse", "--git-dir", "--git-common-dir", "--show-toplevel")
        places = result.lines
        if len(places) < 2:
            raise _not_a_repository(result)
        self.git_dir = os.path.realpath(os.path.join(directory, places[0]))
        self.common_dir = os.path.realpath(os.path.join(directory, places[1]))
        self.top = places[2] if not result.status and len(places) > 2 else ""
        self._config: list[tuple[str, str]] | None = None
        self._ssh: ssh_config.Names | None = None
        self.urls: dict[tuple[str, ...], list[str]] = {}  # what `git remote get-url` has said; see git/remote.py

    resolve, peel = peeling.resolve, peeling.peel

    def config(self) -> list[tuple[str, str]]:
        """Every git setting in force here, lower-case keys, the later one winning. Read once."""
        if self._config is None:
            out = decode(self.read("config", "--list", "-z"))
            pairs = (entry.partition("\n") for entry in out.split("\0") if entry)
            self._config = [(key, value) for key, _, value in pairs]
        return self._config

    @property
    def main_place(self) -> str:
        """The root of the main working tree, of a bare repository its own place.

        The git directory of a submodule is inside of the repository around it, and names the working tree.
        """
        top = dict(self.config()).get("core.worktree", "")
        if top:
            return os.path.realpath(os.path.join(self.common_dir, top))
        if self.git_dir == self.common_dir and self.top:
            return os.path.realpath(self.top)
        return self.common_dir.removesuffix("/.git")

    @property
    def is_partial(self) -> bool:
        """Is this a partial clone, which lacks objects that its remote has promised?"""
        return any(key.startswith("remote.") and key.endswith(".promisor") for key, _ in self.config())

    def spellings(self, url: str) -> list[str]:
        """A configured URL as it is, and as `url.<base>.insteadOf` and `pushInsteadOf` rewrite it."""
        rewrites = [
            (value, key[len("url.") : -len(end)])
            for key, value in self.config()
            for end in (".insteadof", ".pushinsteadof")
            if key.startswith("url.") and key.endswith(end)
        ]
        return [url, *(base + url[len(old) :] for old, base in rewrites if old and url.startswith(old))]

    def remotes(self, keys: str = "url") -> list[str]:
        """The names of the remotes with one of these keys, in the order of the settings; a name may hold dots."""
        matches = (re.fullmatch(rf"remote\.(.+)\.(?:{keys})", key, re.DOTALL) for key, _ in self.config())
        return list(dict.fromkeys(match[1] for match in matches if match))

    def remote_urls(self) -> list[str]:
        """The remotes' URLs, as configured and as `url.<base>.insteadOf` rewrites them."""
        configured = [
            value for key, value in self.config() if key.startswith("remote.") and key.endswith((".url", ".pushurl"))
        ]
        return [spelled for url in configured for spelled in self.spellings(url)]

    def name_of(self, url: str) -> str:
        """The one name of the repository at a URL, a path's without symbolic links; good for comparing alone."""
        place = repository_urls.place_of(url, self.top or self.git_dir)
        if place is None:
            return ""
        if place.host == repository_urls.LOCAL:
            return repository_urls.normalise(os.path.realpath(place.path))
        return place._replace(host=ssh_config.host_of(place.host, self._ssh_names())).name

    def without_alias(self, url: str) -> str:
        """An ssh URL with the host that is meant where its own is a name of the user's ssh configuration."""
        place = repository_urls.place_of(url)
        host = ssh_config.host_of(place.host, self._ssh_names()) if place else ""
        return repository_urls.with_host(url, host) if place and host != place.host else url

    def refs(self, names: Sequence[str]) -> dict[str, str]:
        """Full name of a ref -> the object that it is at, for those that are there. One git process.

        git would look for a name that it does not know below refs/tags/ and refs/heads/, too.
        """
        if not names:
            return {}
        listed = self.run("for-each-ref", "--format=%(refname) %(objectname)", *names).lines
        objects = {name: target for name, _, target in (line.rpartition(" ") for line in listed)}
        return {name: objects[name] for name in names if name in objects}

    def symbolic_target(self, ref: str) -> str:
        """The ref that this one, a full name, is symbolic for, also where there is no such ref yet; "" for none.

        A symbolic ref is a file, wherever other refs are. Another store of refs (reftable) and a symbolic link are left
        to git, by a process.
        """
        place = os.path.join(self.common_dir, ref)
        if dict(self.config()).get("extensions.refstorage", "files") != "files" or os.path.islink(place):
            return self.run("symbolic-ref", "--quiet", ref).text
        content = read_limited(place, 4096)
        text = "" if isinstance(content, str) else content.decode("utf-8", "surrogateescape")
        return text.removeprefix("ref:").strip() if text.startswith("ref:") else ""

    def symbolic_branches(self) -> dict[str, str]:
        """The branches that are symbolic for others, by full names; also for one that is not there yet, but in another
        store of refs than files: there git tells, by a process."""
        if dict(self.config()).get("extensions.refstorage", "files") != "files":
            listed = self.run("for-each-ref", "--format=%(refname) %(symref)", "refs/heads/").lines
            return {name: target for name, _, target in (line.partition(" ") for line in listed) if target}
        symbolic = {}
        for directory, _, names in os.walk(os.path.join(self.common_dir, "refs", "heads")):  # never packed
            for name in names:
                place = os.path.join(directory, name)
                ref = os.path.relpath(place, self.common_dir)
                if target := os.readlink(place) if os.path.islink(place) else self.symbolic_target(ref):
                    symbolic[ref] = target
        return symbolic

    def default_branches(self, remotes: Sequence[str] = ("*",)) -> list[str]:
        """Where the default branches of these remotes (names, or patterns) were when last fetched. One git process.

        Their HEADs are symbolic for a branch of theirs. One that is none is a branch which the remote calls HEAD, and
        one to nothing is not there.
        """
        if not remotes:
            return []
        patterns = [f"refs/remotes/{name}/HEAD" for name in remotes]
        listed = self.run("for-each-ref", "--format=%(objectname) %(refname) %(symref)", *patterns).lines
        heads = [cut(line, " ", 3) for line in listed]
        return [target for target, name, symbolic in heads if symbolic.startswith(name.removesuffix("HEAD"))]

    def branch_tips(self, names: Iterable[str]) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
        """Where branches of these names are: here, and on the remotes as last fetched. One git process.

        What is no name of a branch (git-check-ref-format(1): a pattern, for one) is nowhere.
        """
        plain = [name for name in dict.fromkeys(names) if name and not re.search(_NO_REF, name)]
        if not plain:
            return {}, {}
        patterns = [f"refs/{place}/{name}" for name in plain for place in ("heads", "remotes/*")]
        local: dict[str, frozenset[str]] = {}
        remote: dict[str, frozenset[str]] = {}
        for line in self.run("for-each-ref", "--format=%(objectname) %(refname)", *patterns).lines:
            tip, _, ref = line.partition(" ")
            for name in plain:
                if ref == f"refs/heads/{name}":
                    local[name] = frozenset({tip})
                elif ref.startswith("refs/remotes/") and ref.endswith(f"/{name}"):
                    remote[name] = remote.get(name, frozenset()) | {tip}
        return local, remote

    @property
    def is_shallow(self) -> bool:
        """Does the history of this clone end before it began?"""
        return os.path.exists(os.path.join(self.common_dir, "shallow"))

    def names(self, more: Sequence[str] = ()) -> frozenset[str]:
        """Names under which a task may have recorded this repository: its remotes, this clone, and `more`.

        Normalised. A relative URL is there as seen from the clone, and as a task's record has it; a host also by the
        names that the user's ssh configuration has for it.
        """
        spelled = [each for url in more for each in self.spellings(url)]
        urls = dict.fromkeys([*spelled, *self.remote_urls(), self.common_dir, *([self.top] if self.top else [])])
        bases = (self.top or self.git_dir, "/")
        places = [place for url in urls for base in bases if (place := repository_urls.place_of(url, base))]
        names = {place.name for place in places}
        for place in places if self._ssh_names() else ():
            if place.host != repository_urls.LOCAL:
                host = ssh_config.host_of(place.host, self._ssh_names())
                hosts = [host, *ssh_config.aliases_of(host, self._ssh_names())]
                names |= {place._replace(host=each).name for each in hosts}
        return frozenset(names)

    def _ssh_names(self) -> ssh_config.Names:
        """What the user's ssh calls hosts. Read once."""
        if self._ssh is None:
            self._ssh = ssh_config.read()
        return self._ssh


def can_be_ref(name: str) -> bool:
    """Could there be a ref of this full name (git-check-ref-format(1))?"""
    parts = name.split("/")
    odd = any(not part or part.startswith(".") or part.endswith((".", ".lock")) for part in parts)
    return not odd and "@{" not in name and not re.search(_NO_REF, name)


def _not_a_repository(result: GitResult) -> NotARepository:
    if "not a git repository" in result.stderr or not result.stderr:
        return NotARepository("not a git repository (or any of the parent directories)", "cd into the clone first")
    owned = re.search(r"dubious ownership in repository at '(.*)'", result.stderr)
    hint = shlex.join(["git", "config", "--global", "--add", "safe.directory", owned[1]]) if owned else ""
    return NotARepository(f"git refuses this directory: {result.reason}", hint or "see git status")
