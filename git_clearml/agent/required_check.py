"""What a policy with `runnable.required` wants beside a task. What answers it is loaded where a policy asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from git_clearml.git.repository import Repository
    from git_clearml.verdict.evidence import Evidence
    from git_clearml.verdict.model import Verdict
    from git_clearml.verdict.question import Question


def passed_check(
    repository: Repository,
    questions: Sequence[Question],
    verdicts: Sequence[Verdict],
    source: Evidence,
    lifetime: float | None = None,
) -> list[Verdict]:
    """The requirement as the server has it on record; a pass that this clone has seen within `lifetime` seconds is not
    asked for again. Raises NotConfigured without a server, and the source's errors.
    """
    from git_clearml.agent import passed_checks

    memory = passed_checks.memory(repository, lifetime) if source.identity and lifetime is not None else None
    return passed_checks.required(repository, questions, verdicts, source, remembered=memory)
