"""A commit as the difference to one that the remote has, in the form that a ClearML agent applies to its clone.

The agent (clearml-agent 3.0, helper/repo.py, VCS.patch) encodes a task's diff as UTF-8, adds a line break and gives it
to `git apply --unidiff-zero` at the top of its clone, without an index. Before that it makes an empty file for each
line `--- a/<path>` whose path does not exist: meant for new files, but it reads the lines of files' content as well.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from git_clearml.errors import CannotDecide, UsageError
from git_clearml.git import remote as remotes
from git_clearml.git.changes import ABSENT, LFS, LINK, Change
from git_clearml.git.index import temporary_index
from git_clearml.git.output import cut, lines, reason, stdin_lines
from git_clearml.git.remote import Remote
from git_clearml.git.repository import Repository
from git_clearml.git.runner import DAMAGED

LIMIT = 500_000
"""Characters of a diff; the SDK's own limit for what it stores with a task (max_diff_size_bytes)."""

_HINT = "leave --as-diff out"
_POINTER = 1024  # bytes; git-lfs takes nothing longer for a pointer
_MADE_BY_AGENT = re.compile(r"^--- a/(?P<path>.*)")
# diff-tree does not read the settings that are for diffs on a terminal; what else could change the text stands here.
_PATCH = (
    "-c core.quotePath=true -c diff.relative=false -c diff.suppressBlankEmpty=false diff-tree -r -p --binary "
    "--full-index --no-ext-diff --no-textconv --no-color --no-renames --src-prefix=a/ --dst-prefix=b/ -U3 "
    "--inter-hunk-context=0 --diff-algorithm=default -O/dev/null --ignore-submodules=none --submodule=short"
)
_PLAIN = ("core.autocrlf=false", "core.safecrlf=false", "core.sparseCheckout=false")
_APPLY = "apply --cached --unidiff-zero --whitespace=nowarn --no-ignore-whitespace -"


@dataclass(frozen=True)
class Difference:
    """The text that turns `base`, a commit that the remote has, into the wanted commit; "" where they do not differ."""

    base: str
    text: str


def difference(repository: Repository, remote: Remote, commit: str, *, timeout: float) -> Difference:
    """The difference of the commit to the newest of its ancestors that the remote has, proved by applying it.

    Raises UsageError where it cannot go as a task's diff, with the reason; Unreachable and TimedOut when the remote
    does not answer.
    """
    tips = remotes.tips(repository, remote, timeout=timeout)
    if remotes.contains(repository, tips, commit):
        return Difference(commit, "")
    base = _base(repository, tips, commit)
    if not base:
        raise UsageError(f"{remote.shown} has no ancestor of {commit[:12]} that this clone knows of", _HINT)
    trees = repository.trees([base, commit])
    pair = trees.get(base, ""), trees.get(commit, "")
    changes = repository.changes([pair])[pair]
    text = _text(repository, base, commit, changes) if changes else ""
    return Difference(base, text)


def _base(repository: Repository, tips: Sequence[str], commit: str) -> str:
    """The newest ancestor that a tip reaches, "" for none; of several, one that none of the others descends from."""
    listed = remotes.unreached(repository, tips, [commit], "--boundary", "--topo-order")
    bases = [line[1:] for line in listed if line.startswith("-")]
    if len(bases) > 1:
        bases = lines(repository.read("merge-base", "--independent", *bases))
    return bases[0] if bases else ""


def _text(repository: Repository, base: str, commit: str, changes: Sequence[Change]) -> str:
    """The diff. Raises UsageError where an agent could not make the commit of it."""
    small = _small_blobs(repository, changes)
    obstacle = _obstacle(changes, small)
    if obstacle:
        raise _impossible(base, obstacle)
    content = _patch(repository, base, commit)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise _impossible(base, "a file that git takes for text is not UTF-8")
    if len(text) > LIMIT:
        raise _impossible(base, f"it has more than {LIMIT:,} characters")
    spoilt = _spoilt(repository, base, changes, small, text)
    if spoilt:
        raise _impossible(base, f"an agent takes a line of it for the name of {spoilt}, a new file, and trips over it")
    if not _proved(repository, base, commit, content):
        raise _impossible(base, "git apply does not make the commit's files of it")
    return text


def _obstacle(changes: Sequence[Change], small: Mapping[str, bytes]) -> str:
    """What among the changes no diff can do, "" for nothing."""
    links = [change.path for change in changes if change.before == LINK]
    new = [change.path for change in changes if change.before == ABSENT]
    for change in changes:
        path = change.path
        if change.submodule:
            return f"the submodule {path} was moved, which a diff cannot do"
        if any(small.get(blob, b"").startswith(LFS) for blob in (change.was, change.name)):
            return f"{path} is in git-lfs, which a diff leaves out"
        if any(path.startswith(f"{link}/") for link in links):  # git apply looks through the link, which may circle
            return f"the link above {path} became a folder, which git apply fails at"
        if " " in path and any(path.startswith(f"{file}/") for file in new):  # it makes a file of that name and a tab
            return f"the folder of {path} became a file, which an agent fails at"
    return ""


def _impossible(base: str, why: str) -> UsageError:
    return UsageError(f"the difference to {base[:12]}, which the remote has, cannot be sent as a diff: {why}", _HINT)


def _small_blobs(repository: Repository, changes: Sequence[Change]) -> dict[str, bytes]:
    """The content of the blobs that are small enough for an LFS pointer or a link."""
    names = dict.fromkeys(name for change in changes for name in (change.was, change.name) if name.strip("0"))
    asking = ("cat-file", "--batch-check=%(objectname) %(objectsize)")
    env = {"GIT_NO_REPLACE_OBJECTS": "1"}
    sizes = repository.run(*asking, stdin=stdin_lines(names), env=env, remote=True)  # a partial clone fetches them now
    if sizes.status:
        raise CannotDecide(f"git cat-file failed: {sizes.reason}", DAMAGED)
    pairs = (cut(line, " ", 2) for line in sizes.lines)
    return repository.blobs([name for name, size in pairs if size.isdigit() and int(size) <= _POINTER])


def _patch(repository: Repository, base: str, commit: str) -> bytes:
    """What git says, and no more of it than is needed to see that it is too long."""
    most = 4 * LIMIT  # a character has four bytes at most
    content = b""
    with repository.stream(*_PATCH.split(), base, commit, env={"GIT_DIFF_OPTS": ""}) as stream:
        for block in stream:
            content += block
            if len(content) > most:
                raise _impossible(base, f"it has more than {LIMIT:,} characters")
    if stream.status:
        raise CannotDecide(f"git diff-tree failed: {reason(stream.stderr, stream.status)}", DAMAGED)
    return content


def _spoilt(repository: Repository, base: str, changes: Sequence[Change], small: Mapping[str, bytes], text: str) -> str:
    """A new file that the agent would make before git does, "" for none; see the top of this module."""
    links = {change.path: small.get(change.was, b"") for change in changes if change.before == LINK}
    new = [change.path for change in changes if change.before == ABSENT]
    touched = set()
    for match in filter(None, map(_MADE_BY_AGENT.match, text.splitlines())):  # the agent cuts lines like this
        path = posixpath.normpath(match["path"])
        if path in links:  # one that leads nowhere: the file is made where it leads
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), os.fsdecode(links[path])))
        touched.add(path)
    at_risk = ((path, file) for file in touched for path in new if path == file or path.startswith(f"{file}/"))
    return next((path for path, file in at_risk if repository.run("cat-file", "-e", f"{base}:{file}").status), "")


def _proved(repository: Repository, base: str, commit: str, content: bytes) -> bool:
    """Does the difference, applied to the base in a temporary index, make the commit's tree?"""
    place = repository.top or repository.git_dir
    with temporary_index(repository, base, directory=place, settings=_PLAIN) as index:
        if index.run(*_APPLY.split(), stdin=content + b"\n").status:
            return False
        return index.write_tree() == repository.trees([commit])[commit]
