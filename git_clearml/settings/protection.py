"""Which refs a policy protects. Pure."""

from __future__ import annotations

from git_clearml.base import globs
from git_clearml.settings.policy import Policy


def protected(remote_ref: str, policy: Policy) -> bool:
    """Does the policy gate pushes to this ref? Every branch unless it names refs; tags only when named in full."""
    if not remote_ref:
        return True  # pre-commit's manual stage: asked for by hand
    if not policy.protect:
        return remote_ref.startswith("refs/heads/")
    names = [remote_ref]
    if remote_ref.startswith("refs/heads/"):
        names.append(remote_ref.removeprefix("refs/heads/"))
    return any(globs.matches(policy.protect, name) for name in names)
