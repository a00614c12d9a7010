"""What CI job we are in: which commit it is about, on which pull request, and whose code it is.

GitHub Actions describes the event in a file (https://docs.github.com/en/webhooks/webhook-events-and-payloads), GitLab
CI in variables (https://docs.gitlab.com/ci/variables/predefined_variables/). The judged commit is the pull request's
head, never the merge commit that CI checks out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from git_clearml.base.ids import is_hash, is_zero
from git_clearml.errors import BadAnswer, UsageError
from git_clearml.forge.github_event import Event, read_event

_QUEUE = re.compile(r"refs/heads/gh-readonly-queue/.+/pr-(\d{1,18})-[0-9a-f]+")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_HEADS = "refs/heads/"


@dataclass(frozen=True)
class Job:
    """The job we are in. Commits are full hashes; "" and 0 mean none, or not known.

    `head` is the commit to judge; where only GitHub knows it, `head_ref` names the ref of the remote that points at it.
    `base` is the accepted commit whose policy applies; `base_ref` is the remote's ref to take it from where the event
    names none. `number` is the pull request's. `head_urls` are the clone URLs of the repository that the head comes
    from, a fork's where it `is_fork`. `checked_out` is the commit that the job runs for, such as a merge commit.
    """

    provider: str  # "github" | "gitlab"
    event: str
    head: str = ""
    head_ref: str = ""
    head_branch: str = ""
    head_owner: str = ""
    head_urls: tuple[str, ...] = ()
    base: str = ""
    base_ref: str = ""
    base_branch: str = ""
    number: int = 0
    repository: str = ""  # owner/name
    default_branch: str = ""
    is_fork: bool = False
    is_push_to_base: bool = False
    checked_out: str = ""
    run_url: str = ""
    server: str = ""
    api: str = ""

    @property
    def status_commit(self) -> str:
        """The commit that a status belongs on: the one that GitHub waits for. In a merge queue that is the merge."""
        return self.checked_out if self.event == "merge_group" else self.head


def detect(environment: Mapping[str, str]) -> Job | None:
    """The CI job that we are in, None outside GitHub Actions and GitLab CI.

    Raises BadAnswer for an event file that cannot be read, UsageError for a COMMIT_ID that is no full hash.
    """
    if environment.get("GITHUB_ACTIONS") == "true":
        job = _github(environment)
    elif environment.get("GITLAB_CI") == "true":
        job = _gitlab(environment)
    else:
        return None
    named = named_commit(environment)
    return replace(job, head=named, head_ref="") if named else job


def named_commit(environment: Mapping[str, str]) -> str:
    """COMMIT_ID, as the scripts that we replace understand it; "" when it is not set. Raises UsageError."""
    text = environment.get("COMMIT_ID", "").strip().lower()
    if text and (not is_hash(text) or is_zero(text)):
        raise UsageError(
            f"COMMIT_ID is not the full hash of a commit: {environment['COMMIT_ID'][:80]!r}",
            "give it ${{ github.event.pull_request.head.sha }}, or leave it out",
        )
    return text


def _github(environment: Mapping[str, str]) -> Job:
    event = read_event(environment)
    server = environment.get("GITHUB_SERVER_URL", "") or "https://github.com"
    repository = environment.get("GITHUB_REPOSITORY", "") or event.text("repository.full_name")
    if repository and not _REPOSITORY.fullmatch(repository):
        raise BadAnswer(f"GITHUB_REPOSITORY is not owner/name: {repository[:80]!r}", "GitHub sets it")
    run = environment.get("GITHUB_RUN_ID", "")
    sha = environment.get("GITHUB_SHA", "").lower()
    checked_out = sha if is_hash(sha) else ""
    common = Job(
        "github",
        environment.get("GITHUB_EVENT_NAME", ""),
        head=checked_out,
        head_urls=(f"{server}/{repository}",) if repository else (),
        repository=repository,
        default_branch=event.text("repository.default_branch"),
        checked_out=checked_out,
        run_url=f"{server}/{repository}/actions/runs/{run}" if run.isdigit() and repository else "",
        server=server,
        api=environment.get("GITHUB_API_URL", "") or "https://api.github.com",
    )
    if event.has("pull_request"):  # pull_request, pull_request_target, pull_request_review and its comments
        return _pull_request(event, common)
    reader = {"merge_group": _merge_group, "workflow_run": _workflow_run, "push": _push}.get(common.event)
    return reader(event, common) if reader else _on_ref(environment.get("GITHUB_REF", ""), common)


def _pull_request(event: Event, common: Job) -> Job:
    base_repository = event.text("pull_request.base.repo.full_name") or common.repository
    head_repository = event.text("pull_request.head.repo.full_name")  # "" when the fork was deleted
    return replace(
        common,
        head=event.commit("pull_request.head.sha", required=True),
        head_branch=event.text("pull_request.head.ref"),
        head_owner=head_repository.partition("/")[0],
        head_urls=event.urls("pull_request.head.repo"),
        base=event.commit("pull_request.base.sha", required=True),
        base_branch=event.text("pull_request.base.ref"),
        number=event.number("pull_request.number"),
        is_fork=head_repository.lower() != base_repository.lower(),
    )


def _push(event: Event, common: Job) -> Job:
    """The accepted side is what the branch was before; for a new branch, the default branch."""
    ref = event.text("ref", required=True)
    before = event.commit("before")
    default = _HEADS + common.default_branch if common.default_branch else ""
    return replace(
        common,
        head=event.commit("after") or common.head,
        head_branch=ref.removeprefix(_HEADS) if ref.startswith(_HEADS) else "",
        head_owner=common.repository.partition("/")[0],
        base=before,
        base_ref="" if before or ref == default else default,
        base_branch=ref.removeprefix(_HEADS) if before and ref.startswith(_HEADS) else common.default_branch,
        is_push_to_base=bool(default) and ref == default,
    )


def _merge_group(event: Event, common: Job) -> Job:
    """The queue's ref ends in `pr-N-<hash of what it is merged on>`; the head of pull request N is judged."""
    queued = _QUEUE.fullmatch(event.text("merge_group.head_ref", required=True))
    base_branch = event.text("merge_group.base_ref").removeprefix(_HEADS)
    merged = event.commit("merge_group.head_sha") or common.checked_out
    found = replace(
        common,
        base=event.commit("merge_group.base_sha", required=True),
        base_branch=base_branch,
        checked_out=merged,
    )
    if queued is None:
        return replace(found, head=merged)
    number = int(queued[1])
    return replace(found, head="", head_ref=f"refs/pull/{number}/head", number=number)


def _workflow_run(event: Event, common: Job) -> Job:
    """The workflow that ran before us; for a fork's pull request GitHub lists no pull requests."""
    run = "workflow_run"
    head_repository = event.text(f"{run}.head_repository.full_name")
    head = event.commit(f"{run}.head_sha", required=True)
    branch = event.text(f"{run}.head_branch")
    is_fork = bool(head_repository) and head_repository.lower() != common.repository.lower()
    pushed = event.text(f"{run}.event") == "push" and not is_fork
    to_default = pushed and branch == common.default_branch != ""
    found = replace(
        common,
        head=head,
        head_branch=branch,
        head_owner=head_repository.partition("/")[0],
        head_urls=event.urls(f"{run}.head_repository"),
        base_ref=_HEADS + common.default_branch if common.default_branch and not to_default else "",
        base_branch=common.default_branch,
        is_fork=is_fork,
        is_push_to_base=to_default,
    )
    pull = event.first(f"{run}.pull_requests")
    if pull is None or pull.commit("head.sha") != head:
        return found
    return replace(
        found,
        number=pull.number("number"),
        base=pull.commit("base.sha"),
        base_ref="" if pull.commit("base.sha") else found.base_ref,
        base_branch=pull.text("base.ref"),
    )


def _on_ref(ref: str, common: Job) -> Job:
    """workflow_dispatch, schedule and all else that runs on a ref: the default branch is the accepted side."""
    branch = ref.removeprefix(_HEADS) if ref.startswith(_HEADS) else ""
    default = common.default_branch
    return replace(
        common,
        head_branch=branch,
        head_owner=common.repository.partition("/")[0],
        base_ref=_HEADS + default if default and branch != default else "",
        base_branch=default,
    )


def _gitlab(environment: Mapping[str, str]) -> Job:
    def text(name: str) -> str:
        return environment.get(name, "")

    def commit(*names: str) -> str:
        found = (environment.get(name, "").lower() for name in names)
        return next((one for one in found if is_hash(one) and not is_zero(one)), "")

    default = text("CI_DEFAULT_BRANCH")
    event = text("CI_PIPELINE_SOURCE")
    common = Job(
        "gitlab",
        event,
        head=commit("CI_COMMIT_SHA"),
        head_branch=text("CI_COMMIT_BRANCH"),
        head_urls=tuple(url for url in (text("CI_PROJECT_URL"),) if url),
        repository=text("CI_PROJECT_PATH"),
        default_branch=default,
        checked_out=commit("CI_COMMIT_SHA"),
        run_url=text("CI_PIPELINE_URL"),
        server=text("CI_SERVER_URL"),
        api=text("CI_API_V4_URL"),
    )
    number = text("CI_MERGE_REQUEST_IID")
    if not number.isdigit():
        before = commit("CI_COMMIT_BEFORE_SHA") if event == "push" else ""
        on_default = bool(default) and common.head_branch == default
        base_ref = "" if before or on_default or not default else _HEADS + default
        base_branch = common.head_branch if before else default
        return replace(
            common,
            base=before,
            base_ref=base_ref,
            base_branch=base_branch,
            is_push_to_base=event == "push" and on_default,
        )
    urls = tuple(url for url in (text("CI_MERGE_REQUEST_SOURCE_PROJECT_URL"),) if url)
    return replace(
        common,
        head=commit("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "CI_COMMIT_SHA"),
        head_branch=text("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"),
        head_urls=urls or common.head_urls,
        base=commit("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", "CI_MERGE_REQUEST_DIFF_BASE_SHA"),
        base_branch=text("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"),
        number=int(number),
        repository=text("CI_MERGE_REQUEST_PROJECT_PATH") or common.repository,
        is_fork=text("CI_MERGE_REQUEST_SOURCE_PROJECT_ID") != text("CI_MERGE_REQUEST_PROJECT_ID"),
    )
