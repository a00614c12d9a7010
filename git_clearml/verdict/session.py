"""Judges the commits that a command names, or that a CI job is about, by the policy that applies to them there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from git_clearml.base.ids import is_hash
from git_clearml.errors import CannotDecide, Error
from git_clearml.git.repository import Repository
from git_clearml.model import Problem, Resolved
from git_clearml.report.model import Comparison, VerifyReport
from git_clearml.settings import load as policies
from git_clearml.settings.load import Ruling
from git_clearml.settings.policy import Equivalence, Policy
from git_clearml.verdict import evidence
from git_clearml.verdict import hint as hints
from git_clearml.verdict import resolve as verification
from git_clearml.verdict import results_commits as lineage
from git_clearml.verdict.model import Outcome, Verdict
from git_clearml.verdict.resolve import Evidence

if TYPE_CHECKING:
    from git_clearml.agent.model import Check
    from git_clearml.forge.fetch import FileAt
    from git_clearml.forge.job import Context

BUDGET = 30.0  # seconds for all network calls of one asking
_LOOSENESS = (Equivalence.COMMIT, Equivalence.TREE, Equivalence.PATHS)


@dataclass(frozen=True)
class Wanted:
    """What the command line asks: revisions (none: the job's commit, else HEAD), flags by their setting's key, the id
    of the only task that may count, and whose policy judges (None: the one that applies)."""

    revs: tuple[str, ...] = ()
    flags: Mapping[str, Any] = field(default_factory=dict)
    task: str = ""
    policy_from: str | None = None


@dataclass(frozen=True)
class Surroundings:
    """Where we are: the environment, the CI job (None outside of one), where remarks and warnings go, and how to read a
    policy whose commit cannot be fetched."""

    environment: Mapping[str, str]
    context: Context | None = None
    log: Callable[[str], None] = lambda _: None
    warn: Callable[[str], None] = lambda _: None
    file_at: FileAt | None = None


def surroundings(
    repository: Repository,
    environment: Mapping[str, str],
    *,
    log: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> Surroundings:
    """Where we are. Raises BadAnswer and UsageError for a CI job that does not make sense."""
    context = None
    if environment.get("GITHUB_ACTIONS") or environment.get("GITLAB_CI"):
        from git_clearml.forge import job as ci

        context = ci.detect(environment)
    if context is None:
        return Surroundings(environment, None, log, warn)
    from git_clearml.forge import comment as publishing

    read = publishing.policy_reader(context, repository=repository, environment=environment, log=log)
    return Surroundings(environment, context, log, warn, read)


class Judging:
    """Commits with their policies, ready to be asked about as often as it takes. `close` it."""

    def __init__(
        self,
        repository: Repository,
        commits: Sequence[Resolved],
        rulings: Sequence[Ruling],
        wanted: Wanted,
        around: Surroundings,
    ) -> None:
        self.repository, self.commits, self.rulings = repository, commits, rulings
        self._wanted, self._around = wanted, around
        self._sources: dict[str, Evidence] = {}

    def source(self, kind: str) -> Evidence:
        """The evidence source of this kind, each made once, with one budget for the network."""
        if kind not in self._sources:
            budget = float(self.rulings[0].settings["timeout"].value) or BUDGET
            self._sources[kind] = evidence.choose(
                kind, self.repository, budget=budget, environment=self._around.environment, log=self._around.log
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

    def report(self) -> VerifyReport:
        """Asks once. What keeps us from deciding becomes part of the report; a usage error goes up."""
        try:
            verdicts = self.verdicts()
        except CannotDecide as error:
            return self._undecided(error)
        outcome = Outcome.worst([verdict.outcome for verdict in verdicts])
        hint = hints.next_command(self.repository, verdicts, self.rulings[0].policy)
        return VerifyReport(outcome, outcome.status, self.rulings[0].origin, tuple(verdicts), hint)

    def verdicts(self) -> list[Verdict]:
        """The verdicts in the order of the commits; policies may want different sources, whose errors go up."""
        urls = self._around.context.head_urls if self._around.context else ()
        verdicts: dict[int, Verdict] = {}
        for kind in dict.fromkeys(ruling.policy.evidence for ruling in self.rulings):
            numbers = [n for n, ruling in enumerate(self.rulings) if ruling.policy.evidence == kind]
            questions = [verification.Question(self.commits[n].commit, self.rulings[n].policy) for n in numbers]
            found = verification.verify(
                self.repository, self.source(kind), questions, chosen=self._wanted.task, urls=urls
            )
            if any(question.policy.runnable.required for question in questions):
                from git_clearml.agent import passes as proofs

                found = proofs.required(self.repository, questions, found, self.source(kind))
            verdicts |= dict(zip(numbers, found, strict=True))
        return [replace(verdicts[n], rev=commit.rev) for n, commit in enumerate(self.commits)]

    def _undecided(self, error: CannotDecide) -> VerifyReport:
        tolerant = all(ruling.policy.on_unreachable == "warn" for ruling in self.rulings)
        warn = tolerant and error.code in ("unreachable", "timeout")
        notes = ("not verified: the server could not be reached, and on-unreachable is warn",) if warn else ()
        report = undecided(error, [(one.commit.hash, one.rev) for one in self.commits], self.rulings[0].origin)
        return replace(report, status=0 if warn else error.status, notes=notes)


def undecided(error: Error, commits: Sequence[tuple[str, str]] = (), origin: str = "defaults") -> VerifyReport:
    """The report of an asking that an error ended, about these commits (hash, as typed)."""
    verdicts = tuple(Verdict(name, Outcome.UNDECIDED, rev=rev) for name, rev in dict.fromkeys(commits))
    problem = Problem(error.code, error.message, error.hint)
    return VerifyReport(Outcome.UNDECIDED, error.status, origin, verdicts, error.hint, (problem,))


def with_problem(report: VerifyReport, error: Error) -> VerifyReport:
    """The report with something that went wrong after it: a rejection stays one, all else fails by it."""
    status = 1 if report.status == 1 else error.status
    problem = Problem(error.code, error.message, error.hint)
    return replace(report, status=status, problems=(*report.problems, problem), hint=report.hint or error.hint)


def with_check(report: VerifyReport, check: Check) -> VerifyReport:
    """The report with what the remote check came to; the status is the worst of both."""
    status = next((one for one in (1, 3, 4) if one in (report.status, check.status)), report.status)
    hint = report.hint or ("" if check.status == 0 else check.hint)
    return replace(report, status=status, problems=(*report.problems, *check.problems), hint=hint, check=check)


def with_comparison(report: VerifyReport, comparison: Comparison) -> VerifyReport:
    """The report with how the model stands; the status is the worst of both."""
    status = next((one for one in (1, 3, 4) if one in (report.status, comparison.status)), report.status)
    problems = (*report.problems, *comparison.problems)
    return replace(report, status=status, problems=problems, comparison=comparison)


def prepare(repository: Repository, wanted: Wanted, around: Surroundings) -> Judging:
    """Resolves the revisions, and the policy for each, before any server is asked.

    By hand a commit is judged by its own policy and the flags over it. In CI by the accepted side's, where that is
    known, and a flag counts only where it is stricter. Raises UnknownRevision, BadSetting, and CannotDecide when a
    commit cannot be fetched.
    """
    commits = _commits(repository, wanted, around.context)
    judges = _judges(repository, wanted, around, commits)
    flags, plain = dict(wanted.flags), list[Ruling]()
    if around.context is not None or evidence.in_ci(around.environment):
        from git_clearml.report import compare

        plain = policies.rulings(repository, judges, flags=_mere(flags), environment=around.environment)
        flags, ignored = admitted(flags, [ruling.policy for ruling in plain])
        for ruling in plain:
            best = {key: value for key, value in flags.items() if key.startswith(_BEST)}
            counting, more = compare.admitted(best, ruling.settings)
            flags = {key: value for key, value in flags.items() if key not in best} | counting
            ignored += more
        for line in ignored:
            around.warn(line)
    rulings = policies.rulings(repository, judges, flags=flags, environment=around.environment)
    if plain:
        rulings = [_measured_by(own.policy, ruling) for own, ruling in zip(plain, rulings, strict=True)]
    for warning in dict.fromkeys(warning for ruling in rulings for warning in ruling.warnings):
        around.warn(warning)
    return Judging(repository, commits, rulings, wanted, around)


def _measured_by(policy: Policy, ruling: Ruling) -> Ruling:
    """The ruling, whose best task is looked up where the policy without flags says."""
    best = replace(ruling.policy.best, project=policy.project)
    return replace(ruling, policy=replace(ruling.policy, best=best))


def _commits(repository: Repository, wanted: Wanted, context: Context | None) -> list[Resolved]:
    if context is None:
        return repository.resolve(wanted.revs or ("HEAD",))
    from git_clearml.forge import fetch as checkout

    if wanted.revs:
        checkout.ensure(repository, [rev for rev in wanted.revs if is_hash(rev)])
        commits = repository.resolve(wanted.revs)
    else:
        commits = [checkout.judged(repository, context)]
    for _ in range(lineage.MOST):  # a results commit is judged with its parents, which a checkout of depth 1 lacks
        absent = lineage.missing(repository, [one.commit for one in commits])
        if not absent:
            break
        checkout.ensure(repository, absent)
    return commits


def _judges(
    repository: Repository, wanted: Wanted, around: Surroundings, commits: Sequence[Resolved]
) -> Sequence[Resolved]:
    """For each commit the one whose policy judges it; in CI --policy-from counts where no accepted side is known."""
    named = None if wanted.policy_from is None else repository.resolve([wanted.policy_from])[0]
    accepted = None
    if around.context is not None:
        from git_clearml.forge import fetch as checkout

        accepted = checkout.accepted(repository, around.context, file_at=around.file_at)
        if accepted is not None and named is not None and named.commit.hash != accepted.commit.hash:
            side = accepted.commit.hash[:12]
            around.warn(f"--policy-from {wanted.policy_from} is ignored: in CI the policy of {side} decides")
    judge = accepted or named
    return commits if judge is None else [judge] * len(commits)


_POLICY_FLAGS = ("project", "task-name", "evidence", "equivalence", "on-unreachable")
_BEST = "best."


def _mere(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that are no policy."""
    return {key: value for key, value in flags.items() if key not in _POLICY_FLAGS and not key.startswith(_BEST)}


def admitted(flags: Mapping[str, Any], rules: Sequence[Policy]) -> tuple[dict[str, Any], list[str]]:
    """Which flags count in CI, and a warning for every other one: those that no policy could be loosened by. Pure."""
    kept, ignored = dict(flags), []
    for key in _POLICY_FLAGS:
        value = flags.get(key)
        if value is not None and not all(_is_stricter(key, value, policy) for policy in rules):
            del kept[key]
            ignored.append(f"--{key} {value} is ignored: in CI the policy decides, and this would loosen it")
    return kept, ignored


def _is_stricter(key: str, value: str, policy: Policy) -> bool:
    """Does every task that counts under the flag count under the policy? Or does the flag say the same."""
    if key == "project":
        return not policy.project or value == policy.project or value.startswith(policy.project + "/")
    if key == "task-name":
        return policy.task_name in ("", value)
    if key == "equivalence":
        return _LOOSENESS.index(Equivalence(value)) <= _LOOSENESS.index(policy.equivalence)
    if key == "on-unreachable":
        return value == "block" or policy.on_unreachable == value
    return True  # evidence: offline in CI is there for whoever asks for it in the workflow
