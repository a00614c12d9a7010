"""What `git clearml verify` does: judges, does what else the flags ask for, shows and posts the report."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from git_clearml.agent.required_check import passed_check
from git_clearml.base.console import Console
from git_clearml.base.words import moment
from git_clearml.commands import verify_output
from git_clearml.commands.verify_output import Judged
from git_clearml.errors import CannotDecide, Error, Interrupted, NothingToJudge, PublishFailed, UsageError
from git_clearml.git.repository import Repository
from git_clearml.report import compose
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.model import Outcome, Verdict
from git_clearml.verdict.session import Context, VerifyRequest, VerifySession, prepare

if TYPE_CHECKING:
    from git_clearml.forge.job import Job
    from git_clearml.render.comment import Section
    from git_clearml.report.model import CommentResult


class Verification(NamedTuple):
    """One call of the command: what was asked for, and where."""

    repository: Repository
    context: Context
    job: Job | None
    arguments: argparse.Namespace
    flags: Mapping[str, Any]  # those that are settings, by the settings' names
    console: Console

    def run(self) -> int:
        """Judges, tags, compares, posts, prints; the worst of their statuses.

        A CI job is told of what ends the call, too.
        """
        try:
            judged = self._judged()
            report = self._explained(judged.report)
        except Error as error:
            if self.job is not None:
                self._tell_job(compose.undecided(error, self._heads()), (), None)
            raise
        try:
            report = self._published(report, judged)
        except Exception:  # a bug in what others get to see hides no verdict
            verify_output.show(report, self.arguments.format, self.console)
            raise
        verify_output.show(report, self.arguments.format, self.console)
        return report.status

    def _published(self, report: VerifyReport, judged: Judged) -> VerifyReport:
        """Puts the report wherever it has to go; the report, with what became of that."""
        result = None
        if self.arguments.comment:
            try:
                result = self._publish(report, judged.sections, judged.budget)
            except Error as error:
                report = compose.with_problem(report, error)
        report = self._tell_job(report, judged.sections, result)
        if result is not None:
            notes = (*report.notes, result.note) if result.note else report.notes
            report = report._replace(comment=result, notes=notes)
        return verify_output.with_files(report, judged, self.job, self.arguments, self.console.log)

    def _explained(self, report: VerifyReport) -> VerifyReport:
        if self.job is None or not self.job.is_fork:
            return report
        from git_clearml.forge.forks import explained

        return explained(self.job, report)

    def _heads(self) -> list[Verdict]:
        """The commit of the CI job, undecided, where the command line names no other."""
        head = self.job.head if self.job and not self.arguments.revs else ""
        return [Verdict(head, Outcome.UNDECIDED)] if head else []

    def _judged(self) -> Judged:
        """The report with all that needs the ClearML server, and what stands below it."""
        arguments = self.arguments
        task, since = _task(arguments.task or ""), _since(arguments.since)
        request = VerifyRequest(tuple(arguments.revs), self.flags, task, arguments.policy_from, since)
        try:
            session = prepare(self.repository, request, self.context, passed_check)
        except NothingToJudge as error:
            return Judged(compose.nothing(error), budget=arguments.timeout or 0.0)
        except CannotDecide as error:
            if self.job is None:
                raise
            return Judged(compose.undecided(error, self._heads()), budget=arguments.timeout or 0.0)
        try:
            report, budget = self._report(session)
            return self._with_sections(session, report, budget)
        finally:
            session.close()

    def _report(self, session: VerifySession) -> tuple[VerifyReport, float]:
        """The verdicts, and what else the flags ask for; the --timeout in seconds."""
        arguments = self.arguments
        budget = session.rulings[0].personal.timeout
        compares = arguments.tag_best or arguments.compare
        if not (arguments.wait or arguments.check_runnable or arguments.add_tag or compares):
            return compose.verify_report(session), budget
        from git_clearml.report import verify_steps

        options = verify_steps.TagOptions(
            arguments.add_tag or "",
            arguments.tag_best,
            arguments.tag_unmerged,
            self.job.is_push_to_base if self.job else None,
            arguments.dry_run,
            arguments.compare,
        )
        verify_steps.check_possible(session, options, check_runnable=arguments.check_runnable)
        report = compose.verify_report(session)
        if arguments.wait and report.outcome is Outcome.PENDING:
            self._announce(report, budget)
        if arguments.wait:
            report = verify_steps.wait_while_pending(session, report, self.console.progress)
        if arguments.check_runnable:
            report = self._with_check(session, report)
        report = verify_steps.add_tag(session, report, options)
        if compares:
            comparison = verify_steps.compare_with_best(session, report, options, os.environ)
            report = compose.with_comparison(report, comparison)
        return report, budget

    def _with_check(self, session: VerifySession, report: VerifyReport) -> VerifyReport:
        """Proves that the commit runs on an agent. A commit that no task has run is not worth an agent's time."""
        from git_clearml.agent.model import CheckOutcome
        from git_clearml.commands import check_runnable

        verdict = report.verdicts[0]
        if verdict.outcome is not Outcome.VERIFIED and not verdict.needs_check:
            note = f"check-runnable was left out: the commit is {report.outcome.value}"
            return report._replace(notes=(*report.notes, note))
        if self.arguments.dry_run:
            return report._replace(notes=(*report.notes, "would check that the commit runs on an agent"))
        ruling = session.rulings[0]
        order = check_runnable.order_of(session.commits[0].commit, ruling, self.job)
        check = check_runnable.checked(session.repository, order, ruling.personal.remember, self.console)
        if check.outcome is CheckOutcome.INTERRUPTED:
            check_runnable.warn(check, self.console)
            raise Interrupted(check.status)
        if check.status == 0 and verdict.needs_check:
            session.renew()
            report = compose.verify_report(session)
        return compose.with_check(report, check)

    def _with_sections(self, session: VerifySession, report: VerifyReport, budget: float) -> Judged:
        """The report, without our secrets, and what stands below it on a page."""
        report, wants_metrics = self.console.redact(report), self.arguments.comment or self.arguments.reports
        if self.job is None and not wants_metrics:
            return Judged(report, (), budget)
        from git_clearml.render import sections

        shown = sections.of_check(report.check, report.hint)
        if not wants_metrics:
            return Judged(report, [*shown, *sections.of_comparison(report.comparison)], budget)
        report, read = sections.with_metrics(
            session,
            report,
            environment=os.environ,
            warn=self.console.warn,
            base=self.job.base if self.job else "",
            curves=self.arguments.comment,
        )
        shown = [*shown, *sections.of_comparison(report.comparison, read), *sections.of_metrics(read)]
        return Judged(report, shown, budget, read.rows if read else ())

    def _announce(self, report: VerifyReport, budget: float) -> None:
        """Posts 'pending' before the waiting begins. What goes wrong is a warning: the end of it is posted again."""
        if self.arguments.comment and not self.arguments.dry_run:
            try:
                self._publish(report, (), budget)
            except Error as error:
                self.console.warn(error.message)

    def _publish(self, report: VerifyReport, sections: Sequence[Section], budget: float) -> CommentResult:
        """Puts the report on the pull request. Raises UsageError and PublishFailed."""
        from git_clearml.forge import comment
        from git_clearml.forge.connect import Workplace

        options = comment.CommentOptions(dry_run=self.arguments.dry_run, budget=budget or comment.BUDGET)
        workplace = Workplace(self.job, self.repository, os.environ, self.console.log)
        return comment.publish(workplace, report, sections, options)

    def _tell_job(
        self, report: VerifyReport, sections: Sequence[Section], comment: CommentResult | None
    ) -> VerifyReport:
        """Tells the CI job; the report, with what went wrong meanwhile."""
        if self.job is None or self.arguments.dry_run:
            return report
        from git_clearml.forge import job_report

        result = job_report.VerifyResult(report, tuple(sections), comment)
        try:
            job_report.tell(self.job, result, environment=os.environ, command=self.console.command)
        except PublishFailed as error:
            return compose.with_problem(report, error)
        return report


def _task(text: str) -> str:
    """The id in --task. Raises UsageError for the page of another server."""
    if "://" not in text:
        return text
    from git_clearml.clearml import page  # late: few ask for a task

    return page.task_in(text, os.environ)


def _since(text: str | None) -> datetime | None:
    """The date of --since. Raises UsageError for what is none."""
    time = moment(text) if text is not None else None
    if text is not None and time is None:
        expected = f"--since: expected a date such as 2026-11-01, not {text!r}"
        raise UsageError(expected, "git clearml verify --since 2026-11-01")
    return time
