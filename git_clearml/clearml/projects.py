"""ClearML's projects, by their exact names. Numbers in brackets are points of tests/contract/recordings' README."""

from __future__ import annotations

import re

from git_clearml.clearml import response
from git_clearml.clearml.client import ClearML
from git_clearml.errors import CannotDecide, Refused, UsageError


def project(api: ClearML, name: str) -> str:
    """The id of the project of exactly this name, made with its parents when there is none [18].

    Raises UsageError for a name that no project can have, and the errors of ClearML.call. Servers since 2.3 want 3
    characters of each part of a path [23], older ones may have shorter parts: the server is asked.
    """
    given, name = name, "/".join(part for part in name.split("/") if part)
    parts = [part.strip() for part in name.split("/")]
    too_short = [part for part in parts if len(part) < 3]
    why = f"{min(too_short, key=len)!r} has less than 3 characters" if too_short else ""
    if why and len(parts) == 1:
        raise UsageError(f"invalid project name {given!r}: {why}", "--project <name>")
    if identity := existing(api, name):
        return identity
    try:
        return response.identity(api.call("projects.create", {"name": name, "description": ""}, repeat=False))
    except CannotDecide as error:
        if why and isinstance(error, Refused) and error.result_code == 400:
            hint = "--project <name>"
            raise UsageError(f"invalid project name {given!r}: {why}", hint) from None
        if identity := existing(api, name):  # somebody was quicker, or the answer was lost
            return identity
        raise


def existing(api: ClearML, name: str) -> str:
    """The id of the project of exactly this name, "" for none. One request."""
    body = {"name": f"^{re.escape(name)}$", "only_fields": ["id", "name"], "search_hidden": True}
    projects = response.objects(api.call("projects.get_all", body), "projects")
    return next((response.identity(project) for project in projects if project.get("name") == name), "")
