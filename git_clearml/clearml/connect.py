"""Connects to the ClearML server that is configured. The client is loaded when there is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from git_clearml.clearml.config import login_hint, read_server
from git_clearml.errors import NotConfigured

if TYPE_CHECKING:
    from git_clearml.clearml.client import ClearML


def connect(environment: Mapping[str, str], budget: float, *, log: Callable[[str], None] = lambda _: None) -> ClearML:
    """The server to ask, with `budget` seconds for all questions. Nothing is sent yet.

    Raises NotConfigured where none is configured or only a part is there, and BadSetting.
    """
    api = connect_if_configured(environment, budget, log=log)
    if api is None:
        raise NotConfigured("no ClearML credentials are configured", login_hint(environment))
    return api


def connect_if_configured(
    environment: Mapping[str, str], budget: float, *, log: Callable[[str], None] = lambda _: None
) -> ClearML | None:
    """The same, but None where no server is configured."""
    server = read_server(environment)
    if server is None:
        return None
    from git_clearml.clearml.client import ClearML

    return ClearML(server, budget, environment=environment, log=log)
