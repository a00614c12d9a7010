"""What a push is about: git's lines on the hook's stdin, or pre-commit's variables, as ref updates. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from git_clearml.base import globs
from git_clearml.base.ids import is_hash, is_zero, side_ref_commit
from git_clearml.errors import UsageError
from git_clearml.git.side_ref_records import SIDE_REFS
from git_clearml.settings.policy import Policy

_NOTES = "refs/notes/"


@dataclass(frozen=True)
class RefUpdate:
    """One line of a push. `local_hash` may be any revision where pre-commit gave none; zeros mean no object."""

    local_ref: str
    local_hash: str
    remote_ref: str
    remote_hash: str

    @property
    def deletes(self) -> bool:
        return is_zero(self.local_hash)

    @property
    def creates(self) -> bool:
        return is_zero(self.remote_hash)


def parse_lines(text: str) -> list[RefUpdate]:
    """The ref updates of a pre-push hook's stdin (githooks(5)).

    Split from the right: the local ref is what the user typed, and that may hold spaces (`HEAD^{/fix it}`).
    Raises UsageError for a line that is none: a gate that cannot read the push does not let it pass.
    """
    updates = []
    for line in text.split("\n"):
        if not line:
            continue
        words = line.rsplit(" ", 3)
        if len(words) != 4 or not all(is_hash(word) for word in (words[1], words[3])):
            raise UsageError(f"not a line of a pre-push hook: {line[:200]!r}", "see githooks(5); was stdin changed?")
        updates.append(RefUpdate(*words))
    return updates


def from_pre_commit(environment: Mapping[str, str]) -> RefUpdate | None:
    """The one ref that pre-commit shows to a hook; None when pre-commit did not start us.

    `PRE_COMMIT_TO_REF` is what gets pushed; the first push of a root commit has the branch only; neither (the
    manual stage, CI) means HEAD. pre-commit's FROM_REF is the remote's old hash or, for a new branch, some
    ancestor that a remote has; the caller tells them apart. (pre-commit 4, commands/hook_impl.py.)
    """
    if environment.get("PRE_COMMIT") != "1":
        return None
    branch = environment.get("PRE_COMMIT_LOCAL_BRANCH", "")
    new = environment.get("PRE_COMMIT_TO_REF") or branch or "HEAD"
    old = environment.get("PRE_COMMIT_FROM_REF", "")
    return RefUpdate(branch or "HEAD", new, environment.get("PRE_COMMIT_REMOTE_BRANCH", ""), old or "0" * 40)


def needs_judging(update: RefUpdate) -> bool:
    """Could this update share code? Not a deletion, notes, what is there already, or a side ref of our own."""
    if update.deletes or update.local_hash == update.remote_hash:
        return False
    return not update.remote_ref.startswith(_NOTES) and not _is_side_ref(update)


def _is_side_ref(update: RefUpdate) -> bool:
    """Is this a push of our own? Its name says which commit it holds; anything else below that folder is judged."""
    digits = side_ref_commit(update.remote_ref.removeprefix(SIDE_REFS))
    return bool(digits) and update.remote_ref.startswith(SIDE_REFS) and update.local_hash.startswith(digits)


def protected(remote_ref: str, policy: Policy) -> bool:
    """Does the policy gate pushes to this ref? Every branch unless it names some; tags only when named in full."""
    if not remote_ref:
        return True  # pre-commit's manual stage: asked for by hand
    if not policy.protect:
        return remote_ref.startswith("refs/heads/")
    names = [remote_ref]
    if remote_ref.startswith("refs/heads/"):
        names.append(remote_ref.removeprefix("refs/heads/"))
    return any(globs.matches(policy.protect, name) for name in names)


def by_commit(updates: Sequence[tuple[RefUpdate, str]]) -> dict[str, tuple[str, ...]]:
    """Commit hash -> the remote refs that it is pushed to, in the order of the push."""
    refs: dict[str, list[str]] = {}
    for update, commit in updates:
        refs.setdefault(commit, []).append(update.remote_ref or update.local_ref)
    return {commit: tuple(dict.fromkeys(names)) for commit, names in refs.items()}
