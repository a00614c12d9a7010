"""The report of `verify` as a Code Insights report, which Bitbucket shows on the pull request. Pure.

https://developer.atlassian.com/cloud/bitbucket/rest/api-group-reports/ (createOrUpdateReport)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from git_clearml.base.sanitize import sanitize
from git_clearml.render import headline
from git_clearml.report.measures import Row
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.model import Outcome

_MOST_FIELDS = 10
_RESULTS = {0: "PASSED", 1: "FAILED"}


def document(report: VerifyReport, rows: Sequence[Row], page: str) -> dict[str, Any]:
    """The report; `page` is the address that it leads to where there is no task's. What is undecided is pending."""
    task = next((verdict.task for verdict in report.verdicts if verdict.task), None)
    url = task.url if task else ""
    details = headline.plain(report) + (f". Next: {report.hint}" if report.hint else "")
    passed = _RESULTS.get(report.status, "PENDING")
    fields: list[dict[str, Any]] = [_field("Verdict", "TEXT", report.outcome.value)]
    if task and _is_address(url):
        fields.append(_field("Task", "LINK", {"text": sanitize(task.name, 80) or "the task", "href": url}))
    if report.comparison:
        fields.append(_field("Against the best task", "TEXT", report.comparison.outcome.value))
    if report.check:
        fields.append(_field("Runs on an agent", "TEXT", report.check.outcome.value))
    for row in sorted(rows, key=lambda row: not row.direction):  # the policy's metrics first
        if math.isfinite(row.last):
            fields.append(_field(sanitize(row.name, 80), "NUMBER", row.last))
    return {
        "title": "ClearML",
        "details": sanitize(details, 450),
        "report_type": "TEST",
        "reporter": "git-clearml",
        "result": "PENDING" if passed == "PASSED" and report.outcome is not Outcome.VERIFIED else passed,
        "link": url if _is_address(url) else page,
        "data": fields[:_MOST_FIELDS],
    }


def _field(title: str, kind: str, value: Any) -> dict[str, Any]:
    return {"title": title, "type": kind, "value": value}


def _is_address(url: str) -> bool:
    return url.startswith(("http://", "https://")) and sanitize(url) == url and not set(url) & set(' <>"')
