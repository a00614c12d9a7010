"""Tells a GitHub Actions job of a run on a queue: the outputs of its step, and its summary."""

from __future__ import annotations

from collections.abc import Mapping

from git_clearml.agent.queue_end import QueueEnd
from git_clearml.clearml.conf_secrets import known_secrets
from git_clearml.forge import outputs
from git_clearml.render import queue_run
from git_clearml.report.measures import MetricsReport


def tell_launch(task: str, url: str, commit: str, environment: Mapping[str, str]) -> None:
    """Sets the outputs for a task that nobody waits for. Raises PublishFailed."""
    if environment.get("GITHUB_ACTIONS") == "true":
        outputs.write_outputs(environment, outputs.of_task("pending", task, url, commit))


def tell_end(ended: QueueEnd, report: MetricsReport, environment: Mapping[str, str]) -> None:
    """Sets the outputs and writes the summary for a task that was waited for. Raises PublishFailed."""
    if environment.get("GITHUB_ACTIONS") != "true":
        return
    result = ended.result
    outputs.write_outputs(environment, outputs.of_task(ended.outcome, result.task, result.url, result.commit))
    summary = queue_run.markdown(ended, report)
    outputs.write_summary(environment, known_secrets(environment).redact_markdown(summary))
