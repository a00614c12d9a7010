"""What a push is about: git's lines on a hook's stdin, or pre-commit's variables, as ref updates. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from git_clearml.base.ids import SIDE_REFS, is_hash, is_zero, side_ref_commit
from git_clearml.errors import UsageError
from git_clearml.settings.policy import Policy

_NOTES = "refs/notes/"


class RefUpdate(NamedTuple):
    """One line of a push. `local_hash` may be any revision where pre-commit gave none; zeros mean no object."""

    local_ref: str
    local_hash: str
    remote_ref: str
    remote_hash: str

    @property
    def deletes(self) -> bool:
        return is_hash(self.local_hash) and is_zero(self.local_hash)  # a revision may be called 0

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
            raise UsageError(
                f"not a line of a pre-push hook: {line[:200]!r}; does another hook read them first?",
                "git help githooks",
            )
        updates.append(RefUpdate(*words))
    return updates


def parse_received(text: str) -> list[RefUpdate]:
    """The ref updates of a pre-receive hook's stdin (githooks(5)): `<old> <new> <ref>`. Raises as parse_lines does."""
    updates = []
    for line in text.split("\n"):
        if line:
            words = line.split(" ")
            if len(words) != 3:
                raise _no_line(line)
            updates.append(received_update(words[2], words[0], words[1]))
    return updates


def received_update(ref: str, old: str, new: str) -> RefUpdate:
    """The ref update that a git server is about to make. Raises UsageError where that is none."""
    if not ref.startswith("refs/") or not is_hash(old) or not is_hash(new):
        raise _no_line(f"{old} {new} {ref}")
    return RefUpdate(ref, new, ref, old)


def _no_line(line: str) -> UsageError:
    return UsageError(f"not a line of a pre-receive hook: {line[:200]!r}", "git help githooks")


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


class Push(NamedTuple):
    """What git is about to do. `remote` is a remote's name, or the URL where the push names none.

    `updates` are those that need judging: nothing behind this filters them again. `by_pre_commit`: the remote's
    hashes are not git's, but ancestors that some remote has. `received`: this is the repository that is pushed to,
    whose remotes have no say; `names` are further URLs of it.
    """

    remote: str
    url: str
    updates: tuple[RefUpdate, ...]
    by_pre_commit: bool = False
    received: bool = False
    names: tuple[str, ...] = ()

    @property
    def budget(self) -> float:
        """Seconds for all network calls where no setting says: git holds a connection meanwhile, and GitHub Enterprise
        Server gives all hooks together 5."""
        return 4.0 if self.received else 10.0


def updates_to_judge(updates: Iterable[RefUpdate]) -> tuple[RefUpdate, ...]:
    """The updates that could share code: no deletion, no notes, nothing that is there already, no side ref of ours."""
    return tuple(update for update in updates_with_side_refs(updates) if not _is_side_ref(update))


def updates_with_side_refs(updates: Iterable[RefUpdate]) -> tuple[RefUpdate, ...]:
    """The same with our side refs: on a git server it is its policy that says whether these are free."""
    return tuple(
        update
        for update in updates
        if not update.deletes and update.local_hash != update.remote_hash and not update.remote_ref.startswith(_NOTES)
    )


def _is_side_ref(update: RefUpdate) -> bool:
    """Is this a push of our own? Its name says which commit it holds; anything else below that folder is judged."""
    digits = side_ref_commit(update.remote_ref.removeprefix(SIDE_REFS))
    return bool(digits) and update.remote_ref.startswith(SIDE_REFS) and update.local_hash.startswith(digits)


def is_free_side_ref(update: RefUpdate, policy: Policy) -> bool:
    """Is this a new side ref, in a repository that receives it?

    It is free there unless `protect` names it; one that is moved is a branch like others.
    """
    return not policy.protect and update.creates and _is_side_ref(update)


Key = TypeVar("Key", bound=Hashable)


def refs_by(updates: Iterable[tuple[Key, RefUpdate]]) -> dict[Key, tuple[str, ...]]:
    """Whatever the updates bring (a commit, a commit and its policy) -> the refs it is pushed to, in their order."""
    refs: dict[Key, dict[str, None]] = {}
    for key, update in updates:
        refs.setdefault(key, {})[update.remote_ref or update.local_ref] = None
    return {key: tuple(names) for key, names in refs.items()}
