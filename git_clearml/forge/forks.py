"""What a fork's pull request is told: its job gets no secrets and may not write. Pure."""

from __future__ import annotations

from git_clearml.errors import NotConfigured
from git_clearml.forge.job import Job, Provider
from git_clearml.report.model import VerifyReport

TWO_STAGES = "a workflow in two stages can: see Forks in docs/ci.md"
_NO_RIGHTS = {
    Provider.GITHUB: f"the report is in the job summary. To comment, {TWO_STAGES}",
    Provider.GITEA: "the report is in the job summary",
    Provider.GITLAB: "the report is in this job's log. A member of the project can run the pipeline there",
}


def no_rights(provider: Provider) -> str:
    """Why a fork's job did not comment, and where its report is."""
    where = _NO_RIGHTS.get(provider, "the report is in this job's log")
    return f"a {provider.request} from a fork gives this job no right to write; {where}"


def explained(job: Job | None, report: VerifyReport) -> VerifyReport:
    """The report, which names the way around where this job has no credentials because it is a fork's."""
    if job is None or not job.is_fork or not any(each.code == NotConfigured.code for each in report.problems):
        return report
    around = f"; {TWO_STAGES}" if job.provider is Provider.GITHUB else " of this repository's CI"
    hint = f"a {job.provider.request} from a fork gets no secrets{around}"
    problems = tuple(
        problem._replace(hint=hint) if problem.code == NotConfigured.code else problem for problem in report.problems
    )
    return report._replace(problems=problems, hint=hint)
