"""What a fork's pull request is told: its job gets no secrets and may not write. Pure."""

from __future__ import annotations

from git_clearml.errors import NotConfigured
from git_clearml.forge.job import Job, Provider
from git_clearml.report.model import VerifyReport

TWO_STAGES = "a workflow in two stages can: see Forks in docs/ci.md"
NO_RIGHTS = (
    "a pull request from a fork gives this job no right to write; the report is in the job summary. "
    f"To comment, {TWO_STAGES}"
)


def explained(job: Job | None, report: VerifyReport) -> VerifyReport:
    """The report, which names the way around where this job has no credentials because it is a fork's."""
    if job is None or not job.is_fork or not any(each.code == NotConfigured.code for each in report.problems):
        return report
    around = f"; {TWO_STAGES}" if job.provider is Provider.GITHUB else " of this repository's CI"
    hint = f"a pull request from a fork gets no secrets{around}"
    problems = tuple(
        problem._replace(hint=hint) if problem.code == NotConfigured.code else problem for problem in report.problems
    )
    return report._replace(problems=problems, hint=hint)
