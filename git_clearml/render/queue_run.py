"""A run on a queue for people: its state while one waits, its end on a terminal and in a job summary. Pure."""

from __future__ import annotations

from git_clearml.agent.queue_end import QueueEnd
from git_clearml.agent.watch import Watch
from git_clearml.base.markdown import escape, link
from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.clearml.model import TaskState
from git_clearml.render import metrics
from git_clearml.render.numbers import number
from git_clearml.report.measures import MetricsReport

_METRICS = 3  # in the live line
_MOST_METRICS = 60_000  # characters of the table in a job summary


def progress(watch: Watch, metric: str) -> tuple[str, str]:
    """The state and its details, for the live line; `metric` is the policy's (TITLE/SERIES), shown first."""
    if watch.unavailable_since is not None:
        return "the server does not answer", f"{watch.now - watch.unavailable_since:.0f} s"
    if watch.waiting:
        return "queued", f"{watch.queued:.0f} s"
    return watch.seen.status.replace("_", " "), ", ".join([f"{watch.running:.0f} s", *_facts(watch.seen, metric)])


def _facts(seen: TaskState, metric: str) -> list[str]:
    """Iteration and newest metrics, the policy's first."""
    facts = [f"iteration {seen.iteration}"] if seen.iteration else []
    own = [reported for reported in seen.metrics if reported.is_own]
    own.sort(key=lambda reported: reported.name != metric)
    return facts + [
        f"{sanitize(reported.metric, 20)}/{sanitize(reported.variant, 20)} {number(reported.last)}"
        for reported in own[:_METRICS]
    ]


def log_lines(lines: list[str]) -> Safe:
    """Lines of a task's console log, each as a terminal shows it after its carriage returns."""
    return Safe("\n".join(sanitize(line.rstrip("\r").rpartition("\r")[2]) for line in lines))


def text(ended: QueueEnd, report: MetricsReport) -> Safe:
    """How it ended, its tests or the end of its log, its metrics."""
    result = ended.result
    name = f' "{sanitize(result.name, 60)}"' if result.name else ""
    lines = [f"{sanitize(result.status or 'unknown')}{name}: {sanitize(ended.end.sentence)}"]
    if ended.tests:
        lines.append(f"tests: {sanitize(ended.tests, 200)}")
    lines += [f"| {sanitize(line, 300)}" for line in ended.tail]
    table = metrics.report_text(report) if report.rows else ""
    return Safe("\n".join(lines) + "\n" + table)


def markdown(ended: QueueEnd, report: MetricsReport) -> str:
    """The same for a job summary, without the log."""
    name = link(escape(ended.result.name or ended.result.task, 80), ended.result.url)
    blocks = [f"### {escape(ended.outcome)}: {name}", escape(ended.end.sentence)]
    blocks += [f"Tests: {escape(ended.tests)}"] if ended.tests else []
    blocks += [metrics.report_markdown(report, _MOST_METRICS)] if report.rows else []
    return "\n\n".join(blocks)
