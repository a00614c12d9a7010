"""What a CI job does not tell and its clone does: full hashes, HEAD, and what was accepted before a push.

For services that are not GitHub or GitLab. A job that names no commit is about the one that is checked out; one that
does not tell what its branch was at before is judged by the policy of the remote's default branch; and where it is that
branch which was pushed, by that of the head's first parent, so that the head does not judge itself.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import NamedTuple

from git_clearml.base.ids import is_hash
from git_clearml.errors import CannotDecide, PolicyUnknown
from git_clearml.forge import fetch, policy_history, remote_refs
from git_clearml.forge.job import Job, Provider, branch_of, branch_ref
from git_clearml.forge.remote_refs import FETCH_ALL, FETCH_SECONDS, NotFetched
from git_clearml.git import merge_trees
from git_clearml.git import remote as remotes
from git_clearml.git.repository import Repository
from git_clearml.model import Resolved

_NAME_POLICY = "git clearml verify --policy-from <rev>"


class _DefaultUnknown(CannotDecide):
    """Nobody tells the remote's default branch. A clone that knows it need not ask."""


class _Default(NamedTuple):
    """The remote's default branch: its name, "" where nobody tells, and the commit that it is at."""

    branch: str
    commit: str


def applies(job: Job) -> bool:
    """Is it a job of such a service?"""
    return job.provider in (Provider.BITBUCKET, Provider.OTHER)


def completed(job: Job, repository: Repository) -> tuple[Job, CannotDecide | None]:
    """The job with its head and base in full, as far as there are any; and why there is none."""
    try:
        head = _head(job, repository)
    except CannotDecide as error:
        return replace(job, head="", head_ref="", base="", base_ref=""), error
    job = replace(job, head=head, checked_out=head, head_ref="", base=full_hash(repository, job.base))
    if job.base:
        return job, None
    try:
        return (_after_push if job.before_untold else _with_base)(job, repository), None
    except _DefaultUnknown as error:
        remote = remote_refs.remote_name(repository)
        hint = f"git remote set-head {shlex.quote(remote)} --auto" if remote else _NAME_POLICY
        return replace(job, base_ref=""), _policy_unknown(error, hint)
    except CannotDecide as error:
        return replace(job, base_ref=""), _policy_unknown(error, _NAME_POLICY)


def _policy_unknown(error: CannotDecide, hint: str) -> PolicyUnknown:
    return PolicyUnknown(f"the policy that applies is unknown: {error.message}", hint)


def _head(job: Job, repository: Repository) -> str:
    """The commit that the job is about; "" where there is none. Raises NotFetched."""
    if job.head:
        head = full_hash(repository, job.head)
        if not head:
            raise NotFetched(f"this clone has no commit {job.head}", FETCH_ALL)
    else:
        checked_out = repository.peel(["HEAD"])[0]
        head = checked_out.commit.hash if isinstance(checked_out, Resolved) else ""
    return _merged(job, head, repository) if head and job.head_ref else head


def full_hash(repository: Repository, name: str) -> str:
    """The full hash of a commit; "" where the clone has none that begins so, or several. No ref of that name counts."""
    if not name or is_hash(name):
        return name
    objects = repository.run("rev-parse", f"--disambiguate={name}").lines
    peeled = repository.peel([each for each in objects if is_hash(each)])
    hashes = {each.commit.hash for each in peeled if isinstance(each, Resolved) and each.commit.hash.startswith(name)}
    return hashes.pop() if len(hashes) == 1 else ""


def _merged(job: Job, commit: str, repository: Repository) -> str:
    """The pull request's head where the service checks out a merge of it that it has made itself; else the commit.

    That is what git makes of what the remote itself says is the head, and of a commit of the target: anything else
    could have been pushed, and the branch put back since. Raises NotFetched where git cannot tell.
    """
    if not isinstance(repository.peel([commit])[0], Resolved):
        return commit
    parents = repository.parents([commit])[commit]
    if len(parents) != 2:
        return commit
    try:
        head = remote_refs.at(repository, job.head_ref, None)
        if head not in parents:
            return commit
        target = remote_refs.at(repository, job.base_ref, None)
        fetch.ensure(repository, [target])
    except CannotDecide:
        return commit
    merge = merge_trees.merges(repository, [(parents[0], parents[1])])[parents[0], parents[1]]
    if not merge.tree:
        message = f"{commit[:12]} merges {head[:12]}, and whether the service has made it is not known: {merge.why}"
        raise NotFetched(message, "check out the pull request's head itself, not a merge of it")
    other = parents[1 - parents.index(head)]
    is_its_own = repository.trees([commit])[commit] == merge.tree and remotes.contains(repository, [target], other)
    return head if is_its_own else commit


def _with_base(job: Job, repository: Repository) -> Job:
    """A pull request's base is what its branch is at; what a tag or another ref has to please is the default branch.

    A checkout step may have fetched with credentials that git has no more: then the branch is where it left it.
    """
    if job.base_ref == "HEAD":
        default = _default(repository)
        return replace(job, base=default.commit, base_branch=branch_of(default.branch))
    try:
        return replace(job, base=remote_refs.at(repository, job.base_ref, None))
    except remote_refs.NoSuchRef:
        raise
    except CannotDecide:
        fetched = f"refs/remotes/{remote_refs.remote_name(repository)}/{branch_of(job.base_ref)}"
        tips = repository.refs([fetched])
        if not tips:
            raise
        return replace(job, base=tips[fetched])


def _after_push(job: Job, repository: Repository) -> Job:
    default = _default(repository)
    job = replace(job, default_branch=branch_of(default.branch), base_branch=branch_of(default.branch))
    is_default = branch_ref(job.head_branch) == default.branch if job.head_branch and default.branch else True
    if not (is_default and _is_in(repository, job.head, default.commit)):
        return replace(job, base=default.commit)
    is_push = job.event == "push" and bool(job.head_branch and default.branch)
    job = replace(job, base_ref="", is_push_to_base=is_push)
    if job.earlier and not job.head.startswith(job.earlier):
        return replace(job, base=_earlier(job, repository))
    parents = repository.parents([job.head])[job.head]
    notes = policy_history.remarks(repository, parents[0], job.provider.shown) if parents else ()
    return replace(job, base=parents[0] if parents else "", notes=notes)


def _earlier(job: Job, repository: Repository) -> str:
    """The commit of the build before, in full, fetched where it is missing. Raises NotFetched."""
    if is_hash(job.earlier):
        fetch.ensure(repository, [job.earlier])
        return job.earlier
    name = full_hash(repository, job.earlier)
    if not name:
        raise NotFetched(f"this clone has no commit {job.earlier}, which the build before this one had", FETCH_ALL)
    return name


def _is_in(repository: Repository, commit: str, tip: str) -> bool:
    """Is the commit the tip, or known here to be in its history?"""
    return commit == tip or (
        all(isinstance(each, Resolved) for each in repository.peel([commit, tip]))
        and remotes.contains(repository, [tip], commit)
    )


def _default(repository: Repository) -> _Default:
    """The remote's default branch, as last fetched; where this clone does not know it, the remote is asked.

    Raises _DefaultUnknown.
    """
    try:
        return _asked_default(repository)
    except CannotDecide as error:
        raise _DefaultUnknown(error.message, error.hint) from None


def _asked_default(repository: Repository) -> _Default:
    """The same. Raises NotFetched, and Unreachable."""
    name = remote_refs.remote_name(repository)
    head = repository.run("symbolic-ref", "--quiet", f"refs/remotes/{name}/HEAD") if name else None
    commits = repository.default_branches([name]) if head and not head.status else []
    if head and commits:
        return _Default(branch_ref(head.text.removeprefix(f"refs/remotes/{name}/")), commits[0])
    remote = remotes.named(repository, name, push=False)
    if remote is None:
        raise NotFetched("this clone has no remote to ask for its default branch")
    branch, commit = remotes.default_branch(repository, remote, timeout=FETCH_SECONDS)
    if not commit:
        raise NotFetched(f"{remote.shown} has no default branch")
    fetch.ensure(repository, [commit])
    return _Default(branch, commit)
