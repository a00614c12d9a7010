"""What `verify` does besides judging: waits for a verdict, tags the accepted tasks, moves the best tag."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from git_clearml.base import patience
from git_clearml.errors import CannotDecide, PublishFailed, UsageError
from git_clearml.model import Problem
from git_clearml.report import best_tag, compare, compose
from git_clearml.report.compared_metrics import Place
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.evidence import RemoteEvidence
from git_clearml.verdict.model import Outcome
from git_clearml.verdict.session import VerifySession

if TYPE_CHECKING:
    from git_clearml.report.measures import Comparison

_POLLS = (2.0, 5.0, 10.0, 15.0, 30.0)  # seconds between the questions while waiting; the last one repeats

_NAME_THE_METRIC = 'add metric = "TITLE/SERIES" under [tool.git-clearml.best] to pyproject.toml, or drop --tag-best'


@dataclass(frozen=True)
class TagOptions:
    """What to tag: `add` is a tag for the accepted tasks ("" for none), `best` gives the best tag to the best.

    `compare` says how the model stands and tags nothing.
    `pushes_to_base` is of the CI job, None outside of one; `unmerged` lets a job move the best tag before the merge.
    """

    add: str = ""
    best: bool = False
    unmerged: bool = False
    pushes_to_base: bool | None = None
    dry_run: bool = False
    compare: bool = False


def check_possible(session: VerifySession, options: TagOptions, *, check_runnable: bool) -> None:
    """Raises UsageError, before any server is asked, for what can never be done."""
    for flag, given in (
        ("--tag-best", options.best),
        ("--compare", options.compare),
        ("--check-runnable", check_runnable),
    ):
        if given and len(session.commits) != 1:
            raise UsageError(f"{flag} takes one commit", f"git clearml verify {flag} <commit>")
    session.every_run = options.compare or options.best
    if options.compare:
        best_tag.check(session.rulings[0].policy)
    flag = "--add-tag" if options.add else "--tag-best" if options.best else ""
    if not flag:
        return
    if options.best:
        if not session.rulings[0].policy.best.metric:
            raise UsageError("--tag-best: no metric to compare by", _NAME_THE_METRIC)
        best_tag.check(session.rulings[0].policy)
    try:
        _taggable(session, flag)
    except CannotDecide:
        return  # the report will say it


def wait_while_pending(session: VerifySession, report: VerifyReport, progress: Callable[[str], None]) -> VerifyReport:
    """Asks again while the answer is pending, for as long as --wait-timeout says; a server may be away meanwhile.

    Before the first answer it is waited for one that says itself that it is away for now.
    """
    timeout = session.rulings[0].personal.wait_timeout
    started = last = time.monotonic()
    polls = iter(_POLLS)
    pause = 0.0
    away: float | None = None
    answered = False
    while True:
        now = time.monotonic()
        absent = _is_absent(report, answered)
        if report.outcome is not Outcome.PENDING and not absent:
            return report
        answered |= not absent
        away, last = patience.away_since(away, not absent, last), now
        if away is not None and patience.is_over(away, now):
            return report._replace(notes=(*report.notes, patience.sentence(away, now)))
        if now - started >= timeout:
            what = "still pending" if not absent else "the server is still unavailable"
            return report._replace(notes=(*report.notes, f"{what} after {timeout:g} s (--wait-timeout)"))
        progress(f"waiting, {now - started:.0f} s: {_state(report)}")
        pause = next(polls, pause)
        time.sleep(min(pause, max(0.05, timeout - (now - started))))
        session.renew()
        report = compose.verify_report(session)


def _is_absent(report: VerifyReport, answered: bool) -> bool:
    """Is there no answer for want of a server that may be back at the next look? One that has never answered has to say
    so itself: it may be the wrong one."""
    problems = report.problems if report.outcome is Outcome.UNDECIDED else ()
    return bool(problems) and all(
        problem.passing or (answered and patience.may_pass(problem.code)) for problem in problems
    )


def _state(report: VerifyReport) -> str:
    if report.problems:
        return report.problems[0].message
    pending = [verdict for verdict in report.verdicts if verdict.outcome is Outcome.PENDING]
    nearest = pending[0].near_misses[0] if pending and pending[0].near_misses else None
    return nearest.reasons[0].message if nearest else "pending"


def add_tag(session: VerifySession, report: VerifyReport, options: TagOptions) -> VerifyReport:
    """Tags the accepted tasks in one call, when every commit is verified; a dry run only says so."""
    if not options.add or report.outcome is not Outcome.VERIFIED or report.status != 0:
        return report
    parts = [part for verdict in report.verdicts for part in verdict.parts]
    tasks = list(dict.fromkeys(part.task.id for part in parts if part.task))
    what = f"tag {options.add!r} on {len(tasks)} task{'s' if len(tasks) > 1 else ''}: {', '.join(tasks)}"
    if options.dry_run:
        return report._replace(notes=(*report.notes, f"would put {what}"))
    try:
        for source in _taggable(session, "--add-tag"):
            source.renew()
            source.tag(tasks, options.add)
    except CannotDecide as error:
        failure = PublishFailed(f"verified, but not tagged: {error.message}", error.hint)
        problem = Problem.of(failure)
        return report._replace(status=failure.status, hint=failure.hint, problems=(problem,))
    return report._replace(notes=(*report.notes, f"put {what}"))


def compare_with_best(
    session: VerifySession, report: VerifyReport, options: TagOptions, environment: Mapping[str, str]
) -> Comparison:
    """How the model of the only commit compares with the best one; moves the best tag where it may."""
    verdict, policy = report.verdicts[0], session.rulings[0].policy
    if verdict.task is None:
        return replace(compare.without_task(verdict, policy), status=report.status)
    place = Place(session.repository, session.base)
    if report.check and report.check.status:
        note = f"no tag is moved: the remote check is {report.check.outcome.value}"
        comparison = best_tag.compared(session.source(policy.evidence), verdict, policy, place)
        return replace(comparison, notes=(*comparison.notes, note))
    may_write = best_tag.may_write(options.pushes_to_base, environment, unmerged=options.unmerged)
    try:
        source = session.source(policy.evidence)
        source.renew()
        if not options.best:
            return best_tag.compared(source, verdict, policy, place)
        return best_tag.move_best_tag(source, verdict, policy, place, may_write=may_write, dry_run=options.dry_run)
    except CannotDecide as error:
        return best_tag.undecided(verdict, policy, error)


def _taggable(session: VerifySession, flag: str) -> list[RemoteEvidence]:
    """The evidence sources that the policies name. Raises UsageError where one of them has no tags."""
    sources = [session.source(kind) for kind in dict.fromkeys(ruling.policy.evidence for ruling in session.rulings)]
    taggable = [source for source in sources if isinstance(source, RemoteEvidence)]
    if len(taggable) < len(sources):
        raise UsageError(f"{flag} needs a ClearML server; this evidence is local", f"leave {flag} out")
    return taggable
