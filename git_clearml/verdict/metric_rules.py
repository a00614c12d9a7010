"""What the policy's `[[metrics]]` say of a commit's accepted tasks: design 14, but for baselines. Pure.

A run without the metric, or with a value that is no number or may have been none, is the worst there is: it fails
`of = "worst"`, and else counts neither as a value nor for `min-runs`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from git_clearml.model import Metric, Task
from git_clearml.settings.policy import Best, Equivalence, MetricRule, Policy
from git_clearml.verdict.model import Finding, Measured, Outcome, Reason, Spread, Verdict
from git_clearml.verdict.near_miss import nearest_first

Ruled = Best | MetricRule
"""What says which way is better, and whether a 0 may be true."""


def value_of(metrics: Iterable[Metric], rule: Ruled) -> float | None:
    """The value of the rule's metric among those that were reported, None for none. It may be no number."""
    named = (each for each in metrics if each.name == rule.metric)
    return next((float(getattr(each, rule.value)) for each in named), None)


def ranked_value(task: Task, policy: Policy) -> float | None:
    """What the task reported of the metric by which tasks are chosen: that of a requirement may be another one's."""
    ranking = policy.ranking
    return value_of(task.metrics, ranking) if isinstance(ranking, MetricRule) else task.value


def unusable(value: float | None, rules: Ruled) -> str:
    """Why a value can neither win nor be compared with, as the rest of a sentence; "" when it can."""
    if value is None:
        return "was not reported"
    if not math.isfinite(value):
        return f"is {non_finite_name(value)}"
    if may_have_been_nan(value, rules):
        where = "best." if isinstance(rules, Best) else ""
        return f"is exactly 0, which may have been NaN: ClearML sends NaN and infinities as 0 ({where}zero-is-a-value)"
    return ""


def may_have_been_nan(value: float, rules: Ruled) -> bool:
    """Would this 0 look perfect although it may have been NaN? The SDK replaces what is no number before sending
    (contract/README.md 19)."""
    return value == 0 and rules.direction == "min" and not rules.zero_is_a_value


def non_finite_name(value: float) -> str:
    """`NaN`, `infinity` or `-infinity`."""
    return "NaN" if math.isnan(value) else "infinity" if value > 0 else "-infinity"


def needs_all(policy: Policy, *, in_order: bool = True) -> bool:
    """Could one more task turn a pass into a failure? Then no verdict stands on some of the tasks.

    Not where the best run counts and only a worse one would fail; nor where it is the first of those that are asked
    for, whichever limits there are: those of one question, `in_order`, and not of several one after the other.
    """
    in_order = in_order and policy.equivalence is Equivalence.COMMIT
    return any(
        rule.of != "best" or (_limits_the_best(rule) and not (in_order and _ranks(policy, rule)))
        for rule in policy.metrics
    )


def _limits_the_best(rule: MetricRule) -> bool:
    return (rule.at_most if rule.direction == "max" else rule.at_least) is not None


def _ranks(policy: Policy, rule: MetricRule) -> bool:
    """Do tasks come in the order of this metric?"""
    ranking = policy.ranking
    return (ranking.metric, ranking.direction, ranking.value) == (rule.metric, rule.direction, rule.value)


def measure(rule: MetricRule, tasks: Sequence[Task]) -> Measured:
    """What a metric came to over the accepted tasks, and whether it is within its limits."""
    values = [(value_of(task.metrics, rule), task) for task in tasks]
    ranked = sorted(
        ((value, task) for value, task in values if value is not None and not unusable(value, rule)),
        key=lambda pair: pair[0] if rule.direction == "min" else -pair[0],
    )
    result = Measured(rule, runs=len(ranked))
    if not ranked:
        return result._replace(outcome="missing", code="metric-missing", message=_missing(rule, values))
    best, middle, worst = ranked[0], ranked[len(ranked) // 2], ranked[-1]
    spread = Spread(best[0], middle[0], worst[0])
    value, task = {"best": best, "median": middle, "worst": worst}[rule.of]
    result = result._replace(value=value, task=task.id, spread=spread)
    lacking = [pair for pair in values if unusable(pair[0], rule)] if rule.of == "worst" else []
    short = _missing(rule, lacking) if lacking else _outside(rule, value, len(ranked))
    result = result._replace(final=bool(lacking) or _is_final(rule, value))
    short += "; no further run of this commit can change that" if result.final else ""
    if len(ranked) < rule.min_runs:
        message = (
            f"{len(ranked)} run{'s' if len(ranked) > 1 else ''} with {rule.metric}, and min-runs is {rule.min_runs}"
        )
        message += f"; {short}" if result.final else ""
        return result._replace(outcome="fail", code="too-few-runs", message=message)
    if lacking:
        return result._replace(value=None, task="", outcome="missing", code="metric-missing", message=short)
    if short:
        return result._replace(outcome="fail", code="metric-limit", message=short)
    return result


def _is_final(rule: MetricRule, value: float) -> bool:
    """Is it outside of a limit that it only gets farther from? The best of more runs is better, and the worst worse."""
    too_low = rule.at_least is not None and value < rule.at_least
    too_high = rule.at_most is not None and value > rule.at_most
    rises = (rule.of == "best") == (rule.direction == "max")
    return rule.of != "median" and (too_high if rises else too_low)


def _missing(rule: MetricRule, values: Sequence[tuple[float | None, Task]]) -> str:
    if not values:
        return f"no task has reported {rule.metric}"
    whys = dict.fromkeys(unusable(value, rule) for value, _ in values)
    return f"{rule.metric} {' or '.join(whys)}"


def _outside(rule: MetricRule, value: float, runs: int) -> str:
    """In which way the value is outside of the limits, "" where it is not."""
    of = f", the {rule.of} of {runs} runs," if runs > 1 else ""
    if rule.at_least is not None and value < rule.at_least:
        return f"{rule.metric} is {exact(value)}{of} and must be at least {exact(rule.at_least)}"
    if rule.at_most is not None and value > rule.at_most:
        return f"{rule.metric} is {exact(value)}{of} and must be at most {exact(rule.at_most)}"
    return ""


def exact(value: float) -> str:
    """A value with all its digits: next to a limit the last of them may decide."""
    return repr(value).removesuffix(".0")


def applied(verdict: Verdict, findings: Sequence[Finding], policy: Policy) -> Verdict:
    """The verdict of a commit by what the accepted ones of these tasks, of all there are, have measured.

    A pass stays one where every metric is within its limits. Too few runs are pending while one has not ended.
    """
    if not policy.metrics:
        return verdict
    accepted = [finding for finding in findings if finding.accepted]
    others = [finding for finding in findings if not finding.accepted]
    runs = tuple(finding.task for finding in accepted)
    results = tuple(measure(rule, runs) for rule in policy.metrics)
    verdict = verdict._replace(metrics=results, runs=runs)
    failed = [result for result in results if result.code]
    if verdict.outcome is not Outcome.VERIFIED or not failed:
        return verdict
    waits = any(finding.pending for finding in others)
    open_ = waits and any(result.runs < result.rule.min_runs for result in failed)
    settled = [result for result in failed if not (waits and result.runs < result.rule.min_runs)]
    outcome = Outcome.PENDING if open_ and not settled else Outcome.REJECTED
    near = nearest_first([*_against(accepted, failed), *others])
    return verdict._replace(outcome=outcome, task=None, equivalence=None, notes=(), near_misses=near)


def failed(verdict: Verdict) -> bool:
    """Do its tasks count, and are their metrics not what the policy wants?"""
    return any(part.fails_metrics for part in verdict.parts)


def _against(accepted: Sequence[Finding], failed: Iterable[Measured]) -> list[Finding]:
    """The accepted tasks with what their metrics are short of: the one whose value it is, or those that have none."""
    reasons: dict[str, list[Reason]] = {}
    first = accepted[0].task.id
    for result in failed:
        reason = Reason(result.code, result.message)
        if result.code == "metric-missing":
            lacking = [
                each.task for each in accepted if unusable(value_of(each.task.metrics, result.rule), result.rule)
            ]
            for task in lacking:
                why = f"{result.rule.metric} {unusable(value_of(task.metrics, result.rule), result.rule)}"
                reasons.setdefault(task.id, []).append(Reason(result.code, why))
        else:
            reasons.setdefault(result.task or first, []).append(reason)
    return [
        finding._replace(reasons=tuple(reasons[finding.task.id]), notes=())
        for finding in accepted
        if finding.task.id in reasons
    ]
