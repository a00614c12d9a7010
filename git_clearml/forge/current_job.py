"""The CI job that we run in, as its environment tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from git_clearml.base.ids import is_hash, is_zero
from git_clearml.errors import UsageError
from git_clearml.forge import bitbucket_job, github_job, gitlab_job, other_job
from git_clearml.forge.job import Job, Provider
from git_clearml.settings.in_ci import in_ci

_GITEA_API = "/api/v1"


def detect(environment: Mapping[str, str]) -> Job | None:
    """The CI job that we are in, None outside of one. `CI=false` beside a service's own variable is a job of it.

    Raises BadAnswer for an event file that cannot be read, UsageError for a COMMIT_ID that is no full hash.
    """
    if not in_ci(environment):
        return None
    job = _read(environment)
    named = named_commit(environment)
    if not named:
        return job
    pushed = job.is_push_to_base and named == job.head
    untold = job.before_untold and (named == job.head or not (job.head or job.head_branch))
    job = replace(job, head=named, head_ref="", deletes=False, is_tag=False, is_push_to_base=pushed)
    return replace(job, before_untold=untold)


def _read(environment: Mapping[str, str]) -> Job:
    if _is_gitea(environment):
        job = github_job.read(environment)
        server = environment.get("GITHUB_SERVER_URL", "").rstrip("/")
        api = environment.get("GITHUB_API_URL", "") or (server + _GITEA_API if server else "")
        # never GitHub's: a token would go there, and a task of a repository of this name there would count
        urls = tuple(url for url in job.head_urls if server or not url.startswith("https://github.com/"))
        return replace(job, provider=Provider.GITEA, server=server, api=api, head_urls=urls)
    if environment.get("GITHUB_ACTIONS") == "true":
        return github_job.read(environment)
    if environment.get("GITLAB_CI") == "true":
        return gitlab_job.read(environment)
    if environment.get("BITBUCKET_BUILD_NUMBER"):
        return bitbucket_job.read(environment)
    return other_job.read(environment)


def _is_gitea(environment: Mapping[str, str]) -> bool:
    """Gitea and Forgejo speak GitHub's variables; older ones name themselves by the address of their API alone."""
    if "true" in (environment.get("GITEA_ACTIONS"), environment.get("FORGEJO_ACTIONS")):
        return True
    api = environment.get("GITHUB_API_URL", "").rstrip("/")
    return environment.get("GITHUB_ACTIONS") == "true" and api.endswith(_GITEA_API)


def _own_name_of_the_commit(environment: Mapping[str, str]) -> str:
    """What a pipeline of this service calls the commit."""
    if _is_gitea(environment) or environment.get("GITHUB_ACTIONS") == "true":
        return "${{ github.event.pull_request.head.sha }}"
    if environment.get("GITLAB_CI") == "true":
        return "$CI_COMMIT_SHA"
    if environment.get("BITBUCKET_BUILD_NUMBER"):
        return "$BITBUCKET_COMMIT"
    variable = other_job.variable_of_head(environment)
    return f"${variable}" if variable else "the output of git rev-parse HEAD"


def named_commit(environment: Mapping[str, str]) -> str:
    """COMMIT_ID, as the scripts that we replace understand it; "" when it is not set. Raises UsageError."""
    text = environment.get("COMMIT_ID", "").strip().lower()
    if text and (not is_hash(text) or is_zero(text)):
        raise UsageError(
            f"COMMIT_ID is not the full hash of a commit: {environment['COMMIT_ID'][:80]!r}",
            f"give it {_own_name_of_the_commit(environment)}, or leave it out",
        )
    return text
