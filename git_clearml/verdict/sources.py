"""Which evidence source a policy means: the ClearML server, or this clone's run records. Loaded when chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from git_clearml.clearml import config as clearml_conf
from git_clearml.errors import NotConfigured
from git_clearml.git.repository import Repository
from git_clearml.verdict.evidence import Evidence

HINT = "set CLEARML_API_HOST, CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY, or run clearml-init"


def choose(
    kind: str,
    repository: Repository,
    *,
    budget: float,
    environment: Mapping[str, str],
    log: Callable[[str], None],
) -> Evidence:
    """The source that `evidence = kind` means here, with `budget` seconds for the network.

    `auto` is the server when credentials are configured, else this clone; in CI always the server, since a checkout
    may bring records of its own. Raises NotConfigured and BadSetting.
    """
    server = None if kind == "offline" else clearml_conf.read_server(environment)
    if server is not None:
        from git_clearml.clearml.client import ClearML
        from git_clearml.verdict.server import ServerEvidence

        return ServerEvidence(ClearML(server, budget, environment=environment, log=log))
    if kind == "server" or (kind == "auto" and in_ci(environment)):
        raise NotConfigured("no ClearML credentials are configured", HINT)
    from git_clearml.verdict.offline import OfflineEvidence

    return OfflineEvidence(repository, environment=environment)


def in_ci(environment: Mapping[str, str]) -> bool:
    """Are we in a CI job? Every CI service sets CI."""
    return environment.get("CI", "").lower() not in ("", "0", "false", "no", "off")
