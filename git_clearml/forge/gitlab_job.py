"""A job of GitLab CI, as its variables tell: https://docs.gitlab.com/ci/variables/predefined_variables/"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from git_clearml.forge.job import Job, Provider, branch_ref
from git_clearml.forge.variables import Variables


def read(environment: Mapping[str, str]) -> Job:
    """The job of GitLab CI that we run in."""
    variables = Variables(environment)
    common = Job(
        Provider.GITLAB,
        variables.text("CI_PIPELINE_SOURCE"),
        head=variables.commit("CI_COMMIT_SHA"),
        head_branch=variables.text("CI_COMMIT_BRANCH"),
        head_urls=variables.texts("CI_PROJECT_URL"),
        repository=variables.text("CI_PROJECT_PATH"),
        default_branch=variables.text("CI_DEFAULT_BRANCH"),
        checked_out=variables.commit("CI_COMMIT_SHA"),
        server=variables.text("CI_SERVER_URL"),
        api=variables.text("CI_API_V4_URL"),
    )
    common = replace(common, is_tag=bool(variables.text("CI_COMMIT_TAG")))
    if variables.number("CI_MERGE_REQUEST_IID"):
        return _merge_request(variables, common)
    return _branch(variables, common)


def _merge_request(variables: Variables, common: Job) -> Job:
    target = variables.text("CI_MERGE_REQUEST_TARGET_BRANCH_NAME")
    return replace(
        common,
        head=variables.commit("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "CI_COMMIT_SHA"),
        head_branch=variables.text("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"),
        head_urls=variables.texts("CI_MERGE_REQUEST_SOURCE_PROJECT_URL") or common.head_urls,
        base=variables.commit("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", "CI_MERGE_REQUEST_DIFF_BASE_SHA"),
        base_ref=branch_ref(target),
        base_branch=target,
        number=variables.number("CI_MERGE_REQUEST_IID"),
        repository=variables.text("CI_MERGE_REQUEST_PROJECT_PATH") or common.repository,
        is_fork=variables.text("CI_MERGE_REQUEST_SOURCE_PROJECT_ID") != variables.text("CI_MERGE_REQUEST_PROJECT_ID"),
    )


def _branch(variables: Variables, common: Job) -> Job:
    """The accepted side is what the branch was before; for a new branch, the default branch.

    A child pipeline of a push (`parent_pipeline`) is told it too; by hand, on a schedule and for a tag it is zeros.
    """
    default, before = common.default_branch, variables.commit("CI_COMMIT_BEFORE_SHA")
    is_push = common.event == "push" or bool(before)
    on_default = bool(default) and common.head_branch == default
    return replace(
        common,
        base=before,
        base_ref="" if before or on_default else common.default_ref,
        base_branch=common.head_branch if before else default,
        is_push_to_base=is_push and on_default,
    )
