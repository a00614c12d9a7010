"""Whose is the forge token in the environment, and may it read the repository? Without one nothing is asked."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from git_clearml.doctor.advice import of_error
from git_clearml.errors import CannotDecide, Error, UsageError
from git_clearml.forge.api import Writing
from git_clearml.forge.connect import Workplace, connect, provider_of, token_variable
from git_clearml.git.repository import Repository
from git_clearml.report.diagnosis import Check


def examine(repository: Repository, environment: Mapping[str, str], budget: float) -> list[Check]:
    """The check "forge-token"; [] where there is no token, or no remote on a forge. `budget` is in seconds.

    Of writing there is what the forge tells without anything being written: none tells it of every kind of token.
    """
    workplace = Workplace(None, repository, environment)
    provider = provider_of(workplace)
    variable = token_variable(environment, provider)
    if not variable:
        return []
    try:
        forge = connect(workplace, "", budget)
    except UsageError:  # its remotes are elsewhere
        return []
    except CannotDecide as error:
        return [of_error("forge-token", "warn", error)]
    with contextlib.closing(forge):
        try:
            author, head = forge.author(), forge.ref_at("HEAD")
            writing = forge.writing() if head else Writing()
        except Error as error:
            return [of_error("forge-token", "warn", error, f" ({variable})")]
    whose = f"is that of {author}" if author else "does not tell whose it is"
    if not head:
        return [
            Check("forge-token", "warn", f"{variable} {whose}, and does not see this repository on {provider.shown}")
        ]
    message = f"{variable} {whose}, and reads this repository on {provider.shown}"
    if writing.comments is False:
        return [Check("forge-token", "warn", f"{message}; no comment can be written: {writing.why}")]
    if writing.statuses is False:
        message += f"; it may set no commit status: {writing.why}"
    return [Check("forge-token", "ok", message)]
