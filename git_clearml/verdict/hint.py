"""The one command to run next after a verdict that is no pass."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from git_clearml.clearml.entry_point import entry_paths
from git_clearml.git.repository import Repository
from git_clearml.settings.policy import Policy
from git_clearml.verdict.model import Outcome, Verdict

_USUAL = ("train.py", "main.py", "src/train.py")


def next_command(repository: Repository, verdicts: Sequence[Verdict], policy: Policy) -> str:
    """What makes the worst of these verdicts a pass; "" when they all are.

    Nothing that a server said stands in it but paths that exist in the commit, quoted for a shell.
    """
    worst = Outcome.worst([verdict.outcome for verdict in verdicts])
    verdict = next((verdict for verdict in verdicts if verdict.outcome is worst), None)
    if verdict is None or worst is Outcome.VERIFIED:
        return ""
    head = repository.run("rev-parse", "--verify", "--quiet", "HEAD")[1].decode("ascii", "replace").strip()
    if worst is Outcome.PENDING:
        return "git clearml verify --wait" + ("" if verdict.commit == head else f" {verdict.commit[:12]}")
    if verdict.needs_check:
        return "git clearml check-runnable" + ("" if verdict.commit == head else f" {verdict.commit[:12]}")
    run = f"git clearml run -- python {_script(repository, verdict, policy)}"
    return run if verdict.commit == head else f"git checkout {verdict.commit[:12]} && {run}"


def _script(repository: Repository, verdict: Verdict, policy: Policy) -> str:
    """The script that the nearest task ran, else a usual one, else a placeholder."""
    tasks = [finding.task for finding in verdict.near_misses]
    paths = [path for task in tasks for path in entry_paths(task.entry_point, task.working_dir)]
    paths += [path for path in (policy.runnable.entry_point, *_USUAL) if path]
    files = repository.existing_files((verdict.commit, path) for path in paths)
    script = next((path for path in paths if (verdict.commit, path) in files), "")
    return shlex.quote(script) if script else "<your training script>"
