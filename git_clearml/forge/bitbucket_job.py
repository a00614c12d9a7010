"""A job of Bitbucket Pipelines: https://support.atlassian.com/bitbucket-cloud/docs/variables-and-secrets/

Pull requests from forks start no pipeline here, and no variable tells what a branch was at before a push.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from git_clearml.forge.job import Job, Provider, branch_ref
from git_clearml.forge.variables import Variables

API = "https://api.bitbucket.org/2.0"


def read(environment: Mapping[str, str]) -> Job:
    """The job of Bitbucket Pipelines that we run in. Its hashes may have 12 digits (see forge/from_clone.py)."""
    variables = Variables(environment)
    branch, tag = variables.text("BITBUCKET_BRANCH"), variables.text("BITBUCKET_TAG")
    repository = variables.text("BITBUCKET_REPO_FULL_NAME")
    target = variables.text("BITBUCKET_PR_DESTINATION_BRANCH")
    common = Job(
        Provider.BITBUCKET,
        "push",
        head=variables.abbreviated("BITBUCKET_COMMIT"),
        head_branch=branch,
        head_owner=variables.text("BITBUCKET_WORKSPACE") or repository.partition("/")[0],
        head_urls=variables.texts("BITBUCKET_GIT_HTTP_ORIGIN", "BITBUCKET_GIT_SSH_ORIGIN"),
        repository=repository,
        server="https://bitbucket.org",
        api=variables.text("BITBUCKET_API_URL") or API,
    )
    if number := variables.number("BITBUCKET_PR_ID"):
        return replace(
            common,
            event="pull_request",
            base=variables.abbreviated("BITBUCKET_PR_DESTINATION_COMMIT"),
            base_ref=branch_ref(target) or common.default_ref,
            base_branch=target,
            number=number,
        )
    return replace(common, base_ref=common.default_ref, is_tag=bool(tag), before_untold=not tag)
