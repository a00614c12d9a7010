"""A job of a CI service that is no forge, or of one that we do not know: what its variables tell of the commit.

Each service has a line in the table below; what it does not tell is HEAD, and the remote's default branch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from git_clearml.forge.job import BRANCHES, Job, Provider, branch_ref
from git_clearml.forge.variables import Variables

_TAGS = "refs/tags/"


@dataclass(frozen=True)
class _Service:
    """Names of variables, the first of which that says anything counts. In a job of a pull request `pull` is a number
    or its base, and `pull_head` its newest commit where `head` is a merge that the service made. `may_merge` where that
    is a matter of the job's settings, and no variable tells. `before` is what the branch was at before the push,
    `earlier` the commits at which it was built before, the newest first."""

    known_by: str
    head: tuple[str, ...]
    ref: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    pull: tuple[str, ...] = ()
    pull_head: tuple[str, ...] = ()
    pull_branch: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    event: tuple[str, ...] = ()
    may_merge: bool = False


_SERVICES = (
    # https://learn.microsoft.com/azure/devops/pipelines/build/variables
    _Service(
        "TF_BUILD",
        ("BUILD_SOURCEVERSION",),
        ref=("BUILD_SOURCEBRANCH",),
        pull=("SYSTEM_PULLREQUEST_PULLREQUESTID", "SYSTEM_PULLREQUEST_PULLREQUESTNUMBER"),
        pull_head=("SYSTEM_PULLREQUEST_SOURCECOMMITID",),
        pull_branch=("SYSTEM_PULLREQUEST_SOURCEBRANCH",),
        target=("SYSTEM_PULLREQUEST_TARGETBRANCH",),
        event=("BUILD_REASON",),
    ),
    # https://www.jenkins.io/doc/book/pipeline/multibranch/#additional-environment-variables, and the git plugin
    _Service(
        "JENKINS_URL",
        ("GIT_COMMIT",),
        ref=("BRANCH_NAME", "GIT_LOCAL_BRANCH", "GIT_BRANCH"),
        tag=("TAG_NAME",),
        earlier=("GIT_PREVIOUS_COMMIT", "GIT_PREVIOUS_SUCCESSFUL_COMMIT"),
        pull=("CHANGE_ID",),
        pull_branch=("CHANGE_BRANCH",),
        target=("CHANGE_TARGET",),
        may_merge=True,
    ),
    # https://www.jetbrains.com/help/teamcity/predefined-build-parameters.html
    _Service("TEAMCITY_VERSION", ("BUILD_VCS_NUMBER",)),
    # https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html
    _Service(
        "CODEBUILD_BUILD_ID",
        ("CODEBUILD_RESOLVED_SOURCE_VERSION",),
        ref=("CODEBUILD_WEBHOOK_HEAD_REF",),
        before=("CODEBUILD_WEBHOOK_PREV_COMMIT",),
        pull=("CODEBUILD_WEBHOOK_BASE_REF",),
        pull_branch=("CODEBUILD_WEBHOOK_HEAD_REF",),
        target=("CODEBUILD_WEBHOOK_BASE_REF",),
    ),
    # https://circleci.com/docs/reference/variables/
    _Service("CIRCLECI", ("CIRCLE_SHA1",), ref=("CIRCLE_BRANCH",), tag=("CIRCLE_TAG",)),
    # https://docs.travis-ci.com/user/environment-variables/
    _Service(
        "TRAVIS",
        ("TRAVIS_COMMIT",),
        ref=("TRAVIS_BRANCH",),
        tag=("TRAVIS_TAG",),
        earlier=("TRAVIS_COMMIT_RANGE",),
        pull=("TRAVIS_PULL_REQUEST",),
        pull_head=("TRAVIS_PULL_REQUEST_SHA",),
        pull_branch=("TRAVIS_PULL_REQUEST_BRANCH",),
        target=("TRAVIS_BRANCH",),
        event=("TRAVIS_EVENT_TYPE",),
    ),
)
_UNKNOWN = _Service("CI", ())
_PUSHES = ("", "individualci", "batchedci", "push")
"""What services call an event that a push is, in lower case; most tell none."""


def read(environment: Mapping[str, str]) -> Job:
    """The job that we run in, on whatever service."""
    variables = Variables(environment)
    service = next((service for service in _SERVICES if environment.get(service.known_by)), _UNKNOWN)
    pull = variables.text(*service.pull)
    return _branch(variables, service) if pull in ("", "false") else _pull_request(variables, service)


def variable_of_head(environment: Mapping[str, str]) -> str:
    """The variable in which the service tells the commit, "" for a service that we do not know."""
    service = next((service for service in _SERVICES if environment.get(service.known_by)), _UNKNOWN)
    return next(iter(service.head), "")


def _pull_request(variables: Variables, service: _Service) -> Job:
    """The remote's branch that it is to be merged into is what was accepted; `from_clone` finds the head in a merge."""
    target = _branch_in(variables.text(*service.target))
    return Job(
        Provider.OTHER,
        "pull_request",
        head=variables.abbreviated(*service.pull_head, *service.head),
        head_ref=_head_ref(variables, service) if service.may_merge else "",
        head_branch=_branch_in(variables.text(*service.pull_branch)),
        base_ref=branch_ref(target) or "HEAD",
        base_branch=target,
    )


def _head_ref(variables: Variables, service: _Service) -> str:
    """Where the remote has the head. A fork's branch (`CHANGE_FORK` is Jenkins's) may bear the name of one of ours."""
    branch, number = _branch_in(variables.text(*service.pull_branch)), variables.number(*service.pull)
    if branch and not variables.text("CHANGE_FORK"):
        return branch_ref(branch)
    return f"refs/pull/{number}/head" if number else ""


def _branch(variables: Variables, service: _Service) -> Job:
    """A tag has been accepted by nobody; of a branch some services tell what it was at before."""
    ref = variables.text(*service.ref)
    tag = bool(variables.text(*service.tag)) or ref.startswith(_TAGS)
    before = "" if tag else variables.abbreviated(*service.before)
    is_push = variables.text(*service.event).lower() in _PUSHES
    head = variables.abbreviated(*service.head)
    return Job(
        Provider.OTHER,
        "push" if is_push else "other",
        head=head,
        head_branch="" if tag else _branch_in(ref),
        base=before,
        base_ref="HEAD",
        is_tag=tag,
        before_untold=not (tag or before),
        earlier="" if tag or before else variables.another(head, *service.earlier),
    )


def _branch_in(text: str) -> str:
    """The branch that a variable names, in full or not, perhaps as seen from a remote."""
    return "" if text.startswith(("refs/pull/", _TAGS)) else text.removeprefix(BRANCHES).removeprefix("origin/")
