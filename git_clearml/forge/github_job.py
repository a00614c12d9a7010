"""A job of GitHub Actions: what each kind of event says about the commit to judge and the accepted side.

https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from git_clearml.base.ids import is_hash, is_zero
from git_clearml.errors import BadAnswer
from git_clearml.forge.github_event import Event, read_event
from git_clearml.forge.job import Job, Provider, branch_of, branch_ref

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
    common = Job(
        Provider.GITHUB,
        environment.get("GITHUB_EVENT_NAME", ""),
        head_urls=(f"{server}/{repository}",) if repository else (),
        repository=repository,
        default_branch=event.text("repository.default_branch"),
        checked_out=sha if is_hash(sha) and not is_zero(sha) else "",
        server=server,
        api=environment.get("GITHUB_API_URL", "") or "https://api.github.com",
    )
    common = replace(common, base_ref=common.default_ref, base_branch=common.default_branch)
    ref = environment.get("GITHUB_REF", "")
    if common.event in ("workflow_dispatch", "schedule", "create"):
        return _on_ref(ref, common)
    if common.event == "release":
        tag = "refs/tags/" + event.text("release.tag_name", required=True)
        return replace(common, head=common.checked_out if ref == tag else "", head_ref=tag)
    reader = next((reader for name, reader in _READERS.items() if common.event.startswith(name)), None)
    return reader(event, common) if reader else common


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
    """The accepted side is what the ref was at before; of a new ref, the default branch. A first push of that has none.

    `after` is the tag itself where an annotated one was pushed, and zeros where the ref was deleted.
    """
    ref = event.text("ref", required=True)
    before, after = event.commit("before"), event.commit("after")
    is_default = ref == branch_ref(common.default_branch)
    job = replace(
        common,
        head=after,
        head_branch=branch_of(ref),
        head_owner=common.repository.partition("/")[0],
        base_branch=(branch_of(ref) if before else "") or common.default_branch,
        is_push_to_base=is_default,
        is_tag=not branch_of(ref),
    )
    if not event.text("after", required=True).strip("0"):
        return replace(job, deletes=True)
    return replace(job, base=before, base_ref="" if before or is_default else job.base_ref)


def _merge_group(event: Event, common: Job) -> Job:
    """The queue's ref ends in `pr-N-<hash of what it is merged on>`; the head of pull request N is judged."""
    queued = _QUEUE.fullmatch(event.text("merge_group.head_ref", required=True))
    job = replace(
        common,
        base=event.commit("merge_group.base_sha", required=True),
        base_branch=branch_of(event.text("merge_group.base_ref")),
        checked_out=event.commit("merge_group.head_sha") or common.checked_out,
    )
    number = int(queued[1]) if queued else 0
    return replace(job, head_ref=f"refs/pull/{number}/head", number=number) if number else job


def _issue_comment(event: Event, common: Job) -> Job:
    """A pull request is an issue too; only its number is told."""
    if not event.has("issue.pull_request"):
        return common
    return replace(common, number=event.number("issue.number"), base_ref="")


def _of_workflow_run(event: Event, common: Job) -> Job:
    """The workflow that ran before us; for a fork's pull request GitHub lists no pull requests."""
    run = "workflow_run"
    head_repository = event.text(f"{run}.head_repository.full_name")
    branch = event.text(f"{run}.head_branch")
    is_fork = bool(head_repository) and head_repository.lower() != common.repository.lower()
    job = replace(
        _about(event, common, run),
        head_owner=head_repository.partition("/")[0],
        head_urls=event.urls(f"{run}.head_repository"),
        is_fork=is_fork,
    )
    pushed = event.text(f"{run}.event") == "push" and not is_fork
    return replace(job, is_push_to_base=pushed and branch == common.default_branch != "")


def _of_check_run(event: Event, common: Job) -> Job:
    job = _about(event, common, "check_run")
    return replace(job, head_branch=job.head_branch or event.text("check_run.check_suite.head_branch"))


def _about(event: Event, common: Job, what: str) -> Job:
    """Something that happened to a commit, perhaps to the head of a pull request, whose base is then what was accepted.

    `head_branch` is the name of a branch or of a tag: it says nothing about what has been accepted.
    """
    head = event.commit(f"{what}.head_sha", required=True)
    job = replace(common, head=head, head_branch=event.text(f"{what}.head_branch"))
    listed = (each for each in event.each(f"{what}.pull_requests") if each.commit("head.sha") == head)
    pull = next((each for each in listed if _is_ours(each, common.repository)), None)
    if pull is None:
        return job
    base, number = pull.commit("base.sha"), pull.number("number")
    return replace(job, number=number, base=base, base_ref="", base_branch=pull.text("base.ref"))


def _is_ours(pull: Event, repository: str) -> bool:
    """Is it a pull request into this repository? GitHub lists those that a fork's owner opens there as well.

    Of its base it tells the id, the name and `https://api.github.com/repos/owner/name`.
    """
    address = pull.text("base.repo.url").lower()
    return not address or address.endswith(f"/repos/{repository.lower()}")


def _on_ref(ref: str, common: Job) -> Job:
    """What runs on a ref, by GITHUB_REF and GITHUB_SHA: the default branch is what was accepted, be it this one."""
    on_default = ref == branch_ref(common.default_branch)
    return replace(
        common,
        head=common.checked_out,
        head_branch=branch_of(ref),
        head_owner=common.repository.partition("/")[0],
        base=common.checked_out if on_default else "",
    )


_READERS: Mapping[str, Callable[[Event, Job], Job]] = {
    "pull_request": _pull_request,  # and pull_request_target, pull_request_review, pull_request_review_comment
    "push": _push,
    "merge_group": _merge_group,
    "issue_comment": _issue_comment,
    "workflow_run": _of_workflow_run,
    "check_suite": lambda event, common: _about(event, common, "check_suite"),
    "check_run": _of_check_run,
    # and deployment_status
    "deployment": lambda event, common: replace(common, head=event.commit("deployment.sha", required=True)),
    "status": lambda event, common: replace(common, head=event.commit("sha", required=True)),
    "delete": lambda _, common: replace(common, deletes=True),
}
"""Beginnings of events' names. Of all others (`issues`, `repository_dispatch`, ...) no commit is known."""
