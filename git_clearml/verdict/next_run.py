"""The next command where a commit's tasks count, but their metrics are not what the policy wants. Pure."""

from __future__ import annotations

import re
import shlex

from git_clearml.verdict.model import Verdict

_SEED = re.compile(r"(?<= )(?P<name>(?:--?)?(?:[\w.-]*[_.-])?seed[= ])(?P<number>\d{1,9})(?= |$)", re.IGNORECASE)
"""An argument that names a seed, such as `--seed 3` or `seed=3`."""


def next_command(verdict: Verdict, command: str, rev: str) -> str:
    """What makes it a pass, or tells why it is none: more runs, or a look at what was reported.

    `command` is what was run, for a shell, and `rev` names the commit, "" for HEAD.
    """
    failed = [result for result in verdict.metrics if result.code]
    final = [result for result in failed if result.final]
    if final and final[0].task:
        return f"git clearml show {final[0].task}"
    if final or all(result.code == "metric-missing" for result in failed):
        return f"git clearml report{f' {rev}' if rev else ''}"
    checkout = f"git checkout {rev} && " if rev else ""
    used = _SEED.search(command)
    if used is None:  # where its seed goes is not known
        return f"{checkout}git clearml run -- {command}"
    runs = [shlex.join(task.run.command) for task in verdict.runs if task.run]
    seeds = [int(match["number"]) for match in (used, *map(_SEED.search, runs)) if match]
    missing = max((each.rule.min_runs - each.runs for each in failed if each.code == "too-few-runs"), default=1)
    with_seed = f"{command[: used.start()]}{used['name']}{{seed}}{command[used.end() :]}"
    return f"{checkout}git clearml run --seeds {missing} --first-seed {max(seeds) + 1} -- {with_seed}"
