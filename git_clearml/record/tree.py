"""The files of a results commit: what is added, the tree that it makes, and the working tree that follows it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from git_clearml.base.words import listed
from git_clearml.errors import UsageError
from git_clearml.git import remote as remotes
from git_clearml.git.index import temporary_index
from git_clearml.git.repository import Repository
from git_clearml.record import branch as results_branch
from git_clearml.record import lockfile as lock
from git_clearml.record.branch import Target
from git_clearml.settings import code_paths as code
from git_clearml.verdict import results_commits as lineage

PLAIN = "100644"
NONE = ("000000", "")
"""Mode and object of a file that is not there."""


@dataclass(frozen=True)
class Change:
    """A file to commit: mode and object before (in the commit that ran) and after."""

    path: str
    before: tuple[str, str]
    after: tuple[str, str]


def added(repository: Repository, commit: str, paths: Sequence[str]) -> tuple[Change, ...]:
    """What differs from the commit in these files and directories of the working tree, as `git add` would take it.

    clearml.lock is not among them. Raises UsageError for a path that git cannot add.
    """
    if not paths:
        return ()
    if not repository.top:
        raise UsageError("this repository is bare: there is no file to add", "record from a clone with a working tree")
    with temporary_index(repository, commit) as index:
        adding = index.run("--literal-pathspecs", "add", "--", *paths)
        if adding.status:
            raise UsageError(f"--add: {adding.reason}", "git status shows what there is to add")
        out = index.read("diff-index", "--cached", "-r", "-z", "--raw", "--no-renames", commit)
    fields = out.decode("utf-8", "surrogateescape").split("\0")
    changes = []
    for raw, path in zip(fields[0::2], fields[1::2], strict=False):
        mode, new_mode, name, new_name, _ = raw.lstrip(":").split(" ")
        if path != code.LOCK:
            changes.append(Change(path, _entry(mode, name), _entry(new_mode, new_name)))
    return tuple(changes)


def warnings(repository: Repository, commit: str, changes: Sequence[Change]) -> tuple[str, ...]:
    """What would keep a commit of these changes from being verified by its parent, the commit that ran."""
    own = lineage.policies(repository, repository.resolve([commit])).values()
    modes = [(one.path, one.before[0], one.after[0]) for one in changes]
    why = code.not_results([*modes, (code.LOCK, NONE[0], PLAIN)], own)
    said = f"the results commit will not verify: {why} (results-paths in pyproject.toml, committed before the run)"
    return (said,) if why else ()


def entries(repository: Repository, commit: str, paths: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Mode and object of each path in a commit."""
    wanted = dict.fromkeys(paths, NONE)
    listed = repository.read("ls-tree", "-r", "-z", "--full-tree", commit) if wanted else b""
    for line in listed.decode("utf-8", "surrogateescape").split("\0"):
        facts, _, path = line.partition("\t")
        if path in wanted:
            mode, _, name = facts.split(" ")
            wanted[path] = mode, name
    return wanted


def has(repository: Repository, commit: str, made: str) -> bool:
    """Does a commit have the files that a results commit has changed, its clearml.lock apart?"""
    parents = repository.parents([made])[made]
    if len(parents) != 1:
        return False
    paths = [path for path, _, _ in repository.changed_modes(parents[0], made) if path != code.LOCK]
    return entries(repository, commit, paths) == entries(repository, made, paths)


def tree(repository: Repository, onto: str, files: Mapping[str, tuple[str, str]]) -> str:
    """The tree of a commit with these files instead of its own."""
    absent = "0" * len(onto)
    lines = "".join(
        f"{'0' if mode == NONE[0] else mode} {name or absent}\t{path}\0" for path, (mode, name) in files.items()
    )
    with temporary_index(repository, onto) as index:
        index.read("update-index", "-z", "--index-info", stdin=lines.encode("utf-8", "surrogateescape"))
        return index.write_tree()


def lock_at(repository: Repository, commit: str) -> lock.Lock | None:
    """What a commit's clearml.lock says, None where there is none that we can read."""
    [name] = repository.names_of([f"{commit}:{code.LOCK}"])
    if not name or int(repository.read("cat-file", "-s", name)) > lock.MAX_BYTES:
        return None
    try:
        return lock.from_text(repository.blobs([name])[name].decode("utf-8"))
    except ValueError:  # Malformed, or no UTF-8
        return None


def follow(repository: Repository, target: Target, paths: Sequence[str]) -> str:
    """Moves the checked-out branch forward to where its remote branch is now, files included.

    These paths may differ from HEAD if they are as they are there: the run has written them. Whatever else is in the
    way stays as it is, and what comes back says what to do; "" when nothing needs to be said.
    """
    here, config = remotes.branch(repository), dict(repository.config())
    if not repository.top or not here or not target.tip:
        return ""
    tracks = config.get(f"branch.{here}.merge", "")
    name = results_branch.tracked_branch(repository, target.remote) if tracks else here
    head = repository.read("rev-parse", "HEAD").decode("ascii").strip()
    if name != target.branch or remotes.contains(repository, [head], target.tip):
        return ""
    if not remotes.contains(repository, [target.tip], head):
        return f"{here} has commits that {target.shown} lacks: git pull --rebase gets the results"
    indexed = _accept(repository, target.tip, paths)
    words = ("-c", "merge.verifySignatures=false", "-c", "merge.autoStash=false", "merge", "--ff-only", "--quiet")
    # What a checkout runs, hooks and filters, may need the network.
    merging = repository.run("-C", repository.top, *words, target.tip, remote=True)
    if not merging.status:
        return ""
    _restore(repository, target.tip, indexed)
    in_the_way = listed([line[1:] for line in merging.stderr.split("\n") if line.startswith("\t")])
    why = f"{merging.reason} {in_the_way}".rstrip()
    return f"{here} does not follow: {why}; git pull gets the results"


def _accept(repository: Repository, commit: str, paths: Sequence[str]) -> dict[str, bytes]:
    """Tells the index that those files which are on disk as they are in the commit are just that.

    Or git would refuse to overwrite them. What the index had of each of them, as `git ls-files --stage -z` says it.
    """
    before = {}
    for path, (mode, name) in entries(repository, commit, paths).items():
        place = os.path.join(repository.top, path)
        if mode != PLAIN or os.path.islink(place) or not os.path.isfile(place):
            continue
        status, out, _ = repository.run("-C", repository.top, "hash-object", f"--path={path}", "--", path)
        if not status and out.decode("ascii").strip() == name:
            words = ("-C", repository.top, "--literal-pathspecs", "ls-files", "--stage", "-z", "--", path)
            before[path] = repository.read(*words)
            repository.run("-C", repository.top, "update-index", "--add", "--cacheinfo", f"{mode},{name},{path}")
    return before


def _restore(repository: Repository, commit: str, before: Mapping[str, bytes]) -> None:
    """Makes the index say of these paths what it said before `_accept`."""
    absent = "0" * len(commit)
    for path, staged in before.items():
        gone = f"0 {absent}\t{path}\0".encode("utf-8", "surrogateescape")
        repository.run("-C", repository.top, "update-index", "-z", "--index-info", stdin=gone + staged)


def _entry(mode: str, name: str) -> tuple[str, str]:
    return NONE if mode == NONE[0] else (mode, name)
