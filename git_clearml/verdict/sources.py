"""Which evidence source a policy means: the ClearML server, or this clone's run records. Loaded when chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from git_clearml.clearml.connect import connect, connect_if_configured
from git_clearml.git.repository import Repository
from git_clearml.settings.in_ci import in_ci
from git_clearml.verdict.evidence import Evidence

if TYPE_CHECKING:
    from git_clearml.clearml.client import ClearML


def choose(
    kind: str,
    repository: Repository,
    *,
    budget: float,
    environment: Mapping[str, str],
    log: Callable[[str], None],
    ahead: ClearML | None = None,
) -> Evidence:
    """The source that `evidence = kind` means here, with `budget` seconds for the network.

    `auto` is the server when credentials are configured, else this clone; in CI always the server, since a checkout
    may bring records of its own. `ahead` is a client that connects already. Raises NotConfigured and BadSetting.
    """
    needs_server = kind == "server" or (kind == "auto" and in_ci(environment))
    connecting = connect if needs_server else connect_if_configured
    api = None if kind == "offline" else connecting(environment, budget, log=log)
    if api is not None:
        if ahead is not None:
            api.take_over(ahead)
        from git_clearml.verdict.server import ServerEvidence

        return ServerEvidence(api)
    from git_clearml.verdict.offline import OfflineEvidence

    return OfflineEvidence(repository, environment=environment)
