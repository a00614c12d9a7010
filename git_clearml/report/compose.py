"""Puts reports together: of verdicts, of an error that kept us from any, and of what else a command found out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from git_clearml.errors import CannotDecide, Error, NothingToJudge, Unfinished
from git_clearml.git.repository import Repository
from git_clearml.model import Problem
from git_clearml.report.model import VerifyReport
from git_clearml.settings.load import ResolvedPolicy
from git_clearml.settings.policy import Policy
from git_clearml.verdict import hint as hints
from git_clearml.verdict.model import Finding, Measured, Outcome, Reason, Verdict
from git_clearml.verdict.session import VerifySession

if TYPE_CHECKING:
    from git_clearml.agent.model import Check
    from git_clearml.report.measures import Comparison


_NAMED = 20  # commits in a hint


def verify_report(session: VerifySession) -> VerifyReport:
    """Asks once. What keeps us from deciding becomes part of the report; a usage error goes up."""
    try:
        verdicts = session.verdicts()
    except CannotDecide as error:
        open_ = [Verdict(resolved.commit.hash, Outcome.UNDECIDED, rev=resolved.rev) for resolved in session.commits]
        policies = [ruling.policy for ruling in session.rulings]
        return undecided(error, open_, origin=session.rulings[0].origin, policies=policies)
    return of_verdicts(session.repository, verdicts, session.rulings[0])


def of_verdicts(repository: Repository, verdicts: Sequence[Verdict], ruling: ResolvedPolicy) -> VerifyReport:
    """The report of verdicts, with the one command to run next by the policy of this ruling."""
    outcome = Outcome.worst([verdict.outcome for verdict in verdicts])
    verdicts = hints.with_commands(repository, verdicts, ruling.policy)
    hint = hints.next_command(repository, verdicts, ruling.policy)
    notes = hints.remarks(verdicts, hint)
    return VerifyReport(outcome, outcome.status, ruling.origin, tuple(verdicts), hint, notes=notes)


def undecided(
    error: Error, verdicts: Iterable[Verdict] = (), *, origin: str = "defaults", policies: Iterable[Policy] = ()
) -> VerifyReport:
    """The report of an asking that an error ended. `verdicts` are undecided: they name the commits, revs and refs.

    Where every one of the policies says on-unreachable = warn, the want of a server is a note and the status 0.
    """
    verdicts, away = tuple(dict.fromkeys(verdicts)), not isinstance(error, Unfinished)
    if not away:
        names = [verdict.commit[:12] for verdict in verdicts[:_NAMED] if verdict.rev != "HEAD"]
        error = Unfinished(error.message, " ".join([error.hint, *dict.fromkeys(names)]))
    from git_clearml.verdict import rules  # late: of a pass they are loaded while the connection is made

    tolerated = away and rules.unreachable_is_tolerated(policies, error.code)
    notes = ("not verified: the server could not be reached, and on-unreachable is warn",) if tolerated else ()
    return VerifyReport(
        Outcome.UNDECIDED, 0 if tolerated else error.status, origin, verdicts, error.hint, (Problem.of(error),), notes
    )


def nothing(error: NothingToJudge) -> VerifyReport:
    """The report where there was no commit to judge."""
    return VerifyReport(Outcome.VERIFIED, error.status, "defaults", notes=(error.message,))


def with_problem(report: VerifyReport, error: Error) -> VerifyReport:
    """The report with something that went wrong after it: a rejection stays one, all else fails by it."""
    status = 1 if report.status == 1 else error.status
    problem = Problem.of(error)
    return report._replace(status=status, problems=(*report.problems, problem), hint=report.hint or error.hint)


def with_check(report: VerifyReport, check: Check) -> VerifyReport:
    """The report with what the remote check came to; the status is the worst of both."""
    hint = report.hint or ("" if check.status == 0 else check.hint)
    problems = (*report.problems, *check.problems)
    return report._replace(status=_worst(report.status, check.status), problems=problems, hint=hint, check=check)


def with_comparison(report: VerifyReport, comparison: Comparison) -> VerifyReport:
    """The report with how the model stands; the status is the worst of both."""
    status = _worst(report.status, comparison.status)
    problems = (*report.problems, *comparison.problems)
    verdicts = report.verdicts
    if comparison.metrics and len(verdicts) == 1:
        verdicts = (_with_baselines(verdicts[0], comparison.metrics),)
    hint = report.hint or ("" if problems else _difference(comparison))
    return report._replace(status=status, problems=problems, comparison=comparison, verdicts=verdicts, hint=hint)


def _difference(comparison: Comparison) -> str:
    """The command that shows in what a task differs from the one that has the better metric."""
    worse = [each for each in comparison.metrics if each.code == "metric-worse" and each.baseline_task and each.task]
    if not worse or comparison.current is None or comparison.current.source != "server":
        return ""
    return f"git clearml diff {worse[0].baseline_task} {worse[0].task}"


def _with_baselines(verdict: Verdict, metrics: tuple[Measured, ...]) -> Verdict:
    """The verdict with its metrics next to their baselines; the tasks that are worse than those are near misses."""
    worse: dict[str, list[Reason]] = {}
    for result in metrics:
        if result.code == "metric-worse":
            worse.setdefault(result.task, []).append(Reason(result.code, result.message))
    near = [Finding(task, None, tuple(worse[task.id])) for task in verdict.runs if task.id in worse]
    return verdict._replace(metrics=metrics, near_misses=(*near, *verdict.near_misses))


def _worst(*statuses: int) -> int:
    """1 beats 3 beats 4 beats all else, of which the first counts."""
    return next((status for status in (1, 3, 4) if status in statuses), statuses[0])
