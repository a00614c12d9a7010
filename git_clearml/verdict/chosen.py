"""What the task is that a user has chosen, where it is none of the commits that it was chosen for."""

from __future__ import annotations

from collections.abc import Mapping

from git_clearml.model import Commit
from git_clearml.settings.policy import Policy
from git_clearml.verdict import rules
from git_clearml.verdict.evidence import Evidence
from git_clearml.verdict.model import Verdict


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
