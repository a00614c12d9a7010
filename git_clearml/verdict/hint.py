"""The one command to run next after a verdict that is no pass."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from git_clearml.clearml.entry_point import module_files, module_of, usual_paths
from git_clearml.git.repository import Repository
from git_clearml.model import Task
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
    """What the nearest task ran, script or module, else a usual script, else a placeholder: as Python takes it."""
    words: dict[str, str] = {}  # path -> how to run it
    for finding in verdict.near_misses:
        words |= {path: shown for path, shown in _ways(finding.task).items() if path not in words}
    words |= {path: shlex.quote(path) for path in (policy.runnable.entry_point, *_USUAL) if path and path not in words}
    files = repository.existing_files((verdict.commit, path) for path in words)
    return next((shown for path, shown in words.items() if (verdict.commit, path) in files), "<your training script>")


def _ways(task: Task) -> dict[str, str]:
    """The files that the task may have run, each with how to run it from the root: a module that is found from there,
    or that is installed, by its name."""
    module = module_of(task.entry_point)
    by_name = {f"{root}{file}" for file in module_files(task.entry_point) for root in ("", "src/")}
    shown = f"-m {module.removesuffix('.__main__')}"
    paths = usual_paths(task.entry_point, task.working_dir)
    return {path: shown if path in by_name else shlex.quote(path) for path in paths}
