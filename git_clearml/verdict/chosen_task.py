"""The task that a user has chosen: which it is, and what it is where it is none of the commits it was chosen for."""

from __future__ import annotations

from collections.abc import Mapping

from git_clearml.base.ids import is_short_id
from git_clearml.model import Commit
from git_clearml.settings.policy import Policy
from git_clearml.verdict import rules
from git_clearml.verdict.evidence import Evidence
from git_clearml.verdict.model import Verdict


def whole_id(chosen: str, evidence: Evidence, policy: Policy) -> str:
    """The id of the task whose first digits were given; any other text as it is. One request where it is short.

    Raises UsageError where several tasks begin with them, and the errors of the evidence source.
    """
    task = evidence.find(chosen, policy) if is_short_id(chosen.removeprefix("offline-")) else None
    return task.id if task else chosen


def elsewhere(
    verdicts: Mapping[Commit, Verdict], chosen: str, evidence: Evidence, policy: Policy
) -> dict[Commit, Verdict]:
    """The verdicts, with what the chosen task is where it is none of theirs: one of another commit, or no task.

    One request at most. Raises the errors of the evidence source.
    """
    if all(verdict.near_misses for verdict in verdicts.values()):
        return dict(verdicts)
    task = evidence.find(chosen, policy)
    if task is None:
        note = f"there is no task {chosen}"
        return {commit: verdict._replace(notes=(*verdict.notes, note)) for commit, verdict in verdicts.items()}
    return {
        commit: verdict if verdict.near_misses else verdict._replace(near_misses=(rules.of_another(task),))
        for commit, verdict in verdicts.items()
    }
