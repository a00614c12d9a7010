"""The parts of a comment below the verdict: how the model stands, and what the task measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from git_clearml.agent.model import Check
from git_clearml.base.markdown import escape
from git_clearml.clearml.conf_secrets import known_secrets
from git_clearml.errors import CannotDecide
from git_clearml.model import Problem
from git_clearml.render import metrics
from git_clearml.render.comment import Section
from git_clearml.report import report as reports
from git_clearml.report.curves import with_curves
from git_clearml.report.measures import Comparison, MetricsReport
from git_clearml.report.model import VerifyReport
from git_clearml.report.rows import Selection, against_best
from git_clearml.verdict.session import VerifySession


def with_metrics(
    session: VerifySession,
    report: VerifyReport,
    *,
    environment: Mapping[str, str],
    warn: Callable[[str], None],
    base: str = "",
    curves: bool = True,
) -> tuple[VerifyReport, MetricsReport | None]:
    """The accepted task's metrics, next to the best task's; without one, to those of the commit `base`. Before them the
    report, which knows how the policy's metric stands against the best task's.

    None where there is no task; no more than the problem where its metrics cannot be had.
    """
    verdict = report.verdicts[0]
    if verdict.task is None and not verdict.runs:
        return report, None
    rules = session.rulings[0].policy
    source = session.source(rules.evidence)
    source.renew()
    try:
        read = reports.of_verdict(
            session.repository, source, verdict, rules, against=reports.BEST, otherwise=base, selection=Selection()
        )
        read = with_curves(source, read, warn) if curves else read
    except CannotDecide as error:
        warn(f"the metrics are left out: {error.message}")
        read = MetricsReport(verdict.commit, verdict.outcome, error.status, problems=(Problem.of(error),))
    else:
        read = known_secrets(environment).redact(read)  # before names are cut to their limits
    return report._replace(against_best=against_best(read, rules)), read


def of_metrics(shown: MetricsReport | None) -> list[Section]:
    """The table of what was measured; a line where it could not be had."""
    if shown is None:
        return []
    if shown.problems:
        note = f"The metrics could not be read: {escape(shown.problems[0].message, 300)}"
        return [lambda _: note]
    return [lambda limit: metrics.report_markdown(shown, limit, fold=True)]


def of_check(check: Check | None, hint: str = "") -> list[Section]:
    """What the remote check came to; none where none was made. `hint` is what the report says to do next anyway."""
    if check is None:
        return []
    from git_clearml.render import check as view

    shown = replace(check, problems=(), hint="" if check.hint == hint else check.hint)
    return [lambda limit: view.markdown_of(shown, limit)]


def of_comparison(comparison: Comparison | None, measured: MetricsReport | None = None) -> list[Section]:
    """How the model stands, below a heading that has said it; none without a task. Its problems are the report's.

    Without a table where that of `measured` begins with the same numbers.
    """
    if comparison is None or comparison.current is None:
        return []
    drawn = measured is not None and any(row.direction and row.best is not None for row in measured.rows)
    text = metrics.comparison_details(replace(comparison, problems=()), table=False, tasks=not drawn)
    return [lambda _: text]
