"""Which commit a CI job is about, where its event does not name it: the remote and the forge are asked.

An event may tell the number of a pull request alone, or a ref. The commit that happens to be checked out is no answer:
on `issue_comment` that is the default branch's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from git_clearml.errors import CannotDecide, NotConfigured, UsageError
from git_clearml.forge import fetch, remote_refs
from git_clearml.forge.api import Ask, ChangeRequest
from git_clearml.forge.job import Job
from git_clearml.git.repository import Repository


def completed(job: Job, repository: Repository, ask: Ask | None, log: Callable[[str], None] = lambda _: None) -> Job:
    """The job with its commit and its pull request's base, as far as there are any.

    Raises CannotDecide, and UsageError where the remote lacks what the event names.
    """
    if job.deletes:
        return job
    if job.number and not (job.base or job.base_ref):
        return _numbered(job, repository, ask)
    if job.event == "workflow_run" and job.is_push_to_base:
        return replace(job, is_push_to_base=_is_the_branch(job, repository))
    if job.event == "workflow_run" and job.is_fork and not job.number:
        return _with_its_request(job, ask, log)
    if not job.head_ref:
        return job
    return _queued(job, repository, ask, log) if job.number else _at_ref(job, repository, ask, log)


def _numbered(job: Job, repository: Repository, ask: Ask | None) -> Job:
    """A job of which only the number of its pull request is known: the forge knows the rest, else git perhaps."""
    try:
        return _of_request(job, _pull_request(job.number, ask))
    except CannotDecide:
        by_git = _by_test_merge(job, repository)
        if by_git is None:
            raise
        return by_git


def _by_test_merge(job: Job, repository: Repository) -> Job | None:
    """By the merge that GitHub makes of each pull request: its parents are the base and the head.

    None where there is none, because of a conflict, or only one with an earlier head.
    https://docs.github.com/en/rest/guides/using-the-rest-api-to-interact-with-your-git-database#checking-mergeability-of-pull-requests
    """
    try:
        head, merge = (remote_refs.at(repository, f"refs/pull/{job.number}/{name}", None) for name in ("head", "merge"))
        fetch.ensure(repository, [merge])
    except CannotDecide:
        return None
    parents = repository.parents([merge])[merge]
    return replace(job, head=job.head or head, base=parents[0]) if parents[1:] == [head] else None


def _is_the_branch(job: Job, repository: Repository) -> bool:
    """Is it the default branch that was pushed, and no tag of its name? The event tells a name without its kind."""
    try:
        remote_refs.at(repository, f"refs/tags/{job.default_branch}", None)
    except CannotDecide as error:
        return isinstance(error, remote_refs.NoSuchRef)
    try:
        return remote_refs.at(repository, job.default_ref, None) == job.head
    except CannotDecide:
        return False


def _at_ref(job: Job, repository: Repository, ask: Ask | None, log: Callable[[str], None]) -> Job:
    try:
        return replace(job, head=remote_refs.at(repository, job.head_ref, ask))
    except remote_refs.NotFetched as error:
        log(error.message)
        if job.head:
            return job
        if isinstance(error, remote_refs.NoSuchRef):
            raise UsageError(error.message, error.hint) from None
        raise


def _queued(job: Job, repository: Repository, ask: Ask | None, log: Callable[[str], None]) -> Job:
    """A merge queue's job. The forge is asked too: a fork's task names the fork. Without its answer, git's will do."""
    head, request, error = "", None, None
    try:
        head = remote_refs.at(repository, job.head_ref, None)
    except CannotDecide as missing:
        error = missing
    try:
        request = _pull_request(job.number, ask)
    except CannotDecide as unanswered:
        log(unanswered.message)
        if error is not None:
            raise error from None
        return replace(job, head=head)
    return _head_of_request(replace(job, head=head or request.head), request)


def _with_its_request(job: Job, ask: Ask | None, log: Callable[[str], None]) -> Job:
    """GitHub names no pull request where a fork's workflow ran. Without a token the default branch stays the base."""
    if ask is None:
        return job
    try:
        request = ask(lambda forge: forge.change_request_of(job.head, owner=job.head_owner, branch=job.head_branch))
    except NotConfigured as error:
        log(error.message)
        return job
    return _of_request(job, request) if request and request.head == job.head else job


def _pull_request(number: int, ask: Ask | None) -> ChangeRequest:
    if ask is None:
        raise NotConfigured(f"there is no forge to ask for pull request {number}", "set COMMIT_ID to its head")
    return ask(lambda forge: forge.change_request(number))


def _of_request(job: Job, request: ChangeRequest) -> Job:
    base = replace(job, base=request.base, base_branch=request.base_branch, number=request.number)
    return _head_of_request(replace(base, head=job.head or request.head), request)


def _head_of_request(job: Job, request: ChangeRequest) -> Job:
    """Whose code it is."""
    return replace(
        job,
        head_branch=request.head_branch,
        head_owner=request.head_owner,
        head_urls=request.head_urls or job.head_urls,
        is_fork=request.is_fork,
    )
