"""Links of a report, as GitLab shows them beside a job. Pure.

https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsannotations
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from git_clearml.base.sanitize import sanitize

_MOST = 20


def external(report: Mapping[str, Any]) -> dict[str, Any]:
    """The pages of the tasks that verify each commit, or nearly did, of the check and of the comment."""
    links: dict[str, str] = {}
    for commit in report["commits"]:
        short = commit["commit"][:12]
        if commit["task"]:
            links.setdefault(commit["task"]["url"], f"{short}: the task {commit['task']['name']}")
        for miss in commit["near_misses"]:
            links.setdefault(miss["task"]["url"], f"{short}: does not count: {miss['task']['name']}")
    if report["check_runnable"]:
        links.setdefault(report["check_runnable"]["url"] or "", "the check on an agent")
    if report["comment"]:
        links.setdefault(report["comment"]["url"], "the comment")
    shown = [
        {"external_link": {"label": sanitize(label, 200), "url": url}}
        for url, label in links.items()
        if url.startswith(("http://", "https://")) and sanitize(url) == url and " " not in url
    ]
    return {"git_clearml": shown[:_MOST]}
