"""What git itself makes of two commits: `git merge-tree --write-tree` (git 2.38), one process for all pairs (git 2.39).

Nothing is written into the repository, and no file of a working tree, no attribute and no merge driver has a say: the
same commits give the same tree in every clone that has their histories.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from git_clearml.base.ids import is_hash
from git_clearml.base.words import listed
from git_clearml.git.changes import EMPTY
from git_clearml.git.output import GitResult, decode, options_of, stdin_lines
from git_clearml.git.repository import Repository

_SETTINGS = (
    "merge.renames=true merge.directoryRenames=conflict merge.renormalize=false diff.renames=true "
    "merge.renameLimit=7000 diff.renameLimit=7000 merge.conflictStyle=merge core.attributesFile="
).split()
_WORDS = ("merge-tree", "--write-tree", "--name-only", "--no-messages")
_MOST = 100  # merges of one question
_ONE_BY_ONE = 4  # of them where git takes no batch, or ends at one of them
_USAGE = 129  # git's exit status for an option that it does not know


class Merge(NamedTuple):
    """What became of a merge: the tree, "" where there is none; then `why` says so, as the rest of a sentence."""

    tree: str = ""
    why: str = ""


_TOO_OLD = Merge(why="this git is older than 2.38 and cannot tell what it makes of two commits")
_SHALLOW = Merge(why="this clone is shallow, and the history that they share may not be in it (git fetch --unshallow)")


def merges(repository: Repository, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Merge]:
    """The merge of each pair of commits (full hashes), 100 at most. Raises what running git raises."""
    if repository.is_shallow:
        return dict.fromkeys(pairs, _SHALLOW)
    wanted = [pair for pair in dict.fromkeys(pairs) if all(map(is_hash, pair))][:_MOST]
    results: dict[tuple[str, str], Merge] = {}
    with tempfile.TemporaryDirectory(prefix="git-clearml-") as scratch:
        options, environment = _alone(repository, scratch)
        batch = repository.run(
            *options, *_WORDS, "--stdin", stdin=stdin_lines(" ".join(pair) for pair in wanted), env=environment
        ) if wanted else GitResult(0, b"", "")  # fmt: skip
        results |= dict(zip(wanted, _batch(batch.stdout), strict=False))
        for pair in [pair for pair in wanted if pair not in results][:_ONE_BY_ONE]:
            alone = repository.run(*options, *_WORDS, "-z", *pair, env=environment)
            results[pair] = _single(alone)
    return results


def _alone(repository: Repository, scratch: str) -> tuple[list[str], Mapping[str, str]]:
    """Options and variables for a git directory of its own, which has the repository's objects and nothing else."""
    objects = os.environ.get("GIT_OBJECT_DIRECTORY") or os.path.join(repository.common_dir, "objects")
    others = [os.path.abspath(objects), os.environ.get("GIT_ALTERNATE_OBJECT_DIRECTORIES", "")]
    for name in ("objects", "refs"):
        os.mkdir(os.path.join(scratch, name))
    sha256 = dict(repository.config()).get("extensions.objectformat") == "sha256"
    settings = "[core]\n\trepositoryFormatVersion = 1\n\tbare = true\n"
    settings += "[extensions]\n\tobjectFormat = sha256\n" if sha256 else ""
    for name, content in (("HEAD", "ref: refs/heads/none\n"), ("config", settings)):
        with open(os.path.join(scratch, name), "w", encoding="ascii") as file:
            file.write(content)
    empty = EMPTY[64 if sha256 else 40]
    options = ["-C", scratch, *options_of((*_SETTINGS, f"attr.tree={empty}"))]
    return options, {
        "GIT_DIR": scratch,
        "GIT_WORK_TREE": scratch,  # a hook may have another one
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_ATTR_SOURCE": empty,
        "GIT_OBJECT_DIRECTORY": os.path.join(scratch, "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": os.pathsep.join(other for other in others if other),
        "GIT_INDEX_FILE": os.path.join(scratch, "index"),
    }


def _batch(output: bytes) -> list[Merge]:
    """For each merge: `1` or `0`, the tree, names of files in conflict, and an empty entry, each ended by NUL."""
    answers, fields = [], decode(output).split("\0")
    place = 0
    while place + 2 < len(fields):
        status, tree = fields[place], fields[place + 1]
        end = next((number for number in range(place + 2, len(fields)) if not fields[number]), len(fields))
        answers.append(_merge(status == "1", tree, fields[place + 2 : end]))
        place = end + 1
    return answers


def _single(result: GitResult) -> Merge:
    """The answer to one merge: the tree, and names of files in conflict where the status is 1."""
    if result.status == _USAGE:
        return _TOO_OLD
    tree, *names = result.entries or [""]
    if not is_hash(tree):
        return Merge(why=f"git does not merge them: {result.reason}")
    return _merge(result.status == 0, tree, names)


def _merge(clean: bool, tree: str, conflicts: Sequence[str]) -> Merge:
    return Merge(tree) if clean else Merge(why=f"git alone stops at a conflict in {listed(conflicts)}")
