"""Which refs a policy protects. Pure."""

from __future__ import annotations

from git_clearml.base import globs
from git_clearml.settings.policy import Policy


def protected(remote_ref: str, policy: Policy, *, ignores_case: bool = False) -> bool:
    """Does the policy gate pushes to this ref? Every branch unless it names refs; tags only when named in full.

    `ignores_case`: refs are files there, whose names are the same in upper and lower case (git's core.ignoreCase).
    """
    if not remote_ref:
        return True  # pre-commit's manual stage: asked for by hand
    ref, protect = remote_ref, list(policy.protect)
    if ignores_case:
        ref, protect = _folded(ref), [_folded(pattern) for pattern in protect]
    if not protect:
        return ref.startswith("refs/heads/")
    names = [ref]
    if ref.startswith("refs/heads/"):
        names.append(ref.removeprefix("refs/heads/"))
    return any(globs.matches(protect, name) for name in names)


def _folded(name: str) -> str:
    import unicodedata  # late: few file systems are like that

    return unicodedata.normalize("NFC", name).casefold()
