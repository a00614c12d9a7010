"""`git clearml bisect`: which commit made a metric worse, by the numbers there are. It trains nothing."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import re
import shlex
from dataclasses import replace

from git_clearml.base.console import Console
from git_clearml.commands import options
from git_clearml.errors import UsageError
from git_clearml.git.repository import Repository
from git_clearml.render import bisection as view
from git_clearml.report.bisection import Bisection, Bisector, Limit
from git_clearml.settings import load
from git_clearml.settings.policy import Best, MetricRule, Policy
from git_clearml.verdict import sources
from git_clearml.verdict.hint import next_command
from git_clearml.verdict.model import Outcome, Verdict

_SECONDS = 30.0
_EXAMPLE = "git clearml bisect --metric validation/accuracy --worse-than 0.9"

failed = options.failed("bisect")

TITLE = "the commit at which a metric falls"
DESCRIPTION = "Finds the first commit whose metric is worse, by the numbers of tasks that ran. Trains nothing."


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("revs", nargs="*", metavar="<rev>", help="[<good>] [<bad>] (default: the last good, HEAD)")
    parser.add_argument("--metric", metavar="TITLE/SERIES", help="default: the policy's first")
    parser.add_argument(
        "--worse-than", metavar="NUMBER", help="worse is below (min: above) this (default: the policy's limit)"
    )
    parser.add_argument("--direction", choices=("max", "min"), help="which way is better (default: the policy's, max)")
    parser.add_argument("--value", choices=("last", "min", "max"), help="which of the metric's values")
    options.add_timeout(parser)
    options.add_format(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Asks for the numbers of the whole range, looks where they fall, prints. Returns the exit status."""
    repository = Repository()
    again = _again(arguments)
    good, bad = _ends(arguments.revs, again)
    resolved = repository.resolve([bad or "HEAD", *([good] if good else [])])
    flags = {"timeout": arguments.timeout}
    [ruling] = load.rulings(repository, resolved[:1], flags=flags, environment=os.environ)
    limit = _limit(ruling.policy, arguments)
    budget = ruling.personal.timeout or _SECONDS
    bisector = Bisector(
        repository,
        ruling.policy,
        limit,
        lambda: sources.choose(
            ruling.policy.evidence, repository, budget=budget, environment=os.environ, log=console.log
        ),
    )
    with contextlib.closing(bisector):
        result = bisector.bisect(
            resolved[1].commit.hash if good else "", resolved[0].commit.hash, bad_is_named=bool(bad), again=again
        )
    _print(_redacted(result, console), arguments.format, console, repository, ruling.policy)
    return result.status


def _again(arguments: argparse.Namespace) -> str:
    """The command without its revisions, as typed."""
    names = ("metric", "worse_than", "direction", "value")
    flags = [(f"--{name.replace('_', '-')}", getattr(arguments, name)) for name in names]
    return shlex.join(["git", "clearml", "bisect", *(word for flag in flags if flag[1] is not None for word in flag)])


def _ends(revs: list[str], again: str) -> tuple[str, str]:
    """The good and the bad revision, "" for one that is not named. `<good>..<bad>` is both.

    Raises UsageError, with what may have been meant by it, for what names more or other than two commits.
    """
    if len(revs) == 1 and ".." in revs[0] and "..." not in revs[0]:
        good, _, bad = revs[0].partition("..")
        return good or "HEAD", bad
    plain = [rev for rev in revs if ".." not in rev and not rev.startswith("^")]
    if len(revs) <= 2 and plain == revs:
        good, bad, *_ = *revs, "", ""
        return good, bad
    good_first = [rev[1:] for rev in revs if rev.startswith("^")] + [rev for rev in revs if not rev.startswith("^")]
    names = [name or "HEAD" for rev in good_first for name in re.split(r"\.{2,3}", rev)]
    meant = f"{again} {shlex.join(names)}" if len(names) <= 2 else again
    raise UsageError(f"expected a good commit and a bad one, not {' '.join(revs)}", meant)


def _limit(policy: Policy, arguments: argparse.Namespace) -> Limit:
    """What is worse. What the policy says of its own metrics says nothing of others: of those more is better.

    How many runs there must be is no question of the past: one run is a number.
    """
    metric = arguments.metric or policy.ranking.metric
    if "/" not in metric:
        what = f"not a metric, TITLE/SERIES: {metric!r}" if metric else "no --metric given, and the policy names none"
        raise UsageError(what, _EXAMPLE)
    rules = {**policy.ruled, **{rule.metric: rule for rule in policy.metrics}}
    rule = rules.get(metric, MetricRule(metric))
    if isinstance(rule, Best):
        rule = MetricRule(metric, rule.direction, rule.value, zero_is_a_value=rule.zero_is_a_value)
    direction, value = arguments.direction or rule.direction, arguments.value or rule.value
    own = rule.at_least if direction == "max" else rule.at_most
    worse_than = own if arguments.worse_than is None and own is not None else _number(arguments.worse_than, metric)
    rule = rule._replace(direction=direction, value=value, at_least=None, at_most=None, min_runs=1)
    return Limit(rule, worse_than)


def _number(text: str | None, metric: str) -> float:
    """The limit. Raises UsageError."""
    try:
        value = math.nan if text is None else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        what = (
            f"no --worse-than given, and the policy has no limit for {metric}"
            if text is None
            else f"not a number: {text!r}"
        )
        raise UsageError(what, "--worse-than 0.9")
    return value


def _redacted(result: Bisection, console: Console) -> Bisection:
    """Without secrets in the texts that are shown."""
    named = {*result.left, *result.before, *result.falls.recovered, *(fall.commit for fall in result.falls.falls)}
    nearby = {name: console.redact(result.nearby[name]) for name in named if name in result.nearby}
    tasks = {name: console.redact(result.tasks[name]) for name in named if name in result.tasks}
    return replace(result, nearby={**result.nearby, **nearby}, tasks={**result.tasks, **tasks})


def _print(result: Bisection, form: str, console: Console, repository: Repository, policy: Policy) -> None:
    hint = ""
    if not result.tasks and not result.problems:
        hint = options.whence_tasks(next_command(repository, [Verdict(result.bad, Outcome.REJECTED)], policy))
    if result.train:
        console.say(f"git clearml: a run at {result.nearby[result.train].short} would narrow it down most")
        hint = next_command(repository, [Verdict(result.train, Outcome.REJECTED)], policy)
    console.fail(*result.problems)
    if result.problems:
        console.say("git clearml: only what is recorded in this clone is shown")
    if form == "json":
        console.document(view.document(result, hint))
    elif form == "markdown":
        console.product(view.markdown(result))
    else:
        console.product(view.text(result, colour=console.colour))
    if hint:
        console.say(f"hint: {hint}")
