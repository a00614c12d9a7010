"""Which of the tasks that do not count nearly did: in which order a reader sees them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from git_clearml.verdict.model import Finding

# How near a task is by what speaks against it, nearest first.
_NEARNESS = (
    "running queued too-few-runs metric-limit metric-missing other-commit dirty untracked-files "
    "run-failed failed stopped published no-commit diff-unknown "
    "entry-point-missing ignored-code no-task created not-a-check closed archived no-repository other-task-name "
    "other-project other-repository"
).split()

ONLY_HERE = "ran here without a server, and only this clone's run record says so"
"""The message of a run that counts as soon as it has been imported."""


def nearest_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Running ones first, then the fewest reasons, then the mildest, then the newest.

    Last what says again that a commit has the same code: a sweep's tasks would hide the commit's own.
    """
    commits: set[str] = set()
    first: list[Finding] = []
    again: list[Finding] = []
    for finding in sorted(findings, key=_nearness):
        same_code = [reason.code for reason in finding.reasons] == ["other-commit"]
        (again if same_code and finding.task.commit in commits else first).append(finding)
        commits |= {finding.task.commit} if same_code else set()
    return (*first, *again)


def _nearness(finding: Finding) -> tuple[int, int, int, tuple[int, ...]]:
    ranks = [_NEARNESS.index(reason.code) for reason in finding.reasons]
    moment = finding.task.completed or finding.task.updated
    newest_first = tuple(-ord(character) for character in moment) or (0,)
    return (0 if finding.pending else 1, len(ranks), max(ranks, default=0), newest_first)
