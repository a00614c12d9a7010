"""Are we in a CI job? Nothing in a checkout loosens the policy there, or stands in for the server. Pure."""

from __future__ import annotations

from collections.abc import Mapping

SERVICES = (
    "CI", "GITHUB_ACTIONS", "GITLAB_CI", "BITBUCKET_BUILD_NUMBER", "GITEA_ACTIONS", "FORGEJO_ACTIONS", "TF_BUILD",
    "JENKINS_URL", "TEAMCITY_VERSION", "CODEBUILD_BUILD_ID", "CIRCLECI", "TRAVIS",
)  # fmt: skip
"""The variable by which each service that runs jobs is known."""


def in_ci(environment: Mapping[str, str]) -> bool:
    """Are we in a CI job? Most services set CI; a job that sets that to false is one by its own service's variable.

    hooks/pre-push looks at the same.
    """
    return any(environment.get(name, "").lower() not in ("", "0", "false", "no", "off") for name in SERVICES)
