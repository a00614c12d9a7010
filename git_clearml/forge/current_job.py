"""The CI job that we run in, as its environment tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from git_clearml.base.ids import is_hash, is_zero
from git_clearml.errors import UsageError
from git_clearml.forge import github_job, gitlab_job
from git_clearml.forge.job import Job


def detect(environment: Mapping[str, str]) -> Job | None:
    """The CI job that we are in, None outside GitHub Actions and GitLab CI.

    Raises BadAnswer for an event file that cannot be read, UsageError for a COMMIT_ID that is no full hash.
    """
    if environment.get("GITHUB_ACTIONS") == "true":
        job = github_job.read(environment)
    elif environment.get("GITLAB_CI") == "true":
        job = gitlab_job.read(environment)
    else:
        return None
    named = named_commit(environment)
    if not named:
        return job
    pushed = job.is_push_to_base and named == job.head
    return replace(job, head=named, head_ref="", deletes=False, is_tag=False, is_push_to_base=pushed)


def named_commit(environment: Mapping[str, str]) -> str:
    """COMMIT_ID, as the scripts that we replace understand it; "" when it is not set. Raises UsageError."""
    text = environment.get("COMMIT_ID", "").strip().lower()
    if text and (not is_hash(text) or is_zero(text)):
        raise UsageError(
            f"COMMIT_ID is not the full hash of a commit: {environment['COMMIT_ID'][:80]!r}",
            "give it ${{ github.event.pull_request.head.sha }}, or leave it out",
        )
    return text
