"""The files of `verify --reports DIR`: what a CI service shows of a job without any token, whatever the outcome.

Each is written whole or not at all. Until there is a verdict they say that there is none: what an earlier job has left
in a directory that outlives it, or a call that is killed, must not look like a pass.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from git_clearml.base import files
from git_clearml.base.sanitize import json_text, sanitize
from git_clearml.clearml.conf_secrets import known_secrets
from git_clearml.errors import PublishFailed
from git_clearml.forge import job_report
from git_clearml.forge.job import Job
from git_clearml.render import comment as view
from git_clearml.render import dotenv, junit, links, openmetrics
from git_clearml.render import json as json_view
from git_clearml.render.comment import Page, Section
from git_clearml.report.measures import Row
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.model import Outcome

_OPEN = VerifyReport(Outcome.UNDECIDED, 3, "defaults", notes=("git clearml verify has not finished",))


class Content(NamedTuple):
    """What the files tell: the report, the sections below it on a page, the metrics of the first commit's task."""

    report: VerifyReport
    job: Job | None = None
    sections: Sequence[Section] = ()
    rows: Sequence[Row] = ()


def begin(directory: str, environment: Mapping[str, str], report: VerifyReport = _OPEN) -> None:
    """Makes the directory, with files that say that nothing has been decided. What fails here is said elsewhere."""
    with contextlib.suppress(PublishFailed):
        write(directory, Content(report), environment)


def write(directory: str, content: Content, environment: Mapping[str, str]) -> None:
    """Writes all files, which anybody may read: another step uploads them. Raises PublishFailed."""
    try:
        os.makedirs(directory, exist_ok=True)
        for name, text in _texts(content, environment).items():
            files.write_whole(os.path.join(directory, name), text.encode("utf-8", "replace"), mode=0o644)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "not a path"
        message = f"the report files cannot be written to {shlex.quote(sanitize(directory, 200))}: {reason}"
        raise PublishFailed(message, "git clearml verify --reports clearml-report") from None


def _texts(content: Content, environment: Mapping[str, str]) -> dict[str, str]:
    """Each file's name and text, without secrets; junit.xml last: it is green only where all could be written."""
    secrets, job = known_secrets(environment), content.job
    report, rows = secrets.redact(content.report), secrets.redact(tuple(content.rows))  # before any text is cut
    document = json_view.verify(report)
    comment = report.comment._replace(note="") if report.comment else None  # the report says it among its notes
    page = Page(report, sections=tuple(content.sections), repository_url=job_report.home(job) if job else "")
    return {
        "metrics.txt": openmetrics.text(rows),
        "annotations.json": json_text(links.external(document)) + "\n",
        "clearml.env": dotenv.text(job_report.outputs_of(report, job.head if job else "")),
        "report.md": secrets.redact_markdown(view.summary(page, job_report.remarks(comment))),
        "report.json": json_text(document) + "\n",
        "junit.xml": junit.xml(document),
    }
