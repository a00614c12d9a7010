"""Fetches the policy that judges a commit: from a commit's pyproject.toml, and the flags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from git_clearml.model import Resolved
from git_clearml.settings import table as settings
from git_clearml.settings.policy import Personal, Policy


class PolicyFiles(Protocol):
    """What a repository tells of settings: the contents of blobs by their hashes, and git's configuration as pairs."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Bytes of blobs, as far as they have been seen."""

    def blobs(self, names: Iterable[str]) -> dict[str, bytes]: ...

    def config(self) -> Sequence[tuple[str, str]]: ...


class ResolvedPolicy(NamedTuple):
    """A policy and where it is from: a commit's hash, `flags` or `defaults`."""

    policy: Policy
    settings: settings.Settings
    origin: str
    warnings: tuple[str, ...] = ()

    @property
    def personal(self) -> Personal:
        """The settings that are no policy."""
        return Personal(**{name: self.settings[name.replace("_", "-")].value for name in Personal._fields})


def rulings(
    repository: PolicyFiles, commits: Sequence[Resolved], *, flags: Mapping[str, Any], environment: Mapping[str, str]
) -> list[ResolvedPolicy]:
    """For each commit the policy in its own pyproject.toml, with the flags over it.

    One git process however many commits; equal files are read once. Raises BadSetting for what cannot be
    understood, and CannotDecide when a file's object is missing.
    """
    for resolved in commits:
        settings.check_size(repository.sizes.get(resolved.policy_blob, 0), _place(resolved))
    contents = repository.blobs(commit.policy_blob for commit in commits)
    git_config = [(key, value) for key, value in repository.config() if key.startswith("clearml.")]
    by_blob: dict[str, ResolvedPolicy] = {}
    result = []
    for resolved in commits:
        blob = resolved.policy_blob
        if blob not in by_blob:
            where = _place(resolved)
            table = settings.pyproject_table(contents[blob], where) if blob else {}
            values, warnings = settings.merge(
                flags=flags, environment=environment, git_config=git_config, pyproject=table, pyproject_origin=where
            )
            origin = "flags" if settings.policy_flags(values) else "" if table else "defaults"
            by_blob[blob] = ResolvedPolicy(settings.policy_of(values), values, origin, tuple(warnings))
        ruling = by_blob[blob]
        result.append(ruling._replace(origin=ruling.origin or resolved.commit.hash))
    return result


POLICY_FILE = "pyproject.toml"


def _place(resolved: Resolved) -> str:
    return f"{POLICY_FILE} at {resolved.commit.hash[:12]}"
