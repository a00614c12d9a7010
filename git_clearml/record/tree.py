"""The files of a results commit: what is added to it, and the tree that they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from git_clearml.errors import UsageError
from git_clearml.git.changes import ABSENT
from git_clearml.git.index import temporary_index
from git_clearml.git.output import entries as entries_in
from git_clearml.git.output import stdin_entries
from git_clearml.git.repository import Repository
from git_clearml.record import filters, lockfile
from git_clearml.settings import code_paths as code
from git_clearml.verdict import results_commits as lineage

PLAIN = "100644"
_FILES = (PLAIN, "100755")  # what filters are for: no links, no submodules
NONE = (ABSENT, "")
"""Mode and object of a file that is not there."""


@dataclass(frozen=True)
class Change:
    """A file to commit: mode and object before (in the commit that ran) and after."""

    path: str
    before: tuple[str, str]
    after: tuple[str, str]


def added(repository: Repository, commit: str, paths: Sequence[str]) -> tuple[Change, ...]:
    """What differs from the commit in these files and directories of the working tree, as `git add` would take it.

    clearml.lock is not among them. Raises UsageError for a path that git cannot add, or whose filter is not set up.
    """
    if not paths:
        return ()
    if not repository.top:
        raise UsageError(
            "this repository is bare: there is no file to add", "git clearml run --attach <task> --record commit"
        )
    with temporary_index(repository, commit, settings=filters.strict_settings(repository)) as index:
        adding = index.run("--literal-pathspecs", "add", "--", *paths)
        if adding.status:
            raise UsageError(f"--add: {adding.reason}", "git status")
        out = index.read("diff-index", "--cached", "-r", "-z", "--raw", "--no-renames", commit)
        changes = _changes(entries_in(out))
        filters.check(repository, index, [change.path for change in changes if change.after[0] in _FILES])
    return changes


def _changes(fields: Sequence[str]) -> tuple[Change, ...]:
    """The changes that `git diff-index -z --raw` has listed, without clearml.lock."""
    changes = []
    for raw, path in zip(fields[0::2], fields[1::2], strict=False):
        mode, new_mode, name, new_name, _ = raw.lstrip(":").split(" ")
        if path != code.LOCK:
            changes.append(Change(path, _entry(mode, name), _entry(new_mode, new_name)))
    return tuple(changes)


def warnings(repository: Repository, commit: str, changes: Sequence[Change]) -> tuple[str, ...]:
    """What would keep a commit of these changes from being verified by its parent, the commit that ran."""
    own = lineage.policies(repository, repository.resolve([commit])).values()
    modes = [(change.path, change.before[0], change.after[0]) for change in changes]
    reason = code.not_results([*modes, (code.LOCK, ABSENT, PLAIN)], own)
    hint = "results-paths in pyproject.toml, committed before the run"
    return (f"the results commit will not verify: {reason} ({hint})",) if reason else ()


def entries(repository: Repository, commit: str, paths: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Mode and object of each path in a commit."""
    wanted = dict.fromkeys(paths, NONE)
    listed = repository.read("ls-tree", "-r", "-z", "--full-tree", commit) if wanted else b""
    for entry in entries_in(listed):
        facts, _, path = entry.partition("\t")
        if path in wanted:
            mode, _, name = facts.split(" ")
            wanted[path] = mode, name
    return wanted


def has(repository: Repository, commit: str, results_commit: str) -> bool:
    """Does a commit have the files that a results commit has changed, its clearml.lock apart?"""
    parents = repository.parents([results_commit])[results_commit]
    if len(parents) != 1:
        return False
    trees = repository.trees([parents[0], results_commit])
    pair = trees.get(parents[0], ""), trees.get(results_commit, "")
    if not all(pair):
        return False
    paths = [change.path for change in repository.changes([pair])[pair] if change.path != code.LOCK]
    return entries(repository, commit, paths) == entries(repository, results_commit, paths)


def make(repository: Repository, onto: str, files: Mapping[str, tuple[str, str]]) -> str:
    """The tree of a commit with these files instead of its own."""
    absent = "0" * len(onto)
    lines = [f"{'0' if mode == ABSENT else mode} {name or absent}\t{path}" for path, (mode, name) in files.items()]
    with temporary_index(repository, onto) as index:
        index.read("update-index", "-z", "--index-info", stdin=stdin_entries(lines))
        return index.write_tree()


def lock_at(repository: Repository, commit: str) -> lockfile.Lock | None:
    """What a commit's clearml.lock says, None where there is none that we can read."""
    [name] = repository.names_of([f"{commit}:{code.LOCK}"])
    if not name or int(repository.read("cat-file", "-s", name)) > lockfile.MAX_BYTES:
        return None
    try:
        return lockfile.from_text(repository.blobs([name])[name].decode("utf-8"))
    except ValueError:  # Malformed, or no UTF-8
        return None


def _entry(mode: str, name: str) -> tuple[str, str]:
    return NONE if mode == ABSENT else (mode, name)
