"""Where a command judges: by hand, or in a CI job, whose checkout and accepted policy count there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from git_clearml.errors import Error
from git_clearml.git.repository import Repository
from git_clearml.settings.in_ci import in_ci
from git_clearml.verdict.session import Context

if TYPE_CHECKING:
    from git_clearml.forge.job import Job


def detect(
    repository: Repository,
    environment: Mapping[str, str],
    *,
    log: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
    forge_repository: str = "",
    budget: float = 0.0,
) -> tuple[Context, Job | None]:
    """What judging has to know of where we are, and the CI job, None outside of one.

    The job's forge is asked about `forge_repository` (owner/name; "" is the job's), `budget` seconds (0: 30) each time.
    Raises BadAnswer and UsageError for a CI job that does not make sense.
    """
    if not in_ci(environment):
        return Context(environment, None, log, warn), None
    from git_clearml.forge import current_job, fetch, from_clone, which_commit
    from git_clearml.forge.connect import Workplace, asking

    job = current_job.detect(environment)
    if job is None:
        return Context(environment, None, log, warn), None
    ask = asking(Workplace(job, repository, environment, log), forge_repository, budget)
    error: Error | None = None
    if from_clone.applies(job):
        job, error = from_clone.completed(job, repository)
    else:
        try:
            job = which_commit.completed(job, repository, ask, log)
        except Error as unknown:
            error = unknown
    return Context(environment, fetch.JobCheckout(repository, job, ask, error), log, warn), job
