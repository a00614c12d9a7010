"""`git clearml run --seeds`, on this machine: one run after another, each with its own task and record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from git_clearml.base.secrets import redact_words
from git_clearml.base.words import listed
from git_clearml.commands import run_flags, run_here
from git_clearml.commands.run_here import Call, Once
from git_clearml.errors import Interrupted
from git_clearml.settings.policy import MetricRule, Policy
from git_clearml.verdict.metric_rules import value_of


def run(call: Call, words: Sequence[str], seeds: Sequence[int]) -> int:
    """Runs the command for each seed; 0 where all of them ended well, else 1. One that fails keeps none from running.

    An interruption ends the run that it meets, and none comes after that; nor after one that was refused.
    """
    ran: dict[int, Once] = {}
    dry_run, policy = call.arguments.dry_run, call.policy
    call = replace(call, policy=policy._replace(metrics=()))  # what a metric comes to, all runs together decide
    try:
        for seed in seeds:
            command = run_flags.for_seed(words, seed)
            if not dry_run:
                shown = " ".join(redact_words(command))
                call.console.say(f"git clearml: seed {seed} ({len(ran) + 1} of {len(seeds)}): {shown}")
            ran[seed] = run_here.once(call, command)
            if ran[seed].interrupted or (ran[seed].record is None and ran[seed].status):
                break
    except (KeyboardInterrupt, Interrupted):
        call.console.announce(f"git clearml: {summary(ran, seeds, policy)}")
        raise
    if not dry_run:
        is_good = len(ran) == len(seeds) and not any(each.status for each in ran.values())
        (call.console.say if is_good else call.console.announce)(f"git clearml: {summary(ran, seeds, policy)}")
    if signal := next((each.interrupted for each in ran.values() if each.interrupted), 0):
        return 128 + signal
    not_recorded = run_here.recorded(call, [*ran.values()])
    return 1 if any(each.status for each in ran.values()) else not_recorded


def summary(ran: Mapping[int, Once], seeds: Sequence[int], policy: Policy) -> str:
    """How many of the runs count, what became of the others, and for how many metrics that is enough. Pure."""
    accepted = [seed for seed, each in ran.items() if each.accepted]
    failed = [str(seed) for seed, each in ran.items() if each.record and each.status]
    unfit = [str(seed) for seed, each in ran.items() if each.record and not each.status and not each.accepted]
    rest = len(seeds) - len([each for each in ran.values() if each.record])
    facts = [f"{len(accepted)} of {len(seeds)} runs count"]
    facts += [f"{named(failed)} failed"] if failed else []
    facts += [f"{named(unfit)} will not verify"] if unfit else []
    facts += [f"{rest} not run"] if rest else []
    counts = {rule.metric: sum(_measured(rule, ran[seed]) for seed in accepted) for rule in policy.metrics}
    text = "; ".join([", ".join(facts), *min_runs(counts, policy)])
    return f"{text}; next: git clearml verify" if accepted else text


def _measured(rule: MetricRule, ran: Once) -> bool:
    """Has the run the metric, as far as that is known here? What a server has of it was not asked for."""
    sessions = ran.record.sessions if ran.record else ()
    return any(not each.path or value_of(each.metrics, rule) is not None for each in sessions)


def min_runs(counts: Mapping[str, int], policy: Policy) -> list[str]:
    """Which `min-runs` of the policy are satisfied by so many runs with the metric, and by no others."""
    rules = [rule for rule in policy.metrics if rule.min_runs > 1]
    enough = [f"{rule.metric} ({rule.min_runs})" for rule in rules if counts[rule.metric] >= rule.min_runs]
    lacking = [f"{rule.metric} ({rule.min_runs})" for rule in rules if counts[rule.metric] < rule.min_runs]
    parts = [f"enough for min-runs of {listed(enough)}"] if enough else []
    return parts + ([f"too few by themselves for min-runs of {listed(lacking)}"] if lacking else [])


def named(names: Sequence[str]) -> str:
    """`seeds 1, 3 and 4 more`."""
    return f"seed{'s' if len(names) > 1 else ''} {listed(names, 10)}"
