"""What a revision is peeled to: an annotated tag to the commit that it names, in one git process for all revisions."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from enum import Enum

from git_clearml.base.ids import is_hash
from git_clearml.errors import UnknownRevision
from git_clearml.git.objects import ObjectStore
from git_clearml.git.output import GitResult
from git_clearml.model import Commit, Resolved
from git_clearml.settings.code_paths import LOCK
from git_clearml.settings.load import POLICY_FILE

_TRY_LOG = "git log --oneline"


class NoCommit(Enum):
    """Why a name is peeled to no commit."""

    MISSING = "missing"
    AMBIGUOUS = "ambiguous"
    OTHER_OBJECT = "a tree or a blob"


def resolve(objects: ObjectStore, revs: Sequence[str]) -> list[Resolved]:
    """Each revision's commit and policy file. One git process for all.

    Raises UnknownRevision for the first that names no commit here.
    """
    resolved = []
    for rev, peeled in zip(revs, peel(objects, [_peelable(objects, rev) for rev in revs]), strict=True):
        if isinstance(peeled, NoCommit):
            raise _unknown(objects, rev, peeled)
        resolved.append(peeled._replace(rev=rev))
    return resolved


def peel(objects: ObjectStore, names: Sequence[str]) -> list[Resolved | NoCommit]:
    """The commit that each name, a tag perhaps, is peeled to, and its policy file.

    Raises UnknownRevision for a name that git does not understand.
    """
    if not names:
        return []
    if len(unique := list(dict.fromkeys(names))) < len(names):  # of a push of thousands of refs most are one commit
        peeled_by_name = dict(zip(unique, peel(objects, unique), strict=True))
        return [peeled_by_name[name] for name in names]
    parts = ("^{commit}", "^{tree}", f"^{{commit}}:{POLICY_FILE}", f"^{{commit}}:{LOCK}", "")
    types = objects.object_types([f"{name}{part}" for name in names for part in parts])
    if isinstance(types, GitResult):
        raise UnknownRevision(f"git does not understand this revision: {types.reason}", _TRY_LOG)
    peeled: list[Resolved | NoCommit] = []
    for number, name in enumerate(names):
        commit, tree, blob, lock, itself = types[len(parts) * number : len(parts) * (number + 1)]
        if commit[1] == "commit" and is_hash(commit[0]):
            objects.head = commit[0] if name == "HEAD" else objects.head
            objects.locks[commit[0]] = lock[0] if is_hash(lock[0]) else ""
            policy = blob[0] if blob[1] == "blob" else ""
            peeled.append(Resolved(name, Commit(commit[0], tree[0] if tree[1] == "tree" else ""), policy))
        elif "ambiguous" in (commit[1], itself[1]):
            peeled.append(NoCommit.AMBIGUOUS)
        else:
            peeled.append(NoCommit.MISSING if itself[1] == "missing" else NoCommit.OTHER_OBJECT)
    return peeled


def _peelable(objects: ObjectStore, rev: str) -> str:
    """The revision in a form to which `^{commit}` can be added: not to `:/text`, nor to a brace left open."""
    if not rev.strip() or "\n" in rev or "\0" in rev:
        raise UnknownRevision(f"not a revision: {rev!r}", _TRY_LOG)
    if ".." in rev or rev.startswith("^"):
        raise UnknownRevision(
            f"{rev!r} is a range: expected a commit", f"git clearml verify $(git rev-list {shlex.quote(rev)})"
        )
    if ":" not in rev and "{" not in rev:
        return rev
    result = objects.run("rev-parse", "--verify", "--quiet", "--end-of-options", rev)
    if result.status or not is_hash(result.text):
        raise UnknownRevision(f"no such revision: {rev!r}", _TRY_LOG)
    return result.text


def _unknown(objects: ObjectStore, rev: str, why: NoCommit) -> UnknownRevision:
    if rev == "HEAD" and objects.run("rev-parse", "--verify", "--quiet", "HEAD").status:
        return UnknownRevision("this repository has no commits yet", "commit something first")
    if why is NoCommit.AMBIGUOUS:
        return UnknownRevision(f"{rev!r} is short for more than one commit", "give more of its digits")
    parsed = objects.run("rev-parse", "--verify", "--quiet", "--end-of-options", rev)
    if parsed.status == 0 and not is_hash(rev):
        return UnknownRevision(f"{rev!r} is not a commit", _TRY_LOG)
    return UnknownRevision(f"no such commit in this clone: {rev!r}", "git fetch")
