"""The address of a task's page: whose id it holds, and is it a page of the server that is asked?"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from git_clearml.base.ids import id_in
from git_clearml.clearml.conf_file import variable
from git_clearml.clearml.config import read_server
from git_clearml.errors import BadSetting, NotConfigured, UsageError

_PARTS = ("app", "api", "files")
"""What the names of one server's hosts begin with, as ClearML names them."""

_HERE = ("localhost", "127.0.0.1", "::1")


def task_in(text: str, environment: Mapping[str, str]) -> str:
    """The id of the task whose page has this address; any other text as it is.

    Raises UsageError for a page of another server than the one that is configured: there it would be another task, or
    none. Ports are not compared: a server's three hosts may differ in them alone.
    """
    identity = id_in(text)
    if identity == text:
        return text
    try:
        server = read_server(environment)
    except (BadSetting, NotConfigured):  # whoever asks the server says it
        return identity
    if server is None:
        return identity
    files = variable(environment, "CLEARML_FILES_HOST", "TRAINS_FILES_HOST")
    host, ours = _host(text), {_host(url) for url in (server.web, server.api, files)}
    if host and host in ours:
        return identity
    raise UsageError(
        f"that page is on {host or 'no server'}, and the server that is asked is {_host(server.web)}",
        f"if both are the same server, give the task's id: {identity}",
    )


def _host(url: str) -> str:
    """The host of a URL, without what tells a server's web, API and files hosts apart; "" for none."""
    try:
        name = (urlsplit(url.strip() if "://" in url else f"//{url.strip()}").hostname or "").removesuffix(".")
    except ValueError:
        return ""
    first, _, rest = name.partition(".")
    return _HERE[0] if name in _HERE else rest if first in _PARTS and "." in rest else name
