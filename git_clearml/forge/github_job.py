"""A job of GitHub Actions: what each kind of event says about the commit to judge and the accepted side.

https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from git_clearml.base.ids import is_hash
from git_clearml.errors import BadAnswer
from git_clearml.forge.github_event import Event, read_event
from git_clearml.forge.job import BRANCHES, Job, Provider, branch_of, branch_ref

_QUEUE = re.compile(r"refs/heads/gh-readonly-queue/.+/pr-(\d{1,18})-[0-9a-f]+")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def read(environment: Mapping[str, str]) -> Job:
    """The job of GitHub Actions that we run in. Raises BadAnswer for an event file that cannot be read."""
    event = read_event(environment)
    server = environment.get("GITHUB_SERVER_URL", "") or "https://github.com"
    repository = environment.get("GITHUB_REPOSITORY", "") or event.text("repository.full_name")
    if repository and not _REPOSITORY.fullmatch(repository):
        raise BadAnswer(f"GITHUB_REPOSITORY is not owner/name: {repository[:80]!r}", "GitHub sets it")
    sha = environment.get("GITHUB_SHA", "").lower()
    checked_out = sha if is_hash(sha) else ""
    common = Job(
        Provider.GITHUB,
        environment.get("GITHUB_EVENT_NAME", ""),
        head=checked_out,
        head_urls=(f"{server}/{repository}",) if repository else (),
        repository=repository,
        default_branch=event.text("repository.default_branch"),
        checked_out=checked_out,
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
    default = branch_ref(common.default_branch)
    return replace(
        common,
        head=event.commit("after") or common.head,
        head_branch=branch_of(ref),
        head_owner=common.repository.partition("/")[0],
        base=before,
        base_ref="" if before or ref == default else default,
        base_branch=(branch_of(ref) if before else "") or common.default_branch,
        is_push_to_base=bool(default) and ref == default,
    )


def _merge_group(event: Event, common: Job) -> Job:
    """The queue's ref ends in `pr-N-<hash of what it is merged on>`; the head of pull request N is judged."""
    queued = _QUEUE.fullmatch(event.text("merge_group.head_ref", required=True))
    base_branch = event.text("merge_group.base_ref").removeprefix(BRANCHES)
    merged = event.commit("merge_group.head_sha") or common.checked_out
    job = replace(
        common,
        base=event.commit("merge_group.base_sha", required=True),
        base_branch=base_branch,
        checked_out=merged,
    )
    if queued is None:
        return replace(job, head=merged)
    number = int(queued[1])
    return replace(job, head="", head_ref=f"refs/pull/{number}/head", number=number)


def _workflow_run(event: Event, common: Job) -> Job:
    """The workflow that ran before us; for a fork's pull request GitHub lists no pull requests."""
    run = "workflow_run"
    head_repository = event.text(f"{run}.head_repository.full_name")
    head = event.commit(f"{run}.head_sha", required=True)
    branch = event.text(f"{run}.head_branch")
    is_fork = bool(head_repository) and head_repository.lower() != common.repository.lower()
    pushed = event.text(f"{run}.event") == "push" and not is_fork
    to_default = pushed and branch == common.default_branch != ""
    job = replace(
        common,
        head=head,
        head_branch=branch,
        head_owner=head_repository.partition("/")[0],
        head_urls=event.urls(f"{run}.head_repository"),
        base_ref="" if to_default else branch_ref(common.default_branch),
        base_branch=common.default_branch,
        is_fork=is_fork,
        is_push_to_base=to_default,
    )
    pull = event.first(f"{run}.pull_requests")
    if pull is None or pull.commit("head.sha") != head:
        return job
    return replace(
        job,
        number=pull.number("number"),
        base=pull.commit("base.sha"),
        base_ref="" if pull.commit("base.sha") else job.base_ref,
        base_branch=pull.text("base.ref"),
    )


def _on_ref(ref: str, common: Job) -> Job:
    """workflow_dispatch, schedule and all else that runs on a ref: the default branch is the accepted side."""
    branch = branch_of(ref)
    default = common.default_branch
    return replace(
        common,
        head_branch=branch,
        head_owner=common.repository.partition("/")[0],
        base_ref=branch_ref(default) if branch != default else "",
        base_branch=default,
    )
