"""The commits that a command names, or that a CI job is about, with the policies that judge them: ready to be asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from git_clearml.base.ids import is_hash
from git_clearml.errors import HistoryMissing, PolicyUnknown, TimedOut
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Resolved
from git_clearml.settings import load
from git_clearml.settings.in_ci import in_ci
from git_clearml.settings.load import ResolvedPolicy
from git_clearml.settings.policy import Policy
from git_clearml.verdict import sources
from git_clearml.verdict.accepted_half import of_remotes, stands_behind_a_gate
from git_clearml.verdict.checkout import SECONDS, Checkout
from git_clearml.verdict.evidence import Evidence
from git_clearml.verdict.model import Outcome, Verdict
from git_clearml.verdict.question import Question, Requirement, Scope

if TYPE_CHECKING:
    from git_clearml.clearml.client import ClearML

_HISTORY = 500  # commits that are fetched where one of them may have the code that a requirement names
BUDGET = SECONDS


class VerifyRequest(NamedTuple):
    """What the command line asks: revisions (none: the job's commit, else HEAD), flags by their setting's key, the id
    of the only task that may count, whose policy judges (None: the one that applies), and since when a task has to
    have been updated to be looked at (None: as the commits' dates say)."""

    revs: tuple[str, ...] = ()
    flags: Mapping[str, Any] = MappingProxyType({})
    task: str = ""
    policy_from: str | None = None
    since: datetime | None = None


class Context(NamedTuple):
    """Where we are: the environment, the CI job's checkout (None outside of one), where remarks and warnings go."""

    environment: Mapping[str, str]
    checkout: Checkout | None = None
    log: Callable[[str], None] = lambda _: None
    warn: Callable[[str], None] = lambda _: None
    ahead: ClearML | None = None  # a client that connects already


class VerifySession:
    """Commits with their policies, ready to be asked about as often as it takes. `close` it.

    `requirement` is what a policy may want beside a task (see resolve.verify); `accepted` the commit that was accepted
    where these are to go, "" for none, None where nobody says.
    """

    def __init__(
        self,
        repository: Repository,
        commits: Sequence[Resolved],
        rulings: Sequence[ResolvedPolicy],
        request: VerifyRequest,
        context: Context,
        requirement: Requirement,
        accepted: str | None = None,
    ) -> None:
        self.repository, self.commits, self.rulings = repository, commits, rulings
        self._request, self._context, self._requirement = request, context, requirement
        self.every_run = False  # see Scope
        self.base = ""  # the commit that was accepted before, in a CI job that tells
        self.requests: Mapping[str, Sequence[int]] = {}  # of commits, where their messages do not say
        self._sources: dict[str, Evidence] = {}
        sides = () if not accepted else (accepted,)
        self._accepted = None if accepted is None else {resolved.commit.hash: sides for resolved in commits}

    def source(self, kind: str) -> Evidence:
        """The evidence source of this kind, each made once, with one budget for the network."""
        if kind not in self._sources:
            budget = self.rulings[0].personal.timeout or BUDGET
            self._sources[kind] = sources.choose(
                kind,
                self.repository,
                budget=budget,
                environment=self._context.environment,
                log=self._context.log,
                ahead=self._context.ahead,
            )
        return self._sources[kind]

    def renew(self) -> None:
        """Gives the next asking a fresh budget."""
        for source in self._sources.values():
            source.renew()

    def close(self) -> None:
        """Lets go of the connections."""
        for source in self._sources.values():
            source.close()

    def verdicts(self) -> list[Verdict]:
        """The verdicts in the order of the commits; policies may want different sources, whose errors go up.

        A CI job gets the history that its checkout lacks, where a requirement's evidence may be in it.
        """
        try:
            return self._verdicts()
        except HistoryMissing:
            if self._context.checkout is None:
                raise
            self._context.checkout.deepen([resolved.commit.hash for resolved in self.commits], _HISTORY)
            return self._verdicts()

    def _verdicts(self) -> list[Verdict]:
        checkout = self._context.checkout
        urls, tips = (checkout.head_urls, checkout.tips) if checkout else ((), ())
        verdicts: dict[int, Verdict] = {}
        since, every_run = self._request.since, self.every_run
        scope = Scope(self._request.task, tuple(urls), self._accepted, since=since, tips=tips, every_run=every_run)
        scope = scope._replace(requests=self.requests, bring=checkout.bring if checkout else None)
        for kind in dict.fromkeys(ruling.policy.evidence for ruling in self.rulings):
            numbers = [n for n, ruling in enumerate(self.rulings) if ruling.policy.evidence == kind]
            source = self.source(kind)
            source.open_ahead()
            from git_clearml.verdict import resolve  # late: while the connection is made

            questions = [Question(self.commits[n].commit, self.rulings[n].policy) for n in numbers]
            answers = resolve.verify(self.repository, source, questions, self._requirement, scope)
            if any(answer.outcome is Outcome.REJECTED for answer in answers):
                from git_clearml.verdict import local_runs  # late: a refusal alone wants it

                answers = local_runs.explained(
                    self.repository, source, questions, answers, scope, self._context.environment
                )
            verdicts |= dict(zip(numbers, answers, strict=True))
        notes = tuple(checkout.notes) if checkout and not self._request.revs else ()
        return [
            verdicts[n]._replace(rev=commit.rev, notes=(*verdicts[n].notes, *notes))
            for n, commit in enumerate(self.commits)
        ]


def prepare(
    repository: Repository, request: VerifyRequest, context: Context, requirement: Requirement
) -> VerifySession:
    """Resolves the revisions, and the policy for each, before any server is asked.

    By hand a commit is judged by its own policy and the flags over it. In CI by the accepted side's, where that is
    known, and a flag counts only where it is stricter. Raises UnknownRevision, BadSetting, and CannotDecide when a
    commit cannot be fetched.
    """
    commits = _commits(repository, request, context)
    judges = _judges(repository, request, context, commits)
    flags, without_flags = dict(request.flags), list[ResolvedPolicy]()
    if context.checkout is not None or in_ci(context.environment):
        from git_clearml.settings import ci_flags  # late: its exact numbers take time to load

        without_flags = load.rulings(
            repository, judges, flags=ci_flags.without_policy(flags), environment=context.environment
        )
        flags, warnings = ci_flags.stricter_flags(flags, without_flags)
        for warning in warnings:
            context.warn(warning)
    rulings = load.rulings(repository, judges, flags=flags, environment=context.environment)
    if without_flags:
        rulings = [_measured_by(own.policy, ruling) for own, ruling in zip(without_flags, rulings, strict=True)]
    for warning in dict.fromkeys(warning for ruling in rulings for warning in ruling.warnings):
        context.warn(warning)
    requests: Mapping[str, Sequence[int]] = {}
    if context.checkout is not None and any(ruling.policy.merges == "clean" for ruling in rulings):
        from git_clearml.verdict import request_heads  # late: few policies want it

        requests = request_heads.fetch(repository, [resolved.commit for resolved in commits], context.checkout)
    accepted = None if judges is commits else _accepted(repository, judges[0], rulings, context.checkout)
    session = VerifySession(repository, commits, rulings, request, context, requirement, accepted)
    session.requests = requests
    if context.checkout is not None and judges is not commits:
        session.base = judges[0].commit.hash
    return session


def _accepted(
    repository: Repository, side: Resolved, rulings: Sequence[ResolvedPolicy], checkout: Checkout | None
) -> str:
    """The commit that a clean merge may have as its accepted half, "" for none. What was named by hand is one."""
    branch = checkout.accepted_branch if checkout else ""
    policies = {ruling.policy for ruling in rulings}
    places = of_remotes(repository.remotes())
    gated = all(stands_behind_a_gate(repository, side.commit.hash, policy, places, branch) for policy in policies)
    return side.commit.hash if gated or checkout is None else ""


def _measured_by(policy: Policy, ruling: ResolvedPolicy) -> ResolvedPolicy:
    """The ruling, whose best task is looked up where the policy without flags says."""
    best = ruling.policy.best._replace(project=policy.project)
    return ruling._replace(policy=ruling.policy._replace(best=best))


def _commits(repository: Repository, request: VerifyRequest, context: Context) -> list[Resolved]:
    checkout = context.checkout
    if checkout is None:
        return repository.resolve(request.revs or ("HEAD",))
    if request.revs:
        checkout.ensure([rev for rev in request.revs if is_hash(rev)])
        commits = repository.resolve(request.revs)
    else:
        commits = [checkout.judged()]
    _fetch_lineage(repository, commits, request, context)
    return commits


def _fetch_lineage(
    repository: Repository, commits: Sequence[Resolved], request: VerifyRequest, context: Context
) -> None:
    """Gets what results commits stand on: they are judged with their parents, which a checkout of depth 1 lacks.

    Twice as much at each fetch, all of them within the budget. Raises CannotDecide.
    """
    from git_clearml.verdict import results_commits  # late: for a CI job

    deadline, depth = None, 1
    while absent := results_commits.missing(repository, [resolved.commit for resolved in commits]):
        if context.checkout is None or depth > results_commits.MOST:
            return  # the verdict says what is not here
        if deadline is None:
            deadline = time.monotonic() + _budget(repository, request, context)
        left = deadline - time.monotonic()
        if left <= 0:
            message = f"not all that the results commit stands on could be fetched in time, {absent[0][:12]} for one"
            raise TimedOut(message, "git fetch --unshallow")
        context.checkout.ensure(absent, depth=depth, timeout=left)
        depth *= 2


def _budget(repository: Repository, request: VerifyRequest, context: Context) -> float:
    """The seconds for all network calls, as far as they can be known without a policy."""
    nothing = Resolved("", Commit("", ""), "")
    flags = {"timeout": request.flags.get("timeout")}
    [ruling] = load.rulings(repository, [nothing], flags=flags, environment=context.environment)
    return ruling.personal.timeout or BUDGET


def _judges(
    repository: Repository, request: VerifyRequest, context: Context, commits: Sequence[Resolved]
) -> Sequence[Resolved]:
    """For each commit the one whose policy judges it; in CI --policy-from counts where no accepted side is known."""
    named = None if request.policy_from is None else repository.resolve([request.policy_from])[0]
    try:
        accepted = context.checkout.accepted() if context.checkout is not None else None
    except PolicyUnknown:
        if named is None:
            raise
        accepted = None
    if accepted is not None and named is not None and named.commit.hash != accepted.commit.hash:
        side = accepted.commit.hash[:12]
        context.warn(f"--policy-from {request.policy_from} is ignored: in CI the policy of {side} decides")
    judge = accepted or named
    return commits if judge is None else [judge] * len(commits)
