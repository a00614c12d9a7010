"""Gets the commits that a CI job judges by into its checkout, which usually holds the one merge commit and no more."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from git_clearml.base.ids import is_hash
from git_clearml.errors import CannotDecide, Error, NotConfigured, NothingToJudge, TimedOut, UsageError
from git_clearml.forge import remote_refs
from git_clearml.forge.api import Ask
from git_clearml.forge.job import Job
from git_clearml.forge.remote_refs import FETCH_ALL, FETCH_SECONDS, NAME_IT, NoSuchRef, NotFetched, remote_name
from git_clearml.git.peel import NoCommit
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Resolved
from git_clearml.settings.load import POLICY_FILE
from git_clearml.verdict.model import Tip

_BRING_SECONDS = 15.0  # for commits of which nobody knows whether the remote has them
_LEAST = 0.1  # seconds for a fetch, whatever those before it took


@dataclass(frozen=True)
class JobCheckout:
    """The checkout of a CI job, as verdict.session asks it. `ask` asks its forge for what cannot be fetched.

    `error` kept us from knowing which commit the job is about, or whose policy judges it.
    """

    repository: Repository
    job: Job
    ask: Ask | None = None
    error: Error | None = None

    @property
    def head_urls(self) -> tuple[str, ...]:
        """The clone URLs of the repository that the judged commit comes from."""
        return self.job.head_urls

    def judged(self) -> Resolved:
        """The commit that the job is about, fetched where it is missing.

        Raises NothingToJudge for a ref that went away and a tag of no commit, UsageError where there is no telling
        which commit it is, NotFetched, and `error`.
        """
        job = self.job
        if self.error is not None and not job.head:
            raise self.error
        if job.deletes:
            raise NothingToJudge("nothing to judge: a ref was deleted")
        if not job.head:
            which = f"a job of the event {job.event[:40]!r}" if job.event else "this job"
            raise UsageError(f"{which} does not say which commit it is about", NAME_IT)
        try:
            ensure(self.repository, [job.head])
        except NotFetched:
            if job.is_tag and self.repository.peel([job.head])[0] is NoCommit.OTHER_OBJECT:
                raise NothingToJudge(f"nothing to judge: {job.head[:12]} is no commit, nor a tag of one") from None
            raise
        return _with_policy(self.repository, job.head)

    def accepted(self) -> Resolved | None:
        """The accepted commit whose policy judges, fetched where it is missing.

        Where the remote provides it neither by hash nor otherwise, the forge may tell the policy. Raises NotFetched,
        `error`, and what the forge's answer raises.
        """
        if self.error is not None and not (self.job.base or self.job.base_ref):
            raise self.error
        job, ask = self.job, self.ask
        try:
            base = job.base or (remote_refs.at(self.repository, job.base_ref, ask) if job.base_ref else "")
        except NoSuchRef as error:
            message = f"the policy that applies is unknown: {error.message}"
            raise NotFetched(message, "is it the repository of this job? git ls-remote shows what it has") from None
        if not base:
            return None
        try:
            ensure(self.repository, [base])
        except NotFetched as missing:
            if self.repository.peel([base])[0] is NoCommit.OTHER_OBJECT:  # a tag of a blob that is now one of a commit
                return replace(self, job=replace(job, base="", base_ref=job.default_ref)).accepted()
            if ask is None:
                raise
            try:
                content = ask(lambda forge: forge.file_at(base, POLICY_FILE))
            except NotConfigured:
                raise missing from None
            blob = "" if content is None else _written(self.repository, content)
            return Resolved(base, Commit(base, ""), blob)
        return _with_policy(self.repository, base)

    @property
    def tips(self) -> tuple[Tip, ...]:
        """Which branch the judged commit is the head of."""
        urls = self.job.head_urls if self.job.is_fork else ()
        return (Tip(self.job.head_branch, self.job.head, urls),) if self.job.head_branch else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the verdict has to know of how its policy was found."""
        return self.job.notes

    @property
    def accepted_branch(self) -> str:
        """The branch that has accepted it, as the event says."""
        return self.job.base_branch

    def ensure(self, commits: Iterable[str], *, depth: int = 1, timeout: float = FETCH_SECONDS) -> None:
        """As `ensure` below does for any clone."""
        ensure(self.repository, commits, depth=depth, timeout=timeout)

    def deepen(self, commits: Iterable[str], depth: int) -> None:
        """Gets so much of the history of commits that are here already. Raises NotFetched, and TimedOut."""
        deadline = time.monotonic() + FETCH_SECONDS
        for name in dict.fromkeys(commits):
            left = max(deadline - time.monotonic(), _LEAST)
            _fetch(self.repository, name, depth, left)

    def bring(self, commits: Sequence[str]) -> None:
        """Fetches these commits (full hashes), as far as the remote has them and time is left."""
        deadline = time.monotonic() + _BRING_SECONDS
        for commit in commits:
            try:
                ensure(self.repository, [commit], timeout=max(_LEAST, deadline - time.monotonic()))
            except TimedOut:
                return
            except CannotDecide:
                continue

    def merged_by(self, commit: str) -> Sequence[int]:
        """The numbers of the pull requests that brought a pushed commit, as its forge knows."""
        if self.ask is None or commit != self.job.head or not self.job.is_push_to_base:
            return ()
        try:
            return self.ask(lambda forge: forge.merged_by(commit))
        except (CannotDecide, UsageError):
            return ()

    def fetch_pull_requests(self, numbers: Iterable[int]) -> None:
        """Fetches the heads of these pull requests into the refs that GitHub, Gitea and GitLab keep them in.

        Which of the two the remote has is found by asking for them; what it does not have is left out.
        """
        remote, deadline = remote_name(self.repository), time.monotonic() + FETCH_SECONDS
        forms = ("refs/pull/{}/head", "refs/merge-requests/{}/head")
        for ref in [form.format(number) for number in numbers for form in forms]:
            left = deadline - time.monotonic()
            try:  # by its full name: a fetch of it would also find a branch of this name
                name = remote_refs.at(self.repository, ref, None, left) if remote and left > 0 else ""
            except NotFetched:
                continue
            if name:
                words = ("--no-tags", "--no-recurse-submodules", "--quiet", "--", remote, f"+{name}:{ref}")
                self.repository.run("fetch", *words, timeout=max(0.1, deadline - time.monotonic()), remote=True)


def ensure(repository: Repository, commits: Iterable[str], *, depth: int = 1, timeout: float = FETCH_SECONDS) -> None:
    """Fetches those of the commits (full hashes) that are missing here, within so many seconds for all of them.

    A shallow clone gets each with `depth` commits of its history, itself counted. The credentials are git's own affair:
    what the checkout step has configured applies. Raises NotFetched, and TimedOut.
    """
    wanted, deadline = [name for name in dict.fromkeys(commits) if name], time.monotonic() + timeout
    for name, commit in zip(wanted, repository.peel(wanted), strict=True):
        if isinstance(commit, Resolved):
            continue
        if not is_hash(name):
            raise NotFetched(f"not the full hash of a commit: {name[:80]!r}", f"git rev-parse {shlex.quote(name[:80])}")
        left = max(deadline - time.monotonic(), _LEAST)
        _fetch(repository, name, depth, left)
        if not isinstance(repository.peel([name])[0], Resolved):
            raise NotFetched(f"the remote has no commit {name[:12]}", FETCH_ALL)


def _with_policy(repository: Repository, commit: str) -> Resolved:
    """The commit; in a partial clone the content of its policy is fetched, where that is missing."""
    (resolved,) = repository.resolve([commit])
    if resolved.policy_blob and repository.is_partial:  # where that fails, whoever reads the policy says so
        repository.run("cat-file", "-e", resolved.policy_blob, timeout=FETCH_SECONDS, remote=True)
    return resolved


def _fetch(repository: Repository, name: str, depth: int, timeout: float) -> None:
    remote = remote_name(repository)
    if not remote:
        raise NotFetched(f"{name[:12]} is not in this clone, and there is no remote to fetch it from", FETCH_ALL)
    words = ("--no-tags", "--no-recurse-submodules", "--quiet", "--", remote, name)
    shallow = (f"--depth={depth}",) if repository.is_shallow else ()  # it would cut off what a full clone has
    result = repository.run("fetch", *shallow, *words, timeout=timeout, remote=True)
    if result.status:
        message = f"{name[:12]} is not in this clone, and {remote} did not provide it: {result.reason}"
        raise NotFetched(message, FETCH_ALL)


def _written(repository: Repository, content: bytes) -> str:
    """The blob of this content, made here."""
    return repository.read("hash-object", "-w", "--stdin", stdin=content).decode("ascii").strip()
