"""Gets the commits that a CI job judges by into its checkout, which usually holds the one merge commit and no more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from git_clearml.base.ids import is_hash
from git_clearml.errors import CannotDecide
from git_clearml.forge.api import FileAt
from git_clearml.forge.job import Job
from git_clearml.git import remote as remotes
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Resolved
from git_clearml.settings.load import POLICY_FILE

FETCH_SECONDS = 60.0
_HINT = "check out with fetch-depth: 0 (actions/checkout), or GIT_DEPTH: 0 (GitLab)"


@dataclass(frozen=True)
class JobCheckout:
    """The checkout of a CI job, as verdict.session asks it. `file_at` reads a policy that cannot be fetched."""

    repository: Repository
    job: Job
    file_at: FileAt | None = None

    @property
    def head_urls(self) -> tuple[str, ...]:
        """The clone URLs of the repository that the judged commit comes from."""
        return self.job.head_urls

    def judged(self) -> Resolved:
        """See `judged`."""
        return judged(self.repository, self.job)

    def accepted(self) -> Resolved | None:
        """See `accepted`."""
        return accepted(self.repository, self.job, file_at=self.file_at)

    def ensure(self, commits: Iterable[str]) -> None:
        """See `ensure`."""
        ensure(self.repository, commits)


class NotFetched(CannotDecide):
    """A commit that this clone does not have and the remote does not provide."""

    code = "unknown-revision"


def ensure(repository: Repository, commits: Iterable[str], *, remote: str = "", timeout: float = FETCH_SECONDS) -> None:
    """Fetches those of the commits (full hashes) that are missing here, each alone and without its history.

    The credentials are git's own affair: what the checkout step has configured applies. Raises NotFetched.
    """
    wanted = [name for name in dict.fromkeys(commits) if name]
    for name, commit in zip(wanted, repository.peel(wanted), strict=True):
        if isinstance(commit, Resolved):
            continue
        if not is_hash(name):
            raise NotFetched(f"not the full hash of a commit: {name[:80]!r}", "git rev-parse shows full hashes")
        _fetch(repository, name, remote or _remote(repository), timeout)
        if not isinstance(repository.peel([name])[0], Resolved):
            raise NotFetched(f"the remote has no commit {name[:12]}", _HINT)


def judged(repository: Repository, job: Job, *, timeout: float = FETCH_SECONDS) -> Resolved:
    """The commit that the job is about, fetched where it is missing. Raises NotFetched."""
    head = job.head or _at_remote(repository, job.head_ref, timeout)
    if not head:
        raise NotFetched("this CI job does not say which commit it is about", "set COMMIT_ID to its full hash")
    ensure(repository, [head], timeout=timeout)
    return _with_policy(repository, head, timeout)


def accepted(
    repository: Repository, job: Job, *, file_at: FileAt | None = None, timeout: float = FETCH_SECONDS
) -> Resolved | None:
    """The accepted commit whose policy judges, fetched where it is missing; None where nothing was accepted before.

    Where the remote provides it neither by hash nor otherwise, `file_at` may read the policy from elsewhere.
    Raises NotFetched, and the errors of `file_at`.
    """
    base = job.base or _at_remote(repository, job.base_ref, timeout)
    if not base:
        return None
    try:
        ensure(repository, [base], timeout=timeout)
    except NotFetched:
        if file_at is None:
            raise
        content = file_at(base, POLICY_FILE)
        blob = "" if content is None else _written(repository, content)
        return Resolved(base, Commit(base, ""), blob)
    return _with_policy(repository, base, timeout)


def _with_policy(repository: Repository, commit: str, timeout: float) -> Resolved:
    """The commit; in a partial clone the content of its policy is fetched, where that is missing."""
    (resolved,) = repository.resolve([commit])
    if resolved.policy_blob and repository.is_partial:  # where that fails, whoever reads the policy says so
        repository.run("cat-file", "-e", resolved.policy_blob, timeout=timeout, remote=True)
    return resolved


def _fetch(repository: Repository, name: str, remote: str, timeout: float) -> None:
    if not remote:
        raise NotFetched(f"{name[:12]} is not in this clone, and there is no remote to fetch it from", _HINT)
    words = ("--depth=1", "--no-tags", "--no-recurse-submodules", "--quiet", "--", remote, name)
    result = repository.run("fetch", *words, timeout=timeout, remote=True)
    if result.status:
        raise NotFetched(f"{name[:12]} is not in this clone, and {remote} did not provide it: {result.reason}", _HINT)


def _at_remote(repository: Repository, ref: str, timeout: float) -> str:
    """The hash that the remote's ref has now; "" for no ref. Raises NotFetched."""
    if not ref:
        return ""
    name = _remote(repository)
    where = remotes.fetched_from(repository, name)
    if where is None:
        raise NotFetched(f"cannot look up {ref}: this clone has no remote", _HINT)
    try:
        commit = remotes.at(repository, where, ref, timeout=timeout)
    except CannotDecide as error:
        raise NotFetched(f"cannot look up {ref} on {name}: {error.message}", _HINT) from None
    if not commit:
        raise NotFetched(f"{name} has no {ref}", _HINT)
    return commit


def _remote(repository: Repository) -> str:
    """`origin`, as every checkout step calls it, else the first remote; "" for none."""
    keys = [key for key, _ in repository.config() if key.startswith("remote.") and key.endswith(".url")]
    names = [key.removeprefix("remote.").removesuffix(".url") for key in keys]
    return "origin" if "origin" in names else next(iter(names), "")


def _written(repository: Repository, content: bytes) -> str:
    """The blob of this content, made here."""
    return repository.read("hash-object", "-w", "--stdin", stdin=content).decode("ascii").strip()
