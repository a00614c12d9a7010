"""Sends a Code Insights report from a pipeline of Bitbucket: by the proxy that runs beside it, without any token.

https://support.atlassian.com/bitbucket-cloud/docs/code-insights/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from git_clearml.base.ids import is_hash
from git_clearml.clearml.conf_secrets import known_secrets
from git_clearml.errors import CannotDecide, PublishFailed
from git_clearml.forge.bitbucket_api import BitbucketApi, quoted
from git_clearml.forge.calls import Access, Operation
from git_clearml.forge.job import Job, Provider
from git_clearml.render import insights
from git_clearml.report.measures import Row
from git_clearml.report.model import VerifyReport

_PROXY = "http://localhost:29418"
_ID = "git-clearml"
_BUDGET = 15.0  # seconds
_HINT = "BITBUCKET_PROXY_URL is the address of the pipeline's proxy; set it to nothing to do without the report"


def send(
    job: Job | None,
    report: VerifyReport,
    rows: Sequence[Row],
    *,
    environment: Mapping[str, str],
    log: Callable[[str], None],
) -> None:
    """Sends the report on the first commit; nothing outside of Bitbucket Pipelines. Raises PublishFailed."""
    proxy = environment.get("BITBUCKET_PROXY_URL", _PROXY)
    commit = report.verdicts[0].commit if report.verdicts else job.head if job else ""
    if job is None or job.provider is not Provider.BITBUCKET or not (proxy and job.repository and is_hash(commit)):
        return
    secrets = known_secrets(environment)
    shown = secrets.redact(report), secrets.redact(tuple(rows))  # before any text is cut
    document = insights.document(*shown, f"{job.server}/{job.repository}/commits/{commit}")
    place = urlsplit(job.api)
    address = f"http://{place.netloc}{place.path}"  # the proxy adds the credentials, and speaks TLS itself
    api = BitbucketApi(Access(job.repository, "", address, _BUDGET, secrets, log), {"http_proxy": proxy})
    path = f"repositories/{quoted(job.repository)}/commit/{commit}/reports/{_ID}"
    try:
        api.document("PUT", path, Operation("create a Code Insights report"), document)
    except CannotDecide as error:
        raise PublishFailed(f"the Code Insights report could not be sent: {error.message}", _HINT) from None
    finally:
        api.close()
